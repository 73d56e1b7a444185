import { beforeEach, describe, expect, test } from "vitest";
import { env } from "cloudflare:workers";
import { callWith, postWith } from "../routes/support.ts";
import { freshStart, get, post, setClock } from "../support/worker.ts";
import { makeOrganization, makeProject, refusal, rows } from "../support/tenants/http.ts";
import { FIRING, RESOLVED } from "./alertmanager-bytes.ts";
import { watchedDb } from "../support/tenants/keys.ts";
import {
  alert,
  askedTwice,
  autoSuspendJobs,
  detections,
  events,
  group,
  newAlerts,
  ownId,
  keepHouse,
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
const datadog = (more: object = {}) => ({
  schema: "qc.datadog.v1",
  cycle_key: "1936620000",
  transition: "Triggered",
  alert_id: ownId(),
  title: "Requests of mine",
  project_id: "mine",
  pattern: "EXCESSIVE_USAGE",
  date_ms: "1936620000000",
  link: "https://app.datadoghq.com/event/1",
  ...more,
});

describe("Alertmanager", () => {
  test("a firing alert stops a project of which we have evidence, once, however often it comes; its end is noted and lifts nothing", async () => {
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
    // A late copy of the beginning takes nothing back.
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
          message: 'expected one of EXCESSIVE_USAGE, ERROR_SPIKE, SUSPICIOUS_PATTERN (given: "TOO_MUCH")',
        },
      ],
      "accepted no_project",
      "accepted unknown_project",
      "accepted no_pattern",
      "resolved resolved",
      [{ path: "alerts.6.startsAt", message: 'expected an ISO 8601 time (given: "yesterday")' }],
      [{ path: "alerts.7.annotations.error_rate", message: 'expected a number that can be one of error_rate (given: "51")' }],
      [{ path: "alerts.8.annotations.enforce_action", message: 'expected true or false (given: "False")' }],
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
      "of another version": [{ ...group(alert()), version: "3" }, "version"],
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

describe("what a real Alertmanager sent", () => {
  test("stops the project that it names, of which we measured nothing, once; its end is noted", async () => {
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

test("a source whose secret nobody set is let in by nobody", async () => {
  const changed = { ALERTMANAGER_TOKEN: undefined, GRAFANA_SECRET: undefined, DATADOG_TOKEN: undefined };
  for (const source of ["alertmanager", "grafana", "datadog"]) {
    for (const authorization of ["Bearer undefined", "Bearer null", "Bearer "]) {
      const headers = { authorization, "content-type": "application/json", "x-grafana-alerting-signature": "" };
      const answer = await callWith(changed, `/api/monitoring/${source}`, { method: "POST", headers, body: "{}" });
      expect({ source, status: answer.status, detail: answer.body["detail"] }).toEqual({
        source,
        status: 403,
        detail: "This source is not let in: no secret is set for it. docs/monitoring.md says how.",
      });
    }
  }
});

describe("Grafana", () => {
  const encoder = new TextEncoder();
  const sign = async (text: string, secret = env.GRAFANA_SECRET): Promise<string> => {
    const key = await crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return Array.from(new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text))), (byte) =>
      byte.toString(16).padStart(2, "0"),
    ).join("");
  };
  const signedKey = key();
  const body = JSON.stringify({
    ...group(alert({ values: { A: 1, requests_per_minute: 640, error_rate: null } })),
    version: "1",
    orgId: 1,
    title: "T",
    state: "alerting",
    message: "ü",
  });
  const send = async (signature: string | null, timestamp: string | null = null, text = body) =>
    post("/api/monitoring/grafana", text, {
      token: null,
      headers: {
        ...(signature === null ? {} : { "x-grafana-alerting-signature": signature }),
        ...(timestamp === null ? {} : { "x-grafana-alerting-timestamp": timestamp }),
      },
    });
  const now = Date.parse("2031-05-14T14:03:11Z") / 1_000;

  test("is let in by its signature over the body, or over the timestamp and the body", async () => {
    expect((await send(await sign(body))).body).toMatchObject({ accepted: 1 });
    expect((await send((await sign(`${now - 300}:${body}`)).toUpperCase(), String(now - 300))).body).toMatchObject({ duplicates: 1 });
    expect((await send(await sign(`${now + 300}:${body}`), String(now + 300))).body).toMatchObject({ duplicates: 1 });
    expect(await signals("source=grafana")).toMatchObject([{ received: 3, key: signedKey, metrics: { requests_per_minute: 640 } }]);
  });

  test("is refused without one, with a wrong one, an old one, and over another body", async () => {
    const answers = [
      await send(null),
      await send(""),
      await send("00".repeat(32)),
      await send(await sign(body, "another-secret-0123456789")),
      await send(await sign(`${body} `)),
      await send(await sign(body), String(now)),
      await send(await sign(`${now}:${body}`)),
      await send(await sign(`${now - 301}:${body}`), String(now - 301)),
      await send(await sign(`${now + 301}:${body}`), String(now + 301)),
      await send(await sign(`soon:${body}`), "soon"),
      await send((await sign(body)).slice(2)),
    ];
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 401));
    expect(answers.map(({ body: { detail } }) => detail)[7]).toBe("The timestamp that was signed is more than 5 minutes away from now.");
    expect(await signals()).toEqual([]);
  });

  test("what is rightly signed and damaged all the same is refused with the field", async () => {
    const damaged = body.slice(0, -3);
    expect(refusal(await send(await sign(damaged), null, damaged))).toEqual({ status: 422, code: "unprocessable", paths: ["body"] });
    const other = body.replace('"version":"1"', '"version":"4"');
    expect(refusal(await send(await sign(other), null, other))).toEqual({ status: 422, code: "unprocessable", paths: ["version"] });
  });
});

describe("Datadog", () => {
  const send = async (body: unknown, token: string | null = env.DATADOG_TOKEN, headers = {}) =>
    post("/api/monitoring/datadog", body, { token, headers });

  test("is told by its cycle, project and alert: a beginning, a copy, an end", async () => {
    expect((await send(datadog())).body).toMatchObject({ accepted: 1, results: [{ outcome: "waiting" }] });
    expect((await send(datadog({ transition: "Re-Triggered" }))).body).toMatchObject({ duplicates: 1 });
    expect((await send(datadog({ transition: "Recovered" }))).body).toMatchObject({ resolved: 1 });
    expect((await send(datadog({ cycle_key: "2" }))).body).toMatchObject({ accepted: 1 });
    expect((await send(datadog({ project_id: "", pattern: "" }), null, { "x-datadog-token": env.DATADOG_TOKEN })).body).toMatchObject({
      accepted: 1,
      results: [{ outcome: "no_project" }],
    });
    expect((await settled(2)).map(({ project_id }) => project_id)).toEqual(["mine", "mine"]);
    expect((await signals("project_id=mine")).map(({ status, received }) => [status, received])).toEqual([
      ["firing", 1],
      ["resolved", 3],
    ]);
  });

  test("a warning is no alarm, and does not hide the alarm after it", async () => {
    expect((await send(datadog({ transition: "Warn" }))).body).toMatchObject({ results: [{ result: "accepted", outcome: "no_pattern" }] });
    expect((await send(datadog())).body).toMatchObject({ results: [{ result: "accepted", outcome: "waiting" }] });
    await settled(1);
  });

  test("names what Datadog left unexpanded, and what is missing or wrong", async () => {
    const answer = await send(datadog({ project_id: "$TAGS[project_id]", date_ms: "$DATE" }));
    expect(refusal(answer)).toEqual({ status: 422, code: "unprocessable", paths: ["project_id", "date_ms"] });
    expect(answer.body["detail"]).toContain('"$TAGS[project_id]"');
    expect(refusal(await send(datadog({ schema: "v2" })))).toMatchObject({ status: 422, paths: ["schema"] });
    expect(refusal(await send(datadog({ cycle_key: "", date_ms: "soon" })))).toMatchObject({
      status: 422,
      paths: ["cycle_key", "date_ms"],
    });
    expect(refusal(await send(datadog({ pattern: "X" })))).toMatchObject({ status: 422, paths: ["pattern"] });
    expect(refusal(await send('{"schema": "qc.data'))).toMatchObject({ status: 422, paths: ["body"] });
    expect(refusal(await send(datadog(), "wrong-token-0123456789"))).toMatchObject({ status: 401 });
    expect(refusal(await send(datadog(), null, { "x-datadog-token": env.ALERTMANAGER_TOKEN }))).toMatchObject({ status: 401 });
    expect(await signals()).toEqual([]);
  });
});

describe("an id that the database would keep as another", () => {
  const forms = [
    ["alertmanager", (id: string) => group(alert({ fingerprint: id })), 422, "alerts.0.fingerprint"],
    ["grafana", (id: string) => ({ version: "1", alerts: [alert({ fingerprint: id })] }), 422, "alerts.0.fingerprint"],
    ["datadog", (id: string) => datadog({ cycle_key: id }), 422, "cycle_key"],
    ["signal", (id: string) => ({ id }), 400, "id"],
  ] as const;

  test.each(forms)("is refused, and nothing is written down: %s", async (source, body, status, path) => {
    for (const id of ["a\uD800", "a\u0000b"]) {
      expect(refusal(await post(`/api/monitoring/${source}`, body(id)))).toMatchObject({ status, paths: [path] });
    }
    expect(await signals()).toEqual([]);
  });
});

describe("anything else", () => {
  test("the administrator sends an alert in our own words", async () => {
    const body = { id: ownId(), project_id: "mine", pattern: "SUSPICIOUS_PATTERN", metrics: { probes: 200 }, enforce_action: false };
    expect((await post("/api/monitoring/signal", body)).body).toMatchObject({ accepted: 1 });
    expect((await post("/api/monitoring/signal", { ...body, status: "resolved" })).body).toMatchObject({ resolved: 1 });
    expect(refusal(await post("/api/monitoring/signal", { ...body, pattern: "X" }))).toEqual({
      status: 400,
      code: "invalid_request",
      paths: ["pattern"],
    });
    const [job] = await settled(1);
    expect(job?.payload).toMatchObject({ metrics: { probes: 200 }, enforce_action: false });
    expect(await signals()).toMatchObject([
      { source: "api", key: ownId(), started_at: "2031-05-14T14:03:11Z", status: "resolved", enforce_action: false },
    ]);
  });

  test("may measure much, and not without end", async () => {
    const many = (count: number, name = "m") =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`${name}${index}`, "x".repeat(500)]));
    const send = async (metrics: object, id = ownId()) =>
      post("/api/monitoring/signal", { id, project_id: "mine", pattern: "ERROR_SPIKE", metrics });
    expect((await send(many(100))).body).toMatchObject({ accepted: 1 });
    for (const metrics of [many(101), { ["n".repeat(101)]: 1 }, { note: [] }]) {
      const { status, body } = await send(metrics, "other");
      expect({ status, errors: body["errors"] }).toMatchObject({
        status: 400,
        errors: [{ message: expect.stringMatching(/^expected /u) }],
      });
    }
    await settled(1);
    expect((await signals()).map(({ outcome }) => outcome)).toEqual(["asked"]);
  });

  test("the list goes on where a page ended, and is told by source and project", async () => {
    for (const id of ["a", "b", "c"]) await post("/api/monitoring/signal", { id });
    await toAlertmanager(group(alert()));
    const page = await get<{ signals: { key: string }[]; next_cursor: string }>("/api/monitoring/signals?source=api&limit=2");
    const rest = await get<{ signals: { key: string }[]; next_cursor: null }>(
      `/api/monitoring/signals?source=api&limit=2&cursor=${page.body.next_cursor}`,
    );
    const keys = [...page.body.signals, ...rest.body.signals].map(({ key }) => key);
    expect({ keys, next: rest.body.next_cursor }).toEqual({ keys: ["c", "b", "a"], next: null });
    await settled(1);
  });
});

describe("when something fails", () => {
  const send = async (db: D1Database) =>
    postWith({ DB: db }, "/api/monitoring/alertmanager", group(alert(), alert({ fingerprint: `${ownId()}-2` })));
  const storing = (trip: readonly string[]) => trip.some((sql) => sql.includes("INTO signals"));

  test.each(["before", "after"] as const)("the database fails %s writing: 503, and the resend works once", async (when) => {
    const { db } = watchedDb((trip) => (storing(trip) ? when : null));
    const first = await send(db);
    expect({ status: first.status, retry: first.headers.get("retry-after") }).toEqual({ status: 503, retry: "5" });
    expect((await toAlertmanager(group(alert(), alert({ fingerprint: `${ownId()}-2` })))).status).toBe(200);
    if (when === "after") await keepHouse("2031-05-14T14:05:00Z");
    expect((await settled(2)).length).toBe(2);
    expect((await signals()).map(({ outcome }) => outcome)).toEqual(["asked", "asked"]);
  });

  test("a crash before the job: housekeeping asks for it, once, for what was known when the signal came", async () => {
    const { db } = watchedDb((trip) => (trip.some((sql) => sql.includes("INTO jobs")) ? "before" : null));
    expect((await send(db)).body).toMatchObject({ accepted: 2 });
    expect([await autoSuspendJobs(), (await signals()).map(({ outcome }) => outcome)]).toEqual([[], ["waiting", "waiting"]]);
    expect((await keepHouse("2031-05-14T14:25:00Z")).result).toMatchObject({ signals: { jobs: 2 } });
    const jobs = await settled(2);
    expect(jobs.map(({ payload }) => payload["as_of"])).toEqual(["2031-05-14T14:03:11.000Z", "2031-05-14T14:03:11.000Z"]);
    expect((await keepHouse("2031-05-14T14:30:00Z")).result).toMatchObject({ signals: { jobs: 0 } });
  });

  test("a crash after the job and before the signal knows of it: it is the same job", async () => {
    const { db } = watchedDb((trip) => (trip.some((sql) => sql.includes("outcome = 'asked'")) ? "before" : null));
    await send(db);
    await settled(2);
    expect((await keepHouse("2031-05-14T14:25:00Z")).result).toMatchObject({ signals: { jobs: 0 } });
    expect((await settled(2)).length).toBe(2);
    expect((await signals()).map(({ outcome }) => outcome)).toEqual(["asked", "asked"]);
  });

  test("a step that runs twice decides once, also where its first answer was lost", async () => {
    await usual("mine", 100);
    await askedTwice("mine", { requests: 1_001 });
    const { autoSuspend } = await import("../../worker/src/tenants/abuse/abuse.ts");
    const question = {
      run: "auto_suspend-1",
      projectId: "mine",
      pattern: "EXCESSIVE_USAGE",
      given: {},
      enforce: true,
      asOf: null,
    } as const;
    const { db } = watchedDb((trip) => (trip.some((sql) => sql.includes("INTO abuse_detections")) ? "after" : null));
    await expect(autoSuspend({ db, clock: () => Date.now() }, question)).rejects.toThrow("The database did not answer.");
    await setClock("2031-05-14T14:53:11Z");
    expect(await autoSuspend({ db: env.DB, clock: () => Date.now() }, question)).toMatchObject({
      decision: "suspended",
      as_of: "2031-05-14T14:03:00Z",
    });
    expect([await events(), (await rows("SELECT * FROM suspensions")).length]).toEqual([
      ["project.suspended mine", "abuse.detected mine"],
      1,
    ]);
  });

  test("a step whose first answer was lost decides nothing else, whatever was asked meanwhile", async () => {
    const { autoSuspend } = await import("../../worker/src/tenants/abuse/abuse.ts");
    const question = {
      run: "auto_suspend-1",
      projectId: "mine",
      pattern: "EXCESSIVE_USAGE",
      given: {},
      enforce: true,
      asOf: null,
    } as const;
    const first = await autoSuspend({ db: env.DB, clock: () => Date.now() }, question);
    await usual("mine", 100);
    await askedTwice("mine", { requests: 1_001 });
    expect(await autoSuspend({ db: env.DB, clock: () => Date.now() }, question)).toEqual(first);
    expect([first?.decision, await suspended("mine")]).toEqual(["insufficient", []]);
  });

  test("somebody who changes the project meanwhile is waited for", async () => {
    await usual("mine", 100);
    await askedTwice("mine", { requests: 1_001 });
    const { autoSuspend } = await import("../../worker/src/tenants/abuse/abuse.ts");
    const { outrun, patch } = await import("../support/tenants/http.ts");
    const faster = outrun(async () => post("/api/projects/mine/suspend", { reason: "By hand" }));
    let batches = 0;
    const db = new Proxy(env.DB, {
      get(target, name) {
        if (name === "batch") batches += 1;
        return (Reflect.get(name === "batch" && batches > 1 ? faster : target, name) as CallableFunction).bind(target) as unknown;
      },
    });
    await patch("/api/projects/mine", { name: "New" });
    const question = {
      run: "auto_suspend-1",
      projectId: "mine",
      pattern: "EXCESSIVE_USAGE",
      given: {},
      enforce: true,
      asOf: null,
    } as const;
    expect(await autoSuspend({ db, clock: () => Date.now() }, question)).toMatchObject({ decision: "already_suspended" });
    expect(await suspended("mine")).toEqual(["admin"]);
  });
});
