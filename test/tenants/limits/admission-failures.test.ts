/** What a use costs the database, what is given back, and what becomes of it all when the database or the ledger fails. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { QuotaLedger } from "../../../worker/src/index.ts";
import { freshStart, isbnNumber, isbns, post, put, quotaStatus, settings, simulator } from "../../support/worker.ts";
import { by, byWith, enrich, enrichWith, organization, said, tenant, watchedDb } from "../../support/tenants/keys.ts";
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

/** Uses of the project that are counted now: as its own, and as its organisation's. */
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

describe("what is given back", () => {
  /** What was said, and what is counted after it. */
  const after = async (answer: Promise<{ status: number; body: Record<string, unknown> }>) => [
    said(await answer),
    await counted(),
    await admissions(),
  ];
  const returned = (what: string) => [what, [0, 0], { written: 1, returned: 1 }];

  test("a request for which the provider's day has too little left", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    expect(await after(enrichWith({}, shop.key, isbns(100, 1)))).toEqual(returned("429 quota_exhausted"));
  });

  test("one that its own share of the day does not allow", async () => {
    await put("/api/projects/shop/upstream-share", { calls_per_day: 0 });
    const answer = enrichWith({}, shop.key, isbns(100, 1));
    expect(await after(answer)).toEqual(returned("429 quota_exhausted"));
    expect((await answer).body["violated-policies"]).toEqual(["project-share"]);
  });

  test("one that would wait too long for its turn", async () => {
    await settings({ rate_per_second: 0.02 });
    await by(shop.key, "POST", "/api/quota/reservations", { calls: 1 });
    expect(await after(enrichWith({}, shop.key, isbns(100, 1)))).toEqual(returned("429 pace_exceeded"));
  });

  test("one that the ledger did not answer", async () => {
    vi.spyOn(QuotaLedger.prototype, "reserve").mockRejectedValue(new Error("ledger is away"));
    expect(await after(enrichWith({}, shop.key, isbns(100, 1)))).toEqual(returned("503 quota_unavailable"));
  });

  test("one whose catalogue could not be read", async () => {
    const { db } = watchedDb((trip) => (trip.some((sql) => sql.includes("FROM books")) ? "before" : null));
    expect(await after(enrichWith({ DB: db }, shop.key, isbns(100, 1)))).toEqual(returned("503 storage_unavailable"));
  });

  test("one that makes no sense", async () => {
    expect(await after(enrichWith({ ISBNDB_MAX_BATCH: "1" }, shop.key, isbns(100, 2)))).toEqual(returned("422 unprocessable"));
  });

  test("one that asks for what is only the administrator's", async () => {
    const body = { isbns: ISBNS, priority: "background" };
    expect(await after(byWith({}, shop.key, "POST", "/api/enrich/batch-direct", body))).toEqual(returned("403 forbidden"));
  });

  test("exactly once and in the end, also of many at once, through the public door", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    await Promise.all(Array.from({ length: 30 }, async (_, index) => enrich(shop.key, isbns(100 + index, 1))));
    await vi.waitFor(async () => expect(await admissions()).toEqual({ written: 30, returned: 30 }), 10_000);
    expect(await counted()).toEqual([0, 0]);
  });

  test("though the database fails the first time, before or after it wrote", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    for (const failure of ["before", "after"] as const) {
      let returns = 0;
      const { db } = watchedDb((trip) => (isReturn(trip) && (returns += 1) === 1 ? failure : null));
      expect(said(await enrichWith({ DB: db }, shop.key, isbns(100, 1)))).toBe("429 quota_exhausted");
      expect([returns, await counted()]).toEqual([2, [0, 0]]);
    }
  });

  test("not where it cannot be written at all; then the log says so, and the answer is the same", async () => {
    const logged = vi.spyOn(console, "error");
    await put("/api/quota/usage", { used: 13_000 });
    const { db } = watchedDb((trip) => (isReturn(trip) ? "before" : null));
    expect(said(await enrichWith({ DB: db }, shop.key, isbns(100, 1)))).toBe("429 quota_exhausted");
    expect(await counted()).toEqual([1, 1]);
    expect(logged.mock.calls.some(([line]) => String(line).includes("could not be given back, and stays counted"))).toBe(true);
  });

  test("and may be used again", async () => {
    await put("/api/projects/shop/caps", { function_invocations_per_day: 1 });
    await put("/api/projects/shop/upstream-share", { calls_per_day: 0 });
    expect(said(await enrichWith({}, shop.key, isbns(100, 1)))).toBe("429 quota_exhausted");
    expect(said(await enrich(shop.key, ISBNS))).toBe("200");
    expect(said(await enrich(shop.key, ISBNS))).toBe("429 cap_exceeded");
  });
});

describe("what stays counted", () => {
  const fault = async (body: Record<string, unknown>) => simulator.control("POST", "/faults", body);

  test("a use that worked", async () => {
    expect(said(await enrichWith({}, shop.key, isbns(100, 2)))).toBe("200");
    expect([await counted(), await admissions()]).toEqual([[1, 1], { written: 1, returned: 0 }]);
  });

  test("one whose provider failed, and charged for it", async () => {
    await fault({ kind: "status", status: 500 });
    const { status, body } = await enrichWith({}, shop.key, isbns(100, 1));
    expect({ status, charged: body["calls_charged"] }).toEqual({ status: 502, charged: 1 });
    expect([await counted(), await admissions()]).toEqual([[1, 1], { written: 1, returned: 0 }]);
  });

  test("one that the provider itself refused, and charged for", async () => {
    await fault({ kind: "status", status: 429 });
    const { status, body } = await enrichWith({}, shop.key, isbns(100, 1));
    expect({ status, charged: body["calls_charged"] }).toEqual({ status: 429, charged: 1 });
    expect(await counted()).toEqual([1, 1]);
  });

  test("one whose provider could not be reached: nobody knows whether it counted", async () => {
    vi.spyOn(globalThis, "fetch").mockImplementation(async () => Promise.reject(new TypeError("fetch failed")));
    const { status, body } = await enrichWith({}, shop.key, isbns(100, 1));
    expect({ status, charged: body["calls_charged"] }).toEqual({ status: 502, charged: 1 });
    expect(await counted()).toEqual([1, 1]);
  });

  test("but not one that was surely never sent, because its turn came too late", async () => {
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

  test("one that met a fault of ours", async () => {
    vi.spyOn(QuotaLedger.prototype, "reserve").mockResolvedValue({ result: "conflict", detail: "impossible" } as never);
    expect(said(await enrichWith({}, shop.key, isbns(100, 1)))).toBe("500 internal_error");
    expect(await counted()).toEqual([1, 1]);
  });
});

describe("when the database fails at the admission", () => {
  test.each(["before", "after"] as const)("once, %s it wrote: the second try finds out, and the use counts once", async (failure) => {
    let tries = 0;
    const { db } = watchedDb((trip) => (isAdmission(trip) && (tries += 1) === 1 ? failure : null));
    expect(said(await enrichWith({ DB: db }, shop.key, ISBNS))).toBe("200");
    expect([tries, await counted(), await admissions()]).toEqual([2, [1, 1], { written: 1, returned: 0 }]);
  });

  test("once, after it wrote the last use that was left: it is let in all the same", async () => {
    await put("/api/projects/shop/caps", { function_invocations_per_day: 1 });
    let tries = 0;
    const { db } = watchedDb((trip) => (isAdmission(trip) && (tries += 1) === 1 ? "after" : null));
    expect(said(await enrichWith({ DB: db }, shop.key, ISBNS))).toBe("200");
    expect(await counted()).toEqual([1, 1]);
    expect(said(await enrich(shop.key, ISBNS))).toBe("429 cap_exceeded");
  });

  test("twice: nothing is sent to the provider, and whoever asked may try again", async () => {
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

  test("twice, each time after it wrote: what was counted is given back beside the answer", async () => {
    const { db } = watchedDb((trip) => (isAdmission(trip) ? "after" : null));
    expect(said(await enrichWith({ DB: db }, shop.key, ISBNS))).toBe("503 storage_unavailable");
    expect([await counted(), await admissions()]).toEqual([[0, 0], { written: 1, returned: 1 }]);
  });

  test("for a month that has no row yet, once more: still one use", async () => {
    await env.DB.prepare("DELETE FROM billing_periods").run();
    let tries = 0;
    const { db } = watchedDb((trip) => (isAdmission(trip) && (tries += 1) === 2 ? "after" : null));
    expect(said(await enrichWith({ DB: db }, shop.key, [isbnNumber(0)]))).toBe("200");
    expect(await counted()).toEqual([1, 1]);
  });

  test("while it only notes a key's use: nobody notices but the log", async () => {
    const logged = vi.spyOn(console, "error");
    const { db } = watchedDb((trip) => (isTouch(trip) ? "before" : null));
    expect(said(await enrichWith({ DB: db }, shop.key, ISBNS))).toBe("200");
    expect(logged.mock.calls.some(([line]) => String(line).includes("Recording a key's last use failed"))).toBe(true);
  });
});

test("what is known to be wrong before anything is asked takes no unit, not even for a moment", async () => {
  expect(said(await enrichWith({}, shop.key, ["not an isbn"]))).toBe("400 invalid_request");
  const months = { start_month: "2025-02", end_month: "2025-01" };
  expect(said(await byWith({}, shop.key, "POST", "/api/books/enrich-new-releases", months))).toBe("400 invalid_request");
  expect(await admissions()).toEqual({ written: 0, returned: 0 });
});
