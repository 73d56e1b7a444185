/** Where a backup is restored to be compared; nobody's project, for no project's id holds a colon. No I/O. No clock. */
export const scratchOf = (job: string): string => `scratch:${job}`;
