/** Stores as an earlier release left them, and the way from there to now. */
import { applyD1Migrations, evictDurableObject, runInDurableObject } from "cloudflare:test";
import type { D1Migration } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import { emptied, ledger, simulator } from "../support/worker.ts";
import { rows } from "../support/tenants/http.ts";
import { RECORDED_AT } from "./recording.ts";
import type { Recording } from "./releases.ts";

/** The migrations of a release, as they were. */
export function migrationsOf({ migrations, lacks }: Pick<Recording, "migrations" | "lacks">): D1Migration[] {
  const late = new RegExp(`INDEX (${lacks.join("|")}) `, "u");
  return env.TEST_MIGRATIONS.slice(0, migrations).map((migration) =>
    lacks.length === 0 ? migration : { ...migration, queries: migration.queries.filter((query) => !late.test(query)) },
  );
}

/** Rows as they stand in the recording: what triggers did then is in it already. */
async function fillDatabase(statements: readonly string[]): Promise<void> {
  const triggers = await rows("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'");
  await env.DB.batch(
    [
      "PRAGMA defer_foreign_keys = ON",
      ...triggers.map(({ name }) => `DROP TRIGGER ${String(name)}`),
      ...statements.map((statement) => statement.replace(/^INSERT/u, "INSERT OR REPLACE")),
      ...triggers.map(({ sql }) => String(sql)),
    ].map((sql) => env.DB.prepare(sql)),
  );
}

/** The ledger's store as that release left it; whoever asks next finds today's code before it. */
export async function fillLedger(statements: readonly string[]): Promise<void> {
  await runInDurableObject(ledger(), async (_, state) => {
    await state.storage.deleteAlarm();
    await state.storage.deleteAll();
    for (const statement of statements) state.storage.sql.exec(statement);
  });
  await evictDurableObject(ledger());
}

const bytesOf = (hex: string): Uint8Array<ArrayBuffer> => Uint8Array.from(hex.match(/../gu) ?? [], (byte) => Number.parseInt(byte, 16));

/** Everything as that release left it, a moment before the deploy. */
export async function before(release: Recording): Promise<void> {
  await emptied();
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(new Date(RECORDED_AT));
  await simulator.control("POST", "/reset");
  await simulator.control("PUT", "/settings", { rate_per_second: 0, clock: RECORDED_AT });
  await applyD1Migrations(env.DB, migrationsOf(release));
  await fillDatabase(release.d1);
  await fillLedger(release.ledger);
  for (const [key, value] of Object.entries(release.kv)) await env.QUOTA_KV.put(key, JSON.stringify(value));
  for (const [key, hex] of Object.entries(release.r2)) await env.BACKUPS.put(key, bytesOf(hex));
}

/** Each migration that the release had not, one after the other, as a deploy applies them. */
export async function migrate(): Promise<void> {
  for (const migration of env.TEST_MIGRATIONS) await applyD1Migrations(env.DB, [migration]);
}

/** A deploy: the stores as that release left them, and then today's code. */
export async function upgradedFrom(release: Recording): Promise<void> {
  await before(release);
  await migrate();
}

/** For tests of what only some releases left behind. */
export const some = <Value>(value: Value | undefined): readonly Value[] => (value === undefined ? [] : [value]);
