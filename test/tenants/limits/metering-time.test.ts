/** The time of a reported use decides its day and billing period, and whether they are over. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { postWith } from "../../routes/support.ts";
import { AFTERNOON, freshStart, setClock } from "../../support/worker.ts";
import { addOrganization, addProject, moved, outcomes, periods, report } from "../../support/tenants/rows.ts";
import type { Use } from "../../support/tenants/rows.ts";

beforeEach(async () => {
  await freshStart();
  await addOrganization("acme");
  await addProject("one", "acme");
});

const query = (id: string, occurredAt: string): Use => ({ id, project_id: "one", type: "db_queries_per_day", occurred_at: occurredAt });
const billed = (id: string, occurredAt: string, project = "one"): Use => ({
  id,
  project_id: project,
  type: "api_calls",
  quantity: 10,
  occurred_at: occurredAt,
});

describe("a day", () => {
  test("that is over never changes: later reports are adjustments", async () => {
    await report([query("in-time", "2031-05-14T14:00:00Z")]);
    await setClock("2031-05-15T00:00:00Z");
    const { results, ...sums } = await report([query("late", "2031-05-14T23:59:59.999Z"), query("new", "2031-05-15T00:00:00Z")]);
    expect(results.map(({ status, result }) => `${status} ${result}`)).toEqual(["200 late", "200 counted"]);
    expect(sums).toMatchObject({ received: 2, counted: 1, late: 1 });
    expect(await moved()).toMatchObject({
      counters: { "one db_queries_per_day 2031-05-14": 1, "one db_queries_per_day 2031-05-15": 1 },
      adjustments: { "one db_queries_per_day 2031-05-14": 1 },
    });
  });

  test("is not over in its last millisecond", async () => {
    await setClock("2031-05-14T23:59:59.999Z");
    const events = [query("a", "2031-05-14T23:59:59.999Z"), query("b", "2031-05-14T23:59:59.9999999Z"), query("c", "2031-05-15T00:00:00Z")];
    expect(outcomes(await report(events))).toEqual(["200 counted", "200 counted", "200 counted"]);
    expect(await moved()).toMatchObject({
      counters: { "one db_queries_per_day 2031-05-14": 2, "one db_queries_per_day 2031-05-15": 1 },
      adjustments: {},
    });
  });

  test("is today's if the event has no time", async () => {
    await setClock("2031-05-15T00:00:00Z");
    await report([{ id: "a", project_id: "one", type: "storage_uploads_per_day" }]);
    expect(await moved()).toMatchObject({ counters: { "one storage_uploads_per_day 2031-05-15": 1 }, adjustments: {} });
  });

  test("that is over counts each event once, too", async () => {
    const late = query("late", "2031-05-01T00:00:00Z");
    expect(outcomes(await report([late, late]))).toEqual(["200 late", "200 duplicate"]);
    expect(outcomes(await report([late]))).toEqual(["200 duplicate"]);
    expect(await moved()).toMatchObject({ counters: {}, adjustments: { "one db_queries_per_day 2031-05-01": 1 } });
  });
});

describe("too far away", () => {
  test.each([
    ["2031-05-14T14:08:11.000Z", "200 counted"],
    ["2031-05-14T14:08:11.001Z", "422 refused"],
    ["2999-01-01T00:00:00Z", "422 refused"],
    ["2031-04-12T14:03:11.000Z", "200 late"],
    ["2031-04-12T14:03:10.999Z", "422 refused"],
    ["0001-01-01T00:00:00Z", "422 refused"],
  ])("at 14:03:11 on 14 May, %s: %s", async (time, outcome) => {
    expect(outcomes(await report([query("a", time)]))).toEqual([outcome]);
  });

  test("the row has the accepted range, and the others count", async () => {
    const { results } = await report([
      query("future", "2031-05-14T14:08:12Z"),
      query("past", "2031-04-12T14:03:10Z"),
      query("now", AFTERNOON),
    ]);
    expect(results).toEqual([
      {
        index: 0,
        id: "future",
        status: 422,
        result: "refused",
        error: '`occurred_at` must be at most 5 minutes after now, 2031-05-14T14:03:11Z (got "2031-05-14T14:08:12Z").',
      },
      {
        index: 1,
        id: "past",
        status: 422,
        result: "refused",
        error: '`occurred_at` must be at most 32 days before now, 2031-05-14T14:03:11Z (got "2031-04-12T14:03:10Z").',
      },
      { index: 2, id: "now", status: 200, result: "counted" },
    ]);
  });
});

describe("a billing period", () => {
  test("without a row gets one, and the calls count", async () => {
    expect(outcomes(await report([billed("a", AFTERNOON)]))).toEqual(["200 counted"]);
    expect(outcomes(await report([billed("b", AFTERNOON)]))).toEqual(["200 counted"]);
    expect(await periods()).toEqual({ "acme 4": [20, 0] });
    const row = await env.DB.prepare("SELECT starts_at, ends_at, closed_at FROM billing_periods").first();
    expect(row).toEqual({ starts_at: Date.parse("2031-05-01T00:00:00Z"), ends_at: Date.parse("2031-06-01T00:00:00Z"), closed_at: null });
  });

  test("that is over gets adjustments, even if it had no calls", async () => {
    await report([billed("in-time", AFTERNOON)]);
    await setClock("2031-06-01T00:00:00Z");
    const events = [
      billed("may", "2031-05-31T23:59:59.999Z"),
      billed("june", "2031-06-01T00:00:00Z"),
      billed("may-again", "2031-05-01T00:00:00Z"),
      billed("april", "2031-04-30T23:59:59.999Z"),
    ];
    expect(outcomes(await report(events))).toEqual(["200 late", "200 counted", "200 late", "200 late"]);
    expect(await periods()).toEqual({ "acme 3": [0, 10], "acme 4": [10, 20], "acme 5": [10, 0] });
  });

  test("that begins within the next minutes counts its own calls", async () => {
    await setClock("2031-05-31T23:58:00Z");
    expect(outcomes(await report([billed("june", "2031-06-01T00:01:00Z"), billed("may", "2031-05-31T23:58:00Z")]))).toEqual([
      "200 counted",
      "200 counted",
    ]);
    expect(await periods()).toEqual({ "acme 4": [10, 0], "acme 5": [10, 0] });
  });

  test("that was closed gets adjustments", async () => {
    await report([billed("a", AFTERNOON)]);
    await env.DB.prepare("UPDATE billing_periods SET closed_at = 1").run();
    expect(outcomes(await report([billed("b", AFTERNOON)]))).toEqual(["200 late"]);
    expect(await periods()).toEqual({ "acme 4": [10, 10] });
  });

  test("follows the anchor of each organization", async () => {
    await addOrganization("globex", Date.parse("2031-01-31T12:00:00Z"));
    await addProject("other", "globex");
    await addProject("second", "acme");
    await setClock("2031-04-30T12:00:00Z");
    const events = [
      billed("a", "2031-04-30T11:59:59.999Z", "other"),
      billed("b", "2031-04-30T12:00:00Z", "other"),
      billed("c", "2031-04-30T12:00:00Z"),
      billed("d", "2031-04-30T12:00:00Z", "second"),
    ];
    expect(outcomes(await report(events))).toEqual(["200 late", "200 counted", "200 counted", "200 counted"]);
    expect(await periods()).toEqual({ "acme 3": [20, 0], "globex 2": [0, 10], "globex 3": [10, 0] });
  });

  test("does not exist before the first one", async () => {
    await addOrganization("young", Date.parse("2031-05-14T12:00:00Z"));
    await addProject("new", "young");
    const [early, first] = ["2031-05-14T11:59:59Z", "2031-05-14T12:00:00Z"];
    const { results } = await report([billed("before", early, "new"), billed("first", first, "new")]);
    expect(results).toEqual([
      {
        index: 0,
        id: "before",
        status: 422,
        result: "refused",
        error: `\`occurred_at\` must not be before the organization's first billing period began, at ${first} (got "${early}").`,
      },
      { index: 1, id: "first", status: 200, result: "counted" },
    ]);
    expect(await periods()).toEqual({ "young 0": [10, 0] });
  });
});

describe("a project", () => {
  test("that is archived or suspended still counts", async () => {
    await addProject("archived", "acme", "ARCHIVED");
    await addProject("stopped", "acme");
    const suspend = "INSERT INTO suspensions (project_id, reason, since, actor) VALUES ('stopped', 'admin', 1, 'admin')";
    await env.DB.prepare(suspend).run();
    await env.DB.prepare("UPDATE organizations SET status = 'ARCHIVED'").run();
    const events = ["archived", "stopped"].flatMap((id) => [
      billed(`call-${id}`, AFTERNOON, id),
      { ...query(id, AFTERNOON), project_id: id },
    ]);
    expect(await report(events)).toMatchObject({ counted: 4 });
    expect(await moved()).toMatchObject({
      counters: { "archived db_queries_per_day 2031-05-14": 1, "stopped db_queries_per_day 2031-05-14": 1 },
      periods: { "acme 4": [20, 0] },
    });
  });

  test("that is deleted or unknown is 404 in its row, and the others count", async () => {
    await addProject("gone", "acme", "DELETED");
    const { results } = await report([
      { ...query("a", AFTERNOON), project_id: "gone" },
      billed("b", AFTERNOON, "gone"),
      billed("c", AFTERNOON, "never"),
      query("d", AFTERNOON),
    ]);
    const missing = (index: number, id: string, project: string) => ({
      index,
      id,
      status: 404,
      result: "refused",
      error: `\`project_id\` must be a project that exists and is ready (got "${project}").`,
    });
    expect(results).toEqual([
      missing(0, "a", "gone"),
      missing(1, "b", "gone"),
      missing(2, "c", "never"),
      { index: 3, id: "d", status: 200, result: "counted" },
    ]);
    expect(await moved()).toEqual({ counters: { "one db_queries_per_day 2031-05-14": 1 }, adjustments: {}, gauges: {}, periods: {} });
  });

  test("created during a report is 404 until it exists for the whole report, so that nothing is stored unbilled", async () => {
    const DB = new Proxy(env.DB, {
      get(target, name) {
        if (name === "prepare") return (sql: string) => target.prepare(sql);
        return async (statements: D1PreparedStatement[]) => {
          await addProject("new", "acme");
          return target.batch(statements);
        };
      },
    });
    const events = [billed("a", AFTERNOON, "new")];
    expect(await postWith({ DB }, "/api/usage/events", { events })).toMatchObject({ status: 200, body: { counted: 0, refused: 1 } });
    expect(outcomes(await report(events))).toEqual(["200 counted"]);
    expect(await periods()).toEqual({ "acme 4": [10, 0] });
  });
});
