/** All that D1 holds, to see whether anything changed, and to put it back. */
import { env } from "cloudflare:workers";

type Row = Record<string, unknown>;
export type Contents = ReadonlyMap<string, readonly Row[]>;

/** Their triggers write to other tables: those are put back after them. */
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
 * What a refusal may write: when a key was last used, what its project asked in this minute (which abuse is judged by), and a use that was
 * counted and given back.
 */
function weighs(table: string, { last_used_at: _, ...row }: Row): Row | null {
  const allowed =
    table === "project_minutes" || (table === "admissions" && row["returned_at"] !== null) || (table === "counters" && row["used"] === 0);
  return allowed ? null : row;
}

const weighed = (table: string, rows: readonly Row[]): string[] =>
  rows
    .map((row) => weighs(table, row))
    .filter((row) => row !== null)
    .map((row) => `${table} ${JSON.stringify(row)}`);

/** The rows that are gone, and those that have come, but in tables where that is as it should be. */
export function differences(before: Contents, after: Contents, allowed: readonly string[] = []): string[] {
  return [...after].flatMap(([table, rows]) => {
    if (allowed.includes(table)) return [];
    const [was, is] = [weighed(table, before.get(table) ?? []), weighed(table, rows)];
    return [
      ...was.filter((row) => !is.includes(row)).map((row) => `- ${row}`),
      ...is.filter((row) => !was.includes(row)).map((row) => `+ ${row}`),
    ];
  });
}

/** Once the work beside the answers above has ended. */
export async function settledContents(): Promise<Contents> {
  let before = await contents();
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const after = await contents();
    if (differences(before, after).length === 0) return after;
    before = after;
  }
}

/** Makes D1 what it was. */
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
      // What a trigger wrote meanwhile.
      env.DB.prepare(`DELETE FROM ${table}`),
      ...inserts.filter((each) => each.table === table).map(({ statement }) => statement),
    ]),
  ]);
}
