/** From signals to jobs. A signal is stored first. Each with a project and a pattern becomes exactly one job, even after a crash. */
import type { Deps } from "../deps.ts";
import { errorFields, log } from "../lib/log.ts";
import { markJobRequested, storeSignals, waitingSignals } from "../store/monitoring/signals.ts";
import type { SignalOutcome, SignalRow, StoredSignal } from "../store/monitoring/signals.ts";
import type { FieldError } from "../lib/field-errors.ts";
import type { ReadAlert } from "./signal.ts";

/** Signals per pass. Each is a job, and the next pass comes soon. */
const MAX_SIGNALS = 50;

/** refused: invalid. duplicate: received before. */
export const ALERT_RESULTS = ["accepted", "resolved", "duplicate", "refused"] as const;

export interface AlertResult {
  /** Position in the request. */
  readonly index: number;
  readonly result: (typeof ALERT_RESULTS)[number];
  readonly key?: string;
  readonly outcome?: SignalOutcome;
  readonly errors?: readonly FieldError[];
}

/** Stores the readable alerts. Throws `storage_unavailable` if the database fails. Then none is stored, and sending all again is safe. */
export async function receiveSignals({ db, clock }: Pick<Deps, "db" | "clock">, alerts: readonly ReadAlert[]): Promise<AlertResult[]> {
  const read = alerts.flatMap((alert) => (alert.result === "read" ? [alert] : []));
  const rows = await storeSignals(
    db,
    read.map(({ signal }) => signal),
    clock(),
  );
  // One body may contain the same alert twice. It then has two rows, and one of them is the first.
  const byKey = Map.groupBy(rows, ({ key }) => key);
  const results = new Map(
    read.map(({ index, signal }) => [index, resultOf(index, signal.status, byKey.get(signal.key)?.shift())] as const),
  );
  return alerts.map((alert) => {
    if (alert.result === "read") return results.get(alert.index) ?? { index: alert.index, result: "accepted" };
    log.warn("Alert not readable", { index: alert.index, errors: alert.errors });
    return { index: alert.index, result: "refused", errors: alert.errors };
  });
}

function resultOf(index: number, status: "firing" | "resolved", row: StoredSignal | undefined): AlertResult {
  if (row === undefined) throw new Error("A stored signal has no row");
  const result = status === "resolved" ? "resolved" : row.received === 1 ? "accepted" : "duplicate";
  return { index, result, key: row.key, outcome: row.outcome };
}

/** Creates the jobs of waiting signals. The job's id comes from the signal, so a repetition after a crash creates no second job. */
export async function relaySignals(deps: Pick<Deps, "db" | "jobs">): Promise<{ readonly jobs: number }> {
  const waiting = await waitingSignals(deps.db, MAX_SIGNALS);
  let created = 0;
  for (const signal of waiting) {
    try {
      created += await createJob(deps, signal);
    } catch (error) {
      // One bad signal does not block the others.
      log.warn("Creating a signal's job failed", { source: signal.source, key: signal.key, ...errorFields(error) });
    }
  }
  return { jobs: created };
}

async function createJob({ db, jobs }: Pick<Deps, "db" | "jobs">, signal: SignalRow): Promise<number> {
  const { seq, source, key, project_id: projectId, pattern, enforce, received_at: asOf } = signal;
  if (projectId === null || pattern === null) return 0;
  const metrics = JSON.parse(signal.metrics) as Record<string, number | string>;
  const payload = { projectId, patternType: pattern, metrics, enforceAction: enforce === 1, asOf };
  const { id, created } = await jobs.enqueueAutoSuspendJob(payload, { requestedBy: `signal:${source}`, idempotencyKey: key });
  await markJobRequested(db, seq, id);
  return Number(created);
}
