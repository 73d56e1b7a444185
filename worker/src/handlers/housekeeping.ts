/** `housekeeping`: relay, events, retention, and once an hour the provider's own count. One part's failure does not keep the others from running. */
import type { Deps } from "../deps.ts";
import { relaySignals } from "../monitoring/intake.ts";
import { dayOf } from "../lib/time.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../lib/time.ts";
import { forgetAdmissions, forgetCounters, forgetHours, forgetMinutes, forgetNotices, forgetRows } from "../store/retention.ts";
import type { AgeingTable } from "../store/retention.ts";
import { detectAbuse } from "../tenants/abuse/watch.ts";
import { admissionIdsFrom } from "../tenants/limits/admission.ts";
import { closeAbandonedRestores } from "../tenants/backups/restore.ts";
import { removeExpiredBackups } from "../tenants/backups/retention.ts";
import { resumeStalledWork } from "../tenants/provisioning/recovery.ts";
import { catchUp } from "../tenants/webhooks/dispatch.ts";
import { orNull } from "./context.ts";
import type { JobContext, JobHandler } from "./context.ts";

/** Removals of one job: a backlog is worked off by the next ones. */
const MAX_ROUNDS = 10;

type Life = (deps: Deps) => Promise<{ readonly removed: number; readonly more: boolean }>;

/** Rows of one removal. */
const ROWS = 5_000;
/** What a rule needs, and a day for clocks and late ends. */
const KEPT_DAYS = {
  // Giving back happens within the request.
  admissions: 2,
  // The same event may come again within 32 days: the longest billing period and a day.
  usage_events: 34,
  evaluations: 60,
  events: 90,
  threshold_notices: 2,
  // As long as the quota's own history.
  counters: 400,
  adjustments: 400,
  // As long as failed jobs.
  webhook_deliveries: 30,
  audit_log: 730,
  // An hour of them is summed up when it is over; after an outage, later.
  project_minutes: 2,
  project_hours: 30,
  // As long as a suspension may be asked about.
  abuse_detections: 400,
  signals: 90,
} as const;

const keptSince = ({ clock }: Deps, name: keyof typeof KEPT_DAYS): number => clock() - KEPT_DAYS[name] * DAY_MS;
const ageing =
  (table: AgeingTable): Life =>
  async (deps) =>
    forgetRows(deps.db, table, keptSince(deps, table), ROWS);

/**
 * Everything in the database that has a life. Each removes a bounded number of rows that are over theirs, and says whether there may be
 * more.
 */
const LIVES: Readonly<Record<string, Life>> = {
  jobs: async ({ relay }) => relay.removeExpired(),
  admissions: async (deps) => forgetAdmissions(deps.db, admissionIdsFrom(keptSince(deps, "admissions")), ROWS),
  usage_events: ageing("usage_events"),
  evaluations: ageing("evaluations"),
  events: ageing("events"),
  webhook_deliveries: ageing("webhook_deliveries"),
  audit_log: ageing("audit_log"),
  threshold_notices: async (deps) => forgetNotices(deps.db, dayOf(keptSince(deps, "threshold_notices")), ROWS),
  counters: async (deps) => forgetCounters(deps.db, "counters", dayOf(keptSince(deps, "counters")), ROWS),
  adjustments: async (deps) => forgetCounters(deps.db, "adjustments", dayOf(keptSince(deps, "adjustments")), ROWS),
  project_minutes: async (deps) => forgetMinutes(deps.db, Math.floor(keptSince(deps, "project_minutes") / MINUTE_MS), ROWS),
  project_hours: async (deps) => forgetHours(deps.db, Math.floor(keptSince(deps, "project_hours") / HOUR_MS), ROWS),
  abuse_detections: ageing("abuse_detections"),
  signals: ageing("signals"),
  backups: async (deps) => {
    await closeAbandonedRestores(deps);
    return removeExpiredBackups(deps);
  },
};

export const housekeepingHandler: JobHandler<"housekeeping"> = async ({ provider_count, restarted_at, retention }, job) => {
  const woken =
    restarted_at === undefined
      ? undefined
      : await orNull(job.step("wake", async (_attempt, deps) => wakeAll(deps, Date.parse(restarted_at))));
  const relayed = await orNull(job.step("relay", async (_attempt, { relay }) => relay.relay()));
  const signals = await orNull(job.step("signals", async (_attempt, deps) => relaySignals(deps)));
  const abuse = await orNull(job.step("abuse", async (_attempt, deps) => detectAbuse(deps)));
  const resumed = await orNull(job.step("resume", async (_attempt, deps) => resumeStalledWork(deps, job.id)));
  const dispatched = await orNull(job.step("dispatch", async (_attempt, deps) => catchUp(deps)));
  const removed: Record<string, number | null> = {};
  for (const name of Object.keys(LIVES).filter((each) => retention === true || each === "jobs"))
    removed[name] = await orNull(removal(name, job));
  const count =
    provider_count === true ? await orNull(job.step("provider count", async (_attempt, deps) => observeProvider(deps))) : undefined;

  const data = { woken, relayed, signals, abuse, resumed, dispatched, removed, provider_count: count };
  const failed = [
    ...(woken === null ? ["wake"] : []),
    ...(relayed === null ? ["relay"] : []),
    ...(signals === null ? ["signals"] : []),
    ...(abuse === null ? ["abuse"] : []),
    ...(resumed === null ? ["resume"] : []),
    ...(dispatched === null ? ["dispatch"] : []),
    ...Object.keys(removed).filter((name) => removed[name] === null),
    ...(count === null ? ["provider count"] : []),
  ];
  return failed.length === 0 ? { success: true, data } : { success: false, data, error: `Given up: ${failed.join(", ")}.` };
};

async function wakeAll({ relay }: Deps, restartedAt: number): Promise<number> {
  let total = 0;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const { looked_at, woken } = await relay.wake(restartedAt);
    total += woken;
    if (looked_at === 0) break;
  }
  return total;
}

async function removal(name: string, job: JobContext): Promise<number> {
  return job.step(`remove ${name}`, async (_attempt, deps) => {
    let total = 0;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const { removed, more } = (await LIVES[name]?.(deps)) ?? { removed: 0, more: false };
      total += removed;
      if (!more) break;
    }
    return total;
  });
}

/** `GET /key` is free: what others spent becomes part of `used` although nobody of us called. */
async function observeProvider({ readProviderCount, quotaAdmin }: Deps): Promise<{ upstream_spent: number | null }> {
  const count = await readProviderCount();
  if (count.kind === "failed") throw new Error("The provider did not tell its count.");
  if (count.kind === "none") return { upstream_spent: null };
  const { upstream } = await quotaAdmin.observe(count.report);
  return { upstream_spent: upstream?.spent ?? null };
}
