import { runDurableObjectAlarm } from "cloudflare:test";
import { beforeEach, describe, expect, test } from "vitest";
import { freshStart, get, isbnNumber, ledger, post, put, quotaStatus, setClock, simulator } from "../support/worker.ts";

const BEFORE = "2031-05-14T23:59:30Z";
const AFTER = "2031-05-15T00:00:30Z";

beforeEach(async () => freshStart(BEFORE));

interface Day {
  readonly date: string;
  readonly used: number;
  readonly reserved_expired: number;
}

const used = async (): Promise<Record<string, number>> => {
  const { body } = await get<{ days: Day[] }>("/api/quota/history?days=3");
  return Object.fromEntries(body.days.filter((day) => day.used > 0).map((day) => [day.date, day.used]));
};

describe("the day rolls over at 00:00 UTC automatically", () => {
  test("twice in a row, on an empty store", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    expect((await post("/api/quota/reservations", { calls: 1 })).status).toBe(429);
    await setClock("2031-05-15T00:00:00Z");
    expect(await quotaStatus()).toMatchObject({ date: "2031-05-15", used: 0, remaining: 13_000, reset_at: "2031-05-16T00:00:00Z" });
    await put("/api/quota/usage", { used: 13_000 });
    await setClock("2031-05-15T23:59:59Z");
    expect((await post("/api/quota/reservations", { calls: 1 })).status).toBe(429);
    await setClock("2031-05-16T00:00:00Z");
    expect((await post("/api/quota/reservations", { calls: 1 })).status).toBe(201);
    expect(await used()).toEqual({ "2031-05-14": 13_000, "2031-05-15": 13_000 });
  });

  test("with real requests, and none of yesterday's count in today's", async () => {
    await simulator.control("POST", "/spend", { calls: 4_000 });
    await post("/api/enrich/batch-direct", { isbns: [isbnNumber(1)] });
    expect(await quotaStatus()).toMatchObject({ used: 4_001, upstream: { untracked: 4_000 } });
    await setClock("2031-05-15T00:03:00Z");
    expect(await quotaStatus()).toMatchObject({ used: 0, upstream: null });
    await post("/api/enrich/batch-direct", { isbns: [isbnNumber(2)] });
    expect(await quotaStatus()).toMatchObject({ used: 1, upstream: { spent: 1, untracked: 0 } });
  });

  test("with a clock that steps back, without double grants", async () => {
    await put("/api/quota/usage", { used: 12_999 });
    await setClock("2031-05-15T00:00:01Z");
    expect((await post("/api/quota/reservations", { calls: 1, id: "new" })).status).toBe(201);
    await setClock("2031-05-14T23:59:59Z");
    expect((await post("/api/quota/reservations", { calls: 1, id: "old" })).status).toBe(429);
  });
});

describe("a reservation that is open at midnight", () => {
  beforeEach(async () => {
    await post("/api/quota/reservations", { calls: 100, id: "a", ttl_seconds: 120 });
    await setClock(AFTER);
  });

  test("is reserved in both days", async () => {
    expect(await quotaStatus()).toMatchObject({ date: "2031-05-15", used: 0, reserved: 100, remaining: 12_900 });
  });

  test.each([
    ["without a time of sending charges both days", {}, { "2031-05-14": 100, "2031-05-15": 100 }],
    ["sent before midnight charges the old day", { sent_at: "2031-05-14T23:59:40Z" }, { "2031-05-14": 100 }],
    ["sent after midnight charges the new day", { sent_at: "2031-05-15T00:00:20Z" }, { "2031-05-15": 100 }],
    ["sent within 5 s of midnight charges both days", { sent_at: "2031-05-14T23:59:57Z" }, { "2031-05-14": 100, "2031-05-15": 100 }],
  ])("%s", async (_, body, expected) => {
    await post("/api/quota/reservations/a/commit", body);
    expect(await used()).toEqual(expected);
    expect(await quotaStatus()).toMatchObject({ reserved: 0 });
  });

  test("is charged in both days if it is never committed", async () => {
    await setClock("2031-05-15T00:02:00Z");
    await quotaStatus();
    expect(await used()).toEqual({ "2031-05-14": 100, "2031-05-15": 100 });
  });
});

test("a reservation that expired before midnight is charged to the old day, even if read later", async () => {
  await post("/api/quota/reservations", { calls: 100, ttl_seconds: 20 });
  await setClock("2031-05-15T09:00:00Z");
  expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 0 });
  expect(await used()).toEqual({ "2031-05-14": 100 });
});

test("a late commit is also charged to the day of sending, even if the reservation never reached it", async () => {
  await post("/api/quota/reservations", { calls: 10, id: "a", ttl_seconds: 20 });
  await setClock("2031-05-15T00:10:00Z");
  const { body } = await post("/api/quota/reservations/a/commit", { sent_at: "2031-05-15T00:09:00Z" });
  expect(body).toMatchObject({ charged: 10, late: true });
  expect(await used()).toEqual({ "2031-05-14": 10, "2031-05-15": 10 });
});

test("pollers never get yesterday's state, and the first read publishes the new one", async () => {
  await put("/api/quota/usage", { used: 13_000 });
  await runDurableObjectAlarm(ledger());
  await setClock("2031-05-15T09:00:00Z");
  expect((await get("/api/quota/status?fresh=false")).body).toMatchObject({
    date: "2031-05-15",
    used: 0,
    can_make_calls: true,
    source: "ledger",
  });
  await runDurableObjectAlarm(ledger());
  expect((await get("/api/quota/status?fresh=false")).body).toMatchObject({ date: "2031-05-15", used: 0, source: "snapshot" });
});
