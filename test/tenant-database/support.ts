/** Access to projects' databases in tests: through the API and through the object's methods. */
import { env } from "cloudflare:workers";
import { TenantDatabases, differences } from "../../worker/src/tenant-database/index.ts";
import type {
  Checks,
  Contents,
  DumpAnswer,
  ImportAnswer,
  QueryAnswer,
  QueryRequest,
  TableSummary,
  TenantDatabaseMethods,
} from "../../worker/src/tenant-database/index.ts";
import { post } from "../support/worker.ts";
import type { Answer } from "../support/worker.ts";

export interface QueryBody {
  readonly columns: string[];
  readonly rows: unknown[][];
  readonly row_count: number;
  readonly truncated: boolean;
  readonly rows_read: number;
  readonly rows_written: number;
  readonly schema_version: number;
  readonly code?: string;
  readonly detail?: string;
  readonly [name: string]: unknown;
}

export const databases = new TenantDatabases(env.TENANT_DATABASE);

/** The object's declared methods. */
export const objectOf = (name: string): TenantDatabaseMethods => env.TENANT_DATABASE.getByName(name);

export interface More {
  readonly params?: unknown[];
  readonly read_only?: boolean;
  readonly max_rows?: number;
}

/** A query of project `shop` as the administrator, unless `token` says otherwise. */
export const query = async (sql: string, more: More = {}, token?: string): Promise<Answer<QueryBody>> =>
  post<QueryBody>("/api/projects/shop/database/query", { sql, ...more }, token === undefined ? {} : { token });

/** The error of a query that must fail. */
export async function errorOf(sql: string, params: unknown[] = []): Promise<unknown> {
  const { status, body } = await query(sql, { params });
  return { status, code: body.code, errors: body["errors"] };
}

export const unprocessable = (path: string, message: unknown) => ({ status: 422, code: "unprocessable", errors: [{ path, message }] });

/** The rows of a query that must succeed. */
export async function rowsOf(sql: string, more: More = {}): Promise<unknown[][]> {
  const { status, body } = await query(sql, more);
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}: ${sql}`);
  return body.rows;
}

/** Runs statements directly in the object, without metering. */
export async function run(name: string, ...statements: readonly string[]): Promise<void> {
  for (const sql of statements) {
    const answer = await ask(name, sql);
    if (answer.result !== "rows") throw new Error(`${JSON.stringify(answer)}: ${sql.slice(0, 200)}`);
  }
}

export const ask = async (name: string, sql: string, more: Partial<QueryRequest> = {}): Promise<QueryAnswer> =>
  objectOf(name).query({ sql, params: [], readOnly: false, maxRows: 1_000, ...more });

export type Part = Extract<DumpAnswer, { result: "part" }>;

export function asPart(answer: DumpAnswer): Part {
  if (answer.result !== "part") throw new Error(JSON.stringify(answer));
  return answer;
}

export interface Dumped extends Contents {
  readonly sql: string;
  readonly parts: readonly Part[];
}

interface Reading {
  readonly mode?: "full" | "schema";
  readonly maxBytes?: number;
}

/** Dumps all parts and makes a survey. `between` runs after each part. */
export async function dump(
  name: string,
  { maxBytes = 1_000_000, mode = "full", between = async () => undefined }: Reading & { between?: (part: number) => Promise<void> } = {},
): Promise<Dumped> {
  const freeze = "dump";
  const parts: Part[] = [];
  await objectOf(name).freeze(freeze);
  for (let cursor: string | null = null; parts.length === 0 || cursor !== null;) {
    const part = asPart(await objectOf(name).dumpPart({ freeze, mode, cursor, maxBytes }));
    parts.push(part);
    cursor = part.next;
    await between(parts.length);
  }
  const contents = await survey(name, freeze, { mode });
  await objectOf(name).thaw(freeze);
  return { ...contents, sql: parts.map(({ sql }) => sql).join(""), parts };
}

/** Surveys a database in pages, and leaves it frozen. */
export async function survey(name: string, freeze: string, { mode = "full", maxBytes = 1_000_000 }: Reading = {}): Promise<Contents> {
  const tables: TableSummary[] = [];
  let schemaHash = "";
  await objectOf(name).freeze(freeze);
  for (let cursor: string | null = null; ;) {
    const page = await objectOf(name).survey({ freeze, mode, cursor, maxBytes });
    if (page.result !== "page") throw new Error(JSON.stringify(page));
    tables.push(...page.tables);
    schemaHash ||= page.schemaHash ?? "";
    cursor = page.next;
    if (cursor === null) return { schemaHash, schemaVersion: page.schemaVersion, tables };
  }
}

/** Loads parts into an empty database, and leaves it frozen. */
export async function load(name: string, id: string, parts: readonly string[], schemaVersion = 0): Promise<ImportAnswer> {
  let answer = await objectOf(name).beginImport(id);
  for (const [index, sql] of parts.entries()) {
    if (answer.result !== "ready") return answer;
    answer = await objectOf(name).importPart(id, index, sql, true);
  }
  return answer.result === "ready" ? objectOf(name).finishImport(id, schemaVersion, true) : answer;
}

/** Compares a copy by the survey, and runs SQLite's own checks. */
export async function verify(
  name: string,
  id: string,
  expected: Contents,
): Promise<{ readonly differences: readonly string[]; readonly checks: Checks }> {
  return { differences: differences(expected, await survey(name, id)), checks: await objectOf(name).checks() };
}
