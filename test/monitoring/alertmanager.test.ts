import { beforeEach, describe, expect, test } from "vitest";
import { env } from "cloudflare:workers";
import { freshStart, post } from "../support/worker.ts";
import { makeOrganization, makeProject, refusal } from "../support/tenants/http.ts";
import { FIRING, RESOLVED } from "./alertmanager-bytes.ts";
import {
  alert,
  askedTwice,
  detections,
  events,
  group,
  newAlerts,
  ownId,
  settled,
  signals,
  suspended,
  toAlertmanager,
  usual,
} from "./support.ts";

beforeEach(async () => {
  newAlerts();
  await freshStart();
  await makeOrganization("org");
  await makeProject("mine");
});

const COUNTS = { received: 1, accepted: 0, resolved: 0, duplicates: 0, refused: 0 };
const key = (): string => `${ownId()}:${Date.parse("2031-05-14T14:00:00.123Z")}`;

describe("Alertmanager", () => {
  test("a firing alert suspends a project with evidence once, however often it arrives, and its end lifts nothing", async () => {
    await usual("mine", 100);
    await askedTwice("mine", { requests: 1_001 });
    const first = await toAlertmanager(group(alert()));
    expect(first).toMatchObject({
      status: 200,
      body: { ...COUNTS, accepted: 1, results: [{ index: 0, result: "accepted", key: key(), outcome: "waiting" }] },
    });
    const [job] = await settled(1);
    expect(job?.payload).toEqual({
      project_id: "mine",
      pattern_type: "EXCESSIVE_USAGE",
      metrics: {},
      enforce_action: true,
      as_of: "2031-05-14T14:03:11.000Z",
    });
    expect(await suspended("mine")).toEqual(["abuse:EXCESSIVE_USAGE"]);
    expect((await toAlertmanager(group(alert(), alert()))).body).toMatchObject({ received: 2, duplicates: 2 });
    const over = alert({ status: "resolved", endsAt: "2031-05-14T14:03:00Z" });
    expect((await toAlertmanager(group(over))).body).toMatchObject({ ...COUNTS, resolved: 1 });
    // A late copy of the firing alert does not undo its end.
    expect((await toAlertmanager(group(alert()))).body).toMatchObject({ ...COUNTS, duplicates: 1 });
    expect(await suspended("mine")).toEqual(["abuse:EXCESSIVE_USAGE"]);
    expect((await settled(1)).length).toBe(1);
    expect(await events()).toEqual(["project.suspended mine", "abuse.detected mine"]);
    expect(await signals()).toEqual([
      {
        source: "alertmanager",
        key: key(),
        status: "resolved",
        project_id: "mine",
        pattern: "EXCESSIVE_USAGE",
        metrics: {},
        enforce_action: true,
        title: "Many requests",
        link: "http://prometheus.test/graph",
        started_at: "2031-05-14T14:00:00Z",
        received_at: "2031-05-14T14:03:11Z",
        resolved_at: "2031-05-14T14:03:11Z",
        received: 5,
        outcome: "asked",
        job_id: job?.id,
      },
    ]);
  });

  test("one alert that is wrong does not keep the others of its group from being taken", async () => {
    const numbers = { requests_per_minute: "640.5", baseline_requests_per_minute: "12", error_rate: "", errors: " ", note: "x" };
    const body = group(
      alert({ fingerprint: `a${ownId()}`, annotations: numbers }),
      alert({ fingerprint: `b${ownId()}`, labels: { project_id: "mine", abuse_pattern: "TOO_MUCH" } }),
      alert({ fingerprint: `c${ownId()}`, labels: { alertname: "QuotaResetFailed" } }),
      alert({ fingerprint: `d${ownId()}`, labels: { project_id: "nobody", abuse_pattern: "ERROR_SPIKE" } }),
      alert({ fingerprint: `e${ownId()}`, labels: { project_id: "mine" } }),
      alert({ fingerprint: `f${ownId()}`, status: "resolved" }),
      alert({ fingerprint: `g${ownId()}`, startsAt: "yesterday" }),
      alert({ fingerprint: `h${ownId()}`, annotations: { error_rate: "51" } }),
      alert({ fingerprint: `j${ownId()}`, annotations: { enforce_action: "False" } }),
      alert({ fingerprint: `i${ownId()}`, labels: { project_id: "mine", abuse_pattern: "error_spike", enforce_action: "false" } }),
    );
    const { status, body: answer } = await toAlertmanager(body);
    expect({ status, ...answer, results: undefined }).toMatchObject({ status: 200, received: 10, accepted: 5, resolved: 1, refused: 4 });
    const results = answer["results"] as { result: string; outcome?: string; errors?: unknown }[];
    expect(results.map(({ result, outcome, errors }) => errors ?? `${result} ${outcome ?? ""}`)).toEqual([
      "accepted waiting",
      [
        {
          path: "alerts.1.labels.abuse_pattern",
          message: "must be one of EXCESSIVE_USAGE, ERROR_SPIKE, SUSPICIOUS_PATTERN",
          value: "TOO_MUCH",
        },
      ],
      "accepted no_project",
      "accepted unknown_project",
      "accepted no_pattern",
      "resolved resolved",
      [{ path: "alerts.6.startsAt", message: "must be an ISO 8601 time", value: "yesterday" }],
      [{ path: "alerts.7.annotations.error_rate", message: "must be a share from 0 to 1", value: "51" }],
      [{ path: "alerts.8.annotations.enforce_action", message: "must be true or false", value: "False" }],
      "accepted waiting",
    ]);
    const jobs = await settled(2);
    expect(
      jobs
        .map(({ payload }) => [payload["pattern_type"], payload["metrics"], payload["enforce_action"]])
        .toSorted(([a], [b]) => String(a).localeCompare(String(b))),
    ).toEqual([
      ["ERROR_SPIKE", {}, false],
      ["EXCESSIVE_USAGE", { requests_per_minute: 640.5, baseline_requests_per_minute: 12 }, true],
    ]);
    expect((await detections("mine")).map(({ decision }) => decision)).toEqual(["insufficient", "insufficient"]);
  });

  test("a body that cannot be read at all is refused, with the field", async () => {
    const wrong: Record<string, [body: unknown, path: string]> = {
      "cut off": [JSON.stringify(group(alert())).slice(0, 200), "body"],
      "of a different version": [{ ...group(alert()), version: "3" }, "version"],
      "without alerts": [{ ...group(), alerts: undefined }, "alerts"],
      "of no alerts": [group(), "alerts"],
      "of nothing but alerts that are wrong": [group(alert({ labels: undefined })), "alerts.0.labels"],
      "no object": ["[]", "body"],
      "of more alerts than so many bytes can hold": [{ ...group(), alerts: Array.from({ length: 10_001 }, () => 0) }, "alerts"],
    };
    for (const [name, [body, path]] of Object.entries(wrong)) {
      expect({ name, ...(refusal(await toAlertmanager(body)) as object) }).toEqual({
        name,
        status: 422,
        code: "unprocessable",
        paths: [path],
      });
    }
    expect(await signals()).toEqual([]);
  });

  test("a body that is too large is refused", async () => {
    expect(refusal(await toAlertmanager(group(alert({ annotations: { long: "x".repeat(1_100_000) } }))))).toMatchObject({ status: 413 });
  });

  test("is let in by its token, as bearer or as a password, and by nothing else", async () => {
    const { ALERTMANAGER_TOKEN: token, DATADOG_TOKEN: other } = env;
    const wrong = [
      `Basic ${btoa(`${token}:`)}`,
      `Basic ${btoa("any:other")}`,
      `Basic ${btoa(token)}`,
      "Basic ???",
      `Bearer ${other}`,
      token,
      null,
    ];
    const send = async (authorization: string | null) =>
      post("/api/monitoring/alertmanager", group(alert()), { token: null, headers: authorization === null ? {} : { authorization } });
    for (const authorization of wrong) {
      const { status, headers } = await send(authorization);
      expect({ authorization, status, challenge: headers.get("www-authenticate") }).toEqual({
        authorization,
        status: 401,
        challenge: "Bearer",
      });
    }
    expect(await signals()).toEqual([]);
    for (const authorization of [`Bearer ${token}`, `basic ${btoa(`any:${token}`)}`]) expect((await send(authorization)).status).toBe(200);
    expect(await signals()).toMatchObject([{ received: 2 }]);
    await settled(1);
  });
});

describe("the body of a real Alertmanager", () => {
  test("suspends the named project without own measurements, once, and its end is recorded", async () => {
    await makeProject("proj_reading_list");
    const sent = async (body: string) => (await toAlertmanager(body)).body;
    expect([await sent(FIRING), await sent(FIRING), await sent(RESOLVED)]).toMatchObject([
      { accepted: 1 },
      { duplicates: 1 },
      { resolved: 1 },
    ]);
    const [job] = await settled(1);
    expect(job?.payload["metrics"]).toEqual({
      requests_per_minute: 640,
      baseline_requests_per_minute: 50,
      requests: 3_200,
      windows: 2,
      baseline_hours: 168,
      baseline_days: 7,
    });
    expect(await suspended("proj_reading_list")).toEqual(["abuse:EXCESSIVE_USAGE"]);
    expect(await signals()).toMatchObject([
      {
        key: `f1823218b2cc69e4:${Date.parse("2026-11-22T20:40:23.417Z")}`,
        link: "http://prometheus.example.com:9090/graph?g0.expr=x%3E1&g0.tab=1",
        received: 3,
        status: "resolved",
      },
    ]);
  });
});
