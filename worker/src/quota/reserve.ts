/**
 * Reserves calls, or only checks whether they are available. Synchronous from check to write. The ledger runs it in one transaction. No
 * I/O except the store. No clock.
 */
import { grouped } from "../lib/grouped.ts";
import { log } from "../lib/log.ts";
import { SECOND_MS, dayOf, endOfDay } from "../lib/time.ts";
import { callsFor, isPriced } from "./billing.ts";
import { paceAheadMs } from "./pace.ts";
import { DEFAULT_TTL_SECONDS, decide, floorReaches, maxReservedByProject, maxTtlSeconds, safetyLimit, shareOf } from "./policy.ts";
import type { Decision, Demand } from "./policy.ts";
import { endedState } from "./settle.ts";
import type { LedgerStore, ReservationRow } from "./store.ts";
import { isProject } from "./types.ts";
import type { CheckAnswer, Cost, Refusal, RefusedBy, Reservation, ReserveAnswer, ReserveRequest, Spender } from "./types.ts";
import { status } from "./views.ts";

/** The wait before a retry while another batch reveals the price. */
const PRICE_POLL_MS = 100;

type Outcome =
  | { readonly result: "granted"; readonly reservation: Reservation }
  | { readonly result: "refused"; readonly refusal: Refusal }
  | { readonly result: "conflict" | "impossible"; readonly detail: string };

type RefusedDecision = Extract<Decision, { result: "refused" }>;

/** Grants permission to send one request, or refuses with a reason. A repeated id gets the same answer. */
export function reserve(store: LedgerStore, request: ReserveRequest, now: number): ReserveAnswer {
  const outcome = grantOrRefuse(store, request, now);
  return "detail" in outcome ? outcome : { ...outcome, status: status(store, now, { own: request.caller }) };
}

function grantOrRefuse(store: LedgerStore, request: ReserveRequest, now: number): Outcome {
  // Without the share, which may change between a request and its retry.
  const fingerprint = JSON.stringify([request.cost, request.minCalls, request.caller, request.priority, request.ttlSeconds]);
  const existing = store.reservation(request.id);
  if (existing) return answerToRepeat(existing, fingerprint);

  const { enforcing } = store.state;
  const price = store.state.price?.price ?? null;
  const calls = callsFor(request.cost, price);
  const demand = demandOf(store, request, calls, request.minCalls ?? calls);

  const probing = isPriced(request.cost) && price === null;
  const lone = probing && store.openBatches() === 0;
  // If no call is left, a wait for the price would only hide that the quota is exhausted.
  if (enforcing && probing && !lone && unspent(store, demand, now) > 0) {
    return { result: "refused", refusal: { refusedBy: "price", callsNeeded: calls, available: 0, waitMs: PRICE_POLL_MS } };
  }

  const impossible = enforcing ? impossibility(store, demand, request.cost) : null;
  if (impossible !== null) return { result: "impossible", detail: impossible };

  const decision = decideNow(store, demand, now);
  if (enforcing && decision.result === "refused") {
    store.countRefusals("refusals", decision.refusedBy, dayOf(now));
    return { result: "refused", refusal: refusalOf(store, decision, demand, now) };
  }

  const afterReturnsMs = enforcing && isProject(request.caller) ? store.returns.waitMs(request.caller, now) : 0;
  if (afterReturnsMs > 0) return refusedByPace(store, demand, { waitMs: afterReturnsMs, manyReturned: true }, now);
  const turn = takeTurn(store, request, now);
  if (turn.result === "refused") return refusedByPace(store, demand, turn, now);
  if (decision.result === "refused") recordWouldRefuse(store, decision.refusedBy, demand, now);
  if (turn.late) recordWouldRefuse(store, "pace", demand, now);

  const maxTtl = maxTtlSeconds(request.caller);
  const ttl = Math.min(request.ttlSeconds ?? DEFAULT_TTL_SECONDS, maxTtl) * SECOND_MS;
  const reservation = {
    id: request.id,
    fingerprint,
    caller: request.caller,
    calls: decision.result === "granted" ? decision.calls : calls,
    batch_of: "batchOf" in request.cost ? request.cost.batchOf : null,
    probe: lone ? 1 : 0,
    start_at: turn.startAt,
    pace_chain: turn.chain,
    // The lifetime begins when the request may start, but the expiry is never later than the caller's longest lifetime from now.
    expires_at: Math.min(Math.ceil(turn.startAt) + ttl, now + maxTtl * SECOND_MS),
  };
  return { result: "granted", reservation: asReservation(store.openReservation(reservation, now)) };
}

/** Calls that could be granted now. Reserves nothing. */
export function check(store: LedgerStore, request: Omit<ReserveRequest, "id">, now: number): CheckAnswer {
  const callsNeeded = callsFor(request.cost, store.state.price?.price ?? null);
  const demand = demandOf(store, request, Number.MAX_SAFE_INTEGER, request.minCalls ?? callsNeeded);
  const decision = decideNow(store, demand, now);
  const answer = { callsNeeded, status: status(store, now, { own: request.caller }) };
  if (decision.result === "granted") return { ...answer, allowed: true, refusal: null, available: decision.calls };
  if (!store.state.enforcing) return { ...answer, allowed: true, refusal: null, available: Number.MAX_SAFE_INTEGER };
  return { ...answer, allowed: false, refusal: refusalOf(store, decision, demand, now), available: decision.available };
}

function demandOf({ state }: LedgerStore, spender: Spender, calls: number, minCalls: number): Demand {
  const { caller, priority } = spender;
  return { calls, minCalls, caller, priority, share: shareOf(spender, state.settings) };
}

function decideNow(store: LedgerStore, demand: Demand, now: number): Decision {
  const { date, charged, untracked } = store.today(now);
  const { caller, share } = demand;
  const project = isProject(caller);
  const current = {
    used: charged + untracked,
    // All open reservations, including yesterday's, because the day to which they will be charged is still unknown.
    reserved: store.reserved(),
    reservedByCaller: share !== null || project ? store.reservedBy(caller) : 0,
    reservedByProjects: project ? store.totals.reservedByProjects() : 0,
    usedByCaller: share === null ? 0 : store.totals.usedBy(date, caller),
  };
  return decide(demand, current, store.state.settings, now);
}

/**
 * The reason why this request can never be granted, on any day and with no other reservation open. Null if it can be granted. A share or
 * a limit of 0 is not such a reason: it is refused like an exhausted one.
 */
function impossibility({ state }: LedgerStore, { caller, share, minCalls }: Demand, cost: Cost): string | null {
  const hold = isProject(caller) ? maxReservedByProject(state.settings) : Infinity;
  const total = safetyLimit(state.settings);
  const limit = Math.min(hold, share === null || share === 0 ? Infinity : share, total > 0 ? total : Infinity);
  if (minCalls <= limit) return null;
  const rule =
    limit === share
      ? `Your project may spend ${grouped(share)} of the provider's calls a day`
      : limit === hold
        ? `A project may reserve at most ${grouped(hold)} calls at a time`
        : `The limit is ${grouped(total)} calls a day`;
  if (isPriced(cost) && state.price === null && limit >= 1) {
    const worstCase = `Until the price of a batch is known, ${grouped(cost.batchOf)} ISBNs count as ${grouped(minCalls)} calls`;
    return `${worstCase}. ${rule}. Request at most ${grouped(limit)} ISBNs at a time until then`;
  }
  return `This request needs ${grouped(minCalls)} calls and can never be granted. ${rule}`;
}

/** Calls not charged yet, of the limit and of the caller's share. They may be reserved. */
function unspent(store: LedgerStore, { caller, share }: Demand, now: number): number {
  const { date, charged, untracked } = store.today(now);
  const ofLimit = safetyLimit(store.state.settings) - charged - untracked;
  return share === null ? ofLimit : Math.min(ofLimit, share - store.totals.usedBy(date, caller));
}

function refusalOf(store: LedgerStore, { result: _, ...decision }: RefusedDecision, demand: Demand, now: number): Refusal {
  const waitMs = Math.max(SECOND_MS, retryAt(store, decision, demand, now) - now);
  return { ...decision, callsNeeded: demand.minCalls, waitMs, decidedAt: now };
}

/**
 * The time for a retry. Spent calls are available again after the reset. If calls are only reserved, it is the first reservation's expiry:
 * by then that reservation is released or charged, and a new request gets a final answer.
 */
function retryAt(
  store: LedgerStore,
  { refusedBy, held }: Pick<RefusedDecision, "refusedBy" | "held">,
  demand: Demand,
  now: number,
): number {
  const reset = endOfDay(now);
  const earlierOf = (latest: number, expiry: number | null): number => Math.min(latest, expiry ?? latest);
  switch (refusedBy) {
    case "hold":
      return store.nextExpiryOf(demand.caller) ?? now;
    case "projects-hold":
      return store.totals.nextExpiryOfProjects() ?? now;
    case "share":
      return held ? earlierOf(reset, store.nextExpiryOf(demand.caller)) : reset;
    case "floor": {
      const { settings } = store.state;
      const { charged, untracked } = store.today(now);
      const left = safetyLimit(settings) - charged - untracked - store.reserved();
      const shrinksAt = floorReaches(left - demand.minCalls, settings.backgroundFloor, now);
      return held ? earlierOf(shrinksAt, store.nextExpiry()) : shrinksAt;
    }
    case "daily":
      return held ? earlierOf(reset, store.nextExpiry()) : reset;
    case "pace":
    case "price":
      throw new Error(`Unexpected rule: ${refusedBy}`);
  }
}

type TakenTurn =
  /** `chain`: null for a turn outside the pace. `late`: granted in observe mode, although the pace would refuse. */
  | { readonly result: "granted"; readonly startAt: number; readonly chain: number | null; readonly late: boolean }
  | { readonly result: "refused"; readonly waitMs: number };

/** Books a turn of the pace. Only `enforce` refuses. Without enforcement, the pace does not apply. */
function takeTurn(store: LedgerStore, { caller, priority }: Pick<Spender, "caller" | "priority">, now: number): TakenTurn {
  const { state } = store;
  const { ratePerSecond, enforcement } = state.settings;
  if (enforcement === "off" || ratePerSecond === 0) return { result: "granted", startAt: now, chain: null, late: false };
  const turns = store.turns(now);
  const turn = turns.book(caller, priority, now, state.pausedUntil);
  if (turn.result === "granted") {
    state.nextFreeAt = turns.nextFreeAt;
    return { ...turn, chain: state.paceChain, late: false };
  }
  if (enforcement === "enforce") return turn;
  return { result: "granted", startAt: now + paceAheadMs(priority), chain: null, late: true };
}

function recordWouldRefuse(store: LedgerStore, refusedBy: RefusedBy, { caller, calls }: Demand, now: number): void {
  if (store.state.settings.enforcement !== "observe") return;
  store.countRefusals("would_refuse", refusedBy, dayOf(now));
  log.warn("Reservation would have been refused", { refused_by: refusedBy, caller, calls });
}

function refusedByPace(store: LedgerStore, demand: Demand, wait: Pick<Refusal, "waitMs" | "manyReturned">, now: number): Outcome {
  const { waitMs, manyReturned } = wait;
  store.countRefusals("refusals", "pace", dayOf(now));
  const refusal = {
    refusedBy: "pace",
    callsNeeded: demand.minCalls,
    available: 0,
    waitMs,
    ...(manyReturned ? { manyReturned } : {}),
  } as const;
  return { result: "refused", refusal };
}

function answerToRepeat(row: ReservationRow, fingerprint: string): Outcome {
  if (row.fingerprint !== fingerprint) return { result: "conflict", detail: "This id was already used for a different reservation" };
  if (row.state !== "held") return { result: "conflict", detail: `This id's reservation is already ${endedState(row)}` };
  return { result: "granted", reservation: asReservation(row) };
}

function asReservation({ id, calls, expires_at, start_at, opened_at, probe }: ReservationRow): Reservation {
  return { id, calls, expiresAt: expires_at, startAt: Math.ceil(start_at), decidedAt: opened_at, probe: probe === 1 };
}
