/** Access to a project's database for routes and jobs. */
import type { DurableObject } from "cloudflare:workers";
import { Problem } from "../errors.ts";
import { inTime } from "../lib/in-time.ts";
import { errorFields, log } from "../lib/log.ts";
import type { TenantDatabase } from "./tenant-database.ts";
import type { QueryAnswer, QueryRequest, TableSummary } from "./types.ts";

export type * from "./types.ts";

/** SQL cannot be interrupted. The platform ends it after 30 s of CPU. */
const TIMEOUT_MS = 40_000;
/** Attempts after `.retryable` errors, for operations that may run twice. Each uses a new stub. */
const ATTEMPTS = 3;
const RETRY_AFTER_SECONDS = 5;

/** The declared methods of the database. The platform's stub type distributes over union results, and inference fails. */
export type TenantDatabaseMethods = Omit<TenantDatabase, keyof DurableObject>;

/** A summary of a database's content, made by a survey. */
export interface Contents {
  readonly schemaHash: string;
  readonly schemaVersion: number;
  readonly tables: readonly TableSummary[];
}

/** The platform's location hints for a database. Its location is permanent. */
export const REGIONS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;
export type Region = (typeof REGIONS)[number];

/** Null for regions from before this list existed. */
export const regionOf = (text: string | null): Region | null => REGIONS.find((region) => region === text) ?? null;

export class TenantDatabases {
  readonly #namespace: DurableObjectNamespace<TenantDatabase>;

  constructor(namespace: DurableObjectNamespace<TenantDatabase>) {
    this.#namespace = namespace;
  }

  /** Runs an operation, which may run twice. Throws `storage_unavailable` if the database fails. */
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

  /** Creates the database, near a region if no request has reached it yet. Idempotent. */
  async create(name: string, region: Region | null): Promise<void> {
    const options = region === null ? {} : { locationHint: region };
    await this.call(name, async (database) => database.create(), ATTEMPTS, options);
  }

  async query(name: string, request: QueryRequest): Promise<QueryAnswer> {
    return this.call(name, async (database) => database.query(request), request.readOnly ? ATTEMPTS : 1);
  }
}

/** The differences between a copy and its source. */
export function differences(expected: Contents, found: Contents): string[] {
  const differing: string[] = [];
  if (expected.schemaHash !== found.schemaHash) differing.push("the schema differs");
  if (expected.schemaVersion !== found.schemaVersion) {
    differing.push(`schema version ${found.schemaVersion} instead of ${expected.schemaVersion}`);
  }
  const unmatched = new Map(found.tables.map((table) => [table.name, table]));
  for (const { name, rows, hash } of expected.tables) {
    const table = unmatched.get(name);
    unmatched.delete(name);
    if (!table) differing.push(`table ${name} is missing`);
    else if (table.rows !== rows) differing.push(`table ${name} has ${table.rows} rows instead of ${rows}`);
    else if (table.hash !== hash) differing.push(`the rows of table ${name} differ`);
  }
  return [...differing, ...[...unmatched.keys()].map((name) => `table ${name} is not in the source`)];
}

function has(error: unknown, flag: "retryable" | "overloaded"): boolean {
  return typeof error === "object" && error !== null && flag in error && (error as Record<string, unknown>)[flag] === true;
}

/** Contains no internal details. The query stays counted, because it may have run. */
function unavailable(cause: unknown): Problem {
  return new Problem("storage_unavailable", "The project's database did not answer. A write may have taken effect.", {
    members: { counted: true },
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    cause,
  });
}
