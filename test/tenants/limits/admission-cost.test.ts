import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import worker from "../../../worker/src/index.ts";
import { callWith } from "../../routes/support.ts";
import { freshStart, isbns, post } from "../../support/worker.ts";
import { by, enrichWith, organization, statusText, tenant, watchedDb } from "../../support/tenants/keys.ts";
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

/** Current counts of the project's uses: in its counter, and in its organization's period. */
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
const isTouch = (trip: Trip): boolean => trip.some((sql) => sql.includes("SET last_used_at"));
/** A write of request rates, which abuse detection reads. Follows every response. */
const isRate = (trip: Trip): boolean => trip.some((sql) => sql.includes("INTO project_minutes"));
const writes = (trips: readonly Trip[]): Trip[] => trips.filter((trip) => trip.some((sql) => !sql.trimStart().startsWith("SELECT")));

describe("queries of a use", () => {
  test("one batch before the work, the minute's rate after it, and the key's last use once a minute", async () => {
    const { db, trips } = watchedDb();
    expect(statusText(await enrichWith({ DB: db }, shop.key, ISBNS))).toBe("200");
    expect(isAdmission(trips[0] ?? [])).toBe(true);
    expect(writes(trips).map((trip) => (isTouch(trip) ? "touch" : isRate(trip) ? "rate" : "admission"))).toEqual([
      "admission",
      "touch",
      "rate",
    ]);
    for (let more = 0; more < 3; more += 1) {
      const again = watchedDb();
      await enrichWith({ DB: again.db }, shop.key, ISBNS);
      expect(writes(again.trips).map(isRate)).toEqual([false, true]);
      expect(again.trips).toHaveLength(2); // its admission and the rate, because the catalog has its own database
    }
    expect(await counted()).toEqual([4, 4]);
  });

  test("the response does not wait for writes after the work, even if recording the last use hangs", async () => {
    const { db } = watchedDb((trip) => (isTouch(trip) ? "never" : null));
    const pending: Promise<unknown>[] = [];
    const context = { waitUntil: (work: Promise<unknown>) => void pending.push(work), passThroughOnException: () => undefined, props: {} };
    const request = new Request("http://coordinator.test/api/enrich/batch-direct", {
      method: "POST",
      headers: { authorization: `Bearer ${shop.key}`, "content-type": "application/json" },
      body: JSON.stringify({ isbns: ISBNS }),
    });
    const answer = await worker.fetch(request, { ...env, DB: db }, context);
    expect(answer.status).toBe(200);
    await answer.text();
    expect(pending.length).toBeGreaterThan(0);
  });

  test("requests without a meter count nothing", async () => {
    const { status, body } = await by(shop.key, "POST", "/api/quota/reservations", { calls: 1 });
    expect(status).toBe(201);
    for (const [method, path] of [
      ["GET", `/api/books/${ISBNS[0]}`],
      ["GET", "/api/authors/top"],
      ["GET", "/api/projects/shop"],
      ["GET", "/api/projects/shop/usage"],
      ["GET", "/api/quota/status"],
      ["POST", `/api/quota/reservations/${String(body["id"])}/commit`],
    ] as const) {
      expect({ path, statusText: statusText(await by(shop.key, method, path)) }).toEqual({ path, statusText: "200" });
    }
    expect([await counted(), await admissions()]).toEqual([[0, 0], { written: 0, returned: 0 }]);
  });

  test.each([
    ["/api/enrich/batch-direct", { isbns: [] }, 400],
    ["/api/enrich/batch-direct", { isbns: ISBNS, refresh: "yes" }, 400],
    ["/api/enrich/batch-direct", "{", 400],
    ["/api/authors/enrich-bibliography", { author_name: "" }, 400],
    ["/api/books/enrich-new-releases", { start_month: "2031-13", end_month: "2031-14" }, 400],
  ])("an invalid body causes no look-up and no counted use, only an error in the minute's rate: %s %j", async (path, body, status) => {
    const { db, trips } = watchedDb();
    const headers = { authorization: `Bearer ${shop.key}`, "content-type": "application/json" };
    const init = { method: "POST", headers, body: typeof body === "string" ? body : JSON.stringify(body) };
    expect((await callWith({ DB: db }, path, init)).status).toBe(status);
    expect(trips.map(isRate)).toEqual([true]);
    expect(await admissions()).toEqual({ written: 0, returned: 0 });
  });

  test("the administrator's requests are not counted", async () => {
    await post("/api/enrich/batch-direct", { isbns: ISBNS });
    expect(await admissions()).toEqual({ written: 0, returned: 0 });
  });
});
