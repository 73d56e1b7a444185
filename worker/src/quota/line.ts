/** Places in line for turns of the pace. No I/O. No clock. */
import { SECOND_MS } from "../lib/time.ts";
import type { Priority } from "./types.ts";

/** Clients round an advised wait up to a second, and add up to a quarter of it at random. */
const ROUNDING_MS = SECOND_MS;
const JITTER = 1.25;

/** The longest wait to advise, so that a client still returns before its turn starts. */
export const maxWaitMs = (startsInMs: number): number => (startsInMs - ROUNDING_MS) / JITTER;

interface Place {
  /** Number of the turn. */
  readonly number: number;
  /** The time from which its caller can book it, in epoch milliseconds. */
  readonly opensAt: number;
}

/** Turns that are kept for refused callers. Each caller has at most one place. */
export class Line {
  readonly #owners = new Map<number, string>();
  readonly #places = new Map<string, Place>();
  /** The turn after the last place. */
  readonly #end: Record<Priority, number> = { interactive: -Infinity, background: -Infinity };

  /** The caller that has its place at this turn. */
  ownerOf(number: number): string | undefined {
    return this.#owners.get(number);
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

  enter(name: string, place: Place): void {
    this.leave(name);
    this.#owners.set(place.number, name);
    this.#places.set(name, place);
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
