/**
 * The ledger's decisions: reserve, commit, release, expire. Every function is synchronous from check to write; the Durable Object
 * runs each in one transaction. `now` is given by its entry methods.
 */
import { log } from "../lib/log.ts";
import { callsFor, isPriced } from "./billing.ts";
import { demandOf } from "./ledger-admission.ts";
import type { LedgerAdmission } from "./ledger-admission.ts";
import type { LedgerPace } from "./ledger-pace.ts";
import type { ProviderBook } from "./ledger-provider.ts";
import type { LedgerState } from "./ledger-state.ts";
import type { LedgerStore, ReservationRow } from "./ledger-store.ts";
import type { LedgerTallies } from "./ledger-tallies.ts";
import { DEFAULT_TTL_SECONDS, maxTtlSeconds } from "./policy.ts";
import type { Demand } from "./policy.ts";
import type { CommitRequest, Impossible, Refusal, RefusedBy, Reservation, ReserveRequest, UnderWay } from "./types.ts";
import { MIDNIGHT_MARGIN_MS, chargedWindows, hourIn, windowsUnderWay } from "./period.ts";
import { SECOND_MS, isoSeconds, dayOf } from "../lib/time.ts";

/** How soon to ask again while another batch is finding out the price. */
const PRICE_POLL_MS = 100;

export type ReserveOutcome =
  | { readonly result: "granted"; readonly reservation: Reservation }
  | { readonly result: "refused"; readonly refusal: Refusal }
  | { readonly result: "conflict" | "impossible"; readonly detail: string };

export type CommitOutcome =
  | { readonly result: "committed"; readonly charged: number; readonly late: boolean }
  | { readonly result: "unknown" }
  | Impossible;

export class LedgerBook {
  readonly #store: LedgerStore;
  readonly #tallies: LedgerTallies;
  readonly #state: LedgerState;
  readonly #provider: ProviderBook;
  readonly #admission: LedgerAdmission;
  readonly #pace: LedgerPace;

  constructor(
    store: LedgerStore,
    state: LedgerState,
    tallies: LedgerTallies,
    provider: ProviderBook,
    admission: LedgerAdmission,
    pace: LedgerPace,
  ) {
    this.#tallies = tallies;
    this.#store = store;
    this.#state = state;
    this.#provider = provider;
    this.#admission = admission;
    this.#pace = pace;
  }

  /** Charges every hold whose life is over: it may have been sent, and nobody will say. */
  expire(now: number): void {
    for (const row of this.#store.expiredHolds(now)) {
      const windows = heldWindows(row);
      this.#charge(row, windows, row.calls, row.expires_at);
      for (const date of windows) this.#store.countInDay(date, "reserved_expired", row.calls);
      this.#store.settle(row.id, "expired", row.calls, row.expires_at);
      this.#tallies.add("requests", "unknown");
    }
  }

  reserve(request: ReserveRequest, now: number): ReserveOutcome {
    // Without the share: it may have changed between a request and its retry.
    const fingerprint = JSON.stringify([request.cost, request.minCalls, request.caller, request.priority, request.ttlSeconds]);
    const existing = this.#store.reservation(request.id);
    if (existing) return repeated(existing, fingerprint);

    const enforcing = this.#enforcing;
    const price = this.#state.price?.price ?? null;
    const calls = callsFor(request.cost, price);
    const demand = demandOf(request, calls, request.minCalls ?? calls);

    const probing = isPriced(request.cost) && price === null;
    const lone = probing && this.#store.openBatches() === 0;
    // Where not one call is left, waiting for the price would only hide that the day is over.
    if (enforcing && probing && !lone && this.#admission.unspent(demand, now) > 0) return refused("price", calls, 0, PRICE_POLL_MS);

    const never = enforcing ? this.#admission.impossible(demand, request.cost) : null;
    if (never !== null) return { result: "impossible", detail: never };

    const decision = this.#admission.decide(demand, now);
    if (enforcing && decision.result === "refused") {
      this.#tallies.refused("refusals", decision.refusedBy, dayOf(now));
      return { result: "refused", refusal: this.#admission.refusal(decision, demand, now) };
    }

    const turn = this.#pace.take(request.priority, now);
    if (turn.result === "refused") {
      this.#tallies.refused("refusals", "pace", dayOf(now));
      return refused("pace", demand.minCalls, 0, turn.waitMs);
    }
    if (decision.result === "refused") this.#wouldRefuse(decision.refusedBy, demand, now);
    if (turn.late) this.#wouldRefuse("pace", demand, now);
    const granted = decision.result === "granted" ? decision.calls : calls;
    return this.#grant({ request, fingerprint, granted, turn, probe: lone }, now);
  }

  get #enforcing(): boolean {
    return this.#state.settings.enforcement === "enforce";
  }

  #wouldRefuse(refusedBy: RefusedBy, demand: Demand, now: number): void {
    if (this.#state.settings.enforcement !== "observe") return;
    this.#tallies.refused("would_refuse", refusedBy, dayOf(now));
    log.warn("Would have been refused", { refused_by: refusedBy, caller: demand.caller, calls: demand.calls });
  }

  #grant(
    grant: {
      request: ReserveRequest;
      fingerprint: string;
      granted: number;
      turn: { startAt: number; chain: number | null };
      probe: boolean;
    },
    now: number,
  ): ReserveOutcome {
    const { request, fingerprint, granted, probe } = grant;
    const { startAt, chain } = grant.turn;
    const maxTtl = maxTtlSeconds(request.caller);
    const ttl = Math.min(request.ttlSeconds ?? DEFAULT_TTL_SECONDS, maxTtl) * SECOND_MS;
    const row = {
      ...this.#begun(now),
      id: request.id,
      fingerprint,
      caller: request.caller,
      calls: granted,
      batch_of: "batchOf" in request.cost ? request.cost.batchOf : null,
      probe: probe ? 1 : 0,
      start_at: startAt,
      pace_chain: chain,
      // A life begins when the request may start, but never lasts longer than the caller may hold calls.
      expires_at: Math.min(startAt + ttl, now + maxTtl * SECOND_MS),
    };
    this.#store.addReservation(row);
    return { result: "granted", reservation: asReservation(row) };
  }

  commit(request: CommitRequest, now: number): CommitOutcome {
    const row = this.#store.reservation(request.id);
    if (!row) return { result: "unknown" };
    if (row.state === "committed" || row.state === "late") {
      return { result: "committed", charged: row.charged ?? 0, late: row.state === "late" };
    }

    const outOfBounds = request.within ? this.#outOfBounds(request, request.within, row, now) : null;
    if (outOfBounds) return outOfBounds;
    const underWay = this.#underWay(request, row, now);
    if (underWay === "impossible") return wrongTime(request, "the reservation's creation and now");
    const { settlement } = request;
    const cost = request.calls ?? (settlement ? this.#provider.costOf(row, settlement, request.counts, now) : row.calls);
    const late = row.state === "expired";
    const already = late ? (row.charged ?? 0) : 0;
    // The provider has counted this request, and we have not yet: until it is charged it stands among the reserved.
    const reservedByOthers = this.#store.reserved() - (row.state === "held" ? row.calls : 0);
    const pending = reservedByOthers + Math.max(0, cost - already);
    if (settlement) this.#provider.observe(settlement.report, pending, now);
    if (request.counts?.after.kind === "count") this.#provider.observe(request.counts.after.report, pending, now);
    if (late) this.#chargeLate(row, cost, underWay, now);
    else this.#charge(row, chargedWindows(row.opened_at, now, underWay), cost, now);
    const charged = Math.max(cost, already);
    this.#store.settle(row.id, late ? "late" : "committed", charged, now);
    // One that expired was counted then: a counter takes nothing back.
    if (!late) this.#tallies.add("requests", settlement ? (settlement.outcome ?? "unknown") : "reported");
    if (settlement) this.#provider.heed(settlement, now);
    return { result: "committed", charged, late };
  }

  /**
   * What a project says it spent binds everybody's day, and its own word is all there is: it is charged no more than it was granted.
   * What it released was granted to others since, so that it is charged again only where the day and its share still have it; what was
   * really sent all the same, the provider's own count shows as untracked. Nothing may be sent after a reservation's end.
   */
  #outOfBounds(request: CommitRequest, { share }: { share: number | null }, row: ReservationRow, now: number): Impossible | null {
    const calls = request.calls ?? row.calls;
    if (calls > row.calls) {
      const detail = `calls is ${calls}; ${row.calls} were reserved, and a project is charged no more than that`;
      return { result: "impossible", detail, field: "calls" };
    }
    if (request.sentAt !== undefined && request.sentAt > row.expires_at + MIDNIGHT_MARGIN_MS) {
      return wrongTime(request, "the reservation's creation and its end");
    }
    if (row.state !== "released" || !this.#enforcing) return null;
    const free = this.#admission.free(row.caller, share, now);
    if (calls <= free) return null;
    const detail = `calls is ${calls}; the ${row.calls} that were reserved were released, and ${free} of them can be had again now`;
    return { result: "impossible", detail, field: "calls" };
  }

  /** The expiry charged what was held where it was held. More than that, or a day it did not think of, is charged now. */
  #chargeLate(row: ReservationRow, cost: number, underWay: UnderWay | null, now: number): void {
    const already = row.charged ?? 0;
    const windows = heldWindows(row);
    if (cost > already) this.#charge(row, windows, cost - already, now);
    const missed = underWay === null ? [] : windowsUnderWay(underWay).filter((date) => !windows.includes(date));
    if (missed.length > 0) this.#charge(row, missed, cost, now);
  }

  /** A caller's own `sent_at` is checked; ours comes from another clock, so one that cannot be is as good as none. */
  #underWay({ sentAt, settlement }: CommitRequest, row: ReservationRow, now: number): UnderWay | null | "impossible" {
    const given = sentAt === undefined ? (settlement?.underWay ?? null) : { from: sentAt, to: sentAt };
    if (given === null) return null;
    const possible = given.from >= row.opened_at - MIDNIGHT_MARGIN_MS && given.to <= now + MIDNIGHT_MARGIN_MS;
    if (possible) return given;
    return sentAt === undefined ? null : "impossible";
  }

  /** What was asked for and never heard of again: released, or never to be granted should it still arrive. */
  abandon(id: string, now: number): void {
    if (this.#store.reservation(id)) {
      this.release(id, now);
      return;
    }
    this.#store.addReservation({ ...this.#begun(now), id, fingerprint: "abandoned", caller: "abandoned", calls: 0 });
    this.#store.settle(id, "released", 0, now);
  }

  release(id: string, now: number): { result: "released"; calls: number } | { result: "unknown" } | { result: "conflict"; detail: string } {
    const row = this.#store.reservation(id);
    if (!row) return { result: "unknown" };
    if (row.state !== "held" && row.state !== "released") {
      return { result: "conflict", detail: `The reservation is ${row.state}: ${row.charged ?? 0} calls were charged` };
    }
    if (row.state === "held") this.#store.settle(id, "released", 0, now);
    return { result: "released", calls: row.calls };
  }

  /** Charges calls that were made without a reservation; the id makes it happen once. */
  add(id: string, caller: string, calls: number, now: number): CommitOutcome {
    const fingerprint = JSON.stringify(["added", calls, caller]);
    const existing = this.#store.reservation(id);
    if (existing && existing.fingerprint !== fingerprint) return { result: "impossible", detail: "This id was used for something else" };
    if (!existing) this.#store.addReservation({ ...this.#begun(now), id, fingerprint, caller, calls });
    return this.commit({ id, calls }, now);
  }

  /** What every new row begins with. */
  #begun(now: number) {
    const day = this.#store.day(dayOf(now));
    return {
      batch_of: null,
      probe: 0,
      pace_chain: null,
      opened_at: now,
      start_at: now,
      expires_at: now,
      spent_before: day.provider_spent,
      charged_before: day.charged,
      charged_when_observed: day.charged_when_observed,
    };
  }

  #charge(row: Pick<ReservationRow, "caller">, windows: readonly string[], calls: number, at: number): void {
    for (const date of windows) this.#store.charge(date, row.caller, hourIn(date, at), calls);
    this.#store.burn(at, calls);
  }
}

function wrongTime({ sentAt }: CommitRequest, between: string): Impossible {
  const given = sentAt === undefined ? "not given" : isoSeconds(sentAt);
  return { result: "impossible", detail: `sent_at must lie between ${between}; it is ${given}`, field: "sent_at" };
}

/** The windows that a hold was held in. */
function heldWindows(row: ReservationRow): readonly string[] {
  return chargedWindows(row.opened_at, row.expires_at, null);
}

function refused(refusedBy: "price" | "pace", callsNeeded: number, available: number, waitMs: number): ReserveOutcome {
  return { result: "refused", refusal: { refusedBy, callsNeeded, available, waitMs } };
}

function repeated(row: ReservationRow, fingerprint: string): ReserveOutcome {
  if (row.fingerprint !== fingerprint) return { result: "conflict", detail: "This id was used for another reservation" };
  if (row.state !== "held") return { result: "conflict", detail: `This id's reservation is already ${row.state}` };
  return { result: "granted", reservation: asReservation(row) };
}

function asReservation(row: Pick<ReservationRow, "id" | "calls" | "expires_at" | "start_at" | "opened_at" | "probe">): Reservation {
  return {
    id: row.id,
    calls: row.calls,
    expiresAt: row.expires_at,
    startAt: row.start_at,
    decidedAt: row.opened_at,
    probe: row.probe === 1,
  };
}
