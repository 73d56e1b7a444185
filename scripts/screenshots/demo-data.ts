/** Demo data of a month for the screenshots. */
import { setTimeout as sleep } from "node:timers/promises";
import { DAY_MS, HOUR_MS, daysBefore, isoDay, wave } from "./month.ts";
import { webhooksAndBackups } from "./webhooks-and-backups.ts";

export interface Instance {
  readonly call: (method: string, path: string, body?: unknown) => Promise<{ readonly status: number; readonly body: unknown }>;
  readonly d1: (...statements: (readonly [sql: string, ...values: (string | number | null)[]])[]) => Promise<void>;
  readonly catalog: Instance["d1"];
  readonly ledgerSql: (sql: string, ...values: (string | number | null)[]) => Promise<void>;
}

const DAYS = 30;

/** Percentage of the daily calls by caller. */
const CALLERS = {
  "enrich.batch": 44,
  "project:proj_reading_list": 17,
  "cron.harvest": 14,
  "bulk.harvest": 9,
  "project:proj_shelfmark": 7,
  "project:proj_citation_desk": 5,
  "enrich.bibliography": 4,
} as const;

const ORGANIZATIONS = [
  { id: "org_alexandria", name: "Alexandria Libraries", quotas: { api_calls: 250_000 } },
  { id: "org_marginalia", name: "Marginalia", quotas: { api_calls: 60_000 } },
];

/** Projects with today's usage in percent of each cap. */
const PROJECTS = [
  { id: "proj_reading_list", name: "Reading list", organization_id: "org_alexandria", used: [71, 62, 38, 84] },
  { id: "proj_shelfmark", name: "Shelfmark", organization_id: "org_alexandria", used: [93, 41, 12, 55] },
  { id: "proj_citation_desk", name: "Citation desk", organization_id: "org_alexandria", used: [34, 12, 101, 22] },
  { id: "proj_book_club", name: "Book club", organization_id: "org_marginalia", used: [18, 77, 6, 9] },
  { id: "proj_translator", name: "Translator’s companion", organization_id: "org_marginalia", used: [52, 8, 47, 31] },
  { id: "proj_old_catalogue", name: "Old catalog (read only)", organization_id: "org_marginalia", used: [3, 0, 0, 1] },
];

const CAPS = { db_queries_per_day: 10_000, realtime_connections: 100, storage_uploads_per_day: 1_000, function_invocations_per_day: 5_000 };

export async function addDemoData(instance: Instance, now: number): Promise<void> {
  const { call } = instance;
  await expectStatus(call("GET", "/api/quota/status"), 200);
  await fillLedger(instance, now);
  for (const organization of ORGANIZATIONS) await expectStatus(call("POST", "/api/organizations", organization), 201);
  for (const { used: _, ...project } of PROJECTS) {
    await expectStatus(call("POST", "/api/projects", { ...project, region: "weur", owner_id: "team-books", calls_per_day: 4_000 }), 201);
  }
  for (const { id } of PROJECTS) await untilReady(call, id);
  await instance.d1(...PROJECTS.flatMap((project) => usageOf(project, now)));
  await expectStatus(call("POST", "/api/projects/proj_old_catalogue/suspend", { reason: "Invoice 4711 is overdue" }), 200);
  await expectStatus(call("PUT", "/api/projects/proj_book_club/caps", { realtime_connections: 120 }), 200);
  await runSweep(call);
  await instance.d1(...jobs(now), ...webhooksAndBackups(now));
  await instance.catalog(...harvest(now));
}

async function expectStatus(answer: ReturnType<Instance["call"]>, expected: number): Promise<unknown> {
  const { status, body } = await answer;
  if (status !== expected) throw new Error(`status ${status}: ${JSON.stringify(body)}`);
  return body;
}

/** Adds 30 days of history. Today's pace uses up the quota a few hours before the reset. */
async function fillLedger({ ledgerSql }: Instance, now: number): Promise<void> {
  const hourNow = Math.floor((now % DAY_MS) / HOUR_MS);
  for (const [age, midnight] of daysBefore(now, DAYS).entries()) {
    const today = age === 0;
    const hours = Array.from({ length: today ? hourNow + 1 : 24 }, (_, hour) => hour);
    const perHour = hours.map((hour) => {
      const calls = (380 + 240 * wave(hour / 24) + 90 * wave(hour / 5 + age)) * (today ? 1 : 0.62 + 0.28 * wave(age / 7));
      // The current hour is incomplete.
      return Math.round(today && hour === hourNow ? (calls * (now % HOUR_MS)) / HOUR_MS : calls);
    });
    const date = isoDay(midnight);
    const rows = Object.entries(CALLERS).flatMap(([caller, share]) =>
      hours.map((hour, index) => ({ caller, hour, used: Math.round(((perHour[index] ?? 0) * share) / 100) })),
    );
    const untracked = today ? 56 : age % 6 === 2 ? 340 : 0;
    const charged = rows.reduce((sum, { used }) => sum + used, 0);
    const projects = rows.filter(({ caller }) => caller.startsWith("project:")).reduce((sum, { used }) => sum + used, 0);
    await ledgerSql(
      `INSERT INTO days (date, charged, projects, untracked, refused, provider_spent, provider_limit, observed_at) VALUES (?, ?, ?, ?, ?, ?, 15000, ?)
       ON CONFLICT DO UPDATE SET charged = excluded.charged, projects = excluded.projects, untracked = excluded.untracked,
         refused = excluded.refused, provider_spent = excluded.provider_spent, observed_at = excluded.observed_at`,
      date,
      charged,
      projects,
      untracked,
      (age * 7) % 23,
      charged + untracked,
      now - 20_000,
    );
    const json = JSON.stringify(rows);
    const each = "value ->> 'caller' AS caller, value ->> 'hour' AS hour, value ->> 'used' AS used FROM json_each(?2)";
    await ledgerSql(`INSERT INTO usage (date, caller, hour, used) SELECT ?1, ${each}`, date, json);
    await ledgerSql(
      `INSERT INTO callers (date, caller, used) SELECT ?1, caller, sum(used) FROM (SELECT ${each}) GROUP BY caller`,
      date,
      json,
    );
    await ledgerSql(`INSERT INTO hours (date, hour, used) SELECT ?1, hour, sum(used) FROM (SELECT ${each}) GROUP BY hour`, date, json);
  }
  await ledgerSql(
    "INSERT INTO minutes (minute, used) SELECT ?1 - value, 11 FROM json_each(?2)",
    Math.floor(now / 60_000),
    JSON.stringify([...Array(60).keys()]),
  );
}

function usageOf({ id, used }: (typeof PROJECTS)[number], now: number): (readonly [string, ...(string | number)[]])[] {
  const caps = Object.entries(CAPS);
  const counters = caps.flatMap(([meter, cap], index) =>
    meter === "realtime_connections"
      ? []
      : daysBefore(now, DAYS).map((midnight, age) => {
          const percent = age === 0 ? (used[index] ?? 0) : (used[index] ?? 0) * (0.55 + 0.4 * wave((age + index) / 7));
          return { meter, day: isoDay(midnight), used: Math.round((cap * percent) / 100) };
        }),
  );
  const addCounters = `INSERT INTO counters (project_id, meter, day, used)
    SELECT ?1, value ->> 'meter', value ->> 'day', value ->> 'used' FROM json_each(?2) WHERE true ON CONFLICT DO NOTHING`;
  const addGauge = `INSERT INTO gauges (project_id, meter, level, set_at, set_by, set_in, updated_at)
    VALUES (?1, 'realtime_connections', ?2, ?3, 'demo', 'demo', ?3)`;
  return [
    [addCounters, id, JSON.stringify(counters)],
    [addGauge, id, used[1] ?? 0, now],
  ];
}

/** Waits for the job that creates the project. */
async function untilReady(call: Instance["call"], id: string): Promise<void> {
  const { provisioning } = (await expectStatus(call("GET", `/api/projects/${id}`), 200)) as { provisioning: { job_id: string } };
  await untilEnded(call, provisioning.job_id);
}

/** Runs the real sweep, which warns and suspends. */
async function runSweep(call: Instance["call"]): Promise<void> {
  const { id } = (await expectStatus(call("POST", "/api/jobs", { type: "check_usage_limits", payload: {} }), 202)) as { id: string };
  await untilEnded(call, id);
}

async function untilEnded(call: Instance["call"], id: string): Promise<void> {
  for (;;) {
    const { status } = (await expectStatus(call("GET", `/api/jobs/${id}`), 200)) as { status: string };
    if (status === "completed") return;
    if (status === "failed") throw new Error(`the job ${id} failed`);
    await sleep(100);
  }
}

const ADD_JOB = `INSERT INTO jobs (id, type, status, payload, requested_by, root_id, run, tries, max_tries, result, error, cron, scheduled_for, created_at, started_at, ended_at, updated_at)
  VALUES (?1, substr(?1, 1, instr(?1, '-') - 1), ?2, '{}', 'cron', ?1, 1, ?3, 3, ?4, ?5, ?6, ?7, ?7, ?7 + 900, ?8, coalesce(?8, ?7))`;
const ADD_ATTEMPT =
  "INSERT INTO job_attempts (job_id, step, nth, attempt, started_at, ended_at, outcome, error) VALUES (?, ?, 1, ?, ?, ?, ?, ?)";

const jobName = (type: string, number: number): string => `${type}-${String(number).padStart(40, "0")}`;

function jobs(now: number): (readonly [string, ...(string | number | null)[]])[] {
  const minutes = (count: number): number => now - (now % 60_000) - count * 60_000;
  const midnight = now - (now % DAY_MS);
  const failed = jobName("harvest", 1);
  const lost = "storage_unavailable: The database did not respond.";
  return [
    ...[31, 61, 91, 121].map((ago, index) => {
      const [id, at, result] = [jobName("harvest", index + 2), minutes(ago), JSON.stringify({ run: null, next: null })];
      return [ADD_JOB, id, "completed", 1, result, null, "*/30 * * * *", at, at + 94_000] as const;
    }),
    [ADD_JOB, failed, "failed", 3, null, lost, "*/30 * * * *", minutes(151), minutes(150)],
    [ADD_ATTEMPT, failed, "run", 1, minutes(151), minutes(151) + 400, "failed", lost],
    [ADD_ATTEMPT, failed, "run", 2, minutes(151) + 5_400, minutes(151) + 5_900, "failed", lost],
    [ADD_ATTEMPT, failed, "run", 3, minutes(151) + 16_000, minutes(150), "failed", lost],
    [ADD_JOB, jobName("reset_quotas", 1), "completed", 1, '{"rows_updated":2}', null, "0 0 * * *", midnight, midnight + 2_100],
    [ADD_JOB, jobName("housekeeping", 1), "completed", 1, "{}", null, "*/5 * * * *", minutes(3), minutes(3) + 1_200],
    [ADD_JOB, jobName("harvest", 9), "running", 1, null, null, "*/30 * * * *", minutes(1), null],
  ];
}

function harvest(now: number): (readonly [string, ...(string | number | null)[]])[] {
  const target = `INSERT INTO harvest_targets (kind, target_key, name, priority, state, tries, due_at, found, reason, added_at, updated_at)
    SELECT 'author', ?1 || value, 'Author ' || value, 50, ?1, ?2, ?3, 12, ?4, ?3, ?3 FROM json_each(?5)`;
  const ends = ["enough_for_one_run", "enough_for_one_run", "below_floor", "nothing_due", "provider_failing"];
  const many = (count: number): string => JSON.stringify([...Array(count).keys()]);
  const run =
    "INSERT INTO harvest_runs (id, started_at, ended_at, targets, calls, found, failed, stopped, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
  return [
    [target, "due", 0, now - 3 * HOUR_MS, null, many(184)],
    [target, "done", 1, now - 5 * HOUR_MS, null, many(912)],
    [target, "failed", 5, now - 7 * HOUR_MS, "the provider returned 500", many(3)],
    ...[31, 61, 91, 121, 181].map((ago, index) => {
      const from = now - ago * 60_000;
      const stopped = ends[index] ?? "nothing_due";
      const [targets, calls, found, failures] = [48 - index * 7, 60 - index * 9, 2_410 - index * 310, index === 4 ? 3 : 0];
      return [run, `demo-${ago}`, from, from + 94_000, targets, calls, found, failures, stopped, null] as const;
    }),
  ];
}
