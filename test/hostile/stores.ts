/** Reads, compares and restores all tables of D1. */
import { env } from "cloudflare:workers";

type Row = Record<string, unknown>;
export type Contents = ReadonlyMap<string, readonly Row[]>;

/** Tables whose triggers write to other tables. They are restored first. */
const FIRST = new Set(["admissions", "webhook_deliveries"]);

async function tables(): Promise<string[]> {
  const sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '\\_cf%' ESCAPE '\\'";
  const { results } = await env.DB.prepare(sql).all<{ name: string }>();
  const names = results.map(({ name }) => name).filter((name) => name !== "d1_migrations");
  return [...names.filter((name) => FIRST.has(name)), ...names.filter((name) => !FIRST.has(name))];
}

let known: readonly string[] | null = null;

export async function contents(): Promise<Contents> {
  known ??= await tables();
  const read = await env.DB.batch<Row>(known.map((name) => env.DB.prepare(`SELECT * FROM ${name}`)));
  return new Map(known.map((name, index) => [name, read[index]?.results ?? []]));
}

/**
 * A row without its allowed changes, or null if the whole row may change. A refusal may write a key's last use, the project's requests of this
 * minute, and a use that was counted and refunded.
 */
function comparableRow(table: string, { last_used_at: _, ...row }: Row): Row | null {
  const allowed =
    table === "project_minutes" || (table === "admissions" && row["returned_at"] !== null) || (table === "counters" && row["used"] === 0);
  return allowed ? null : row;
}

const comparable = (table: string, rows: readonly Row[]): string[] =>
  rows
    .map((row) => comparableRow(table, row))
    .filter((row) => row !== null)
    .map((row) => `${table} ${JSON.stringify(row)}`);

/** Removed and added rows, except in the allowed tables. */
export function differences(before: Contents, after: Contents, allowed: readonly string[] = []): string[] {
  return [...after].flatMap(([table, rows]) => {
    if (allowed.includes(table)) return [];
    const [old, current] = [comparable(table, before.get(table) ?? []), comparable(table, rows)];
    return [
      ...old.filter((row) => !current.includes(row)).map((row) => `- ${row}`),
      ...current.filter((row) => !old.includes(row)).map((row) => `+ ${row}`),
    ];
  });
}

/** Reads the contents after all background work has ended. */
export async function settledContents(): Promise<Contents> {
  let before = await contents();
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const after = await contents();
    if (differences(before, after).length === 0) return after;
    before = after;
  }
}

/** Restores D1. */
export async function putBack(before: Contents): Promise<void> {
  const inserts = [...before].flatMap(([table, rows]) =>
    rows.map((row) => {
      const [names, values] = [Object.keys(row), Object.values(row)];
      const sql = `INSERT INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`;
      return { table, statement: env.DB.prepare(sql).bind(...values) };
    }),
  );
  await env.DB.batch([
    env.DB.prepare("PRAGMA defer_foreign_keys = on"),
    ...[...before.keys()].map((table) => env.DB.prepare(`DELETE FROM ${table}`)),
    ...[...before.keys()].flatMap((table) => [
      // Removes rows that a trigger has written.
      env.DB.prepare(`DELETE FROM ${table}`),
      ...inserts.filter((each) => each.table === table).map(({ statement }) => statement),
    ]),
  ]);
}
