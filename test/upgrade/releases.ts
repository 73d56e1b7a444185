/**
 * What earlier releases left behind, as their own code wrote it: each was run through its public door for two minutes of one afternoon, and
 * then its database, ledger, KV and bucket were read out. A recording never changes. Whoever adds a migration, or a step of the ledger's
 * schema, adds the recording of the release before it.
 */
import first from "./releases/0001-a.json?raw";
import second from "./releases/0001-b.json?raw";
import harvest from "./releases/0002.json?raw";
import tenants from "./releases/0003.json?raw";
import jobs from "./releases/0004.json?raw";
import events from "./releases/0005.json?raw";
import webhooks from "./releases/0009.json?raw";
import tallies from "./releases/0010.json?raw";

/** When a recording ends. */
export const RECORDED_AT = "2031-05-14T14:03:00Z";

export interface RecordedStatus {
  readonly used: number;
  readonly reserved: number;
  readonly [name: string]: unknown;
}

/** What the release said to those who asked it. */
interface Told {
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

export interface Recording extends Release {
  readonly name: string;
  /** How many migrations there were. */
  readonly migrations: number;
  /** Indexes that migration 3 got only after it had been applied. */
  readonly lacks: readonly string[];
}

const LATE_INDEXES = [
  "organizations_archived",
  "billing_periods_by_end",
  "projects_gone",
  "api_keys_unrevoked",
  "api_key_versions_by_hash",
] as const;

const recorded = (name: string, migrations: number, text: string, lacks: readonly string[] = []): Recording => ({
  ...(JSON.parse(text) as Release),
  name,
  migrations,
  lacks,
});

/** The oldest first. */
export const RELEASES: readonly Recording[] = [
  recorded("the first", 1, first),
  recorded("the one whose ledger knew late commits", 1, second),
  recorded("the one that brought the harvest", 2, harvest),
  recorded("the one that brought tenants", 3, tenants, LATE_INDEXES),
  recorded("the one that brought jobs", 4, jobs, LATE_INDEXES),
  recorded("the one that brought events", 5, events),
  recorded("the one that brought webhooks, backups and signals", 9, webhooks),
  recorded("the one that brought tallies", 10, tallies),
];
