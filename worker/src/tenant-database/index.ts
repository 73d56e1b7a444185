/** A project's database from another isolate: what routes and jobs use. */
import type { DurableObject } from "cloudflare:workers";
import { Problem } from "../errors.ts";
import { inTime } from "../lib/in-time.ts";
import { errorFields, log } from "../lib/log.ts";
import { piecesOf } from "./import.ts";
import type { TenantDatabase } from "./tenant-database.ts";
import type { Checks, DumpAnswer, DumpPartRequest, ImportAnswer, QueryAnswer, QueryRequest, TableSummary } from "./types.ts";

export type * from "./types.ts";
export { prepare } from "./statement.ts";

/** SQL cannot be interrupted; the platform ends it after 30 s of CPU. */
const TIMEOUT_MS = 40_000;
/** `.retryable` errors are retried on a new stub, where a second run does no harm. */
const ATTEMPTS = 3;
const RETRY_AFTER_SECONDS = 5;
const IMPORT_PIECE_CHARS = 1024 * 1024;

/** The database's entry methods as they are declared; the platform's stub type distributes over union results and no longer infers. */
export type TenantDatabaseMethods = Omit<TenantDatabase, keyof DurableObject>;

/** What a dump says of the whole, beside its bytes. */
export interface DumpSummary {
  readonly schemaHash: string;
  readonly schemaVersion: number;
  readonly tables: readonly TableSummary[];
}

export interface Verification {
  /** Empty: the same schema and the same rows. */
  readonly differences: readonly string[];
  readonly checks: Checks;
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

  /** The parts of a dump, from a cursor on, of a database that is frozen under this id. Ends with the first answer that is no part. */
  async *dump(name: string, request: DumpPartRequest): AsyncGenerator<DumpAnswer> {
    let { cursor } = request;
    do {
      const from = cursor;
      const answer = await this.call(name, async (database) => database.dumpPart({ ...request, cursor: from }));
      yield answer;
      cursor = answer.result === "part" ? answer.next : null;
    } while (cursor !== null);
  }

  /**
   * A dump, cut anywhere, into an empty database. With the same id it goes on where it stopped. `freeze`: it ends frozen under its id, so
   * that nobody writes before it is verified.
   */
  async import(name: string, id: string, chunks: AsyncIterable<string>, schemaVersion: number, freeze = false): Promise<ImportAnswer> {
    let answer = await this.call(name, async (database) => database.beginImport(id));
    let piece = 0;
    for await (const sql of piecesOf(chunks, IMPORT_PIECE_CHARS)) {
      if (answer.result !== "ready") return answer;
      const number = piece;
      piece += 1;
      if (number >= answer.pieces) answer = await this.call(name, async (database) => database.importPart(id, number, sql));
    }
    return answer.result === "ready" ? this.call(name, async (database) => database.finishImport(id, schemaVersion, freeze)) : answer;
  }

  /** Reads a database as a dump of this mode does, and compares it with what the dump said. It stays frozen under this id. */
  async verify(name: string, id: string, expected: DumpSummary, mode: DumpPartRequest["mode"] = "full"): Promise<Verification> {
    await this.call(name, async (database) => database.freeze(id));
    const tables: TableSummary[] = [];
    const differences: string[] = [];
    for await (const answer of this.dump(name, { freeze: id, mode, cursor: null, maxBytes: IMPORT_PIECE_CHARS, text: false })) {
      if (answer.result !== "part") differences.push(`it cannot be read: ${answer.result}`);
      else tables.push(...answer.tables);
      if (answer.result === "part" && answer.next === null) differences.push(...compared(expected, { ...answer, tables }));
    }
    return { differences, checks: await this.call(name, async (database) => database.checks()) };
  }
}

function compared(expected: DumpSummary, found: DumpSummary): string[] {
  const differences: string[] = [];
  if (expected.schemaHash !== found.schemaHash) differences.push("the schema differs");
  if (expected.schemaVersion !== found.schemaVersion) {
    differences.push(`schema version ${found.schemaVersion} instead of ${expected.schemaVersion}`);
  }
  const rest = new Map(found.tables.map((table) => [table.name, table]));
  for (const { name, rows, hash } of expected.tables) {
    const table = rest.get(name);
    rest.delete(name);
    if (!table) differences.push(`table ${name} is missing`);
    else if (table.rows !== rows) differences.push(`table ${name} has ${table.rows} rows instead of ${rows}`);
    else if (table.hash !== hash) differences.push(`the rows of table ${name} differ`);
  }
  return [...differences, ...[...rest.keys()].map((name) => `table ${name} is not in the dump`)];
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
