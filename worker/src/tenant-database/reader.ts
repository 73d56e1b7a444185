/** How the dump reads a database: whatever SQLite it is. */

/** Calls `visit` with each row until it says false. Reals come as numbers; text, integers and blobs as the query makes them. */
export type ReadRows = (sql: string, visit: (row: readonly unknown[]) => boolean) => void;
