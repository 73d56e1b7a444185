import { beforeEach, describe, expect, test } from "vitest";
import { CountedDatabase } from "../../worker/src/store/statements.ts";
import { env } from "cloudflare:workers";
import { callWith, postWith } from "../routes/support.ts";
import { freshStart, get, post, setClock } from "../support/worker.ts";
import { makeOrganization, makeProject, refusal, rows } from "../support/tenants/http.ts";
import { watchedDb } from "../support/tenants/keys.ts";
import {
  alert,
  askedTwice,
  autoSuspendJobs,
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
  datadog,
} from "./support.ts";

beforeEach(async () => {
  newAlerts();
  await freshStart();
  await makeOrganization("org");
  await makeProject("mine");
});

test("a source without a configured secret is refused", async () => {
  const changed = { ALERTMANAGER_TOKEN: undefined, GRAFANA_SECRET: undefined, DATADOG_TOKEN: undefined };
  for (const source of ["alertmanager", "grafana", "datadog"]) {
    for (const authorization of ["Bearer undefined", "Bearer null", "Bearer "]) {
      const headers = { authorization, "content-type": "application/json", "x-grafana-alerting-signature": "" };
      const answer = await callWith(changed, `/api/monitoring/${source}`, { method: "POST", headers, body: "{}" });
      expect({ source, status: answer.status, detail: answer.body["detail"] }).toEqual({
        source,
        status: 403,
        detail: "No secret is configured for this source. docs/monitoring.md explains how to set it.",
      });
    }
  }
});

describe("an id that the database would keep as another", () => {
  const forms = [
    ["alertmanager", (id: string) => group(alert({ fingerprint: id })), 422, "alerts.0.fingerprint"],
    ["grafana", (id: string) => ({ version: "1", alerts: [alert({ fingerprint: id })] }), 422, "alerts.0.fingerprint"],
    ["datadog", (id: string) => datadog({ cycle_key: id }), 422, "cycle_key"],
    ["signal", (id: string) => ({ id }), 400, "id"],
  ] as const;

  test.each(forms)("is refused, and nothing is stored: %s", async (source, body, status, path) => {
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
        errors: [{ message: expect.stringMatching(/^must (?:be|have) /u) }],
      });
    }
    await settled(1);
    expect((await signals()).map(({ outcome }) => outcome)).toEqual(["asked"]);
  });

  test("the list continues after a page, and can be filtered by source and project", async () => {
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

  test("a crash before the job: housekeeping creates it once, with the state at the time of the signal", async () => {
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
    await expect(autoSuspend({ db: new CountedDatabase(db), clock: () => Date.now() }, question)).rejects.toThrow(
      "The database did not answer.",
    );
    await setClock("2031-05-14T14:53:11Z");
    expect(await autoSuspend({ db: new CountedDatabase(env.DB), clock: () => Date.now() }, question)).toMatchObject({
      decision: "suspended",
      as_of: "2031-05-14T14:03:00Z",
    });
    expect([await events(), (await rows("SELECT * FROM suspensions")).length]).toEqual([
      ["project.suspended mine", "abuse.detected mine"],
      1,
    ]);
  });

  test("a step whose first response was lost decides the same, even if a signal arrived meanwhile", async () => {
    const { autoSuspend } = await import("../../worker/src/tenants/abuse/abuse.ts");
    const question = {
      run: "auto_suspend-1",
      projectId: "mine",
      pattern: "EXCESSIVE_USAGE",
      given: {},
      enforce: true,
      asOf: null,
    } as const;
    const first = await autoSuspend({ db: new CountedDatabase(env.DB), clock: () => Date.now() }, question);
    await usual("mine", 100);
    await askedTwice("mine", { requests: 1_001 });
    expect(await autoSuspend({ db: new CountedDatabase(env.DB), clock: () => Date.now() }, question)).toEqual(first);
    expect([first?.decision, await suspended("mine")]).toEqual(["insufficient", []]);
  });

  test("waits for a concurrent change of the project", async () => {
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
    expect(await autoSuspend({ db: new CountedDatabase(db), clock: () => Date.now() }, question)).toMatchObject({
      decision: "already_suspended",
    });
    expect(await suspended("mine")).toEqual(["admin"]);
  });
});
