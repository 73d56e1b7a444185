/**
 * What earlier releases left behind, as their own code wrote it: each was run through its public door for two minutes of one afternoon, and
 * then its database, ledger, KV and bucket were read out. A recording never changes. Whoever adds a migration, or a step of the ledger's
 * schema, first has the release before it recorded (`npm run record-release`; CONTRIBUTING.md has the steps) and names it here.
 */
import first from "./releases/0001-a.json?raw";
import second from "./releases/0001-b.json?raw";
import harvest from "./releases/0002.json?raw";
import tenants from "./releases/0003.json?raw";
import jobs from "./releases/0004.json?raw";
import events from "./releases/0005.json?raw";
import webhooks from "./releases/0009.json?raw";
import tallies from "./releases/0010.json?raw";
import scratches from "./releases/0012.json?raw";
import type { Release } from "./recording.ts";

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
  recorded("the one that remembers backup scratches", 12, scratches),
];
