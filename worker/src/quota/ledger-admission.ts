/** What stands against a demand, who refuses it, and when it is worth asking again. Reads only; synchronous. */
import { callsFor } from "./billing.ts";
import type { LedgerState } from "./ledger-state.ts";
import type { LedgerStore } from "./ledger-store.ts";
import { decide, floorReaches, safetyLimit } from "./policy.ts";
import type { Decision, Demand } from "./policy.ts";
import { PROJECT_CALLER_PREFIX } from "./types.ts";
import type { CallerToday, Refusal, ReserveRequest, Spender } from "./types.ts";
import { SECOND_MS, resetAt, windowOf } from "./window.ts";

type RefusedDecision = Extract<Decision, { result: "refused" }>;

export function demandOf({ caller, priority, share }: Spender, calls: number, minCalls: number): Demand {
  return { calls, minCalls, caller, priority, share: share ?? null };
}

export class LedgerAdmission {
  readonly #store: LedgerStore;
  readonly #state: LedgerState;

  constructor(store: LedgerStore, state: LedgerState) {
    this.#store = store;
    this.#state = state;
  }

  decide(demand: Demand, now: number): Decision {
    const { charged, untracked } = this.#store.day(windowOf(now));
    const { caller, share } = demand;
    const holds = share !== null || caller.startsWith(PROJECT_CALLER_PREFIX);
    const standing = {
      used: charged + untracked,
      // Whatever is open, from yesterday too: nobody knows yet on which side of midnight it will be charged.
      reserved: this.#store.reserved(),
      reservedByCaller: holds ? this.#store.reservedBy(caller) : 0,
      usedByCaller: share === null ? 0 : this.#store.usedBy(windowOf(now), caller),
    };
    return decide(demand, standing, this.#state.settings, now);
  }

  refusal({ result: _, ...refused }: RefusedDecision, demand: Demand, now: number): Refusal {
    return { ...refused, callsNeeded: demand.minCalls, waitMs: this.#waitFor(refused.refusedBy, demand, now) };
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
    const { charged, untracked } = this.#store.day(windowOf(now));
    const ofDay = safetyLimit(this.#state.settings) - charged - untracked;
    return share === null ? ofDay : Math.min(ofDay, share - this.#store.usedBy(windowOf(now), caller));
  }

  /** What one caller has of today. */
  callerToday(caller: string, now: number): CallerToday {
    return { used: this.#store.usedBy(windowOf(now), caller), reserved: this.#store.reservedBy(caller) };
  }

  #waitFor(refusedBy: RefusedDecision["refusedBy"], demand: Demand, now: number): number {
    if (refusedBy === "hold") return Math.max(SECOND_MS, (this.#store.nextExpiryOf(demand.caller) ?? now) - now);
    if (refusedBy === "floor") {
      const { charged, untracked } = this.#store.day(windowOf(now));
      const { settings } = this.#state;
      const left = safetyLimit(settings) - charged - untracked - this.#store.reserved();
      return Math.max(SECOND_MS, floorReaches(left - demand.minCalls, settings.backgroundFloor, now) - now);
    }
    return resetAt(now) - now;
  }
}
