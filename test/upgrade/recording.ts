/** Type of a recording. The code in record/ writes it, and the tests read it. Its member names never change. */

/** End of the recording. Tests start at this time. */
export const RECORDED_AT = "2031-05-14T14:03:00Z";

interface RecordedStatus {
  readonly used: number;
  readonly reserved: number;
  readonly [name: string]: unknown;
}

/** The release's answers over HTTP and to webhooks. */
export interface RecordedAnswers {
  readonly status: RecordedStatus;
  /** Keys of the project `shop`, and of `shut`, which is suspended. */
  readonly keys?: { readonly key: string; readonly shutKey: string };
  /** Jobs: a completed one and a scheduled one. */
  readonly done?: string;
  readonly later?: string;
  readonly webhook?: { readonly id: string; readonly secret: string };
  /** Messages that the webhook received. */
  readonly received?: readonly { readonly headers: Record<string, string>; readonly body: string }[];
  readonly backup?: string;
  /** A key that was rotated a minute ago. */
  readonly turned?: { readonly id: string; readonly before: string; readonly after: string };
  /** Cookie of a dashboard session. */
  readonly session?: string;
}

export interface Release {
  readonly told: RecordedAnswers;
  /** The ledger's RPC answers, by method. */
  readonly rpc: Readonly<Record<string, Readonly<Record<string, unknown>> | null>>;
  readonly kv: Readonly<Record<string, unknown>>;
  /** SQL statements that the release sent to D1. */
  readonly statements: readonly string[];
  /** The rows of the main database, as statements. */
  readonly d1: readonly string[];
  /** The rows of the catalog. Earlier releases kept them in the main database. */
  readonly catalog?: readonly string[];
  /** The ledger's tables and rows, as statements. */
  readonly ledger: readonly string[];
  /** Objects, in hex. */
  readonly r2: Readonly<Record<string, string>>;
}
