/** Unused reservations that projects release. No I/O. No clock. */
import { MINUTE_MS } from "../lib/time.ts";

/** A project may release this many unused reservations per minute, because other callers could have used the turns. */
export const MAX_RETURNS_PER_MINUTE = 30;

/** Unused reservations that each project released in the last minute. */
export class Returns {
  readonly #times = new Map<string, number[]>();

  add(caller: string, now: number): void {
    const own = [...(this.#times.get(caller) ?? []), now].slice(-MAX_RETURNS_PER_MINUTE);
    // The map keeps the order of the latest release, so the first callers are the idle ones.
    this.#times.delete(caller);
    this.#times.set(caller, own);
    for (const [name, times] of this.#times) {
      if ((times.at(-1) ?? 0) > now - MINUTE_MS) break;
      this.#times.delete(name);
    }
  }

  /** Milliseconds until the caller may reserve again. 0: it may do so now. */
  waitMs(caller: string, now: number): number {
    const times = this.#times.get(caller) ?? [];
    const oldest = times[0] ?? 0;
    return times.length < MAX_RETURNS_PER_MINUTE || oldest > now ? 0 : Math.max(0, oldest + MINUTE_MS - now);
  }
}
