/** Loads the stores of an earlier release and upgrades them. */
import { applyD1Migrations, evictDurableObject, runInDurableObject } from "cloudflare:test";
import type { D1Migration } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import { maintainCatalog } from "../../worker/src/library/catalog-size.ts";
import { emptied, ledger, rereadMoves, simulator } from "../support/worker.ts";
import { RECORDED_AT } from "./recording.ts";
import type { Recording } from "./releases.ts";

/** Migrations of a release, without the indexes that it lacks. */
export function migrationsOf({ migrations, lacks }: Pick<Recording, "migrations" | "lacks">): D1Migration[] {
  const late = new RegExp(`INDEX (${lacks.join("|")}) `, "u");
  return env.TEST_MIGRATIONS.slice(0, migrations).map((migration) =>
    lacks.length === 0 ? migration : { ...migration, queries: migration.queries.filter((query) => !late.test(query)) },
  );
}

/** Inserts the recorded rows without triggers: the rows include their effect already. */
async function fillDatabase(db: D1Database, statements: readonly string[]): Promise<void> {
  const { results: triggers } = await db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
  await db.batch(
    [
      "PRAGMA defer_foreign_keys = ON",
      ...triggers.map(({ name }) => `DROP TRIGGER ${String(name)}`),
      ...statements.map((statement) => statement.replace(/^INSERT/u, "INSERT OR REPLACE")),
      ...triggers.map(({ sql }) => String(sql)),
    ].map((sql) => db.prepare(sql)),
  );
}

/** Loads the ledger's recorded storage and evicts the object. The next call runs today's code. */
export async function fillLedger(statements: readonly string[]): Promise<void> {
  await runInDurableObject(ledger(), async (_, state) => {
    await state.storage.deleteAlarm();
    await state.storage.deleteAll();
    for (const statement of statements) state.storage.sql.exec(statement);
  });
  await evictDurableObject(ledger());
}

const bytesOf = (hex: string): Uint8Array<ArrayBuffer> => Uint8Array.from(hex.match(/../gu) ?? [], (byte) => Number.parseInt(byte, 16));

/** Loads all stores of a release, as they were just before the deploy. */
export async function load(release: Recording): Promise<void> {
  await emptied();
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(new Date(RECORDED_AT));
  await simulator.control("POST", "/reset");
  await simulator.control("PUT", "/settings", { rate_per_second: 0, clock: RECORDED_AT });
  await applyD1Migrations(env.DB, migrationsOf(release));
  await fillDatabase(env.DB, release.d1);
  if (release.catalog !== undefined) {
    await applyD1Migrations(env.CATALOG, env.TEST_CATALOG_MIGRATIONS);
    await fillDatabase(env.CATALOG, release.catalog);
  }
  await fillLedger(release.ledger);
  for (const [key, value] of Object.entries(release.kv)) await env.QUOTA_KV.put(key, JSON.stringify(value));
  for (const [key, hex] of Object.entries(release.r2)) await env.BACKUPS.put(key, bytesOf(hex));
}

/** Applies the missing migrations one by one, as a deploy does. */
export async function migrate(): Promise<void> {
  for (const migration of env.TEST_MIGRATIONS) await applyD1Migrations(env.DB, [migration]);
  await applyD1Migrations(env.CATALOG, env.TEST_CATALOG_MIGRATIONS);
  await rereadMoves();
}

/** Loads all stores of a release and upgrades them. */
export async function upgradedFrom(release: Recording): Promise<void> {
  await load(release);
  await migrate();
}

/** Moves the catalog, as the first housekeeping jobs do. */
export async function moveAll(): Promise<void> {
  const work = await maintainCatalog(createDeps(env, () => Date.now()));
  if (!work.move.done) throw new Error("The catalog of a recording moves in one run");
}

/** For `describe.each`: one case if the recording has the value, else none. */
export const optional = <Value>(value: Value | undefined): readonly Value[] => (value === undefined ? [] : [value]);
