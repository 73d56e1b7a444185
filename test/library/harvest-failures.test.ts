import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { freshStart, isbns, post, quotaStatus, setClock, settings, simulator } from "../support/worker.ts";
import { add, run, overview, counts, authors, providerRequests, tick } from "./harvest-support.ts";
import type { Run } from "./harvest-support.ts";

beforeEach(async () => freshStart());

/** Waits until every job has ended. */
async function jobsEnded(): Promise<void> {
  await expect
    .poll(async () => env.DB.prepare("SELECT count(*) AS n FROM jobs WHERE ended_at IS NULL").first<number>("n"), { timeout: 20_000 })
    .toBe(0);
}

describe("failures", () => {
  test("are retried after growing pauses, and abandoned with a reason", async () => {
    await simulator.control("POST", "/faults", { kind: "status", status: 500, path: "/author/", times: 0 });
    await add({ authors: ["Broken"] });
    let now = Date.parse("2031-05-14T14:03:11Z");
    for (const minutes of [10, 40, 160, 640]) {
      expect(await run()).toMatchObject({ targets: 0, calls: 1 });
      expect(await run()).toMatchObject({ calls: 0, stopped: "nothing_due" });
      now += minutes * 60_000;
      await setClock(new Date(now).toISOString());
    }
    expect(await run()).toMatchObject({ targets: 1, failed: 1 });
    expect(await overview()).toMatchObject({
      targets: [{ kind: "author", state: "failed", targets: 1 }],
      failed: [{ name: "Broken", tries: 5, reason: expect.stringContaining("500") }],
    });
    await simulator.control("DELETE", "/faults");
    await add({ authors: ["Broken"] });
    expect(await run()).toMatchObject({ targets: 1, failed: 0 });
  });

  test("in a row end the run, so that the other targets are not tried", async () => {
    await simulator.control("POST", "/faults", { kind: "status", status: 500, path: "/author/", times: 0 });
    await add({ authors: authors(20) });
    expect(await run()).toMatchObject({ calls: 3, stopped: "provider_failing" });
    expect(await simulator.state()).toMatchObject({ spent: 3 });
  });

  test("of the key or the plan end the run immediately and count for no target", async () => {
    await simulator.control("POST", "/faults", { kind: "wrong_plan", path: "/author/" });
    await add({ authors: authors(2) });
    expect(await run()).toMatchObject({ targets: 0, calls: 1, stopped: "provider_failing" });
    expect(await run()).toMatchObject({ targets: 2, stopped: "nothing_due" });
  });

  test("of a batch that is too large are followed by smaller batches", async () => {
    await simulator.control("POST", "/faults", { kind: "too_large", path: "/books", times: 2 });
    await add({ isbns: isbns(0, 1_000) });
    await run();
    await setClock("2031-05-14T14:20:00Z");
    await run();
    await setClock("2031-05-14T15:20:00Z");
    expect(await run()).toMatchObject({ targets: 1_000, calls: 4, stopped: "nothing_due" });
  });

  test("of the ledger send nothing and stop the run", async () => {
    await add({ authors: authors(2) });
    const { QuotaLedger } = await import("../../worker/src/index.ts");
    vi.spyOn(QuotaLedger.prototype, "check").mockRejectedValue(new Error("away"));
    expect(await run()).toMatchObject({ calls: 0, stopped: "quota_unavailable" });
    vi.restoreAllMocks();
    expect(await simulator.state()).toMatchObject({ spent: 0 });
  });
});

describe("limits of a run", () => {
  test("after three charged refusals the provider gets no more requests", async () => {
    await simulator.control("POST", "/faults", { kind: "status", status: 429, path: "/books", times: 0, headers: { "retry-after": "1" } });
    await add({ isbns: isbns(0, 10) });
    const { calls, stopped } = await run();
    expect({ calls, stopped }).toEqual({ calls: 3, stopped: "pace" });
    expect(await counts()).toEqual({ "isbn due": 10 });
  });

  test("without a body a run has its default duration", async () => {
    await add({ authors: ["A"] });
    const { status, body } = await post<Run>("/api/harvest/run");
    expect({ status, body }).toMatchObject({ status: 200, body: { targets: 1 } });
  });

  test("charged calls are in the run's row, although the database failed during the run", async () => {
    await add({ authors: ["A"] });
    await env.CATALOG.exec("CREATE TRIGGER broken BEFORE UPDATE OF state ON harvest_targets BEGIN SELECT RAISE(ABORT, 'disk'); END");
    expect(await run()).toMatchObject({ calls: 1, stopped: "error" });
    await env.CATALOG.exec("DROP TRIGGER broken");
    expect((await overview()).runs).toMatchObject([{ calls: 1, stopped: "error" }]);
  });

  test("an interrupted run is closed by a later run", async () => {
    await env.CATALOG.prepare("INSERT INTO harvest_runs (id, started_at) VALUES ('cut-off', ?)")
      .bind(Date.now() - 3_600_000)
      .run();
    await run();
    expect((await overview()).runs.find(({ id }) => id === "cut-off")).toMatchObject({ stopped: "interrupted" });
  });

  test("high priority does not wait for targets that failed before", async () => {
    await add({ isbns: isbns(0, 30), priority: 1 });
    await env.CATALOG.prepare("UPDATE harvest_targets SET tries = 4").run();
    await add({ isbns: isbns(100, 10), priority: 100 });
    await run();
    const log = await simulator.control<{ path: string; isbns?: string[] }[]>("GET", "/requests");
    const batch = log.find(({ path }) => path === "/books");
    expect(batch?.isbns?.toSorted()).toEqual(isbns(100, 10).toSorted());
  });

  test("the result counts all books of an author, not only the last page", async () => {
    await simulator.control("PUT", "/settings", { authors: { Long: 2_500 } });
    await add({ authors: ["Long"] });
    await run();
    expect(await env.CATALOG.prepare("SELECT found FROM harvest_targets").first("found")).toBe(2_500);
  });
});

describe("concurrent runs", () => {
  test("harvest each target once", async () => {
    await add({ authors: authors(30), isbns: isbns(0, 1_500) });
    const runs = await Promise.all([run(), run(), run()]);
    expect(runs.reduce((sum, { targets }) => sum + targets, 0)).toBe(1_530);
    const fetched = await providerRequests("/author/");
    expect({ sent: fetched.length, distinct: new Set(fetched).size }).toEqual({ sent: 30, distinct: 30 });
    expect(await quotaStatus()).toMatchObject({ used: (await simulator.state()).spent, reserved: 0 });
  });

  test("the same tick delivered twice is one run", async () => {
    await add({ authors: authors(3) });
    await Promise.all([tick("*/30 * * * *", "2031-05-14T14:00:00Z"), tick("*/30 * * * *", "2031-05-14T14:00:00Z")]);
    await jobsEnded();
    expect((await overview()).runs).toMatchObject([{ id: expect.stringMatching(/^harvest-[0-9a-f]{40}$/u), targets: 3 }]);
    await tick("*/30 * * * *", "2031-05-14T14:30:00Z");
    await jobsEnded();
    expect((await overview()).runs).toHaveLength(2);
  });

  test("targets of a crashed run are free again after its lease", async () => {
    await add({ authors: ["Held"] });
    await env.CATALOG.prepare("UPDATE harvest_targets SET taken_by = 'crashed', taken_until = ?")
      .bind(Date.now() + 60_000)
      .run();
    expect(await run()).toMatchObject({ targets: 0, stopped: "nothing_due" });
    vi.setSystemTime(Date.now() + 60_000);
    expect(await run()).toMatchObject({ targets: 1 });
  });

  test("interactive requests are granted whenever the harvest would be granted as many calls", async () => {
    await settings({ daily_limit: 90, safety_buffer: 0, background_floor: 50 });
    await add({ authors: authors(100) });
    const [harvest, ...interactive] = await Promise.all([
      run(),
      ...isbns(0, 20).map(async (isbn) => post("/api/enrich/batch-direct", { isbns: [isbn] })),
    ]);
    expect(interactive.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(harvest).toMatchObject({ stopped: "below_floor" });
    const status = await quotaStatus();
    expect(status).toMatchObject({ used: (await simulator.state()).spent });
    expect(status.remaining).toBeGreaterThanOrEqual(20);
  });
});
