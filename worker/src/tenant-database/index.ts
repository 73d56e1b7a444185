/** A project's database from another isolate: what routes and jobs use. */
import type { DurableObject } from "cloudflare:workers";
import { Problem } from "../errors.ts";
import { inTime } from "../lib/in-time.ts";
import { errorFields, log } from "../lib/log.ts";
import type { TenantDatabase } from "./tenant-database.ts";
import type { QueryAnswer, QueryRequest, TableSummary } from "./types.ts";

export type * from "./types.ts";

/** SQL cannot be interrupted; the platform ends it after 30 s of CPU. */
const TIMEOUT_MS = 40_000;
/** `.retryable` errors are retried on a new stub, where a second run does no harm. */
const ATTEMPTS = 3;
const RETRY_AFTER_SECONDS = 5;

/** The database's entry methods as they are declared; the platform's stub type distributes over union results and no longer infers. */
export type TenantDatabaseMethods = Omit<TenantDatabase, keyof DurableObject>;

/** What a database holds, as a survey found it. */
export interface Contents {
  readonly schemaHash: string;
  readonly schemaVersion: number;
  readonly tables: readonly TableSummary[];
}

/** Where a database may be put: the platform's location hints, which hold for its whole life. */
export const REGIONS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;
export type Region = (typeof REGIONS)[number];

/** What it was called before there was a list gives no hint. */
export const regionOf = (text: string | null): Region | null => REGIONS.find((region) => region === text) ?? null;

export class TenantDatabases {
  readonly #namespace: DurableObjectNamespace<TenantDatabase>;

  constructor(namespace: DurableObjectNamespace<TenantDatabase>) {
    this.#namespace = namespace;
  }

  /** An operation that may run twice: all of them but a query that writes. Throws `storage_unavailable` when the database fails. */
  async call<Answer>(
    name: string,
    operation: (database: TenantDatabaseMethods) => Promise<Answer>,
    attempts = ATTEMPTS,
    options: DurableObjectNamespaceGetDurableObjectOptions = {},
  ): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const stub: unknown = this.#namespace.getByName(name, options);
        return await inTime("The project's database", TIMEOUT_MS, operation(stub as TenantDatabaseMethods));
      } catch (error) {
        if (attempt < attempts && has(error, "retryable") && !has(error, "overloaded")) continue;
        log.error("A project's database did not answer", { database: name, ...errorFields(error) });
        throw unavailable(error);
      }
    }
  }

  /** Once or many times: the database is there, near a region if nobody has asked it anything yet. */
  async create(name: string, region: Region | null): Promise<void> {
    const options = region === null ? {} : { locationHint: region };
    await this.call(name, async (database) => database.create(), ATTEMPTS, options);
  }

  async query(name: string, request: QueryRequest): Promise<QueryAnswer> {
    return this.call(name, async (database) => database.query(request), request.readOnly ? ATTEMPTS : 1);
  }
}

/** In what a copy differs from its source. Empty: in nothing. */
export function differences(expected: Contents, found: Contents): string[] {
  const differing: string[] = [];
  if (expected.schemaHash !== found.schemaHash) differing.push("the schema differs");
  if (expected.schemaVersion !== found.schemaVersion) {
    differing.push(`schema version ${found.schemaVersion} instead of ${expected.schemaVersion}`);
  }
  const rest = new Map(found.tables.map((table) => [table.name, table]));
  for (const { name, rows, hash } of expected.tables) {
    const table = rest.get(name);
    rest.delete(name);
    if (!table) differing.push(`table ${name} is missing`);
    else if (table.rows !== rows) differing.push(`table ${name} has ${table.rows} rows instead of ${rows}`);
    else if (table.hash !== hash) differing.push(`the rows of table ${name} differ`);
  }
  return [...differing, ...[...rest.keys()].map((name) => `table ${name} is not in the source`)];
}

function has(error: unknown, flag: "retryable" | "overloaded"): boolean {
  return typeof error === "object" && error !== null && flag in error && (error as Record<string, unknown>)[flag] === true;
}

/** Carries nothing of the inside. What may have run is counted. */
function unavailable(cause: unknown): Problem {
  return new Problem("storage_unavailable", "The project's database did not answer. Whether a write took place is not known.", {
    members: { counted: true },
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    cause,
  });
}
