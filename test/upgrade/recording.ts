/** The form of a recording: record/ writes it, and the tests read it. */

/** When it ends: what comes after begins here. */
export const RECORDED_AT = "2031-05-14T14:03:00Z";

interface RecordedStatus {
  readonly used: number;
  readonly reserved: number;
  readonly [name: string]: unknown;
}

/** What the release said to those who asked it. */
export interface Told {
  readonly status: RecordedStatus;
  /** The keys of `shop`, and of `shut`, which an administrator has stopped. */
  readonly keys?: { readonly key: string; readonly shutKey: string };
  /** Jobs: one that is through, and one that waits for its time. */
  readonly done?: string;
  readonly later?: string;
  readonly webhook?: { readonly id: string; readonly secret: string };
  /** Messages that the endpoint got. */
  readonly received?: readonly { readonly headers: Record<string, string>; readonly body: string }[];
  readonly backup?: string;
  /** A key that was rotated a minute ago. */
  readonly turned?: { readonly id: string; readonly before: string; readonly after: string };
  /** The cookie of somebody who is signed in. */
  readonly session?: string;
}

export interface Release {
  readonly told: Told;
  /** The ledger's answers to other isolates, by method. */
  readonly rpc: Readonly<Record<string, Readonly<Record<string, unknown>> | null>>;
  readonly kv: Readonly<Record<string, unknown>>;
  /** What it asked of D1. */
  readonly statements: readonly string[];
  /** The rows of D1, as statements. */
  readonly d1: readonly string[];
  /** The ledger's tables and rows, as statements. */
  readonly ledger: readonly string[];
  /** Objects, in hex. */
  readonly r2: Readonly<Record<string, string>>;
}
