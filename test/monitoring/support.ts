/** Monitoring systems with their formats, and measured rates of a project. */
import { env } from "cloudflare:workers";
import { read as readJob, until } from "../jobs/support.ts";
import type { Job } from "../jobs/support.ts";
import { get, post, setClock } from "../support/worker.ts";
import type { Answer } from "../support/worker.ts";
import { right, rows } from "../support/tenants/http.ts";
import type { Body } from "../support/tenants/http.ts";

export const NOW = Date.parse("2031-05-14T14:03:11Z");
export const MINUTE = Math.floor(NOW / 60_000);
export const HOUR = Math.floor(MINUTE / 60);

/** Enough hours on enough days, each with so many requests in each of its twelve windows. */
export async function usual(project: string, perWindow: number, { hours = 12, days = 3, windows = 12 } = {}): Promise<void> {
  const places = Array.from({ length: hours }, (_, index) => HOUR - 2 - Math.floor((index * days) / hours) * 24 - (index % 12));
  const sql = `INSERT INTO project_hours (project_id, hour, requests, errors, windows) SELECT ?1, value, ?2, 0, ?3 FROM json_each(?4)`;
  await env.DB.prepare(sql)
    .bind(project, perWindow * windows, windows, JSON.stringify(places))
    .run();
}

interface Counts {
  readonly requests?: number;
  readonly errors?: number;
  readonly failures?: number;
  readonly probes?: number;
}

/** Requests of a project in the window that began `ago` windows before the last complete one. */
export async function asked(
  project: string,
  ago: number,
  { requests = 0, errors = 0, failures = 0, probes = 0 }: Counts,
  end = MINUTE,
): Promise<void> {
  const sql = "INSERT INTO project_minutes (minute, project_id, requests, errors, failures, probes) VALUES (?, ?, ?, ?, ?, ?)";
  await env.DB.prepare(sql)
    .bind(end - 3 - 5 * ago, project, requests, errors, failures, probes)
    .run();
}

/** The same number of requests in both windows that are judged. */
export async function askedTwice(project: string, counts: Counts, end = MINUTE): Promise<void> {
  await asked(project, 0, counts, end);
  await asked(project, 1, counts, end);
}

export const suspended = async (id: string): Promise<string[]> =>
  right(await get<{ reasons: { reason: string }[] }>(`/api/projects/${id}`)).reasons.map(({ reason }) => reason);

export const detections = async (id: string): Promise<Body[]> =>
  right(await get<{ detections: Body[] }>(`/api/projects/${id}/detections`)).detections;

export const signals = async (query = ""): Promise<Body[]> =>
  right(await get<{ signals: Body[] }>(`/api/monitoring/signals?${query}`)).signals;

export const events = async (): Promise<string[]> =>
  (await rows("SELECT type || ' ' || project_id AS event FROM events ORDER BY seq")).map(({ event }) => String(event));

/** Waits for the end of a job, successful or not. */
export const done = async (id: string): Promise<Job> => until(id, ({ ended_at }) => ended_at !== null);

/** Creates a job as the administrator, and waits for its decision. */
export async function judge(project: string, pattern: string, more: Body = {}): Promise<Body> {
  const payload = { project_id: project, pattern_type: pattern, ...more };
  const { id } = right(await post<{ id: string }>("/api/jobs", { type: "auto_suspend", payload }));
  const { result, error } = await done(id);
  return result === null ? { error } : (result as Body);
}

/** All jobs of the type, in full. */
export async function autoSuspendJobs(): Promise<Job[]> {
  const found = await rows("SELECT id FROM jobs WHERE type = 'auto_suspend' ORDER BY created_at, id");
  return Promise.all(found.map(async ({ id }) => readJob(String(id))));
}

/** Waits until every job of the type has ended. */
export async function settled(count: number): Promise<Job[]> {
  const giveUpAt = performance.now() + 20_000;
  for (;;) {
    const jobs = await autoSuspendJobs();
    if (jobs.length >= count && jobs.every(({ ended_at }) => ended_at !== null)) return jobs;
    if (performance.now() > giveUpAt) throw new Error(`never settled: ${JSON.stringify(jobs)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Runs housekeeping at a scheduled time. */
export async function keepHouse(at: string): Promise<Job> {
  await setClock(at);
  const { id } = right(await post<{ id: string }>("/api/jobs", { type: "housekeeping", payload: {} }));
  return done(id);
}

let test = 0;

/** Alerts of the next test. The engine remembers instances by id, even after the tables were emptied. */
export function newAlerts(): void {
  test += 1;
}

/** Fingerprint of this test's alerts. */
export const ownId = (): string => `6f1c0b1a7d1e4a6b${test}`;

export const alert = (more: Body = {}): Body => ({
  status: "firing",
  fingerprint: ownId(),
  startsAt: "2031-05-14T14:00:00.123456789Z",
  endsAt: "0001-01-01T00:00:00Z",
  labels: { alertname: "ProjectRequestRate", project_id: "mine", abuse_pattern: "EXCESSIVE_USAGE" },
  annotations: { summary: "Many requests" },
  generatorURL: "http://prometheus.test/graph",
  ...more,
});

export const group = (...alerts: Body[]): Body => ({
  receiver: "quota-coordinator",
  status: "firing",
  alerts,
  groupLabels: { alertname: "ProjectRequestRate" },
  commonLabels: {},
  commonAnnotations: {},
  externalURL: "http://alertmanager.test",
  version: "4",
  groupKey: '{}:{alertname="ProjectRequestRate"}',
  truncatedAlerts: 0,
});

export const toAlertmanager = async (body: unknown, token = env.ALERTMANAGER_TOKEN): Promise<Answer> =>
  post("/api/monitoring/alertmanager", body, { token });

export const datadog = (more: object = {}) => ({
  schema: "qc.datadog.v1",
  cycle_key: "1936620000",
  transition: "Triggered",
  alert_id: ownId(),
  title: "Requests of the project",
  project_id: "mine",
  pattern: "EXCESSIVE_USAGE",
  date_ms: "1936620000000",
  link: "https://app.datadoghq.com/event/1",
  ...more,
});
