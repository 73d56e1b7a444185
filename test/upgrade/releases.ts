/**
 * The data of earlier releases, written by their own code. Each release ran for two minutes and was used through its API. Then its D1, ledger, KV
 * and R2 were recorded. A recording never changes. Before you add a migration or a step of the ledger's schema, record the previous release with
 * `npm run record-release` and list it here. CONTRIBUTING.md has the steps.
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
import shares from "./releases/0013.json?raw";
import type { Release } from "./recording.ts";

export interface Recording extends Release {
  readonly name: string;
  /** Number of its migrations. */
  readonly migrations: number;
  /** Indexes that were added to migration 3 after this release. */
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

/** Oldest first. */
export const RELEASES: readonly Recording[] = [
  recorded("the first release", 1, first),
  recorded("the release with late commits", 1, second),
  recorded("the release with the harvest", 2, harvest),
  recorded("the release with tenants", 3, tenants, LATE_INDEXES),
  recorded("the release with jobs", 4, jobs, LATE_INDEXES),
  recorded("the release with events", 5, events),
  recorded("the release with webhooks, backups and signals", 9, webhooks),
  recorded("the release with delivery counts", 10, tallies),
  recorded("the release with scratch databases", 12, scratches),
  recorded("the release with share modes", 13, shares),
];
