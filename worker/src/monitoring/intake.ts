/** From signals to jobs: written down first, then each that names a project and a pattern becomes one job, once, also after a crash. */
import type { Deps } from "../deps.ts";
import { errorFields, log } from "../lib/log.ts";
import { markAsked, storeSignals, waitingSignals } from "../store/monitoring/signals.ts";
import type { SignalOutcome, SignalRow, StoredSignal } from "../store/monitoring/signals.ts";
import type { FieldError } from "../lib/field-errors.ts";
import type { ReadAlert } from "./signal.ts";

/** Of one pass: each is a job. The next pass comes soon. */
const MAX_SIGNALS = 50;

/** refused: wrong by itself. duplicate: it was sent before. */
export const ALERT_RESULTS = ["accepted", "resolved", "duplicate", "refused"] as const;

export interface AlertResult {
  /** Its place in what was sent. */
  readonly index: number;
  readonly result: (typeof ALERT_RESULTS)[number];
  readonly key?: string;
  readonly outcome?: SignalOutcome;
  readonly errors?: readonly FieldError[];
}

/** Writes the alerts down that can be read. Throws `storage_unavailable` where the database fails: then none is, and sending all again is safe. */
export async function receiveSignals({ db, clock }: Pick<Deps, "db" | "clock">, alerts: readonly ReadAlert[]): Promise<AlertResult[]> {
  const read = alerts.flatMap((alert) => (alert.result === "read" ? [alert] : []));
  const rows = await storeSignals(
    db,
    read.map(({ signal }) => signal),
    clock(),
  );
  // The same alert may stand in one body twice: then it has two rows, of which one is the first.
  const byKey = Map.groupBy(rows, ({ key }) => key);
  const results = new Map(
    read.map(({ index, signal }) => [index, resultOf(index, signal.status, byKey.get(signal.key)?.shift())] as const),
  );
  return alerts.map((alert) => {
    if (alert.result === "read") return results.get(alert.index) ?? { index: alert.index, result: "accepted" };
    log.warn("An alert could not be read", { index: alert.index, errors: alert.errors });
    return { index: alert.index, result: "refused", errors: alert.errors };
  });
}

function resultOf(index: number, status: "firing" | "resolved", row: StoredSignal | undefined): AlertResult {
  if (row === undefined) throw new Error("A signal was stored and not told of");
  const result = status === "resolved" ? "resolved" : row.received === 1 ? "accepted" : "duplicate";
  return { index, result, key: row.key, outcome: row.outcome };
}

/** Asks for the jobs of signals that wait for theirs. The id comes from the signal: whoever asks again, after a crash too, asks for the same. */
export async function relaySignals(deps: Pick<Deps, "db" | "jobs">): Promise<{ readonly jobs: number }> {
  const waiting = await waitingSignals(deps.db, MAX_SIGNALS);
  let asked = 0;
  for (const signal of waiting) {
    try {
      asked += await askFor(deps, signal);
    } catch (error) {
      // One bad signal does not keep the others from being looked at.
      log.warn("A signal's job could not be asked for", { source: signal.source, key: signal.key, ...errorFields(error) });
    }
  }
  return { jobs: asked };
}

async function askFor({ db, jobs }: Pick<Deps, "db" | "jobs">, signal: SignalRow): Promise<number> {
  const { seq, source, key, project_id: projectId, pattern, enforce, received_at: asOf } = signal;
  if (projectId === null || pattern === null) return 0;
  const metrics = JSON.parse(signal.metrics) as Record<string, number | string>;
  const wanted = { projectId, patternType: pattern, metrics, enforceAction: enforce === 1, asOf };
  const { id, created } = await jobs.enqueueAutoSuspendJob(wanted, { requestedBy: `signal:${source}`, idempotencyKey: key });
  await markAsked(db, seq, id);
  return Number(created);
}
