import { beforeEach, describe, expect, test } from "vitest";
import { call, freshStart, get, post, setClock } from "../../support/worker.ts";
import { audit, makeOrganization, makeProject, right, rows, stop } from "../../support/tenants/http.ts";
import { MINUTE, NOW, asked, askedTwice, detections, events, judge, suspended, usual } from "../../monitoring/support.ts";

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("mine", { owner_id: "ada" });
});

describe("the measurements", () => {
  test("are the last two windows by the minute, without other projects and other times", async () => {
    await makeProject("other");
    await usual("mine", 100);
    await askedTwice("other", { requests: 9_000 });
    await asked("mine", 2, { requests: 9_000 });
    await asked("mine", -1, { requests: 9_000 });
    await askedTwice("mine", { requests: 900 });
    expect(await judge("mine", "EXCESSIVE_USAGE")).toMatchObject({
      decision: "normal",
      metrics: { windows: [{ requests: 900 }, { requests: 900 }] },
    });
    expect(await judge("mine", "EXCESSIVE_USAGE", { as_of: "2031-05-14T14:08:59Z" })).toMatchObject({
      metrics: { windows: [{ requests: 900 }, { requests: 9_000 }] },
    });
  });

  test("exclude a baseline older than a week or of the judged hour", async () => {
    await usual("mine", 1);
    await askedTwice("mine", { requests: 5_000 });
    const known = async () =>
      ((await judge("mine", "EXCESSIVE_USAGE", { enforce_action: false }))["metrics"] as { baseline: { hours: number } }).baseline.hours;
    const latest = Math.floor(Date.parse("2031-05-14T12:00:00Z") / 3_600_000);
    expect(await known()).toBe(12);
    await rows("UPDATE project_hours SET hour = ? WHERE hour = ?", latest + 1, latest);
    expect(await known()).toBe(11);
    await rows("UPDATE project_hours SET hour = ? WHERE hour = ?", latest - 7 * 24, latest + 1);
    expect(await known()).toBe(11);
    await rows("UPDATE project_hours SET hour = ? WHERE hour = ?", latest + 1 - 7 * 24, latest - 7 * 24);
    expect(await known()).toBe(12);
  });

  test("take precedence over given metrics, which are stored", async () => {
    await usual("mine", 100);
    const metrics = {
      requests: 100,
      windows: 2,
      baseline_hours: 12,
      baseline_days: 3,
      requests_per_minute: 99,
      baseline_requests_per_minute: 1,
      note: "x",
    };
    expect(await judge("mine", "EXCESSIVE_USAGE", { metrics })).toMatchObject({
      decision: "insufficient",
      evidence: "measured",
      metrics: { given: metrics },
    });
    await makeProject("elsewhere");
    expect(await judge("elsewhere", "EXCESSIVE_USAGE", { metrics })).toMatchObject({ decision: "suspended", evidence: "given" });
    expect([await suspended("mine"), await suspended("elsewhere")]).toEqual([[], ["abuse:EXCESSIVE_USAGE"]]);
  });

  test("compare errors that are mostly 5xx with the errors of other projects", async () => {
    await makeProject("other");
    await usual("mine", 100);
    await askedTwice("mine", { requests: 200, errors: 200, failures: 200 });
    await askedTwice("other", { requests: 100, errors: 60, failures: 60 });
    expect((await judge("mine", "ERROR_SPIKE"))["decision"]).toBe("insufficient");
    await rows("UPDATE project_minutes SET failures = 50 WHERE project_id = 'other'");
    expect((await judge("mine", "ERROR_SPIKE"))["decision"]).toBe("suspended");
  });
});

describe("the decision", () => {
  beforeEach(async () => {
    await usual("mine", 100);
    await askedTwice("mine", { requests: 2_000, errors: 1_500 });
  });

  test("is recorded with its inputs, in the audit log and as an event, and refuses the project's next request", async () => {
    const { result } = { result: await judge("mine", "EXCESSIVE_USAGE") };
    const [job] = await rows("SELECT id FROM jobs WHERE type = 'auto_suspend'");
    const why = "2000 and 2000 requests in two windows (baseline: 14400 in 144 windows, excessive: more than 10 times that)";
    const metrics = {
      requests_per_minute: 400,
      baseline_requests_per_minute: 20,
      error_rate: 0.75,
      windows: [1, 2].map(() => ({ requests: 2_000, errors: 1_500, failures: 0, probes: 0 })),
      baseline: { hours: 12, days: 3, requests: 14_400, windows: 144 },
      others: null,
      given: {},
    };
    const decision = { pattern_type: "EXCESSIVE_USAGE", decision: "suspended", why, evidence: "measured", enforce_action: true };
    const as_of = "2031-05-14T14:03:00Z";
    expect(result).toEqual({ project_id: "mine", ...decision, as_of, metrics });
    expect(await detections("mine")).toEqual([{ at: "2031-05-14T14:03:11Z", job_id: job?.["id"], ...decision, as_of, metrics }]);
    expect((await audit("project_id=mine"))[0]).toMatchObject({
      actor: `job:${String(job?.["id"])}`,
      action: "project.suspend",
      before: { reasons: [] },
      after: { reasons: ["abuse:EXCESSIVE_USAGE"], detail: why },
    });
    const { body } = await get<{ events: { type: string; data: unknown }[] }>("/api/projects/mine/events");
    expect(body.events).toMatchObject([
      {
        type: "abuse.detected",
        data: {
          project_id: "mine",
          pattern_type: "EXCESSIVE_USAGE",
          decision: "suspended",
          organization_id: "org",
          organization_name: "Organization org",
          owner_id: "ada",
          metrics: { requests_per_minute: 400, baseline_requests_per_minute: 20, error_rate: 0.75 },
        },
      },
      { type: "project.suspended", data: { reasons: [{ reason: "abuse:EXCESSIVE_USAGE", detail: why }] } },
    ]);
  });

  test("is only a report without enforcement, and a pattern that continues is reported once per hour", async () => {
    const report = async () => (await judge("mine", "EXCESSIVE_USAGE", { enforce_action: false }))["decision"];
    expect([await report(), await report(), await suspended("mine")]).toEqual(["reported", "reported", []]);
    expect(await events()).toEqual(["abuse.detected mine"]);
    await rows("UPDATE abuse_detections SET as_of = as_of - 3600000");
    await report();
    expect(await events()).toEqual(["abuse.detected mine", "abuse.detected mine"]);
    expect((await judge("mine", "EXCESSIVE_USAGE"))["decision"]).toBe("suspended");
    expect(await events()).toEqual(["abuse.detected mine", "abuse.detected mine", "project.suspended mine", "abuse.detected mine"]);
  });

  test("is reported again every hour, even if the pattern never pauses", async () => {
    const eventCounts: number[] = [];
    for (let minutes = 0; minutes <= 130; minutes += 10) {
      await setClock(new Date(NOW + minutes * 60_000).toISOString());
      if (minutes > 0) await askedTwice("mine", { requests: 2_000 }, MINUTE + minutes);
      expect((await judge("mine", "EXCESSIVE_USAGE", { enforce_action: false }))["decision"]).toBe("reported");
      eventCounts.push((await events()).length);
    }
    expect(eventCounts).toEqual([1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3]);
  });

  test("happens once: a project suspended without an end is not suspended again for any pattern", async () => {
    await judge("mine", "EXCESSIVE_USAGE");
    const again = [await judge("mine", "EXCESSIVE_USAGE"), await judge("mine", "ERROR_SPIKE")];
    expect(again.map(({ decision }) => decision)).toEqual(["already_suspended", "already_suspended"]);
    expect(await suspended("mine")).toEqual(["abuse:EXCESSIVE_USAGE"]);
    expect((await events()).length).toBe(2);
    await makeProject("by_hand");
    await usual("by_hand", 1);
    await askedTwice("by_hand", { requests: 2_000 });
    right(await post("/api/projects/by_hand/suspend", { reason: "Unpaid" }));
    expect((await judge("by_hand", "EXCESSIVE_USAGE"))["decision"]).toBe("already_suspended");
  });

  test("is independent of a cap's suspension, which ends automatically", async () => {
    await stop("mine", "quota:db_queries_per_day", Date.parse("2031-05-15T00:00:00Z"));
    await judge("mine", "EXCESSIVE_USAGE");
    expect((await suspended("mine")).toSorted()).toEqual(["abuse:EXCESSIVE_USAGE", "quota:db_queries_per_day"]);
    await setClock("2031-05-15T00:00:01Z");
    expect(await suspended("mine")).toEqual(["abuse:EXCESSIVE_USAGE"]);
  });

  test("is independent of a gauge's suspension, and of one lifted manually for another reason", async () => {
    await stop("mine", "quota:db_queries_per_day");
    right(await post("/api/projects/mine/reactivate", { reason: "Raised" }));
    await stop("mine", "quota:realtime_connections");
    await judge("mine", "EXCESSIVE_USAGE");
    expect((await suspended("mine")).toSorted()).toEqual(["abuse:EXCESSIVE_USAGE", "quota:realtime_connections"]);
  });

  test("does not happen again after a reactivation until there are two new windows", async () => {
    await judge("mine", "EXCESSIVE_USAGE");
    right(await post("/api/projects/mine/reactivate", { reason: "Talked to them" }));
    expect(await judge("mine", "EXCESSIVE_USAGE")).toMatchObject({
      decision: "insufficient",
      why: "the project was reactivated at 2031-05-14T14:03:11Z, so that earlier requests no longer count",
    });
    await setClock("2031-05-14T14:14:00Z");
    const end = Math.floor(Date.parse("2031-05-14T14:14:00Z") / 60_000);
    await askedTwice("mine", { requests: 2_000 }, end);
    expect((await judge("mine", "EXCESSIVE_USAGE"))["decision"]).toBe("suspended");
  });

  test.each([
    ["archived", ""],
    ["deleted", "?permanent=true"],
  ])("does not happen to an %s project", async (_, query) => {
    right(await call("DELETE", `/api/projects/mine${query}`));
    expect(await judge("mine", "EXCESSIVE_USAGE")).toMatchObject({ decision: "not_active" });
    expect(await rows("SELECT * FROM suspensions")).toEqual([]);
  });

  test("does not happen again after a reactivation for given metrics either", async () => {
    await makeProject("elsewhere");
    const metrics = { requests: 100, windows: 2, baseline_hours: 12, baseline_days: 3, error_rate: 0.9 };
    const decided = async () => judge("elsewhere", "ERROR_SPIKE", { metrics });
    expect((await decided())["decision"]).toBe("suspended");
    right(await post("/api/projects/elsewhere/reactivate", { reason: "Talked to them" }));
    expect(await decided()).toMatchObject({ decision: "insufficient", evidence: "given" });
    await setClock("2031-05-14T14:14:00Z");
    expect((await decided())["decision"]).toBe("suspended");
  });

  test("is an error for an unknown project", async () => {
    expect(await judge("unknown", "ERROR_SPIKE")).toEqual({ error: 'The project "unknown" does not exist.' });
  });

  test("excludes flagged minutes from the baseline, even if their hour was summed before", async () => {
    const sum = {
      project_id: "mine",
      hour: Math.floor(Date.parse("2031-05-14T13:00:00Z") / 3_600_000),
      requests: 2_007,
      errors: 1_500,
      windows: 2,
    };
    await rows("INSERT INTO project_hours VALUES ('mine', ?, 2007, 1500, 2)", sum.hour);
    await rows("INSERT INTO project_minutes VALUES (?, 'mine', 7, 0, 0, 0, 0)", sum.hour * 60 + 3);
    await judge("mine", "EXCESSIVE_USAGE");
    expect(await rows("SELECT * FROM project_hours WHERE hour = ?", sum.hour)).toEqual([{ ...sum, requests: 7, errors: 0, windows: 1 }]);
    expect(await rows("SELECT minute, flagged FROM project_minutes ORDER BY minute")).toMatchObject([
      { flagged: 0 },
      { flagged: 1 },
      { flagged: 1 },
    ]);
  });
});
