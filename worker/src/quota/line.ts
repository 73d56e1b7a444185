/** Places in line for turns of the pace. No I/O. No clock. */
import { SECOND_MS } from "../lib/time.ts";
import type { Priority } from "./types.ts";

/** Clients round an advised wait up to a second, and add up to a quarter of it at random. */
const ROUNDING_MS = SECOND_MS;
const JITTER = 1.25;

/** A place ends this long before its start if its caller did not return, so that others can use the turn. */
const RECLAIM_MS = 2 * SECOND_MS;
/** Transmission time of an answer and of the retry. */
const TRANSMISSION_MS = SECOND_MS / 2;

/** The longest wait to advise, so that a client still returns before others may take its place. */
export const maxWaitMs = (startsInMs: number): number => (startsInMs - RECLAIM_MS) / JITTER - ROUNDING_MS;

/** The latest time at which a client retries after a refusal with this wait. */
const returnsBy = (now: number, waitMs: number): number =>
  now + Math.max(1, Math.ceil(waitMs / ROUNDING_MS)) * ROUNDING_MS * JITTER + TRANSMISSION_MS;

interface Place {
  /** Number of the turn. */
  readonly number: number;
  /** The time from which its caller can book it, in epoch milliseconds. */
  readonly opensAt: number;
  /** The time from which any caller can book it, because its caller did not return. */
  readonly heldUntil: number;
}

/** Turns that are kept for refused callers. Each caller has at most one place. */
export class Line {
  readonly #owners = new Map<number, string>();
  readonly #places = new Map<string, Place>();
  /** The turn after the last place. */
  readonly #end: Record<Priority, number> = { interactive: -Infinity, background: -Infinity };

  /** Whether this turn is kept for a caller other than `name`. */
  isHeld(number: number, name: string, now: number): boolean {
    const owner = this.#owners.get(number);
    return owner !== undefined && owner !== name && now < (this.#places.get(owner)?.heldUntil ?? now);
  }

  placeOf(name: string): Place | undefined {
    return this.#places.get(name);
  }

  /** The first turn at the end of the line that is neither taken nor earlier than `first`, and not before the caller's fair turn. */
  freeTurn(priority: Priority, first: number, fair: number, isTaken: (number: number) => boolean): number {
    const end = Math.max(first, this.#end[priority]);
    let number = Math.max(end, fair);
    while (this.#owners.has(number) || isTaken(number)) number += 1;
    // A caller that used more than its part starts later. The turns before its place stay available.
    if (fair <= end) this.#end[priority] = number;
    return number;
  }

  /** The turn of the caller's place, if it can book it now. */
  openPlace(name: string, now: number): number | null {
    const place = this.#places.get(name);
    return place && now >= place.opensAt ? place.number : null;
  }

  /** Gives the caller this place, or keeps its place for one more retry. Returns when it opens. */
  enter(name: string, { number, opensAt }: Omit<Place, "heldUntil">, now: number): number {
    this.leave(name);
    this.#owners.set(number, name);
    this.#places.set(name, { number, opensAt, heldUntil: returnsBy(now, opensAt - now) });
    return opensAt;
  }

  leave(name: string): void {
    const place = this.#places.get(name);
    if (!place) return;
    this.#places.delete(name);
    this.#owners.delete(place.number);
  }

  clear(): void {
    this.#owners.clear();
    this.#places.clear();
    this.#end.interactive = -Infinity;
    this.#end.background = -Infinity;
  }

  /** Removes the places of callers that did not return. */
  forgetBefore(first: number): void {
    for (const [number, name] of this.#owners) if (number < first) this.leave(name);
  }
}
