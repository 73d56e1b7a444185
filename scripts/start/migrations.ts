/** Brings the local database to the newest schema, keeping the same record of it as `wrangler d1 migrations apply --local`. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Foreseen } from "./foreseen.js";
import type { Database } from "./runtime.ts";

const RECORD = `CREATE TABLE IF NOT EXISTS d1_migrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)`;

/** Each migration is one transaction together with its record. */
export async function applyMigrations(database: Database, folder: string): Promise<void> {
  const { unstable_splitSqlQuery: statementsOf } = await import("wrangler");
  await database.prepare(RECORD).run();
  const { results } = await database.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
  const applied = new Set(results.map(({ name }) => name));
  const pending = readdirSync(folder)
    .filter((name) => name.endsWith(".sql") && !applied.has(name))
    .toSorted();
  for (const name of pending) {
    const statements = statementsOf(readFileSync(join(folder, name), "utf8")).map((sql) => database.prepare(sql));
    try {
      await database.batch([...statements, database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name)]);
    } catch (error) {
      throw new Foreseen(`Migration ${name} failed, and nothing of it was kept: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
