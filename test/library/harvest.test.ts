import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import worker from "../../worker/src/index.ts";
import { runHarvest } from "../../worker/src/library/harvest.ts";
import { afterFailure, batchSize } from "../../worker/src/library/harvest-retry.ts";
import {
  ADMIN_TOKEN,
  freshStart,
  get,
  isbnNumber,
  isbns,
  post,
  put,
  quotaStatus,
  setClock,
  settings,
  simulator,
} from "../support/worker.ts";
import { add, run, overview, counts, authors, providerRequests, tick } from "./harvest-support.ts";

beforeEach(async () => freshStart());

describe("adding targets", () => {
  test("accepts thousands in one request and merges duplicates of any form", async () => {
    const { status, body } = await add({
      isbns: [...isbns(0, 5_000), isbnNumber(3), "0-306-40615-2", "9780306406157", "123"],
      authors: ["A  B", "a b", "C"],
    });
    expect({ status, body }).toMatchObject({ status: 200, body: { added: 5_003, merged: 3, invalid: [{ isbn: "123" }] } });
    expect((await add({ isbns: isbns(0, 10) })).body).toMatchObject({ added: 0, merged: 10 });
    expect(await counts()).toEqual({ "isbn due": 5_001, "author due": 2 });
  });

  test.each([
    [{}, "body"],
    [{ isbns: [], authors: [] }, "body"],
    [{ isbns: ["123"] }, "isbns"],
    [{ authors: [""] }, "authors.0"],
    [{ isbns: [isbnNumber(1)], priority: 101 }, "priority"],
    [{ isbns: Array.from({ length: 10_001 }, () => isbnNumber(1)) }, "isbns"],
  ])("refuses invalid targets, naming the field", async (body, field) => {
    expect(await add(body)).toMatchObject({ status: 400, body: { code: "invalid_request", errors: [{ path: field }] } });
  });

  test("requires the admin token", async () => {
    for (const [method, path] of [
      ["POST", "targets"],
      ["GET", "status"],
      ["POST", "run"],
    ] as const) {
      const answer =
        method === "GET" ? await get(`/api/harvest/${path}`, { token: null }) : await post(`/api/harvest/${path}`, {}, { token: null });
      expect(answer.status).toBe(401);
    }
  });
});

describe("a run", () => {
  test("packs ISBNs into the largest batches, then fetches authors page by page, until no target is due", async () => {
    await simulator.control("PUT", "/settings", { authors: { "Harvest Author 0": 2_500, "Harvest Author 1": 3 } });
    await add({ isbns: isbns(0, 2_300), authors: authors(2) });
    expect(await run()).toMatchObject({ targets: 2_302, calls: 3 + 3 + 1, failed: 0, stopped: "nothing_due" });
    expect(await counts()).toEqual({ "isbn done": 2_300, "author done": 2 });
    expect(await quotaStatus()).toMatchObject({ used: 7, reserved: 0, callers: [{ caller: "cron.harvest", used: 7 }] });
    expect(await run()).toMatchObject({ targets: 0, calls: 0, stopped: "nothing_due" });
  });

  test("packs no more into a batch than the plan allows, and refuses larger requests", async () => {
    await simulator.control("PUT", "/settings", { max_batch: 100 });
    await add({ isbns: isbns(0, 250) });
    const basic = { ...env, ISBNDB_MAX_BATCH: "100" };
    const send = async (path: string, body: object): Promise<unknown> => {
      const request = new Request(`http://coordinator.test${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      return (await worker.fetch(request, basic, createExecutionContext())).json();
    };
    expect(await send("/api/harvest/run", {})).toMatchObject({ targets: 250, stopped: "nothing_due" });
    expect(await providerRequests("/books")).toHaveLength(3);
    const refused = await send("/api/enrich/batch-direct", { isbns: isbns(1_000, 101) });
    expect(refused).toMatchObject({ code: "unprocessable", detail: expect.stringContaining("accepts 100 per request") });
  });

  test("takes the highest priority first", async () => {
    await add({ authors: ["Low"], priority: 1 });
    await add({ authors: ["High"], priority: 90 });
    await add({ isbns: [isbnNumber(1)], priority: 50 });
    await run();
    const sent = await simulator.control<{ path: string }[]>("GET", "/requests");
    expect(sent.map(({ path }) => path.split("?")[0]).filter((path) => path !== "/key")).toEqual(["/author/High", "/books", "/author/Low"]);
  });

  test("below the floor does nothing, and has the reason in its row", async () => {
    await put("/api/quota/usage", { used: 12_700 });
    await add({ isbns: isbns(0, 10) });
    expect(await run()).toMatchObject({
      targets: 0,
      calls: 0,
      stopped: "below_floor",
      detail: "300 calls are left, and all of them are held back for interactive callers.",
    });
    expect(await simulator.state()).toMatchObject({ spent: 0 });
    expect((await overview()).runs).toMatchObject([{ stopped: "below_floor" }]);
    expect((await post("/api/enrich/batch-direct", { isbns: [isbnNumber(1)] })).status).toBe(200);
  });

  test("stops when the daily calls are used up, and continues with the rest the next day", async () => {
    await settings({ daily_limit: 30, safety_buffer: 0, background_floor: 0 });
    await add({ authors: authors(50) });
    expect(await run()).toMatchObject({ targets: 30, calls: 30, stopped: "quota_exhausted" });
    expect(await simulator.state()).toMatchObject({ spent: 30 });
    await setClock("2031-05-15T00:05:00Z");
    expect(await run()).toMatchObject({ targets: 20, calls: 20, stopped: "nothing_due" });
    const fetched = await providerRequests("/author/");
    expect({ sent: fetched.length, distinct: new Set(fetched).size }).toEqual({ sent: 50, distinct: 50 });
  });

  test("stopped within an author continues with the next page", async () => {
    await simulator.control("PUT", "/settings", { authors: { Long: 5_000 } });
    await settings({ daily_limit: 2, safety_buffer: 0, background_floor: 0 });
    await add({ authors: ["Long"] });
    expect(await run()).toMatchObject({ targets: 0, calls: 2, stopped: "quota_exhausted" });
    await settings({ daily_limit: 100 });
    expect(await run()).toMatchObject({ targets: 1, calls: 3, stopped: "nothing_due" });
    expect(new Set(await providerRequests("/author/")).size).toBe(5);
  });

  test("at one call per ISBN packs only as many as the quota allows", async () => {
    await simulator.control("PUT", "/settings", { billing: "per_isbn" });
    await settings({ daily_limit: 450, safety_buffer: 0, background_floor: 0 });
    await add({ isbns: isbns(0, 1_000) });
    expect(await run()).toMatchObject({ targets: 450, calls: 450, stopped: "quota_exhausted" });
    expect(await simulator.state()).toMatchObject({ spent: 450 });
    expect(await counts()).toEqual({ "isbn done": 450, "isbn due": 550 });
  });

  test("stops when its time is over, and releases its targets", async () => {
    const deps = createDeps(env, () => Date.now());
    await add({ authors: authors(3) });
    const stopped = await runHarvest(deps, { id: "short", deadline: deps.clock() });
    expect(stopped).toMatchObject({ targets: 0, stopped: "out_of_time" });
    expect(await run()).toMatchObject({ targets: 3 });
  });

  test("reports targets that the provider does not know", async () => {
    await simulator.control("PUT", "/settings", { unknown_percent: 100 });
    await add({ isbns: isbns(0, 5), authors: ["Nobody Known"] });
    expect(await run()).toMatchObject({ targets: 6, found: 0, failed: 0 });
    expect(await counts()).toEqual({ "isbn done": 5, "author done": 1 });
  });

  test("waits for a short pause of the provider, and stops at a long one", async () => {
    await simulator.control("POST", "/faults", { kind: "minute_quota", path: "/author/", headers: { "retry-after": "1" } });
    await settings({ rate_per_second: 1_000 });
    await add({ authors: authors(2) });
    expect(await run()).toMatchObject({ targets: 2, stopped: "nothing_due" });
    await simulator.control("POST", "/faults", { kind: "minute_quota", path: "/author/", headers: { "retry-after": "60" } });
    await add({ authors: ["Another"] });
    expect(await run()).toMatchObject({ targets: 0, stopped: "pace" });
  });
});

test("bulk work over HTTP leaves the floor to interactive callers, and appears under its own name", async () => {
  await put("/api/quota/usage", { used: 12_584 });
  const bulk = async (author_name: string) =>
    post("/api/authors/enrich-bibliography", { author_name, caller: "bulk.harvest", priority: "background" });
  expect((await bulk("One")).status).toBe(200);
  expect(await bulk("Two")).toMatchObject({ status: 429, body: { code: "quota_exhausted", "violated-policies": ["daily-background"] } });
  expect((await post("/api/authors/enrich-bibliography", { author_name: "Two" })).status).toBe(200);
  expect((await quotaStatus()).callers).toContainEqual({ caller: "bulk.harvest", used: 1 });
  expect(await post("/api/enrich/batch-direct", { isbns: [isbnNumber(1)], caller: "operator" })).toMatchObject({ status: 400 });
});

test("an unknown cron throws", async () => {
  await expect(tick("1 2 3 4 5", "2031-05-14T14:00:00Z")).rejects.toThrow("1 2 3 4 5");
});

describe("pauses", () => {
  test.each([
    [1, { state: "due", dueAt: 600_000 }],
    [2, { state: "due", dueAt: 2_400_000 }],
    [4, { state: "due", dueAt: 38_400_000 }],
    [5, { state: "failed", dueAt: 0 }],
  ])("after attempt %i", (tries, expected) => {
    expect(afterFailure(tries, 0)).toEqual(expected);
  });

  test.each([
    [1_000, 0, 1_000],
    [1_000, 1, 1_000],
    [1_000, 2, 250],
    [1_000, 4, 15],
    [10, 4, 1],
  ])("a batch of at most %i after %i attempts holds %i", (largest, tries, expected) => {
    expect(batchSize(largest, tries)).toBe(expected);
  });
});
