/** What `--help` says below the options. */
export const HELP_AFTER = `
One of --tier, --author and --authors says who, unless --resume does. Calls are
spent one at a time; what the catalogue already holds costs none.

Exit code: 0 done, 1 fatal, 2 the day's calls are used up (progress is saved),
3 finished, but some authors failed, 130 interrupted (progress is saved).

With --json every line is an object with a type and the time:
  start      source, authors, settled, base_url, checkpoint, resumed
  quota      the status: used, safety_limit, remaining, reset_at, …
  author     author, result (done, limited, truncated, unknown, failed), books,
             pages, calls, settled, total, next_page?, reason?
  pause      author, because (pace, trouble), seconds, message
  exhausted  next_author, waiting, message, reset_at
  continued  next_author, waited_seconds
  warning    message
  plan       authors, calls, days, full_days, …    (--dry-run)
  end        ending, exit_code, totals, failed, message
  error      message                               (it could not begin)
`;
