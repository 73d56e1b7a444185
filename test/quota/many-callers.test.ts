/** Answers with very many callers: decisions name only their own caller, and the administrator's status names the largest. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { emptyLedger, freshStart, get, ledger, post, put, quotaStatus } from "../support/worker.ts";
import type { Status } from "../support/worker.ts";

const MANY = 1_010;

beforeEach(async () => freshStart());

/** Project number n spends n + 1 calls. */
async function addProjects(count = MANY): Promise<number> {
  await put("/api/quota/settings", { daily_limit: 10_000_000 });
  await runInDurableObject(ledger(), async (instance) => {
    for (let index = 0; index < count; index += 1) await instance.add(`a${index}`, `project:${index}`, index + 1);
    await instance.add("h", "cron.harvest", 7);
  });
  return (count * (count + 1)) / 2;
}

const sumOf = (callers: readonly { used: number }[]): number => callers.reduce((sum, { used }) => sum + used, 0);

async function publish(): Promise<void> {
  vi.setSystemTime(Date.now() + 6_000);
  await runDurableObjectAlarm(ledger());
}

describe("a decision", () => {
  test("names only its own caller", async () => {
    await addProjects(20);
    const answer = await ledger().reserve({ id: "r", cost: { calls: 1 }, caller: "project:4", priority: "interactive" }, null);
    const expected = { status: { callers: [{ caller: "project:4", used: 5 }] } };
    expect(answer).toMatchObject(expected);
    expect(await ledger().release("r")).toMatchObject(expected);
    const byAdmin = await post<{ quota: Status }>("/api/quota/reservations", { calls: 1, id: "s", caller: "new" });
    expect(byAdmin.body.quota.callers).toEqual([]);
    const committed = await post<{ quota: Status }>("/api/quota/reservations/s/commit");
    expect(committed.body.quota.callers).toEqual([{ caller: "new", used: 1 }]);
  });

  test("has the same size with 1,000 other labels", async () => {
    const answerSize = async (id: string) =>
      JSON.stringify((await post("/api/quota/reservations", { calls: 1, id, caller: "one" })).body).length;
    const alone = await answerSize("a");
    await runInDurableObject(ledger(), async (instance) => {
      for (let index = 0; index < 1_000; index += 1) await instance.add(`l${index}`, `nightly.import-${index}`, 1);
    });
    expect(Math.abs((await answerSize("b")) - alone)).toBeLessThan(20);
  });
});

describe("the administrator", () => {
  test("sees the 50 largest callers by name and the others as one sum, which is complete", async () => {
    const total = await addProjects();
    const { callers, used } = await quotaStatus();
    const largest = Array.from({ length: 50 }, (_, index) => MANY - index).reduce((sum, calls) => sum + calls, 0);
    expect(callers).toHaveLength(51);
    expect(callers[0]).toEqual({ caller: "others", used: total + 7 - largest });
    expect(callers[1]).toEqual({ caller: `project:${MANY - 1}`, used: MANY });
    expect([used, sumOf(callers)]).toEqual([total + 7, total + 7]);
    const { days } = (await get<{ days: { callers: { used: number }[]; hours: unknown }[] }>("/api/quota/history?days=1")).body;
    expect(days[0]?.callers).toHaveLength(51);
    expect(days[0]?.hours).toEqual([{ hour: 14, used: total + 7 }]);
    expect(sumOf(days[0]?.callers ?? [])).toBe(total + 7);
  });

  test("finds a small project by its id", async () => {
    await addProjects();
    expect((await get<Status>("/api/quota/status?project_id=3")).body.callers).toEqual([{ caller: "project:3", used: 4 }]);
    expect((await get<Status>("/api/quota/status?project_id=none")).body.callers).toEqual([{ caller: "project:none", used: 0 }]);
  });

  test("resets the calls of all callers", async () => {
    await addProjects(3);
    await post("/api/quota/reset");
    expect((await quotaStatus()).callers).toEqual([]);
    expect(await ledger().callerUse("project:1")).toEqual({ used: 0, reserved: 0 });
  });
});

describe("the public", () => {
  test("sees no callers, from the ledger and from the snapshot", async () => {
    await addProjects(20);
    await publish();
    for (const fresh of [true, false]) {
      const { body } = await get<Status>(`/api/quota/status?fresh=${fresh}`, { token: null });
      expect(body.callers).toEqual([]);
    }
    expect((await get<Status>("/api/quota/status?fresh=false")).body.callers).toContainEqual({ caller: "project:4", used: 5 });
    expect((await get<Status>("/api/quota/status?fresh=false&project_id=4")).body.callers).toEqual([{ caller: "project:4", used: 5 }]);
    expect(JSON.stringify(((await env.QUOTA_KV.get("snapshot:isbndb", "json")) as { status: unknown }).status)).not.toContain("project:4");
  });
});

test("the usage of a project that the snapshot does not name comes from the ledger, not as 0", async () => {
  await addProjects();
  await publish();
  const statusOf = async (id: number) => (await get<Status>(`/api/quota/status?fresh=false&project_id=${id}`)).body;
  expect(await statusOf(MANY - 1)).toMatchObject({ source: "snapshot", callers: [{ used: MANY }] });
  expect(await statusOf(3)).toMatchObject({ source: "ledger", callers: [{ caller: "project:3", used: 4 }] });
});

describe("a ledger that lost its store", () => {
  test("recovers exactly each caller's spent and reserved calls", async () => {
    await put("/api/quota/settings", { daily_limit: 100_000 });
    const reserve = async (id: string, caller: string, calls: number) =>
      ledger().reserve({ id, cost: { calls }, caller, priority: "interactive", share: 100 }, null);
    await ledger().add("spent", "project:a", 10);
    await reserve("open", "project:a", 90);
    await reserve("other", "x", 5);
    await publish();
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({
      used: 105,
      reserved: 0,
      recovered: true,
      callers: [
        { caller: "project:a", used: 100 },
        { caller: "x", used: 5 },
      ],
    });
    expect(await reserve("again", "project:a", 1)).toMatchObject({
      result: "refused",
      refusal: { refusedBy: "share", share: { used: 100 } },
    });
  });

  test("recovers the 1,000 largest projects by name, the others as a sum, and the exact total", async () => {
    const total = await addProjects();
    await ledger().reserve({ id: "r", cost: { calls: 2_000 }, caller: "project:0", priority: "interactive", ttlSeconds: 100 }, null);
    await publish();
    await emptyLedger();
    const { callers, used } = await quotaStatus();
    expect([used, sumOf(callers)]).toEqual([total + 2_007, total + 2_007]);
    expect(callers).toContainEqual({ caller: "project:0", used: 2_001 });
    // 999 of the other 1,009 projects are known. The ten smallest had 2 to 11 calls.
    expect((await get<{ days: { used: number }[] }>("/api/quota/history?days=1&caller=projects")).body.days).toMatchObject([{ used: 65 }]);
    expect(await ledger().callerUse("project:11")).toEqual({ used: 12, reserved: 0 });
    const answer = await ledger().reserve({ id: "s", cost: { calls: 1 }, caller: "project:9", priority: "interactive" }, null);
    expect(answer).toMatchObject({
      status: { used: total + 2_007, callers: [] },
    });
  });
});

/** Columns that later steps added to the first step's tables. */
const ADDED_COLUMNS = [
  ["days", "projects"],
  ["days", "corrected_at"],
  ["minutes", "charged"],
  ["reservations", "pace_chain"],
] as const;

test("a ledger without totals of an earlier release computes them once, from its rows", async () => {
  await addProjects(5);
  const before = [await quotaStatus(), (await get("/api/quota/history")).body];
  await runInDurableObject(ledger(), (_, { storage }) => {
    storage.sql.exec("DELETE FROM migrations WHERE step > 1");
    storage.sql.exec("DROP INDEX booked_turns");
    for (const table of ["tallies", "callers", "hours", "counts"]) storage.sql.exec(`DROP TABLE ${table}`);
    for (const [table, column] of ADDED_COLUMNS) storage.sql.exec(`ALTER TABLE ${table} DROP COLUMN ${column}`);
  });
  await evictDurableObject(ledger());
  expect([await quotaStatus(), (await get("/api/quota/history")).body]).toEqual(before);
});
