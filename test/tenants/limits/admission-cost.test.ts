import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import worker from "../../../worker/src/index.ts";
import { callWith } from "../../routes/support.ts";
import { freshStart, isbns, post } from "../../support/worker.ts";
import { by, enrichWith, organization, said, tenant, watchedDb } from "../../support/tenants/keys.ts";
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
const isTouch = (trip: Trip): boolean => trip.some((sql) => sql.includes("SET last_used_at"));
/** Of what abuse is judged by: beside the answer, whatever it was. */
const isRate = (trip: Trip): boolean => trip.some((sql) => sql.includes("INTO project_minutes"));
const writes = (trips: readonly Trip[]): Trip[] => trips.filter((trip) => trip.some((sql) => !sql.trimStart().startsWith("SELECT")));

describe("what a use costs", () => {
  test("one batch before the work, a row of the minute's rate, and a note of the key's use once a minute, which no answer waits for", async () => {
    const { db, trips } = watchedDb();
    expect(said(await enrichWith({ DB: db }, shop.key, ISBNS))).toBe("200");
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
      expect(again.trips).toHaveLength(3); // its admission, the catalogue, and the rate
    }
    expect(await counted()).toEqual([4, 4]);
  });

  test("nothing after the work is in the way of the answer: it comes while the note of the use hangs for ever", async () => {
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

  test("what is not metered counts nothing", async () => {
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
      expect({ path, said: said(await by(shop.key, method, path)) }).toEqual({ path, said: "200" });
    }
    expect([await counted(), await admissions()]).toEqual([[0, 0], { written: 0, returned: 0 }]);
  });

  test.each([
    ["/api/enrich/batch-direct", { isbns: [] }, 400],
    ["/api/enrich/batch-direct", { isbns: ISBNS, refresh: "yes" }, 400],
    ["/api/enrich/batch-direct", "{", 400],
    ["/api/authors/enrich-bibliography", { author_name: "" }, 400],
    ["/api/books/enrich-new-releases", { start_month: "2031-13", end_month: "2031-14" }, 400],
  ])("a body that is not valid costs no look-up, counts as no use, and is an error of the minute: %s %j", async (path, body, status) => {
    const { db, trips } = watchedDb();
    const headers = { authorization: `Bearer ${shop.key}`, "content-type": "application/json" };
    const init = { method: "POST", headers, body: typeof body === "string" ? body : JSON.stringify(body) };
    expect((await callWith({ DB: db }, path, init)).status).toBe(status);
    expect(trips.map(isRate)).toEqual([true]);
    expect(await admissions()).toEqual({ written: 0, returned: 0 });
  });

  test("the administrator counts for nobody", async () => {
    await post("/api/enrich/batch-direct", { isbns: ISBNS });
    expect(await admissions()).toEqual({ written: 0, returned: 0 });
  });
});
