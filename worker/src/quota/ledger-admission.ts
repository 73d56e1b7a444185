/** What stands against a demand, who refuses it, and when it is worth asking again. Reads only; synchronous. */
import { callsFor, isPriced } from "./billing.ts";
import type { LedgerCallers } from "./ledger-callers.ts";
import type { LedgerState } from "./ledger-state.ts";
import type { LedgerStore } from "./ledger-store.ts";
import { decide, floorReaches, leftOfShare, projectHold, remaining, safetyLimit } from "./policy.ts";
import type { Decision, Demand } from "./policy.ts";
import { PROJECT_CALLER_PREFIX } from "./types.ts";
import type { CallerToday, Cost, Refusal, ReserveRequest, Spender } from "./types.ts";
import { SECOND_MS, endOfDay, dayOf } from "../lib/time.ts";

type RefusedDecision = Extract<Decision, { result: "refused" }>;

export function demandOf({ caller, priority, share }: Spender, calls: number, minCalls: number): Demand {
  return { calls, minCalls, caller, priority, share: share ?? null };
}

export class LedgerAdmission {
  readonly #store: LedgerStore;
  readonly #state: LedgerState;
  readonly #callers: LedgerCallers;

  constructor(store: LedgerStore, state: LedgerState, callers: LedgerCallers) {
    this.#store = store;
    this.#state = state;
    this.#callers = callers;
  }

  decide(demand: Demand, now: number): Decision {
    const { charged, untracked } = this.#store.day(dayOf(now));
    const { caller, share } = demand;
    const isProject = caller.startsWith(PROJECT_CALLER_PREFIX);
    const standing = {
      used: charged + untracked,
      // Whatever is open, from yesterday too: nobody knows yet on which side of midnight it will be charged.
      reserved: this.#store.reserved(),
      reservedByCaller: share !== null || isProject ? this.#store.reservedBy(caller) : 0,
      reservedByProjects: isProject ? this.#callers.reservedByProjects() : 0,
      usedByCaller: share === null ? 0 : this.#callers.usedBy(dayOf(now), caller),
    };
    return decide(demand, standing, this.#state.settings, now);
  }

  refusal({ result: _, ...refused }: RefusedDecision, demand: Demand, now: number): Refusal {
    const waitMs = Math.max(SECOND_MS, this.#worthAskingAt(refused, demand, now) - now);
    return { ...refused, callsNeeded: demand.minCalls, waitMs };
  }

  /**
   * Why this can never be granted, whatever others give back and however often the day begins anew; null where it can. A share of 0 is
   * no size that a request could fit: the operator lets the project spend nothing, and that is refused as any share that is used up.
   */
  impossible({ caller, share, minCalls }: Demand, cost: Cost): string | null {
    const hold = caller.startsWith(PROJECT_CALLER_PREFIX) ? projectHold(this.#state.settings) : Infinity;
    const limit = Math.min(hold, share === null || share === 0 ? Infinity : share);
    if (minCalls <= limit) return null;
    const rule =
      limit === share
        ? `your project may spend ${share} a day of the provider's calls`
        : `a project may hold at most ${hold} calls open at a time`;
    if (isPriced(cost) && this.#state.price === null && limit >= 1) {
      const taken = `Until the price of a batch is known, ${cost.batchOf} ISBNs are taken to cost ${minCalls} calls`;
      return `${taken}; ${rule}. Ask for at most ${limit} at a time until then`;
    }
    return `This needs ${minCalls} calls; ${rule}, so it can never be granted`;
  }

  /** What could be granted now, without granting it. */
  check(request: Omit<ReserveRequest, "id">, now: number): { callsNeeded: number; refusal: Refusal | null; available: number } {
    const callsNeeded = callsFor(request.cost, this.#state.price?.price ?? null);
    const demand = demandOf(request, Number.MAX_SAFE_INTEGER, request.minCalls ?? callsNeeded);
    const decision = this.decide(demand, now);
    if (decision.result === "granted") return { callsNeeded, refusal: null, available: decision.calls };
    if (this.#state.settings.enforcement !== "enforce") return { callsNeeded, refusal: null, available: Number.MAX_SAFE_INTEGER };
    return { callsNeeded, available: decision.available, refusal: this.refusal(decision, demand, now) };
  }

  /** Not charged yet, of the day and of the caller's share, whoever may hold them. */
  unspent({ caller, share }: Demand, now: number): number {
    const { charged, untracked } = this.#store.day(dayOf(now));
    const ofDay = safetyLimit(this.#state.settings) - charged - untracked;
    return share === null ? ofDay : Math.min(ofDay, share - this.#callers.usedBy(dayOf(now), caller));
  }

  /** Neither charged nor held, of the day and of the caller's share. */
  free(caller: string, share: number | null, now: number): number {
    const { charged, untracked } = this.#store.day(dayOf(now));
    const ofDay = remaining(this.#state.settings, { used: charged + untracked, reserved: this.#store.reserved() });
    return share === null ? ofDay : Math.min(ofDay, leftOfShare({ calls_per_day: share, ...this.callerToday(caller, now) }));
  }

  /** What one caller has of today. */
  callerToday(caller: string, now: number): CallerToday {
    return { used: this.#callers.usedBy(dayOf(now), caller), reserved: this.#store.reservedBy(caller) };
  }

  /**
   * What is spent comes back with the next day. What is only held is known when the first hold ends: it was given back or charged by
   * then, or is charged by its expiry, and whoever asks again learns whether the day is over after all.
   */
  #worthAskingAt({ refusedBy, held }: Pick<RefusedDecision, "refusedBy" | "held">, demand: Demand, now: number): number {
    const reset = endOfDay(now);
    switch (refusedBy) {
      case "hold":
        return this.#store.nextExpiryOf(demand.caller) ?? now;
      case "projects-hold":
        return this.#callers.nextExpiryOfProjects() ?? now;
      case "share":
        return held ? Math.min(reset, this.#store.nextExpiryOf(demand.caller) ?? reset) : reset;
      case "floor": {
        const melts = this.#floorMeltsAt(demand, now);
        return held ? Math.min(melts, this.#store.nextExpiry() ?? melts) : melts;
      }
      case "daily":
        return held ? Math.min(reset, this.#store.nextExpiry() ?? reset) : reset;
      case "pace":
      case "price":
        throw new Error(`${refusedBy} is not decided here`);
    }
  }

  #floorMeltsAt({ minCalls }: Demand, now: number): number {
    const { charged, untracked } = this.#store.day(dayOf(now));
    const { settings } = this.#state;
    const left = safetyLimit(settings) - charged - untracked - this.#store.reserved();
    return floorReaches(left - minCalls, settings.backgroundFloor, now);
  }
}
