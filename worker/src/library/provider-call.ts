/** One paid provider call: reserves quota, sends the request, charges the cost. All requests to the provider use this file. */
import { Problem } from "../errors.ts";
import { providerReport } from "../deps.ts";
import type { Deps } from "../deps.ts";
import type { Answer, CallOptions, CallReport, Outcome } from "../providers/isbndb/index.ts";
import { log } from "../lib/log.ts";
import { refusalProblem } from "../quota/index.ts";
import type { QuotaStatus, Refusal, Settlement, Spender, Spending, WithQuota } from "../quota/index.ts";
import { PROVIDER_RESET_LAG_MS } from "../quota/period.ts";
import { SECOND_MS, endOfDay, startOfDay } from "../lib/time.ts";
import { withRoom } from "./large-answers.ts";
import { traceRequest, spenderAttributes, traceCall } from "./quota-spans.ts";

export type Paid<Value> =
  | { readonly result: "answered"; readonly value: Value; readonly charged: number; readonly status: QuotaStatus | null }
  /** The provider failed, or refused for a reason other than its quota. */
  | { readonly result: "failed"; readonly outcome: Outcome; readonly charged: number; readonly status: QuotaStatus | null }
  /** The ledger refused (nothing was sent, `charged` is 0), or the provider refused (`charged` may be above 0). */
  | { readonly result: "refused"; readonly refusal: Refusal; readonly charged: number; readonly status: QuotaStatus };

/** The cost of one request, and the caller that it is charged to. */
export function spendingOf({ caller, priority, share, shareMode }: Spender, cost: Spending["cost"]): Spending {
  return { cost, caller, priority, share: share ?? null, ...(shareMode === undefined ? {} : { shareMode }) };
}

/** Converts the report of a provider request for the ledger. */
function settlementOf(report: CallReport): Settlement {
  const { outcome, requestedAt, receivedAt } = report;
  return {
    sent: outcome.sent,
    underWay: { from: requestedAt, to: receivedAt },
    delivered: outcome.meaning === "ok" || outcome.meaning === "unreadable",
    report: outcome.sent === "yes" ? providerReport(report) : null,
    signal: outcome.meaning === "wait" || outcome.meaning === "day_over" ? outcome.meaning : "none",
    retryAfterSeconds: outcome.retryAfterSeconds,
    outcome: outcome.meaning,
  };
}

/** One request to the provider. */
interface PaidRequest<Value, Result> {
  readonly spending: Spending;
  /** The most records in its answer. */
  readonly records: number;
  readonly send: (options: CallOptions) => Promise<Answer<Value>>;
  /** Stores the answer. A failure of the provider and a refusal arrive here too. */
  readonly keep: (paid: Paid<Value>) => Promise<Result>;
}

/** Reserves, sends, settles and stores one request. This finishes even if the client disconnects, because it was paid for. */
export async function payFor<Value, Result>(
  deps: Pick<Deps, "quota" | "trace" | "clock" | "keepAlive">,
  { spending, records, send, keep }: PaidRequest<Value, Result>,
): Promise<Result> {
  const work = withRoom(deps, { caller: spending.caller, records }, async () => keep(await pay(deps, spending, send)));
  // The failure itself is reported by the request.
  deps.keepAlive(work.catch(() => undefined));
  return work;
}

/** Reserves, sends and settles one request, as one span of the trace. */
async function pay<Value>(
  { quota, trace }: Pick<Deps, "quota" | "trace">,
  spending: Spending,
  send: (options: CallOptions) => Promise<Answer<Value>>,
): Promise<Paid<Value>> {
  return trace.span("provider.call", spenderAttributes(spending), async (call) => {
    const done = await quota.withQuota(
      spending,
      async ({ deadline, settle }) =>
        traceRequest(call, async () => send({ deadline, onOutcome: (report) => settle(settlementOf(report)) })),
      traceCall(call, spending),
    );
    const paid = paidBy(done);
    call.set({ "provider.result": paid.result, "quota.charged": paid.charged });
    logCall(spending, done, paid);
    return paid;
  });
}

/** Logs every request that may have been charged, so that the log can be compared with the provider's bill. */
function logCall({ caller, priority }: Spending, done: WithQuota<Answer<unknown>>, { result, charged }: Paid<unknown>): void {
  if (done.result === "refused") {
    log.info("provider call refused", { caller, priority, refused_by: done.refusal.refusedBy, calls_needed: done.refusal.callsNeeded });
    return;
  }
  const { endpoint, outcome, status, requestedAt, receivedAt } = done.value.report;
  const duration_ms = receivedAt - requestedAt;
  log.info("provider call", { endpoint, caller, priority, result, outcome: outcome.meaning, status, charged, duration_ms });
}

function paidBy<Value>(done: WithQuota<Answer<Value>>): Paid<Value> {
  if (done.result === "refused") return { ...done, charged: 0 };
  const { charged, status } = done;
  const { report, value } = done.value;
  if (value !== null) return { result: "answered", value, charged, status };
  const refusal = refusalOf(report, charged, status);
  if (refusal && status) return { result: "refused", refusal, charged, status };
  return { result: "failed", outcome: report.outcome, charged, status };
}

/**
 * Converts the provider's own refusals to those of the ledger: `pace` or `daily`. Shortly after midnight the provider may still refuse
 * because of the previous day. Such a refusal counts as `pace`.
 */
function refusalOf({ outcome, requestedAt }: CallReport, callsNeeded: number, status: QuotaStatus | null): Refusal | null {
  const { meaning, retryAfterSeconds } = outcome;
  if (meaning === "wait") return { refusedBy: "pace", callsNeeded, available: 0, waitMs: (retryAfterSeconds ?? 1) * SECOND_MS };
  if (meaning !== "day_over" || !status) return null;
  const now = Date.parse(status.as_of);
  const trustedFrom = startOfDay(now) + PROVIDER_RESET_LAG_MS;
  if (requestedAt < trustedFrom) return { refusedBy: "pace", callsNeeded, available: 0, waitMs: Math.max(SECOND_MS, trustedFrom - now) };
  return { refusedBy: "daily", callsNeeded, available: status.remaining, waitMs: endOfDay(now) - now };
}

/** Problem for a call without a result: 429 for a refusal, 502 for a failure. */
export function problemOf(paid: Exclude<Paid<unknown>, { result: "answered" }>): Problem {
  if (paid.result === "refused") return refusalProblem(paid.refusal, paid.status, paid.charged);
  const { outcome, charged } = paid;
  const counted = charged === 0 ? "No call was charged" : `${charged} ${charged === 1 ? "call was" : "calls were"} charged`;
  return new Problem("upstream_error", `${sentence(outcome.detail)} ${counted}.`, {
    members: { outcome: outcome.meaning, calls_charged: charged, retry: outcome.retry, ...(paid.status ? { quota: paid.status } : {}) },
    ...(outcome.retryAfterSeconds === null ? {} : { retryAfterSeconds: outcome.retryAfterSeconds }),
  });
}

/** Returns a problem as a value, so that a partial result can still be sent. Rethrows other errors. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  throw error;
}

function sentence(text: string): string {
  const capital = text.slice(0, 1).toUpperCase() + text.slice(1);
  return /[.!?]$/u.test(capital) ? capital : `${capital}.`;
}
