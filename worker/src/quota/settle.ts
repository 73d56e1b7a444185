/**
 * Ends reservations, and charges calls without one: commit, release, abandon, expire, add. Synchronous from check to write. The ledger
 * runs each in one transaction. No I/O except the store. No clock.
 */
import { isoSeconds } from "../lib/time.ts";
import { MIDNIGHT_MARGIN_MS, chargedPeriods, hourIn, possiblePeriods } from "./period.ts";
import { remaining, remainingOfShare, shareOf } from "./policy.ts";
import { applySignal, costOf, countUntracked, observe } from "./provider-count.ts";
import type { LedgerStore, ReservationRow } from "./store.ts";
import { isProject } from "./types.ts";
import type { CommitAnswer, CommitRequest, Impossible, ReleaseAnswer, UnderWay } from "./types.ts";
import { callerToday, status } from "./views.ts";

/** State of an ended reservation for error messages. `late` is a commit after the expiry. */
export const endedState = ({ state }: Pick<ReservationRow, "state">): string => (state === "late" ? "committed" : state);

/** Charges every expired reservation, because its request may have been sent. */
export function expire(store: LedgerStore, now: number): void {
  for (const row of store.overdue(now)) {
    const periods = reservedPeriods(row);
    charge(store, row, periods, row.calls, row.expires_at);
    for (const date of periods) store.countExpired(date, row.calls);
    store.settle(row, "expired", row.calls, row.expires_at);
    store.totals.incrementCounter("requests", "unknown");
  }
  countUntracked(store, now);
}

/** Charges the actual cost. A repeated commit gets the same answer. */
export function commit(store: LedgerStore, request: CommitRequest, now: number): CommitAnswer {
  const row = store.reservation(request.id);
  return row ? commitRow(store, row, request, now) : { result: "unknown" };
}

function commitRow(store: LedgerStore, row: ReservationRow, request: CommitRequest, now: number): CommitAnswer {
  const committed = (charged: number, late: boolean): CommitAnswer => {
    return { result: "committed", charged, late, status: status(store, now, { own: row.caller }) };
  };
  if (row.state === "committed" || row.state === "late") return committed(row.charged ?? 0, row.state === "late");

  const outOfBounds = request.within
    ? beyondGrant(store, request, shareOf({ caller: row.caller, ...request.within }, store.state.settings), row, now)
    : null;
  if (outOfBounds) return outOfBounds;
  const underWay = timeInFlight(request, row, now);
  if (underWay === "impossible") return wrongTime(request, "the reservation's creation and now");
  const { settlement } = request;
  const cost = request.calls ?? (settlement ? costOf(store, row, settlement, request.counts, now) : row.calls);
  const late = row.state === "expired";
  const already = late ? (row.charged ?? 0) : 0;
  if (settlement) observe(store, settlement.report, now);
  if (request.counts?.after.kind === "count") observe(store, request.counts.after.report, now);
  if (late) chargeLate(store, row, cost, underWay, now);
  else charge(store, row, chargedPeriods(row.opened_at, now, underWay), cost, now);
  const charged = Math.max(cost, already);
  if (row.state === "held" && request.calls === 0) releaseTurn(store, row, now);
  // Calls that were added without a reservation have equal times of opening and expiry.
  const reserved = row.state === "held" && row.expires_at > row.opened_at ? row.calls : already;
  const unreserved = cost - reserved;
  if (unreserved > 0) for (const date of possiblePeriods({ from: row.opened_at, to: now })) store.counts.addTaken(date, unreserved);
  store.settle(row, late ? "late" : "committed", charged, now);
  countUntracked(store, now);
  // An expired reservation was counted at its expiry. Counters only rise.
  if (!late) store.totals.incrementCounter("requests", settlement ? (settlement.outcome ?? "unknown") : "reported");
  if (settlement) applySignal(store, settlement, now);
  return committed(charged, late);
}

/**
 * Refuses a project's commit beyond its grant. The charge affects all callers and the project's word is the only evidence, so the grant is
 * the most. Released calls may have been granted to others since, so a later commit charges them only if the limit and the share still
 * have them. If they were sent anyway, the provider's count shows them as untracked. After the expiry, nothing may be sent.
 */
function beyondGrant(
  store: LedgerStore,
  request: CommitRequest,
  share: number | null,
  row: ReservationRow,
  now: number,
): Impossible | null {
  const calls = request.calls ?? row.calls;
  if (calls > row.calls) {
    const detail = `\`calls\` must be at most ${row.calls}, the reserved calls (got ${calls})`;
    return { result: "impossible", detail, field: "calls" };
  }
  if (request.sentAt !== undefined && request.sentAt > row.expires_at + MIDNIGHT_MARGIN_MS) {
    return wrongTime(request, "the reservation's creation and its expiry");
  }
  if (row.state !== "released" || !store.state.enforcing) return null;
  const free = freeCalls(store, row.caller, share, now);
  if (calls <= free) return null;
  const released = `The ${row.calls} reserved calls were released, and fewer remain now`;
  const detail = `\`calls\` must be at most ${free} (got ${calls}). ${released}`;
  return { result: "impossible", detail, field: "calls" };
}

/** Calls neither charged nor reserved, of the limit and of the caller's share. */
function freeCalls(store: LedgerStore, caller: string, share: number | null, now: number): number {
  const { charged, untracked } = store.today(now);
  const ofLimit = remaining(store.state.settings, { used: charged + untracked, reserved: store.reserved() });
  return share === null ? ofLimit : Math.min(ofLimit, remainingOfShare({ calls_per_day: share, ...callerToday(store, caller, now) }));
}

/** Charges a commit after the expiry: calls beyond those that the expiry charged, and days that it did not charge. */
function chargeLate(store: LedgerStore, row: ReservationRow, cost: number, underWay: UnderWay | null, now: number): void {
  const already = row.charged ?? 0;
  const periods = reservedPeriods(row);
  if (cost > already) charge(store, row, periods, cost - already, now);
  const missed = underWay === null ? [] : possiblePeriods(underWay).filter((date) => !periods.includes(date));
  if (missed.length > 0) charge(store, row, missed, cost, now);
}

/** The time in flight. An impossible `sent_at` from a caller is an error. An impossible time of a Worker is ignored, as clocks differ. */
function timeInFlight({ sentAt, settlement }: CommitRequest, row: ReservationRow, now: number): UnderWay | null | "impossible" {
  const given = sentAt === undefined ? (settlement?.underWay ?? null) : { from: sentAt, to: sentAt };
  if (given === null) return null;
  const possible = given.from >= row.opened_at - MIDNIGHT_MARGIN_MS && given.to <= now + MIDNIGHT_MARGIN_MS;
  if (possible) return given;
  return sentAt === undefined ? null : "impossible";
}

/** Releases a reservation whose answer was lost. If its request arrives later, it is not granted. */
export function abandon(store: LedgerStore, id: string, now: number): void {
  if (store.reservation(id)) {
    release(store, id, now);
    return;
  }
  store.settle(store.openReservation({ id, fingerprint: "abandoned", caller: "abandoned", calls: 0 }, now), "released", 0, now);
}

/** Returns calls that were definitely not sent. */
export function release(store: LedgerStore, id: string, now: number): ReleaseAnswer {
  const row = store.reservation(id);
  if (!row) return { result: "unknown" };
  if (row.state !== "held" && row.state !== "released") {
    return { result: "conflict", detail: `The reservation is already ${endedState(row)} (calls charged: ${row.charged ?? 0})` };
  }
  if (row.state === "held") {
    releaseTurn(store, row, now);
    store.settle(row, "released", 0, now);
  }
  countUntracked(store, now);
  return { result: "released", calls: row.calls, status: status(store, now, { own: row.caller }) };
}

/** The caller did not use its turn. Projects may do so a limited number of times per minute, because others could have used the turns. */
function releaseTurn(store: LedgerStore, row: ReservationRow, now: number): void {
  store.releaseTurn(row, now);
  if (isProject(row.caller)) store.returns.add(row.caller, now);
}

/** Charges calls that were made without a reservation, once per id. */
export function add(store: LedgerStore, id: string, caller: string, calls: number, now: number): CommitAnswer {
  const fingerprint = JSON.stringify(["added", calls, caller]);
  const existing = store.reservation(id);
  if (existing && existing.fingerprint !== fingerprint)
    return { result: "impossible", detail: "This id was already used for a different reservation or charge" };
  return commitRow(store, existing ?? store.openReservation({ id, fingerprint, caller, calls }, now), { id, calls }, now);
}

function charge(store: LedgerStore, { caller }: ReservationRow, periods: readonly string[], calls: number, at: number): void {
  for (const date of periods) store.charge(date, caller, hourIn(date, at), calls);
  store.totals.burn(at, calls, calls);
}

function wrongTime({ sentAt }: CommitRequest, between: string): Impossible {
  const given = sentAt === undefined ? "not given" : isoSeconds(sentAt);
  return { result: "impossible", detail: `\`sent_at\` must be between ${between} (got ${given})`, field: "sent_at" };
}

/** The periods in which a reservation was open. */
function reservedPeriods(row: ReservationRow): readonly string[] {
  return chargedPeriods(row.opened_at, row.expires_at, null);
}
