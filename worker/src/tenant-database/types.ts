/** What a project's database promises to those who call it. Answers are plain data; JSON can hold all of them. */

/** What JSON has no form for stands in an object: integers beyond 2^53, infinite reals, bytes. Sent back, it is the same value. */
export type WireValue = string | number | null | { readonly $int: string } | { readonly $real: string } | { readonly $blob: string };

/** `$int`: decimal digits. `$real`: as JavaScript reads it, so that 1.0 can be told from 1. `$blob`: base64. */
export type Parameter = WireValue | boolean;

export interface QueryRequest {
  readonly sql: string;
  readonly params: readonly Parameter[];
  /** Refuses what would write, and could not keep it if it did. */
  readonly readOnly: boolean;
  readonly maxRows: number;
}

export interface QueryRows {
  readonly result: "rows";
  readonly columns: readonly string[];
  readonly rows: readonly (readonly WireValue[])[];
  /** There are more, which the limit of rows or of bytes kept back. */
  readonly truncated: boolean;
  /** As the platform counts and bills them: indexes count too. */
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly schemaVersion: number;
}

/** The database takes no writes now, or nothing at all. */
export interface Busy {
  readonly result: "busy";
  readonly why: "frozen" | "importing";
  readonly retryAfterSeconds: number;
}

export type QueryAnswer =
  | QueryRows
  | Busy
  /** Nothing was done. `path`: the member of the request that is wrong. */
  | { readonly result: "refused"; readonly path: string; readonly message: string }
  /** SQLite's own words; nothing of it stays. */
  | { readonly result: "failed"; readonly message: string };

export interface DatabaseState {
  /** Epoch milliseconds; null: nobody has created it, and it is empty. */
  readonly createdAt: number | null;
  readonly schemaVersion: number;
  readonly sizeBytes: number;
  readonly frozen: { readonly id: string; readonly until: number } | null;
  readonly importing: { readonly id: string; readonly pieces: number } | null;
}

export type MigrateAnswer =
  | { readonly result: "migrated" | "already"; readonly schemaVersion: number }
  /** Versions come one after the other. */
  | { readonly result: "out_of_order"; readonly schemaVersion: number }
  | { readonly result: "failed"; readonly message: string }
  | Busy;

export type FreezeAnswer = { readonly result: "frozen"; readonly until: number } | Impossible | Busy;

export interface TableSummary {
  readonly name: string;
  readonly rows: number;
  /** SHA-256 in hex of each row, added up: the same rows in another order have the same. */
  readonly hash: string;
}

/** The database cannot be read now: the freeze ended and something was written, or may have been. */
export interface Thawed {
  readonly result: "thawed";
}

/** SQLite complains, or there is no SQL for what the database holds; another try would not help. */
export interface Impossible {
  readonly result: "impossible";
  readonly detail: string;
}

export type DumpAnswer =
  | {
      readonly result: "part";
      readonly sql: string;
      readonly bytes: number;
      /** Where the next part begins; null after the last one. */
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
      /** Where the next page begins; null after the last one. */
      readonly next: string | null;
      /** Tables that end in this page. */
      readonly tables: readonly TableSummary[];
      /** SHA-256 in hex; of the first page only. */
      readonly schemaHash: string | null;
      readonly schemaVersion: number;
    }
  | Thawed
  | Impossible
  | Busy;

export type ImportAnswer =
  /** So many parts are in. */
  | { readonly result: "ready"; readonly pieces: number }
  /** The database holds something already, or another import is under way. */
  | { readonly result: "conflict"; readonly detail: string }
  | { readonly result: "failed"; readonly message: string };

export interface Checks {
  /** Empty: in order. */
  readonly quickCheck: readonly string[];
  /** Rows whose parent does not exist. */
  readonly foreignKeyViolations: number;
}
