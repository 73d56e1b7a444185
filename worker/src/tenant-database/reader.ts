/** How the dump reads a database: the same way in a Durable Object and in Node. */

/** Calls `visit` with each row until it returns false. Reals are numbers. The query sets the form of text, integers and blobs. */
export type ReadRows = (sql: string, visit: (row: readonly unknown[]) => boolean) => void;
