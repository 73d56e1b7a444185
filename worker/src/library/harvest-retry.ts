/** When a target is retried, and when it is abandoned. No I/O. No clock. */
import { MINUTE_MS } from "../lib/time.ts";

export const MAX_TRIES = 5;
/** The first pause. Each further one is four times as long: 10 min, 40 min, 2 h 40 min, 10 h 40 min. */
const FIRST_PAUSE_MS = 10 * MINUTE_MS;
const PAUSE_GROWTH = 4;

/** `tries`: number of attempts, including this one. */
export function afterFailure(tries: number, now: number): { readonly state: "due" | "failed"; readonly dueAt: number } {
  if (tries >= MAX_TRIES) return { state: "failed", dueAt: now };
  return { state: "due", dueAt: now + FIRST_PAUSE_MS * PAUSE_GROWTH ** (tries - 1) };
}

/**
 * A batch that failed twice may be too large for the provider or contain an ISBN that breaks it. Such ISBNs are then sent in quarters. A
 * single failure is more likely an outage, which smaller batches would only make more expensive.
 */
export function batchSize(largest: number, tries: number): number {
  return Math.max(1, Math.floor(largest / 4 ** Math.max(0, tries - 1)));
}
