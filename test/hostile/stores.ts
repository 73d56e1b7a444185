/** Reads, compares and restores all tables of both D1 databases. */
import { env } from "cloudflare:workers";

type Row = Record<string, unknown>;
export type Contents = ReadonlyMap<string, readonly Row[]>;

/** Tables whose triggers write to other tables. They are restored first. */
const FIRST = new Set(["admissions", "webhook_deliveries"]);

/** Prefix of the catalog's tables, because the old ones in the main database have the same names. */
const CATALOG = "catalog.";
const databaseOf = (table: string): D1Database => (table.startsWith(CATALOG) ? env.CATALOG : env.DB);
const nameOf = (table: string): string => (table.startsWith(CATALOG) ? table.slice(CATALOG.length) : table);

async function tables(db: D1Database): Promise<string[]> {
  const sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '\\_cf%' ESCAPE '\\'";
  const { results } = await db.prepare(sql).all<{ name: string }>();
  const names = results.map(({ name }) => name).filter((name) => name !== "d1_migrations");
  return [...names.filter((name) => FIRST.has(name)), ...names.filter((name) => !FIRST.has(name))];
}

let known: readonly string[] | null = null;

export async function contents(): Promise<Contents> {
  known ??= [...(await tables(env.DB)), ...(await tables(env.CATALOG)).map((name) => CATALOG + name)];
  const read = await Promise.all(
    [env.DB, env.CATALOG].map(async (db) => {
      const own = (known ?? []).filter((table) => databaseOf(table) === db);
      const results = await db.batch<Row>(own.map((table) => db.prepare(`SELECT * FROM ${nameOf(table)}`)));
      return own.map((table, index) => [table, results[index]?.results ?? []] as const);
    }),
  );
  return new Map(read.flat());
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

/** Restores both databases. */
export async function putBack(before: Contents): Promise<void> {
  for (const db of [env.DB, env.CATALOG]) {
    const own = [...before].filter(([table]) => databaseOf(table) === db).map(([table, rows]) => [nameOf(table), rows] as const);
    const insert = (table: string, row: Row): D1PreparedStatement => {
      const [names, values] = [Object.keys(row), Object.values(row)];
      return db.prepare(`INSERT INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`).bind(...values);
    };
    await db.batch([
      db.prepare("PRAGMA defer_foreign_keys = on"),
      ...own.map(([table]) => db.prepare(`DELETE FROM ${table}`)),
      // The second deletion removes rows that a trigger has written.
      ...own.flatMap(([table, rows]) => [db.prepare(`DELETE FROM ${table}`), ...rows.map((row) => insert(table, row))]),
    ]);
  }
}
