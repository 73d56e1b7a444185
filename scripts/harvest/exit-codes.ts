/** What the command's end tells the shell. No I/O. */
export const EXIT = {
  done: 0,
  fatal: 1,
  /** The day's calls are used up; the checkpoint is saved. */
  exhausted: 2,
  /** Everything was tried, and some authors failed. */
  failures: 3,
  /** Ctrl-C or SIGTERM; the checkpoint is saved. */
  interrupted: 130,
} as const;

export type Ending = keyof typeof EXIT;
