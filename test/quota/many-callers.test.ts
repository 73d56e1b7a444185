/** Answers with very many projects: decisions contain totals, and the administrator's status names the largest projects. */
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
  test("answers with totals and the line of the requesting project", async () => {
    const total = await addProjects(20);
    const answer = await ledger().reserve({ id: "r", cost: { calls: 1 }, caller: "project:4", priority: "interactive" }, null);
    const expected = {
      status: {
        callers: [
          { caller: "projects", used: total - 5 },
          { caller: "cron.harvest", used: 7 },
          { caller: "project:4", used: 5 },
        ],
      },
    };
    expect(answer).toMatchObject(expected);
    expect(await ledger().release("r")).toMatchObject(expected);
    const byAdmin = await post<{ quota: Status }>("/api/quota/reservations", { calls: 1, id: "s" });
    expect(byAdmin.body.quota.callers).toEqual([
      { caller: "projects", used: total },
      { caller: "cron.harvest", used: 7 },
    ]);
    const committed = await post<{ quota: Status }>("/api/quota/reservations/s/commit");
    expect(committed.body.quota.callers).toContainEqual({ caller: "projects", used: total });
  });
});

describe("the administrator", () => {
  test("sees the 1,000 largest projects by name and the others as one sum, which is complete", async () => {
    const total = await addProjects();
    const { callers, used } = await quotaStatus();
    expect(callers).toHaveLength(1_002);
    expect(callers[0]).toEqual({ caller: `project:${MANY - 1}`, used: MANY });
    expect(callers).toContainEqual({ caller: "projects", used: 55 });
    expect([used, sumOf(callers)]).toEqual([total + 7, total + 7]);
    const { days } = (await get<{ days: { callers: { used: number }[]; hours: unknown }[] }>("/api/quota/history?days=1")).body;
    expect(days[0]?.callers).toHaveLength(1_002);
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
  test("sees one sum, from the ledger and from the snapshot", async () => {
    const total = await addProjects(20);
    await publish();
    for (const fresh of [true, false]) {
      const { body } = await get<Status>(`/api/quota/status?fresh=${fresh}`, { token: null });
      expect(body.callers).toEqual([
        { caller: "projects", used: total },
        { caller: "cron.harvest", used: 7 },
      ]);
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
    expect(callers[0]).toEqual({ caller: "project:0", used: 2_001 });
    // 999 of the other 1,009 projects are listed. The ten smallest had 2 to 11 calls.
    expect(callers).toContainEqual({ caller: "projects", used: 65 });
    const answer = await ledger().reserve({ id: "s", cost: { calls: 1 }, caller: "project:9", priority: "interactive" }, null);
    expect(answer).toMatchObject({
      status: {
        callers: [
          { caller: "projects", used: total + 2_000 },
          { caller: "cron.harvest", used: 7 },
        ],
      },
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
