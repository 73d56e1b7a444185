/** All metrics, built from the readable sources. Project ids are not labels. No I/O. No clock. */
import { ENFORCEMENTS } from "../../env.ts";
import type { Outcome } from "../../providers/isbndb/index.ts";
import { JOB_TYPES } from "../../jobs/catalog.ts";
import type { QuotaOverview, RefusedBy } from "../../quota/index.ts";
import { JOB_STATUSES } from "../../store/jobs/jobs.ts";
import type { CatalogCounts, LatestRuns, RunEnd, StoredCounts, webhookTallies } from "../../store/monitoring/metrics.ts";
import type { exportCounts } from "../../telemetry/index.ts";
import type { MetricFamily, Sample } from "../../telemetry/exposition.ts";

export interface Readings {
  /** null: the ledger did not respond. */
  readonly overview: QuotaOverview | null;
  /** null: the database did not respond. */
  readonly stored: {
    readonly counts: StoredCounts;
    readonly runs: Readonly<Record<"reset_quotas" | "check_usage_limits", LatestRuns>>;
    readonly webhooks: Awaited<ReturnType<typeof webhookTallies>>;
  } | null;
  /** null: the catalog did not respond. */
  readonly catalog: CatalogCounts | null;
  /** Paid books that were not stored. */
  readonly lostBooks: number;
  readonly exports: ReturnType<typeof exportCounts>;
}

/** Counters start at 0, so that their first increase is visible. */
const REASONS = Object.keys({
  daily: true,
  share: true,
  floor: true,
  hold: true,
  "projects-hold": true,
  pace: true,
} satisfies Record<Exclude<RefusedBy, "price">, true>);

const OUTCOMES = Object.keys({
  ok: true,
  not_found: true,
  wait: true,
  day_over: true,
  plan_refused: true,
  key_refused: true,
  request_refused: true,
  provider_failed: true,
  unreadable: true,
  timed_out: true,
  connection_lost: true,
  unknown: true,
  reported: true,
} satisfies Record<Exclude<Outcome["meaning"], "never_sent"> | "unknown" | "reported", true>);

const counters = (name: string, help: string, samples: readonly Sample[]): MetricFamily => ({ name, type: "counter", help, samples });
const gauges = (name: string, help: string, samples: readonly Sample[]): MetricFamily => ({ name, type: "gauge", help, samples });
const gauge = (name: string, help: string, value: number | null | undefined): MetricFamily =>
  gauges(name, help, value === null || value === undefined ? [] : [{ value }]);

const seconds = (time: number): number => time / 1_000;

export function metricFamilies({ overview, stored, catalog, lostBooks, exports }: Readings): MetricFamily[] {
  const up = (source: string, answers: boolean): Sample => ({ labels: { source }, value: answers ? 1 : 0 });
  const ledger = overview?.ledger ? overview : null;
  return [
    gauges(
      "coordinator_source_up",
      "1 if the source of the other metrics responded: the quota ledger, the main database or the catalog. If it is 0, its metrics are absent.",
      [up("ledger", ledger !== null), up("d1", stored !== null), up("catalog", catalog !== null)],
    ),
    ...(ledger ? quotaFamilies(ledger) : []),
    ...(stored ? [...runFamilies(stored.runs), ...countFamilies(stored.counts), ...webhookFamilies(stored.webhooks)] : []),
    ...(catalog ? [targetFamily(catalog)] : []),
    gauges("qc_database_size_bytes", "Size of a D1 database. The most is 10 GB. Measured at most once a minute by each isolate.", [
      ...(stored ? [{ labels: { database: "main" }, value: stored.counts.bytes }] : []),
      ...(catalog ? [{ labels: { database: "catalog" }, value: catalog.bytes }] : []),
    ]),
    counters("catalog_books_not_stored", "Paid books that the catalog could not store, by this isolate since its start. Use rate().", [
      { value: lostBooks },
    ]),
    counters(
      "telemetry_exports",
      "Exports of traces to the collector, by this isolate since its start. Each isolate has its own counter, so use rate() and expect resets.",
      [
        { labels: { result: "succeeded" }, value: exports.exports_succeeded },
        { labels: { result: "failed" }, value: exports.exports_failed },
      ],
    ),
    counters("telemetry_spans", "Spans that reached the collector or were lost, by this isolate since its start.", [
      { labels: { result: "exported" }, value: exports.spans_exported },
      { labels: { result: "lost" }, value: exports.spans_lost },
    ]),
  ];
}

function quotaFamilies({ status, ledger }: QuotaOverview): MetricFamily[] {
  const { exhausted_at: exhaustedAt } = status.forecast;
  const untracked = status.callers.find(({ caller }) => caller === "untracked")?.used;
  const tallied = (name: string, label: string, labels: readonly string[]): Sample[] => {
    const found = (ledger?.tallies ?? []).filter((tally) => tally.name === name);
    const known = labels.map((value) => ({ label: value, count: 0 })).filter((each) => !found.some((tally) => tally.label === each.label));
    return [...found, ...known].map((tally) => ({ labels: { [label]: tally.label }, value: tally.count }));
  };
  return [
    gauge("quota_daily_limit_calls", "Calls that the provider sells per UTC day.", status.daily_limit),
    gauge("quota_safety_limit_calls", "Calls available per UTC day: the daily limit minus the buffer.", status.safety_limit),
    gauge("quota_used_calls", "Calls used today, including untracked calls.", status.used),
    gauge("quota_reserved_calls", "Calls in open reservations.", status.reserved),
    gauge("quota_remaining_calls", "Calls that remain today.", status.remaining),
    gauge(
      "quota_untracked_calls",
      "Calls of today that the provider counted and that were not made through the coordinator. Absent until the provider's count is known.",
      untracked ?? (status.upstream === null ? null : 0),
    ),
    gauge(
      "quota_forecast_exhausted_timestamp_seconds",
      "Time when the limit is reached at the rate of the last hour. Absent if the day ends first.",
      exhaustedAt === null ? null : seconds(Date.parse(exhaustedAt)),
    ),
    gauge("quota_reset_timestamp_seconds", "Time of the next reset.", seconds(Date.parse(status.reset_at))),
    gauges(
      "quota_enforcement",
      "1 for the mode in force, 0 for the others.",
      ENFORCEMENTS.map((mode) => ({ labels: { mode }, value: mode === status.enforcement ? 1 : 0 })),
    ),
    counters(
      "quota_refusals",
      "Refused requests for calls by rule, since the ledger's store exists.",
      tallied("refusals", "reason", REASONS),
    ),
    counters(
      "quota_would_refuse",
      "Requests granted in observe mode that enforcing would have refused, since the ledger's store exists.",
      tallied("would_refuse", "reason", REASONS),
    ),
    counters(
      "provider_requests",
      "Requests sent to the provider by outcome, since the ledger's store exists. unknown: no outcome was reported. reported: sent by a caller itself.",
      tallied("requests", "outcome", OUTCOMES),
    ),
  ];
}

/** A number in a job's result. null: the result has no such number. */
function resultOf(run: RunEnd | null, field: string): number | null {
  const value: unknown = run?.result === null || run === null ? null : (JSON.parse(run.result) as Record<string, unknown> | null)?.[field];
  return typeof value === "number" ? value : null;
}

function runFamilies({ reset_quotas: reset, check_usage_limits: sweep }: NonNullable<Readings["stored"]>["runs"]): MetricFamily[] {
  const ended = (run: RunEnd | null): number | null => (run === null ? null : seconds(run.ended_at));
  const took = (run: RunEnd | null): number | null => (run === null ? null : seconds(run.ended_at - run.started_at));
  const last = [reset.succeeded, reset.failed].filter((run) => run !== null).toSorted((a, b) => b.ended_at - a.ended_at)[0] ?? null;
  return [
    gauge("quota_reset_last_success_timestamp_seconds", "Time of the last successful monthly reset.", ended(reset.succeeded)),
    gauge("quota_reset_last_run_timestamp_seconds", "Time of the last monthly reset, successful or not.", ended(last)),
    gauge("quota_reset_last_success", "1 if the last monthly reset succeeded.", last === null ? null : last === reset.succeeded ? 1 : 0),
    gauge("quota_reset_rows_updated", "Billing periods that the last successful reset closed.", resultOf(reset.succeeded, "rows_updated")),
    gauge(
      "quota_reset_duration_seconds",
      "Duration of the last successful reset, including pauses between attempts.",
      took(reset.succeeded),
    ),
    gauge("usage_sweep_last_success_timestamp_seconds", "Time of the last successful sweep of all projects.", ended(sweep.succeeded)),
    gauge(
      "usage_sweep_projects_checked",
      "Projects that the last successful sweep checked.",
      resultOf(sweep.succeeded, "projects_checked"),
    ),
    gauge(
      "usage_sweep_projects_suspended",
      "Projects that the last successful sweep suspended.",
      resultOf(sweep.succeeded, "projects_suspended"),
    ),
    gauge(
      "usage_sweep_duration_seconds",
      "Duration of the last successful sweep, including pauses between attempts.",
      took(sweep.succeeded),
    ),
  ];
}

function countFamilies({ jobs }: StoredCounts): MetricFamily[] {
  const types = [...new Set([...JOB_TYPES, ...jobs.map(({ type }) => type)])];
  const countOf = (type: string, status: string): number => jobs.find((row) => row.type === type && row.status === status)?.count ?? 0;
  return [
    gauges(
      "jobs",
      "Stored jobs by type and status. Counted at most once a minute by each isolate.",
      types.flatMap((type) => JOB_STATUSES.map((status) => ({ labels: { type, status }, value: countOf(type, status) }))),
    ),
  ];
}

const targetFamily = ({ targets }: CatalogCounts): MetricFamily =>
  gauges(
    "harvest_targets",
    "Targets of the harvest by state. Counted at most once a minute by each isolate.",
    (["due", "done", "failed"] as const).map((state) => {
      return { labels: { state }, value: targets.find((row) => row.state === state)?.count ?? 0 };
    }),
  );

function webhookFamilies({ pending, ...ended }: NonNullable<Readings["stored"]>["webhooks"]): MetricFamily[] {
  return [
    counters(
      "webhook_deliveries",
      "Ended deliveries of webhooks by status, since the database exists. A replay counts again. skipped: no request was sent. Tests are not counted.",
      Object.entries(ended).map(([status, value]) => ({ labels: { status }, value })),
    ),
    gauge(
      "webhook_deliveries_pending",
      "Deliveries of webhooks in progress or waiting for their next attempt. Tests are not counted.",
      pending,
    ),
  ];
}
