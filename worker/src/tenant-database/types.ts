/** Requests and answers of a project's database. Answers are plain data that JSON can hold. */

/** A value of SQLite. Integers beyond 2^53, reals that JSON cannot hold, and bytes are objects. Each form can also be sent as a parameter. */
export type WireValue = string | number | null | { readonly $int: string } | { readonly $real: string } | { readonly $blob: string };

/** `$int`: decimal digits. `$real`: as JavaScript reads it, which distinguishes 1.0 from 1. `$blob`: base64. */
export type Parameter = WireValue | boolean;

export interface QueryRequest {
  readonly sql: string;
  readonly params: readonly Parameter[];
  /** Refuses a statement that writes, and rolls it back. */
  readonly readOnly: boolean;
  readonly maxRows: number;
}

export interface QueryRows {
  readonly result: "rows";
  readonly columns: readonly string[];
  readonly rows: readonly (readonly WireValue[])[];
  /** More rows exist beyond the limit of rows or bytes. */
  readonly truncated: boolean;
  /** As the platform counts and bills them, including rows of indexes. */
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly schemaVersion: number;
}

/** The database refuses writes (frozen), or every request (importing). */
export interface Busy {
  readonly result: "busy";
  readonly why: "frozen" | "importing";
  readonly retryAfterSeconds: number;
}

export type QueryAnswer =
  | QueryRows
  | Busy
  /** The statement did not run, or was rolled back. `path`: the invalid member of the request. */
  | { readonly result: "refused"; readonly path: string; readonly message: string }
  /** Rolled back. `message`: SQLite's own words. */
  | { readonly result: "failed"; readonly message: string };

export interface DatabaseState {
  /** Epoch milliseconds. Null: not created yet, and empty. */
  readonly createdAt: number | null;
  readonly schemaVersion: number;
  readonly sizeBytes: number;
  readonly frozen: { readonly id: string; readonly until: number } | null;
  readonly importing: { readonly id: string; readonly pieces: number } | null;
}

export type MigrateAnswer =
  | { readonly result: "migrated" | "already"; readonly schemaVersion: number }
  /** Versions are applied one after the other. */
  | { readonly result: "out_of_order"; readonly schemaVersion: number }
  | { readonly result: "failed"; readonly message: string }
  | Busy;

export type FreezeAnswer = { readonly result: "frozen"; readonly until: number } | Impossible | Busy;

export interface TableSummary {
  readonly name: string;
  readonly rows: number;
  /** Sum of the SHA-256 hashes of all rows, in hex. It does not depend on the order of rows. */
  readonly hash: string;
}

/** The freeze has ended, and a write took place or may have taken place. */
export interface Thawed {
  readonly result: "thawed";
}

/** SQLite reports an error, or a dump cannot hold the content. A retry does not help. */
export interface Impossible {
  readonly result: "impossible";
  readonly detail: string;
}

export type DumpAnswer =
  | {
      readonly result: "part";
      readonly sql: string;
      readonly bytes: number;
      /** Cursor of the next part. Null after the last one. */
      readonly next: string | null;
      readonly schemaVersion: number;
    }
  | Thawed
  | Impossible
  | Busy;

export interface DumpPartRequest {
  readonly freeze: string;
  readonly mode: "full" | "schema";
  readonly cursor: string | null;
  readonly maxBytes?: number;
}

export type SurveyAnswer =
  | {
      readonly result: "page";
      /** Cursor of the next page. Null after the last one. */
      readonly next: string | null;
      /** Tables that end in this page. */
      readonly tables: readonly TableSummary[];
      /** SHA-256 in hex, on the first page only. */
      readonly schemaHash: string | null;
      readonly schemaVersion: number;
    }
  | Thawed
  | Impossible
  | Busy;

export type ImportAnswer =
  /** `pieces`: number of imported parts. */
  | { readonly result: "ready"; readonly pieces: number }
  /** The database is not empty, or another import is in progress. */
  | { readonly result: "conflict"; readonly detail: string }
  | { readonly result: "failed"; readonly message: string };

export interface Checks {
  /** Problems that SQLite found. */
  readonly quickCheck: readonly string[];
  /** Rows whose parent does not exist. */
  readonly foreignKeyViolations: number;
}
