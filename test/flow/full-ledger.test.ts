/** A ledger whose store is full: every write fails, except deletions. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeEach, expect, test, vi } from "vitest";
import { freshLedger, get, ledger, post } from "../support/worker.ts";

beforeEach(async () => freshLedger());

const TABLES = ["reservations", "state", "days", "callers", "usage", "hours", "minutes"];

const rows = async () =>
  runInDurableObject(ledger(), (_, { storage }) => storage.sql.exec<{ n: number }>("SELECT count(*) AS n FROM reservations").one().n);

async function setFull(isFull: boolean): Promise<void> {
  await runInDurableObject(ledger(), (_, { storage }) => {
    for (const table of TABLES) {
      for (const event of ["INSERT", "UPDATE"]) {
        const name = `full_${table}_${event}`;
        const body = `BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`;
        storage.sql.exec(isFull ? `CREATE TRIGGER ${name} BEFORE ${event} ON ${table} ${body}` : `DROP TRIGGER ${name}`);
      }
    }
  });
}

test("removes old rows first, so that it works again automatically", async () => {
  for (let index = 0; index < 20; index += 1) {
    await post("/api/quota/reservations", { calls: 1, id: `r${index}` });
    await post(`/api/quota/reservations/r${index}/commit`);
  }
  await post("/api/quota/reservations", { calls: 1, id: "open" });
  // The last one expires then, and charging it fails in a full store.
  vi.setSystemTime(Date.now() + 4 * 24 * 3_600_000);
  await setFull(true);
  await evictDurableObject(ledger());
  expect(await post("/api/quota/reservations", { calls: 1 })).toMatchObject({ status: 503, body: { code: "quota_unavailable" } });
  await expect(runDurableObjectAlarm(ledger())).rejects.toThrow("full");
  expect(await rows()).toBe(1);

  await setFull(false);
  await runDurableObjectAlarm(ledger());
  expect((await post("/api/quota/reservations", { calls: 1 })).status).toBe(201);
  const { days } = (await get<{ days: { used: number }[] }>("/api/quota/history?days=10")).body;
  expect(days.reduce((sum, { used }) => sum + used, 0)).toBe(21);
});
