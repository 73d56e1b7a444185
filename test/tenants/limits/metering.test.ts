import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { failTable, failWrites, healTable, healWrites } from "../../library/support.ts";
import { AFTERNOON, concurrently, freshStart, post, setClock } from "../../support/worker.ts";
import { postWith } from "../../routes/support.ts";
import {
  addOrganization,
  addProject,
  counters,
  gauges,
  moved,
  outcomes,
  periods,
  report,
  seeded,
  shuffled,
  split,
} from "../../support/tenants/rows.ts";
import type { Report, Use } from "../../support/tenants/rows.ts";

const DAY = "2031-05-14";
const OCCURRED_AT = "2031-05-14T12:00:00.000Z";

beforeEach(async () => {
  await freshStart();
  await addOrganization("acme");
  await addProject("one", "acme");
  await addProject("two", "acme");
});

/** The nth of many events of all kinds: four meters, two projects, quantities 1 to 7. */
function eventNumber(n: number): Use {
  const types = ["db_queries_per_day", "storage_uploads_per_day", "function_invocations_per_day", "api_calls"];
  return {
    id: `event-${n}`,
    project_id: n % 3 === 0 ? "one" : "two",
    type: types[n % 4] ?? "",
    quantity: (n % 7) + 1,
    source: n % 2 === 0 ? "gateway" : "",
  };
}

/** Expected table contents for these events, computed independently. */
function expected(events: readonly Use[]) {
  const counters: Record<string, number> = {};
  let calls = 0;
  for (const { project_id, type, quantity = 1 } of events) {
    if (type === "api_calls") calls += quantity;
    else counters[`${project_id} ${type} ${DAY}`] = (counters[`${project_id} ${type} ${DAY}`] ?? 0) + quantity;
  }
  return { counters, adjustments: {}, gauges: {}, periods: { "acme 4": [calls, 0] } };
}

describe("the same event counts once", () => {
  test("10,000 events, a tenth of them duplicates, shuffled and reported twice by eight concurrent clients, are counted exactly", async () => {
    const random = seeded(20_310_514);
    const distinct = Array.from({ length: 9_000 }, (_, index) => eventNumber(index));
    const batches = split(shuffled([...distinct, ...distinct.slice(0, 1_000)], random), 1_000);
    const reports = await concurrently(20, 8, async (index) => report(batches[index % 10] ?? []));

    expect(await moved()).toEqual(expected(distinct));
    const sum = (of: (report: Report) => number): number => reports.reduce((total, each) => total + of(each), 0);
    expect({ received: sum((each) => each.received), counted: sum((each) => each.counted), twice: sum((each) => each.duplicates) }).toEqual(
      {
        received: 20_000,
        counted: 9_000,
        twice: 11_000,
      },
    );
    expect(await env.DB.prepare("SELECT count(*) AS n FROM usage_events").first("n")).toBe(9_000);
  });

  test("one report sent concurrently by eight clients is counted once", async () => {
    const events = Array.from({ length: 300 }, (_, index) => eventNumber(index));
    const reports = await Promise.all(Array.from({ length: 8 }, async () => report(events)));
    expect(reports.map(({ counted }) => counted).toSorted((a, b) => a - b)).toEqual([0, 0, 0, 0, 0, 0, 0, 300]);
    expect(await moved()).toEqual(expected(events));
  });

  test("twice in one report: the first counts", async () => {
    const use = { id: "a", project_id: "one", type: "db_queries_per_day", quantity: 3 };
    expect(outcomes(await report([use, use, use]))).toEqual(["200 counted", "200 duplicate", "200 duplicate"]);
    expect(await counters()).toEqual({ [`one db_queries_per_day ${DAY}`]: 3 });
  });

  test("regardless of the order of its fields and of omitted defaults", async () => {
    await report([{ id: "a", project_id: "one", type: "db_queries_per_day" }]);
    await report([{ id: "g", project_id: "one", type: "realtime_connections", quantity: 4 }]);
    const again = await report([
      { type: "db_queries_per_day", source: "", quantity: 1, mode: "add", project_id: "one", id: "a" },
      { quantity: 4, mode: "add", project_id: "one", type: "realtime_connections", id: "g" },
    ]);
    expect(outcomes(again)).toEqual(["200 duplicate", "200 duplicate"]);
  });

  test("even if one without a time is sent again later, or its time is written differently", async () => {
    await report([
      { id: "a", project_id: "one", type: "db_queries_per_day" },
      { id: "b", project_id: "one", type: "db_queries_per_day", occurred_at: "2031-05-14T12:00:00Z" },
    ]);
    await setClock("2031-05-15T09:00:00Z");
    const again = await report([
      { id: "a", project_id: "one", type: "db_queries_per_day" },
      { id: "b", project_id: "one", type: "db_queries_per_day", occurred_at: OCCURRED_AT },
    ]);
    expect(outcomes(again)).toEqual(["200 duplicate", "200 duplicate"]);
    expect(await moved()).toMatchObject({ counters: { [`one db_queries_per_day ${DAY}`]: 2 }, adjustments: {} });
  });

  test("ids belong to their source", async () => {
    const use = { id: "a", project_id: "one", type: "db_queries_per_day" };
    const { results } = await report([use, { ...use, source: "x" }, { ...use, source: "y" }, { ...use, source: "x" }]);
    expect(results.map(({ result }) => result)).toEqual(["counted", "counted", "counted", "duplicate"]);
  });

  test("an event of a project deleted since is still recognized", async () => {
    const use = { id: "a", project_id: "one", type: "db_queries_per_day" };
    await report([use]);
    await env.DB.prepare("UPDATE projects SET lifecycle = 'DELETED' WHERE id = 'one'").run();
    expect(outcomes(await report([use]))).toEqual(["200 duplicate"]);
  });
});

describe("one id with two bodies", () => {
  const use: Use = { id: "a", project_id: "one", type: "db_queries_per_day", quantity: 2, occurred_at: "2031-05-14T12:00:00Z" };

  test("in one report: the first counts, the other gets an error in its row, and the rest counts", async () => {
    const { results, ...sums } = await report([{ ...use, id: "b" }, use, { ...use, quantity: 5 }, use, { ...use, id: "c" }]);
    expect(results).toEqual([
      { index: 0, id: "b", status: 200, result: "counted" },
      { index: 1, id: "a", status: 200, result: "counted" },
      {
        index: 2,
        id: "a",
        status: 409,
        result: "conflict",
        error: "`quantity` must be 2, as in the event already counted with this id (got 5).",
      },
      { index: 3, id: "a", status: 200, result: "duplicate" },
      { index: 4, id: "c", status: 200, result: "counted" },
    ]);
    expect(sums).toEqual({ received: 5, counted: 3, late: 0, duplicates: 1, conflicts: 1, refused: 0 });
    expect(await counters()).toEqual({ [`one db_queries_per_day ${DAY}`]: 6 });
  });

  test.each([
    [{ project_id: "two" }, '`project_id` must be "one", as in the event already counted with this id (got "two").'],
    [{ project_id: "unknown" }, '`project_id` must be "one", as in the event already counted with this id (got "unknown").'],
    [{ type: "api_calls" }, '`type` must be "db_queries_per_day", as in the event already counted with this id (got "api_calls").'],
    [
      { occurred_at: "2031-05-14T12:00:00.001Z" },
      `\`occurred_at\` must be "${OCCURRED_AT}", as in the event already counted with this id (got "2031-05-14T12:00:00.001Z").`,
    ],
  ])("in two reports, %j: the row has the difference", async (change, error) => {
    await report([use]);
    const before = await moved();
    const [row] = (await report([{ ...use, ...change }])).results;
    expect(row).toEqual({ index: 0, id: "a", status: 409, result: "conflict", error });
    expect(await moved()).toMatchObject({ counters: before.counters });
  });

  test("with and without a time, they are different", async () => {
    await report([{ id: "a", project_id: "one", type: "db_queries_per_day" }]);
    const [row] = (await report([{ id: "a", project_id: "one", type: "db_queries_per_day", occurred_at: AFTERNOON }])).results;
    expect(row).toMatchObject({
      status: 409,
      error: '`occurred_at` must be absent, as in the event already counted with this id (got "2031-05-14T14:03:11.000Z").',
    });
  });

  test("setting and adding a level are different", async () => {
    const level: Use = { id: "g", project_id: "one", type: "realtime_connections", quantity: 4 };
    const answer = await report([level, { ...level, mode: "set" }]);
    expect(outcomes(answer)).toEqual(["200 counted", "409 conflict"]);
    expect(await gauges()).toEqual({ "one realtime_connections": 4 });
  });

  test("an event that cannot count does not use up its id, and gets the same error when repeated", async () => {
    const events = [{ ...use, project_id: "unknown" }, { ...use, quantity: 0 }, use];
    expect(outcomes(await report(events))).toEqual(["409 conflict", "400 refused", "200 counted"]);
    expect(outcomes(await report(events))).toEqual(["409 conflict", "400 refused", "200 duplicate"]);
    expect(await counters()).toEqual({ [`one db_queries_per_day ${DAY}`]: 2 });
  });
});

describe("a database that fails", () => {
  const events = Array.from({ length: 50 }, (_, index) => eventNumber(index));
  const all: Use[] = [...events, { id: "g", project_id: "one", type: "realtime_connections", quantity: 5 }];
  const whole = { ...expected(events), gauges: { "one realtime_connections": 5 } };

  /** A database whose next `failures` batches lose their response, before or after they were committed. */
  const losing = (failures: number, when: "before" | "after"): D1Database => {
    let left = failures;
    return new Proxy(env.DB, {
      get(target, name) {
        if (name !== "batch") return (Reflect.get(target, name) as CallableFunction).bind(target) as unknown;
        return async (statements: D1PreparedStatement[]) => {
          if (left === 0) return target.batch(statements);
          left -= 1;
          if (when === "after") await target.batch(statements);
          throw new Error("D1_ERROR: Network connection lost.");
        };
      },
    });
  };

  test.each(["before", "after"] as const)("%s the commit: 503 with Retry-After, and a repetition counts once", async (when) => {
    const DB = losing(2, when);
    for (let tries = 0; tries < 2; tries += 1) {
      const lost = await postWith({ DB }, "/api/usage/events", { events: all });
      expect({ status: lost.status, code: lost.body["code"], wait: lost.headers.get("retry-after") }).toEqual({
        status: 503,
        code: "storage_unavailable",
        wait: "5",
      });
    }
    const answer = await postWith({ DB }, "/api/usage/events", { events: all });
    const sums = when === "after" ? { counted: 0, duplicates: 51 } : { counted: 51, duplicates: 0 };
    expect({ status: answer.status, body: answer.body }).toMatchObject({ status: 200, body: sums });
    expect(await moved()).toEqual(whole);
  });

  test.each(["counters", "billing_periods", "gauges"])("while writing %s: nothing of the report is stored", async (table) => {
    await failWrites(table);
    expect(await post("/api/usage/events", { events: all })).toMatchObject({ status: 503 });
    expect(await env.DB.prepare("SELECT count(*) AS n FROM usage_events").first("n")).toBe(0);
    await healWrites(table);
    expect(await report(all)).toMatchObject({ counted: 51 });
    expect(await moved()).toEqual(whole);
  });

  test("while looking up the billed organizations: 503", async () => {
    await failTable("organizations");
    expect(await post("/api/usage/events", { events: all })).toMatchObject({ status: 503, body: { code: "storage_unavailable" } });
    await healTable("organizations");
    expect(await report(all)).toMatchObject({ counted: 51 });
    expect(await periods()).toEqual(whole.periods);
  });
});

describe("the database's work", () => {
  const statementsFor = async (events: readonly Use[]): Promise<{ trips: number; statements: number }> => {
    const counted = { trips: 0, statements: 0 };
    const DB = new Proxy(env.DB, {
      get(target, name) {
        if (name === "prepare") {
          return (sql: string) => {
            counted.statements += 1;
            return target.prepare(sql);
          };
        }
        return async (statements: D1PreparedStatement[]) => {
          counted.trips += 1;
          return target.batch(statements);
        };
      },
    });
    expect(await postWith({ DB }, "/api/usage/events", { events })).toMatchObject({ status: 200, body: { counted: events.length } });
    return counted;
  };

  test("needs as many statements for a thousand events as for four", async () => {
    const few = await statementsFor([0, 1, 2, 3].map((n) => eventNumber(n)));
    const many = await statementsFor(Array.from({ length: 1_000 }, (_, index) => eventNumber(index + 4)));
    expect({ few, many }).toEqual({ few: { trips: 1, statements: 9 }, many: { trips: 1, statements: 9 } });
  });

  test("needs a few more statements for a thousand events of maximum size, and loses nothing", async () => {
    const wordy = Array.from({ length: 1_000 }, (_, index) => ({
      ...eventNumber(index),
      id: `${index}-`.padEnd(128, '"'),
      source: "\\".repeat(64),
    }));
    const { statements } = await statementsFor(wordy);
    expect(statements).toBeLessThan(20);
    expect(await moved()).toEqual(expected(wordy));
  });

  test("looks up billed organizations only for billed events", async () => {
    expect(await statementsFor([eventNumber(0)])).toEqual({ trips: 1, statements: 7 });
  });
});
