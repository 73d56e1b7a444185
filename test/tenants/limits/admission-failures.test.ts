/** Database cost of a use, and returned and charged uses when the database or the ledger fails. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { QuotaLedger } from "../../../worker/src/index.ts";
import { freshStart, isbnNumber, isbns, post, put, quotaStatus, settings, simulator } from "../../support/worker.ts";
import { by, byWith, enrich, enrichWith, organization, statusText, tenant, watchedDb } from "../../support/tenants/keys.ts";
import type { Tenant, Trip } from "../../support/tenants/keys.ts";
import { counters, periods } from "../../support/tenants/rows.ts";

const ISBNS = isbns(0, 3);
const COUNTER = "shop function_invocations_per_day 2031-05-14";

let shop: Tenant;

beforeEach(async () => {
  vi.restoreAllMocks();
  await freshStart();
  await post("/api/enrich/batch-direct", { isbns: ISBNS });
  await organization("acme", 100);
  shop = await tenant("shop", "acme", { caps: { function_invocations_per_day: 50 } });
  return () => vi.restoreAllMocks();
});

/** Currently counted uses of the project and of its organization. */
const counted = async (): Promise<[number, number]> => [(await counters())[COUNTER] ?? 0, (await periods())["acme 4"]?.[0] ?? 0];

interface Admissions {
  readonly written: number;
  readonly returned: number;
}

async function admissions(): Promise<Admissions | null> {
  const sql = "SELECT count(*) AS written, count(returned_at) AS returned FROM admissions";
  return env.DB.prepare(sql).first<Admissions>();
}

const isAdmission = (trip: Trip): boolean => trip.some((sql) => sql.includes("INTO admissions"));
const isReturn = (trip: Trip): boolean => trip.some((sql) => sql.startsWith("UPDATE admissions"));
const isTouch = (trip: Trip): boolean => trip.some((sql) => sql.includes("SET last_used_at"));

describe("a use is returned", () => {
  /** Status and code of the response, and the counts after it. */
  const after = async (answer: Promise<{ status: number; body: Record<string, unknown> }>) => [
    statusText(await answer),
    await counted(),
    await admissions(),
  ];
  const returned = (what: string) => [what, [0, 0], { written: 1, returned: 1 }];

  test("for a request that exceeds the provider's daily quota", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    expect(await after(enrichWith({}, shop.key, isbns(100, 1)))).toEqual(returned("429 quota_exhausted"));
  });

  test("for one that exceeds the project's own share", async () => {
    await put("/api/projects/shop/upstream-share", { calls_per_day: 0 });
    const answer = enrichWith({}, shop.key, isbns(100, 1));
    expect(await after(answer)).toEqual(returned("429 quota_exhausted"));
    expect((await answer).body["violated-policies"]).toEqual(["project-share"]);
  });

  test("for one that would wait too long for its turn", async () => {
    await settings({ rate_per_second: 0.02 });
    await by(shop.key, "POST", "/api/quota/reservations", { calls: 1 });
    expect(await after(enrichWith({}, shop.key, isbns(100, 1)))).toEqual(returned("429 pace_exceeded"));
  });

  test("for one without an answer from the ledger", async () => {
    vi.spyOn(QuotaLedger.prototype, "reserve").mockRejectedValue(new Error("ledger is unavailable"));
    expect(await after(enrichWith({}, shop.key, isbns(100, 1)))).toEqual(returned("503 quota_unavailable"));
  });

  test("for one whose catalog is unreadable", async () => {
    const { db } = watchedDb((trip) => (trip.some((sql) => sql.includes("FROM books")) ? "before" : null), env.CATALOG);
    expect(await after(enrichWith({ CATALOG: db }, shop.key, isbns(100, 1)))).toEqual(returned("503 storage_unavailable"));
  });

  test("for an unprocessable one", async () => {
    expect(await after(enrichWith({ ISBNDB_MAX_BATCH: "1" }, shop.key, isbns(100, 2)))).toEqual(returned("422 unprocessable"));
  });

  test("for one that requires the admin token", async () => {
    const body = { isbns: ISBNS, priority: "background" };
    expect(await after(byWith({}, shop.key, "POST", "/api/enrich/batch-direct", body))).toEqual(returned("403 forbidden"));
  });

  test("exactly once in the end, also with many concurrent requests through the API", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    await Promise.all(Array.from({ length: 30 }, async (_, index) => enrich(shop.key, isbns(100 + index, 1))));
    await vi.waitFor(async () => expect(await admissions()).toEqual({ written: 30, returned: 30 }), 10_000);
    expect(await counted()).toEqual([0, 0]);
  });

  test("even if the database fails the first time, before or after its write", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    for (const failure of ["before", "after"] as const) {
      let returns = 0;
      const { db } = watchedDb((trip) => (isReturn(trip) && (returns += 1) === 1 ? failure : null));
      expect(statusText(await enrichWith({ DB: db }, shop.key, isbns(100, 1)))).toBe("429 quota_exhausted");
      expect([returns, await counted()]).toEqual([2, [0, 0]]);
    }
  });

  test("not if it cannot be written at all, which is logged without changing the response", async () => {
    const logged = vi.spyOn(console, "error");
    await put("/api/quota/usage", { used: 13_000 });
    const { db } = watchedDb((trip) => (isReturn(trip) ? "before" : null));
    expect(statusText(await enrichWith({ DB: db }, shop.key, isbns(100, 1)))).toBe("429 quota_exhausted");
    expect(await counted()).toEqual([1, 1]);
    expect(logged.mock.calls.some(([line]) => String(line).includes("Returning a refused use failed"))).toBe(true);
  });

  test("and can be used again", async () => {
    await put("/api/projects/shop/caps", { function_invocations_per_day: 1 });
    await put("/api/projects/shop/upstream-share", { calls_per_day: 0 });
    expect(statusText(await enrichWith({}, shop.key, isbns(100, 1)))).toBe("429 quota_exhausted");
    expect(statusText(await enrich(shop.key, ISBNS))).toBe("200");
    expect(statusText(await enrich(shop.key, ISBNS))).toBe("429 cap_exceeded");
  });
});

describe("a use stays counted", () => {
  const fault = async (body: Record<string, unknown>) => simulator.control("POST", "/faults", body);

  test("if it succeeded", async () => {
    expect(statusText(await enrichWith({}, shop.key, isbns(100, 2)))).toBe("200");
    expect([await counted(), await admissions()]).toEqual([[1, 1], { written: 1, returned: 0 }]);
  });

  test("if its provider failed and charged for it", async () => {
    await fault({ kind: "status", status: 500 });
    const { status, body } = await enrichWith({}, shop.key, isbns(100, 1));
    expect({ status, charged: body["calls_charged"] }).toEqual({ status: 502, charged: 1 });
    expect([await counted(), await admissions()]).toEqual([[1, 1], { written: 1, returned: 0 }]);
  });

  test("if the provider refused and charged for it", async () => {
    await fault({ kind: "status", status: 429 });
    const { status, body } = await enrichWith({}, shop.key, isbns(100, 1));
    expect({ status, charged: body["calls_charged"] }).toEqual({ status: 429, charged: 1 });
    expect(await counted()).toEqual([1, 1]);
  });

  test("if the connection to the provider failed, so that the cost is unknown", async () => {
    vi.spyOn(globalThis, "fetch").mockImplementation(async () => Promise.reject(new TypeError("fetch failed")));
    const { status, body } = await enrichWith({}, shop.key, isbns(100, 1));
    expect({ status, charged: body["calls_charged"] }).toEqual({ status: 502, charged: 1 });
    expect(await counted()).toEqual([1, 1]);
  });

  test("unless it was definitely not sent, because its turn came too late", async () => {
    const reserve = Reflect.get(QuotaLedger.prototype, "reserve");
    vi.spyOn(QuotaLedger.prototype, "reserve").mockImplementation(async function late(this: QuotaLedger, ...given) {
      const answer = await reserve.apply(this, given);
      if (!("reservation" in answer)) return answer;
      return { ...answer, reservation: { ...answer.reservation, expiresAt: answer.reservation.decidedAt - 1 } };
    });
    const { status, body } = await enrichWith({}, shop.key, isbns(100, 1));
    expect({ status, charged: body["calls_charged"] }).toEqual({ status: 502, charged: 0 });
    expect([await counted(), await admissions()]).toEqual([[0, 0], { written: 1, returned: 1 }]);
  });

  test("if an internal error occurred", async () => {
    vi.spyOn(QuotaLedger.prototype, "reserve").mockResolvedValue({ result: "conflict", detail: "impossible" } as never);
    expect(statusText(await enrichWith({}, shop.key, isbns(100, 1)))).toBe("500 internal_error");
    expect(await counted()).toEqual([1, 1]);
  });
});

describe("when the database fails during the admission", () => {
  test.each(["before", "after"] as const)("once, %s its write: the retry notices it, and the use counts once", async (failure) => {
    let tries = 0;
    const { db } = watchedDb((trip) => (isAdmission(trip) && (tries += 1) === 1 ? failure : null));
    expect(statusText(await enrichWith({ DB: db }, shop.key, ISBNS))).toBe("200");
    expect([tries, await counted(), await admissions()]).toEqual([2, [1, 1], { written: 1, returned: 0 }]);
  });

  test("once, after writing the last allowed use: it is admitted", async () => {
    await put("/api/projects/shop/caps", { function_invocations_per_day: 1 });
    let tries = 0;
    const { db } = watchedDb((trip) => (isAdmission(trip) && (tries += 1) === 1 ? "after" : null));
    expect(statusText(await enrichWith({ DB: db }, shop.key, ISBNS))).toBe("200");
    expect(await counted()).toEqual([1, 1]);
    expect(statusText(await enrich(shop.key, ISBNS))).toBe("429 cap_exceeded");
  });

  test("twice: no call is sent to the provider, and the caller may try again", async () => {
    const { requests } = await simulator.state();
    const { db, trips } = watchedDb((trip) => (isAdmission(trip) ? "before" : null));
    const { status, headers, body } = await enrichWith({ DB: db }, shop.key, isbns(100, 1));
    expect({ status, code: body["code"], retry: headers.get("retry-after") }).toEqual({
      status: 503,
      code: "storage_unavailable",
      retry: "5",
    });
    expect(trips.filter(isAdmission)).toHaveLength(2);
    expect((await simulator.state()).requests).toBe(requests);
    expect(await quotaStatus()).toMatchObject({ reserved: 0 });
    expect(await counted()).toEqual([0, 0]);
  });

  test("twice, each time after its write: the counted use is returned in the background", async () => {
    const { db } = watchedDb((trip) => (isAdmission(trip) ? "after" : null));
    expect(statusText(await enrichWith({ DB: db }, shop.key, ISBNS))).toBe("503 storage_unavailable");
    expect([await counted(), await admissions()]).toEqual([[0, 0], { written: 1, returned: 1 }]);
  });

  test("for a month without a row, again: it is still one use", async () => {
    await env.DB.prepare("DELETE FROM billing_periods").run();
    let tries = 0;
    const { db } = watchedDb((trip) => (isAdmission(trip) && (tries += 1) === 2 ? "after" : null));
    expect(statusText(await enrichWith({ DB: db }, shop.key, [isbnNumber(0)]))).toBe("200");
    expect(await counted()).toEqual([1, 1]);
  });

  test("while recording a key's use: only the log reports it", async () => {
    const logged = vi.spyOn(console, "error");
    const { db } = watchedDb((trip) => (isTouch(trip) ? "before" : null));
    expect(statusText(await enrichWith({ DB: db }, shop.key, ISBNS))).toBe("200");
    expect(logged.mock.calls.some(([line]) => String(line).includes("Recording a key's last use failed"))).toBe(true);
  });
});

test("a request that is invalid from the start never counts, not even briefly", async () => {
  expect(statusText(await enrichWith({}, shop.key, ["not an isbn"]))).toBe("400 invalid_request");
  const months = { start_month: "2025-02", end_month: "2025-01" };
  expect(statusText(await byWith({}, shop.key, "POST", "/api/books/enrich-new-releases", months))).toBe("400 invalid_request");
  expect(await admissions()).toEqual({ written: 0, returned: 0 });
});
