/** Applies pending migrations to the local database. Records them like `wrangler d1 migrations apply --local`. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "./user-error.js";
import type { Database } from "./runtime.ts";

const RECORD = `CREATE TABLE IF NOT EXISTS d1_migrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)`;

/** Applies each migration and its record in one transaction. */
export async function applyMigrations(database: Database, folder: string): Promise<void> {
  // Loaded late, because it takes a second.
  const { wrangler } = await import("./wrangler.ts");
  await database.prepare(RECORD).run();
  const { results } = await database.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
  const applied = new Set(results.map(({ name }) => name));
  const pending = readdirSync(folder)
    .filter((name) => name.endsWith(".sql") && !applied.has(name))
    .toSorted();
  for (const name of pending) {
    const statements = wrangler.unstable_splitSqlQuery(readFileSync(join(folder, name), "utf8")).map((sql) => database.prepare(sql));
    try {
      await database.batch([...statements, database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name)]);
    } catch (error) {
      throw new UserError(`Migration ${name} failed and was rolled back: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
