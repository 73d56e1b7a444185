/** Projects with a database, through the public door and through the object's own methods. */
import { env } from "cloudflare:workers";
import { TenantDatabases } from "../../worker/src/tenant-database/index.ts";
import type { DumpAnswer, DumpSummary, QueryAnswer, QueryRequest, TenantDatabaseMethods } from "../../worker/src/tenant-database/index.ts";
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

/** The object itself, each method as it is declared. */
export const objectOf = (name: string): TenantDatabaseMethods => env.TENANT_DATABASE.getByName(name);

export interface More {
  readonly params?: unknown[];
  readonly read_only?: boolean;
  readonly max_rows?: number;
}

/** A query of project `shop` as the administrator, unless `token` says otherwise. */
export const query = async (sql: string, more: More = {}, token?: string): Promise<Answer<QueryBody>> =>
  post<QueryBody>("/api/projects/shop/database/query", { sql, ...more }, token === undefined ? {} : { token });

/** What must work: its rows. */
export async function rowsOf(sql: string, more: More = {}): Promise<unknown[][]> {
  const { status, body } = await query(sql, more);
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}: ${sql}`);
  return body.rows;
}

/** Straight into the object, so that nothing is metered. */
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

export interface Dumped extends DumpSummary {
  readonly sql: string;
  readonly parts: readonly Part[];
}

/** All parts; `between` happens after each. */
export async function dump(
  name: string,
  { maxBytes = 1_000_000, between = async (_: number): Promise<void> => undefined } = {},
): Promise<Dumped> {
  const freeze = "dump";
  await objectOf(name).freeze(freeze);
  const parts: Part[] = [];
  for await (const answer of databases.dump(name, { freeze, mode: "full", cursor: null, maxBytes })) {
    parts.push(asPart(answer));
    await between(parts.length);
  }
  await objectOf(name).thaw(freeze);
  const [{ schemaHash, schemaVersion } = { schemaHash: "", schemaVersion: 0 }] = parts;
  return { sql: parts.map(({ sql }) => sql).join(""), parts, schemaHash, schemaVersion, tables: parts.flatMap(({ tables }) => tables) };
}

/** A text in pieces of any size. */
export async function* chunksOf(text: string, characters: number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += characters) yield text.slice(at, at + characters);
}
