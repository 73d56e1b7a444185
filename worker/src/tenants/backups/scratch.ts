/** Name of the database into which a backup is restored for comparison. Project ids have no colon. No I/O. No clock. */
export const scratchOf = (job: string): string => `scratch:${job}`;
