/** Reads all stores. Tables become the statements that fill them. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { ledger } from "../../support/worker.ts";

/** Excludes the tables of SQLite, the platform and the migrations. */
const OURS =
  "sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name NOT LIKE 'd1\\_%' ESCAPE '\\'";

function literal(value: unknown): string {
  if (value === null) return "NULL";
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  if (typeof value === "string") return `'${value.replaceAll("'", "''")}'`;
  throw new Error(`A recording cannot hold a ${typeof value}, only numbers, text and null`);
}

const insert = (table: string, row: Readonly<Record<string, unknown>>): string =>
  `INSERT INTO ${table} (${Object.keys(row).join(", ")}) VALUES (${Object.values(row).map(literal).join(", ")});`;

/** Rows only. The migrations create the schema. */
export async function databaseRows(db: D1Database): Promise<string[]> {
  const rowsOf = async (sql: string) => (await db.prepare(sql).all()).results;
  const statements: string[] = [];
  for (const { name } of await rowsOf(`SELECT name FROM sqlite_schema WHERE type = 'table' AND ${OURS} ORDER BY rowid`)) {
    const table = String(name);
    statements.push(...(await rowsOf(`SELECT * FROM ${table}`)).map((row) => insert(table, row)));
  }
  return statements;
}

export async function ledgerStatements(): Promise<string[]> {
  return runInDurableObject(ledger(), (_, { storage: { sql } }) => {
    const schema = sql
      .exec<{ type: string; name: string; sql: string }>(`SELECT type, name, sql FROM sqlite_schema WHERE ${OURS} ORDER BY rowid`)
      .toArray();
    const tables = schema.filter(({ type }) => type === "table");
    return [
      ...schema.map(({ sql: text }) => `${text};`),
      ...tables.flatMap(({ name }) =>
        sql
          .exec(`SELECT * FROM ${name}`)
          .toArray()
          .map((row) => insert(name, row)),
      ),
    ];
  });
}

export async function kvValues(): Promise<Record<string, unknown>> {
  const { keys } = await env.QUOTA_KV.list();
  const entries = keys.map(async ({ name }) => [name, await env.QUOTA_KV.get(name, "json")] as const);
  return Object.fromEntries(await Promise.all(entries));
}

const hexOf = (bytes: ArrayBuffer): string => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");

export async function objectsInHex(): Promise<Record<string, string>> {
  const { objects } = await env.BACKUPS.list();
  const entries = objects.map(async ({ key }) => {
    const object = await env.BACKUPS.get(key);
    if (object === null) throw new Error(`${key} is missing`);
    return [key, hexOf(await object.arrayBuffer())] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
