/** Exit codes of the command. No I/O. */
export const EXIT = {
  done: 0,
  fatal: 1,
  /** Today's calls are used up. The checkpoint is saved. */
  exhausted: 2,
  /** Finished, but some authors failed. */
  failures: 3,
  /** Ctrl-C or SIGTERM. The checkpoint is saved. */
  interrupted: 130,
} as const;

export type Ending = keyof typeof EXIT;
