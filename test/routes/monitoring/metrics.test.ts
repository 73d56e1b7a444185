import { env } from "cloudflare:workers";
import grafana from "../../../docs/grafana-dashboard.json";
import rules from "../../../docs/prometheus-alerts.yml?raw";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { ADMIN_TOKEN, call, freshStart, get, ledger, post, put, setClock, settings } from "../../support/worker.ts";
import type { Answer } from "../../support/worker.ts";
import { makeOrganization, makeProject } from "../../support/tenants/http.ts";
import { selectorsIn } from "./promql.ts";

const METRICS_TOKEN = "test-metrics-token-0123456789";

const scrape = async (accept = "text/plain", token = METRICS_TOKEN): Promise<Answer<string>> =>
  get<string>("/metrics", { token, headers: { accept } });

/** Values by name and labels. */
async function metrics(): Promise<Record<string, number>> {
  const { body } = await scrape();
  const lines = body.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
}

const pick = (all: Record<string, number>, start: string): Record<string, number> =>
  Object.fromEntries(Object.entries(all).filter(([name, value]) => name.startsWith(start) && value !== 0));

interface EndedJob {
  readonly id: string;
  readonly type: string;
  readonly status: string;
  readonly payload?: object;
  readonly result?: object;
  readonly started: string;
  readonly ended: string;
}

async function ended({ id, type, status, payload = {}, result, started, ended: end }: EndedJob): Promise<void> {
  const sql = `INSERT INTO jobs (id, type, status, payload, requested_by, root_id, run, max_tries, result, created_at, started_at, ended_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, 'cron', ?1, 1, 3, ?5, ?6, ?6, ?7, ?7)`;
  const [from, to] = [Date.parse(started), Date.parse(end)];
  const values = [id, type, status, JSON.stringify(payload), result === undefined ? null : JSON.stringify(result), from, to];
  await env.DB.prepare(sql)
    .bind(...values)
    .run();
}

/** Counts of the database are cached for a minute, so each test has its own minutes. */
let hour = 0;
const at = (minutes: string): string => `2031-05-14T${String(hour).padStart(2, "0")}:${minutes}Z`;
beforeEach(async () => {
  hour += 1;
  await freshStart(at("03:11"));
});

describe("GET /metrics", () => {
  test("accepts METRICS_TOKEN and the admin token, and no other credentials", async () => {
    expect((await scrape()).status).toBe(200);
    expect((await scrape("text/plain", ADMIN_TOKEN)).status).toBe(200);
    expect((await get("/metrics", { token: null })).status).toBe(401);
    expect((await get("/metrics", { token: "test-metrics-token-012345678" })).status).toBe(401);
    expect((await get("/api/quota/history", { token: METRICS_TOKEN })).status).toBe(401);
  });

  test.each([
    ["", "text/plain; version=0.0.4; charset=utf-8"],
    ["text/plain", "text/plain; version=0.0.4; charset=utf-8"],
    ["application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"],
    [
      "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
      "application/openmetrics-text; version=1.0.0; charset=utf-8",
    ],
    ["text/plain;q=0.9,application/openmetrics-text;q=0.1", "text/plain; version=0.0.4; charset=utf-8"],
  ])("answers Accept: %s in that format", async (accept, type) => {
    const { headers, body } = await scrape(accept);
    expect(headers.get("content-type")).toBe(type);
    expect(body.endsWith("# EOF\n")).toBe(type.startsWith("application"));
  });

  test("names a counter by the rules of each format", async () => {
    expect((await scrape()).body).toMatch(/# TYPE quota_refusals_total counter\nquota_refusals_total\{reason="daily"\} 0\n/u);
    expect((await scrape("application/openmetrics-text")).body).toMatch(
      /# TYPE quota_refusals counter\nquota_refusals_total\{reason="daily"\} 0\n/u,
    );
  });

  test("shows the quota", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    const { body } = await scrape();
    const shown = await metrics();
    expect(pick(shown, "quota_")).toEqual({
      quota_daily_limit_calls: 15_000,
      quota_safety_limit_calls: 13_000,
      quota_used_calls: 13_000,
      quota_forecast_exhausted_timestamp_seconds: Date.parse(at("03:00")) / 1_000,
      quota_reset_timestamp_seconds: Date.parse("2031-05-15T00:00:00Z") / 1_000,
      'quota_enforcement{mode="enforce"}': 1,
    });
    expect(shown["quota_remaining_calls"]).toBe(0);
    expect(body).not.toContain("project:");
  });

  test("has no forecast if the day ends first", async () => {
    await post("/api/quota/reservations", { calls: 1 });
    const shown = await metrics();
    expect(Object.keys(shown)).not.toContain("quota_forecast_exhausted_timestamp_seconds");
    expect(shown).toMatchObject({ quota_untracked_calls: 0, quota_reserved_calls: 1 });
  });

  test("counts refusals by reason, once each, over evictions", async () => {
    await settings({ daily_limit: 2_010, safety_buffer: 2_000, background_floor: 10 });
    await post("/api/quota/reservations", { calls: 1 });
    await post("/api/quota/reservations", { calls: 10 });
    await post("/api/quota/reservations", { calls: 10 });
    await post("/api/quota/reservations", { calls: 7, priority: "background" });
    await settings({ enforcement: "observe" });
    await post("/api/quota/reservations", { calls: 10 });
    const { evictDurableObject } = await import("cloudflare:test");
    await evictDurableObject(ledger());
    expect(pick(await metrics(), "quota_refusals_total")).toEqual({
      'quota_refusals_total{reason="daily"}': 2,
      'quota_refusals_total{reason="floor"}': 1,
    });
    expect(pick(await metrics(), "quota_would_refuse_total")).toEqual({ 'quota_would_refuse_total{reason="daily"}': 1 });
  });

  test("counts requests to the provider by outcome, and a repeated commit once", async () => {
    await post("/api/enrich/batch-direct", { isbns: ["9780201633610"] });
    const held = await post<{ id: string }>("/api/quota/reservations", { calls: 3 });
    await post(`/api/quota/reservations/${held.body.id}/commit`, {});
    await post(`/api/quota/reservations/${held.body.id}/commit`, {});
    const released = await post<{ id: string }>("/api/quota/reservations", { calls: 3 });
    await call("DELETE", `/api/quota/reservations/${released.body.id}`);
    const expired = await post<{ id: string }>("/api/quota/reservations", { calls: 1, ttl_seconds: 5 });
    await setClock(at("20:00"));
    await post(`/api/quota/reservations/${expired.body.id}/commit`, {});
    expect(pick(await metrics(), "provider_requests_total")).toEqual({
      'provider_requests_total{outcome="ok"}': 1,
      'provider_requests_total{outcome="reported"}': 1,
      'provider_requests_total{outcome="unknown"}': 1,
    });
  });

  test("shows the last reset and the last full sweep, ignoring later runs of other kinds", async () => {
    const then = (time: string): string => `2031-05-13T${time}Z`;
    const sweep = { type: "check_usage_limits", status: "completed" };
    const whole = { enforce_limits: true };
    const done = { projects_checked: 7, projects_suspended: 2 };
    await ended({ id: "s1", ...sweep, payload: whole, result: done, started: then("10:00:00"), ended: then("10:00:04") });
    const less = { projects_checked: 1, projects_suspended: 0 };
    const later = { ...sweep, result: less, started: then("11:00:00"), ended: then("11:00:01") };
    await ended({ id: "s2", ...later, payload: { ...whole, project_ids: ["a"] } });
    await ended({ id: "s3", ...later, payload: { enforce_limits: false } });
    await ended({ id: "s4", ...later, payload: { ...whole, after: "m" } });
    const reset = { type: "reset_quotas" };
    await ended({
      id: "r1",
      ...reset,
      status: "completed",
      result: { rows_updated: 3 },
      started: then("00:00:00"),
      ended: then("00:00:09"),
    });
    await ended({ id: "r2", ...reset, status: "completed", result: { skipped: "x" }, started: then("01:00:00"), ended: then("01:00:00") });
    expect(pick(await metrics(), "usage_sweep")).toEqual({
      usage_sweep_last_success_timestamp_seconds: Date.parse(then("10:00:04")) / 1_000,
      usage_sweep_projects_checked: 7,
      usage_sweep_projects_suspended: 2,
      usage_sweep_duration_seconds: 4,
    });
    const succeeded = Date.parse(then("00:00:09")) / 1_000;
    expect(await metrics()).toMatchObject({
      quota_reset_last_success_timestamp_seconds: succeeded,
      quota_reset_last_run_timestamp_seconds: succeeded,
      quota_reset_last_success: 1,
      quota_reset_rows_updated: 3,
      quota_reset_duration_seconds: 9,
    });
    await ended({ id: "r3", ...reset, status: "failed", started: then("02:00:00"), ended: then("02:00:30") });
    expect(await metrics()).toMatchObject({
      quota_reset_last_success_timestamp_seconds: succeeded,
      quota_reset_last_run_timestamp_seconds: Date.parse(then("02:00:30")) / 1_000,
      quota_reset_last_success: 0,
    });
  });

  test("has no metrics of runs that never happened", async () => {
    expect(Object.keys(await metrics()).filter((name) => /^(quota_reset_(last|rows|duration)|usage_sweep)/u.test(name))).toEqual([]);
  });

  test("counts jobs and targets, at most once a minute", async () => {
    const job = { type: "harvest", status: "failed", started: "2031-05-13T10:00:00Z", ended: "2031-05-13T10:00:01Z" };
    await ended({ id: "h1", ...job });
    await post("/api/harvest/targets", { authors: ["A", "B"] });
    expect(await metrics()).toMatchObject({ 'jobs{type="harvest",status="failed"}': 1, 'harvest_targets{state="due"}': 2 });
    await ended({ id: "h2", ...job });
    expect(await metrics()).toMatchObject({ 'jobs{type="harvest",status="failed"}': 1 });
    await setClock(at("04:11"));
    expect(await metrics()).toMatchObject({ 'jobs{type="harvest",status="failed"}': 2, 'jobs{type="harvest",status="running"}': 0 });
  });

  test("omits unreadable metrics, and names the failed source", async () => {
    const batch = vi.spyOn(env.DB, "batch").mockRejectedValue(new Error("D1 is away"));
    const withoutDatabase = await metrics();
    batch.mockRestore();
    expect(withoutDatabase).toMatchObject({ 'coordinator_source_up{source="d1"}': 0, 'coordinator_source_up{source="ledger"}': 1 });
    expect(Object.keys(withoutDatabase).some((name) => name.startsWith("jobs"))).toBe(false);
    const away = vi.spyOn(env.QUOTA_LEDGER, "getByName").mockImplementation(() => {
      throw new Error("the ledger is unavailable");
    });
    const withoutLedger = await metrics();
    away.mockRestore();
    expect(withoutLedger).toMatchObject({ 'coordinator_source_up{source="d1"}': 1, 'coordinator_source_up{source="ledger"}': 0 });
    expect(Object.keys(withoutLedger).some((name) => /^(quota_used|quota_refusals|provider)/u.test(name))).toBe(false);
  });

  test("counts ended messages to webhooks, again for each replay, and those in progress, but no tests", async () => {
    await makeOrganization("org");
    await makeProject("shop");
    const add = `INSERT INTO webhook_deliveries (id, webhook_id, project_id, message_id, event_type, payload, status, is_test, due_at, changed_by, created_at)
      SELECT 'd' || key, 'wh', 'shop', 'm' || key, 'quota.warning', '{}', value ->> 0, value ->> 1, 1, 'test', 1 FROM json_each(?)`;
    const many = [
      ["pending", 0],
      ["pending", 0],
      ["pending", 0],
      ["pending", 1],
      ["skipped", 0],
      ["failed", 1],
    ];
    const change = async (sql: string) => env.DB.prepare(sql).run();
    await env.DB.prepare(add).bind(JSON.stringify(many)).run();
    await change("UPDATE webhook_deliveries SET status = 'failed' WHERE id IN ('d0', 'd1', 'd3')");
    await change("UPDATE webhook_deliveries SET status = 'pending', run = 2 WHERE id = 'd1'");
    await change("UPDATE webhook_deliveries SET status = 'pending', run = 3 WHERE id = 'd1'");
    expect(pick(await metrics(), "webhook_")).toEqual({
      'webhook_deliveries_total{status="failed"}': 2,
      'webhook_deliveries_total{status="skipped"}': 1,
      webhook_deliveries_pending: 2,
    });
    await change("UPDATE webhook_deliveries SET status = 'delivered' WHERE id = 'd1'");
    await change("DELETE FROM webhook_deliveries");
    expect(pick(await metrics(), "webhook_")).toEqual({
      'webhook_deliveries_total{status="delivered"}': 1,
      'webhook_deliveries_total{status="failed"}': 2,
      'webhook_deliveries_total{status="skipped"}': 1,
    });
  });
});

describe("the metrics that the documents use", () => {
  const expressions = {
    "prometheus-alerts.yml": [...rules.matchAll(/^ +expr: (.+)$/gmu)].map(([, expression = ""]) => expression),
    "grafana-dashboard.json": grafana.panels.flatMap((panel) => ("targets" in panel ? panel.targets : [])).map(({ expr }) => expr),
  };

  test("exist, with the labels that the queries use", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    const run = { status: "completed", started: "2031-05-13T10:00:00Z", ended: "2031-05-13T10:00:04Z" };
    await ended({ id: "r1", type: "reset_quotas", ...run, result: { rows_updated: 3 } });
    const result = { projects_checked: 7, projects_suspended: 2 };
    await ended({ id: "s1", type: "check_usage_limits", ...run, payload: { enforce_limits: true }, result });
    await post("/api/enrich/batch-direct", { isbns: ["9780201633610"] });
    const shown = Object.keys(await metrics()).flatMap(selectorsIn);
    const isShown = ({ name, matchers }: ReturnType<typeof selectorsIn>[number]): boolean =>
      shown.some(
        (sample) =>
          sample.name === name &&
          matchers.every(({ label, is }) =>
            sample.matchers.some((other) => other.label === label && new RegExp(`^(?:${is})$`, "u").test(other.is)),
          ),
      );
    // Prometheus' own metrics about the scrape.
    const known = ({ name }: { readonly name: string }): boolean => name === "up";
    const missing = Object.entries(expressions).flatMap(([file, all]) =>
      all.flatMap((expression) =>
        selectorsIn(expression)
          .filter((selector) => !known(selector) && !isShown(selector))
          .map(({ name }) => `${file}: ${name} in ${expression}`),
      ),
    );
    expect(missing).toEqual([]);
  });

  test("are used by every rule and every panel", () => {
    expect(expressions["prometheus-alerts.yml"].length).toBe(rules.match(/^ +- alert: /gmu)?.length);
    expect(Object.values(expressions).map((all) => all.filter((expression) => selectorsIn(expression).length === 0))).toEqual([[], []]);
    expect(grafana.panels.filter((panel) => panel.type !== "row" && !("targets" in panel)).map(({ title }) => title)).toEqual([]);
  });
});
