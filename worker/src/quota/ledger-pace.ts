/**
 * The pace's slots: handed out one after the other, and again where one was given back before it began. Synchronous.
 *
 * The slots since the last pause, change of rate or jump of the clock are a chain: no two of them are closer than the rate allows, so
 * one that nobody will use may be handed out again as it is. Those of an earlier chain say nothing of the distance to those of this one.
 */
import type { LedgerState } from "./ledger-state.ts";
import type { LedgerStore } from "./ledger-store.ts";
import { nextSlot, paceAheadMs, pausedUntil } from "./pace.ts";
import type { Priority } from "./types.ts";

const NEXT_FREE_KEY = "next_free_at";
const CHAIN_KEY = "pace_chain";

/** `chain`: what the slot belongs to; null where it is none that could be given back. */
type Turn =
  | { readonly result: "granted"; readonly startAt: number; readonly chain: number | null; readonly late: boolean }
  | { readonly result: "refused"; readonly waitMs: number };

export class LedgerPace {
  readonly #store: LedgerStore;
  readonly #state: LedgerState;

  constructor(store: LedgerStore, state: LedgerState) {
    this.#store = store;
    this.#state = state;
  }

  /** Takes the next slot. Only while enforcing may it refuse; with enforcement off the pace is not kept at all. */
  take(priority: Priority, now: number): Turn {
    const { ratePerSecond, enforcement } = this.#state.settings;
    if (enforcement === "off" || ratePerSecond === 0) return { result: "granted", startAt: now, chain: null, late: false };
    const again = this.#store.takeReturnedSlot(this.#chain, now, now + paceAheadMs(priority));
    if (again !== null) return { result: "granted", startAt: again, chain: this.#chain, late: false };

    const slot = nextSlot(this.#nextFreeAt, now, ratePerSecond, priority);
    if (slot.result === "granted") {
      // An earlier slot than the next one: the clock stepped back.
      if (slot.startAt < this.#nextFreeAt) this.#begin();
      this.#store.setState(NEXT_FREE_KEY, String(slot.nextFreeAt));
      return { result: "granted", startAt: slot.startAt, chain: this.#chain, late: false };
    }
    if (enforcement === "enforce") return slot;
    return { result: "granted", startAt: now + paceAheadMs(priority), chain: null, late: true };
  }

  /** No slot before then. */
  pause(now: number, waitSeconds: number): void {
    this.#begin();
    this.#store.setState(NEXT_FREE_KEY, String(pausedUntil(this.#nextFreeAt, now, waitSeconds)));
  }

  /** Slots that were booked at another rate say nothing about this one. */
  restart(): void {
    this.#begin();
    this.#store.setState(NEXT_FREE_KEY, "0");
  }

  #begin(): void {
    this.#store.setState(CHAIN_KEY, String(this.#chain + 1));
  }

  get #chain(): number {
    return Number(this.#store.state(CHAIN_KEY) ?? 0);
  }

  get #nextFreeAt(): number {
    return Number(this.#store.state(NEXT_FREE_KEY) ?? 0);
  }
}
