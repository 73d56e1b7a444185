/**
 * How a reservation ends, and calls without one: commit, release, abandon, expire, add. Synchronous from check to write; the ledger runs
 * it in one transaction. No I/O except the store. No clock.
 */
import { isoSeconds } from "../lib/time.ts";
import { MIDNIGHT_MARGIN_MS, chargedPeriods, hourIn, possiblePeriods } from "./period.ts";
import { leftOfShare, remaining, shareOf } from "./policy.ts";
import { costOf, countUntracked, heed, observe } from "./provider-count.ts";
import type { LedgerStore, ReservationRow } from "./store.ts";
import type { CommitAnswer, CommitRequest, Impossible, ReleaseAnswer, UnderWay } from "./types.ts";
import { callerToday, status } from "./views.ts";

/** Charges every reservation that expired: it may have been sent, and nothing will say so any more. */
export function expire(store: LedgerStore, now: number): void {
  for (const row of store.overdue(now)) {
    const periods = reservedPeriods(row);
    charge(store, row, periods, row.calls, row.expires_at);
    for (const date of periods) store.countExpired(date, row.calls);
    store.settle(row, "expired", row.calls, row.expires_at);
    store.totals.tally("requests", "unknown");
  }
  countUntracked(store, now);
}

/** Charges what was really spent. Twice answers the same. */
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
  const underWay = timeUnderWay(request, row, now);
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
  // Nothing was reserved for calls that are only reported.
  const reserved = row.state === "held" && row.expires_at > row.opened_at ? row.calls : already;
  const unheld = cost - reserved;
  if (unheld > 0) for (const date of possiblePeriods({ from: row.opened_at, to: now })) store.counts.take(date, unheld);
  store.settle(row, late ? "late" : "committed", charged, now);
  countUntracked(store, now);
  // An expired one was counted then: a counter takes nothing back.
  if (!late) store.totals.tally("requests", settlement ? (settlement.outcome ?? "unknown") : "reported");
  if (settlement) heed(store, settlement, now);
  return committed(charged, late);
}

/**
 * What a project says it spent binds everybody's day, and there is no other evidence: it is charged no more than it was granted. What it
 * released was granted to others since, so it is charged again only where the day and its share still have it. If it was sent all the
 * same, the provider's own count shows it as untracked. Nothing may be sent after a reservation expires.
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
    const detail = `calls is ${calls}; ${row.calls} were reserved, and a project is charged no more than that`;
    return { result: "impossible", detail, field: "calls" };
  }
  if (request.sentAt !== undefined && request.sentAt > row.expires_at + MIDNIGHT_MARGIN_MS) {
    return wrongTime(request, "the reservation's creation and its end");
  }
  if (row.state !== "released" || !store.state.enforcing) return null;
  const free = freeCalls(store, row.caller, share, now);
  if (calls <= free) return null;
  const detail = `calls is ${calls}; the ${row.calls} that were reserved were released, and ${free} of them can be had again now`;
  return { result: "impossible", detail, field: "calls" };
}

/** Neither charged nor reserved, of the day and of the caller's share. */
function freeCalls(store: LedgerStore, caller: string, share: number | null, now: number): number {
  const { charged, untracked } = store.today(now);
  const ofDay = remaining(store.state.settings, { used: charged + untracked, reserved: store.reserved() });
  return share === null ? ofDay : Math.min(ofDay, leftOfShare({ calls_per_day: share, ...callerToday(store, caller, now) }));
}

/** The expiry charged the reserved calls in the days it knew of. More calls, or another day, are charged now. */
function chargeLate(store: LedgerStore, row: ReservationRow, cost: number, underWay: UnderWay | null, now: number): void {
  const already = row.charged ?? 0;
  const periods = reservedPeriods(row);
  if (cost > already) charge(store, row, periods, cost - already, now);
  const missed = underWay === null ? [] : possiblePeriods(underWay).filter((date) => !periods.includes(date));
  if (missed.length > 0) charge(store, row, missed, cost, now);
}

/** A caller's own `sent_at` is checked. Ours comes from another clock, so an impossible one is ignored. */
function timeUnderWay({ sentAt, settlement }: CommitRequest, row: ReservationRow, now: number): UnderWay | null | "impossible" {
  const given = sentAt === undefined ? (settlement?.underWay ?? null) : { from: sentAt, to: sentAt };
  if (given === null) return null;
  const possible = given.from >= row.opened_at - MIDNIGHT_MARGIN_MS && given.to <= now + MIDNIGHT_MARGIN_MS;
  if (possible) return given;
  return sentAt === undefined ? null : "impossible";
}

/** For a request whose answer got lost: released, or never to be granted should it still arrive. */
export function abandon(store: LedgerStore, id: string, now: number): void {
  if (store.reservation(id)) {
    release(store, id, now);
    return;
  }
  store.settle(store.openReservation({ id, fingerprint: "abandoned", caller: "abandoned", calls: 0 }, now), "released", 0, now);
}

/** Returns calls that were surely not sent. */
export function release(store: LedgerStore, id: string, now: number): ReleaseAnswer {
  const row = store.reservation(id);
  if (!row) return { result: "unknown" };
  if (row.state !== "held" && row.state !== "released") {
    return { result: "conflict", detail: `The reservation is ${row.state}: ${row.charged ?? 0} calls were charged` };
  }
  if (row.state === "held") store.settle(row, "released", 0, now);
  countUntracked(store, now);
  return { result: "released", calls: row.calls, status: status(store, now, { own: row.caller }) };
}

/** Charges calls that were made without a reservation; the id makes it happen once. */
export function add(store: LedgerStore, id: string, caller: string, calls: number, now: number): CommitAnswer {
  const fingerprint = JSON.stringify(["added", calls, caller]);
  const existing = store.reservation(id);
  if (existing && existing.fingerprint !== fingerprint) return { result: "impossible", detail: "This id was used for something else" };
  return commitRow(store, existing ?? store.openReservation({ id, fingerprint, caller, calls }, now), { id, calls }, now);
}

function charge(store: LedgerStore, { caller }: ReservationRow, periods: readonly string[], calls: number, at: number): void {
  for (const date of periods) store.charge(date, caller, hourIn(date, at), calls);
  store.totals.burn(at, calls, calls);
}

function wrongTime({ sentAt }: CommitRequest, between: string): Impossible {
  const given = sentAt === undefined ? "not given" : isoSeconds(sentAt);
  return { result: "impossible", detail: `sent_at must lie between ${between}; it is ${given}`, field: "sent_at" };
}

/** The periods in which a reservation was open. */
function reservedPeriods(row: ReservationRow): readonly string[] {
  return chargedPeriods(row.opened_at, row.expires_at, null);
}
