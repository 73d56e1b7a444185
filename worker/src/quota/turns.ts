/**
 * The turns of the pace: when each request may start, shared fairly. No I/O. No clock.
 *
 * If n callers wait, each gets every n-th turn. Every second turn is spare. A caller that already waits for a turn cannot book spare turns
 * in advance. So another caller finds a turn soon, even if the first one books all that it can. A refused caller without a turn gets a
 * place in line: a later turn that others cannot book. So callers that wait as advised do not lose to callers that retry constantly.
 * Shortly before its start, any caller may take a free turn.
 */
import { MINUTE_MS, SECOND_MS } from "../lib/time.ts";
import { Line, maxWaitMs } from "./line.ts";
import { isTooFar, paceAheadMs, spacingMs } from "./pace.ts";
import type { Priority } from "./types.ts";

/** Of each group of four turns, one spare turn is kept for each priority while requests of both priorities arrive. */
const GROUP = 4;
/** One in this many turns is not spare. Only those turns can be booked in advance. */
const AHEAD = 2;
const KEPT_TURNS: Readonly<Record<number, Priority>> = { 1: "interactive", 3: "background" };
/** A priority counts as active this long after its last request. */
const ACTIVE_MS = 10 * SECOND_MS;
/** Any caller may take a free turn in this last part of the spacing before its start, because an unused turn helps no caller. */
const LAST_CHANCE = 0.25;
/** Booking in advance leaves room for callers that requested a turn in this time. */
const RECENT_MS = 3 * SECOND_MS;
/** A refused caller counts as waiting until this long after the time of its retry. */
const RETRY_WITHIN_MS = SECOND_MS;
/** Places in line end this far ahead. */
const LINE_MS = 2 * MINUTE_MS;
/** Number of turns that are searched for a free one, to calculate the wait of a refused caller. */
const SEARCHED_TURNS = 100;
/** If more callers than this are known, idle ones are removed, and the callers are counted again only after `RECOUNT_MS`. */
const MANY_CALLERS = 1_000;
const RECOUNT_MS = 100;

export type Turn = { readonly result: "granted"; readonly startAt: number } | { readonly result: "refused"; readonly waitMs: number };

export interface BookedTurn {
  readonly startAt: number;
  readonly caller: string;
}

interface Caller {
  readonly name: string;
  /** Start of its latest booked turn. */
  last: number;
  /** Start of the next turn that is its fair part. */
  fairAt: number;
  /** Start of the next turn that it may book in advance, while it already waits for one. */
  aheadAt: number;
  requestedAt: number;
  priority: Priority;
  /** Until then, it counts as waiting after a refusal. */
  refusedUntil: number;
}

const NEW_CALLER = { last: -Infinity, fairAt: 0, aheadAt: 0, requestedAt: 0, priority: "interactive", refusedUntil: 0 } as const;

/** One in this many turns, as counted at this time. */
interface Part {
  readonly at: number;
  /** No other caller of the same priority made a request recently. */
  readonly isAlone: boolean;
  readonly waiting: number;
  readonly recent: number;
}

/** Blocks a turn near one that lies between two turns. No caller has this name, so no caller can release it. */
const BETWEEN = "";

const keptFor = (number: number): Priority | undefined => KEPT_TURNS[((number % GROUP) + GROUP) % GROUP];

const otherThan = (priority: Priority): Priority => (priority === "interactive" ? "background" : "interactive");

/** The booked turns. Turn number k starts at `origin + k * spacing`. */
export class Turns {
  readonly #spacing: number;
  #origin: number;
  /** The turn after the latest booked one. */
  #nextFree = 0;
  /** Callers by turn number. Contains all future turns. */
  readonly #booked = new Map<number, string>();
  readonly #callers = new Map<string, Caller>();
  readonly #line = new Line();
  /** The latest counts of `#partOf`. */
  readonly #parts: Partial<Record<Priority, Part>> = {};
  readonly #lastRequestAt: Record<Priority, number> = { interactive: -Infinity, background: -Infinity };

  /** Continues the turns of a stored ledger. `nextFreeAt`: the start of the turn after the latest booked one. */
  constructor(ratePerSecond: number, nextFreeAt: number, booked: Iterable<BookedTurn> = []) {
    this.#spacing = spacingMs(ratePerSecond);
    this.#origin = nextFreeAt;
    for (const turn of booked) {
      this.#block(turn);
      const known = this.#caller(turn.caller);
      known.last = Math.max(known.last, turn.startAt);
    }
  }

  get nextFreeAt(): number {
    return this.#startOf(this.#nextFree);
  }

  /** Books a turn. `earliest`: the end of the provider's pause, if any. */
  book(name: string, priority: Priority, now: number, earliest = 0): Turn {
    this.#lastRequestAt[priority] = now;
    const from = isTooFar(earliest, now) ? now : Math.max(now, earliest);
    this.#restartIfIdle(from, now);
    const caller = this.#caller(name);
    caller.requestedAt = now;
    caller.priority = priority;
    const part = this.#partOf(caller, now);
    const number = this.#firstAllowed(caller, priority, now, from, part);
    if (typeof number === "object") {
      caller.refusedUntil = now + number.waitMs + RETRY_WITHIN_MS;
      return { result: "refused", ...number };
    }
    const startAt = this.#startOf(number);
    this.#booked.set(number, name);
    this.#line.leave(name);
    this.#nextFree = Math.max(this.#nextFree, number + 1);
    const isWaiting = caller.last > now;
    if (isWaiting && startAt > now + this.#spacing) {
      caller.aheadAt = Math.max(caller.aheadAt, now) + part.recent * this.#spacing * AHEAD;
    }
    caller.fairAt = Math.max(caller.fairAt, now) + (isWaiting ? part.recent : part.waiting) * this.#spacing;
    caller.last = Math.max(caller.last, startAt);
    caller.refusedUntil = 0;
    return { result: "granted", startAt };
  }

  /** Frees a turn that its caller does not use. If that is too late for others, the caller loses one of its next turns. */
  release({ caller: name, startAt }: BookedTurn, now: number): void {
    const caller = this.#caller(name);
    const step = this.#partOf(caller, now).waiting * this.#spacing;
    const isLate = startAt - now <= this.#spacing * LAST_CHANCE;
    if (isLate) caller.fairAt = Math.max(caller.fairAt, now) + step;
    if (startAt <= now) return;
    const number = Math.round((startAt - this.#origin) / this.#spacing);
    if (this.#booked.get(number) !== name) return;
    this.#booked.delete(number);
    if (!isLate) caller.fairAt -= step;
    if (startAt < caller.last - this.#spacing / 2) return;
    caller.last = -Infinity;
    for (const [turn, booker] of this.#booked) if (booker === name) caller.last = Math.max(caller.last, this.#startOf(turn));
  }

  /** The first turn that this caller may take, or the wait until it may take one. */
  #firstAllowed(caller: Caller, priority: Priority, now: number, from: number, part: Part): number | { waitMs: number } {
    const until = now + paceAheadMs(priority);
    const first = this.#firstFrom(from);
    let number = first;
    for (; this.#startOf(number) <= Math.min(now + this.#spacing, until); number += 1) {
      if (this.#isFree(number, caller, now) && this.#isOpen(number, caller, priority, now, part.recent > 1)) return number;
    }
    const place = this.#line.openPlace(caller.name, now);
    const own = place !== null && place >= first && this.#isFree(place, caller, now) ? place : Infinity;
    const isWaiting = caller.last > now;
    number = Math.max(number, this.#firstFrom(caller.fairAt));
    // An earlier turn may be free, because its caller did not return or released it.
    for (; this.#startOf(number) <= until && number < own; number += 1) {
      const mayBook = isWaiting ? this.#mayBookAhead(number, caller, now, part) : !this.#isKept(number, priority, now);
      if (mayBook && this.#isFree(number, caller, now)) return number;
    }
    if (own < Infinity) return own;
    const later = isWaiting ? null : this.#waitInLine(caller, now, Math.max(first, this.#firstFrom(until)));
    const opensAt = later ?? this.#opensAt(first, until, priority);
    return { waitMs: Math.max(1, Math.ceil(opensAt - now)) };
  }

  /** Whether a caller that already waits may book this turn. It may book those kept for its priority if no other caller needs them. */
  #mayBookAhead(number: number, caller: Caller, now: number, part: Part): boolean {
    const kept = keptFor(number);
    if (kept === undefined) return this.#startOf(number) >= caller.aheadAt;
    return kept === caller.priority && part.isAlone && this.#isActive(otherThan(kept), now);
  }

  /** Whether the turn is not booked, and is not another caller's place in line. */
  #isFree(number: number, { name }: Caller, now: number): boolean {
    const isLastChance = this.#startOf(number) - now <= this.#spacing * LAST_CHANCE;
    return !this.#booked.has(number) && (isLastChance || !this.#line.isHeld(number, name, now));
  }

  /** Gives the caller a place in line at or after this turn. Returns when it can book the place, or null if the line is too long. */
  #waitInLine(caller: Caller, now: number, first: number): number | null {
    const { name, priority } = caller;
    const known = this.#line.placeOf(name);
    if (known && known.number >= first && this.#isFree(known.number, caller, now)) return this.#line.enter(name, known, now);
    this.#line.leave(name);
    const isTaken = (turn: number): boolean => this.#booked.has(turn) || this.#isKept(turn, priority, now);
    const number = this.#line.freeTurn(priority, first, this.#firstFrom(caller.fairAt), isTaken);
    const startsIn = this.#startOf(number) - now;
    if (startsIn > LINE_MS) return null;
    const opensAt = now + Math.max(1, Math.min(startsIn - paceAheadMs(priority), maxWaitMs(startsIn) - this.#spacing));
    return this.#line.enter(name, { number, opensAt }, now);
  }

  /** Whether the caller may take the next turn. */
  #isOpen(number: number, caller: Caller, priority: Priority, now: number, isShared: boolean): boolean {
    const startsAt = this.#startOf(number);
    if (startsAt - now <= this.#spacing * LAST_CHANCE) return true;
    return !this.#isKept(number, priority, now) && (!isShared || startsAt >= caller.fairAt);
  }

  /** Whether this turn is kept for the other priority. */
  #isKept(number: number, priority: Priority, now: number): boolean {
    const kept = keptFor(number);
    return kept !== undefined && kept !== priority && this.#isActive(kept, now);
  }

  #isActive(priority: Priority, now: number): boolean {
    return now - this.#lastRequestAt[priority] < ACTIVE_MS;
  }

  /** When a refused caller may find a turn: shortly before the start of a free one, or when a later one can be booked. */
  #opensAt(first: number, until: number, priority: Priority): number {
    if (this.#startOf(first) > until) return this.#startOf(first) - paceAheadMs(priority);
    for (let number = first; number < first + SEARCHED_TURNS; number += 1) {
      if (this.#startOf(number) > this.nextFreeAt) break;
      if (!this.#booked.has(number)) return this.#startOf(number) - this.#spacing * LAST_CHANCE;
    }
    return this.nextFreeAt - paceAheadMs(priority);
  }

  /**
   * The caller's part is one in this many turns. `waiting`: counts callers that wait for a booked turn or for a retry. `recent`: also
   * counts those that made a request recently. A few callers of one priority share the turns that are kept for it.
   */
  #partOf(caller: Caller, now: number): Part {
    const known = this.#parts[caller.priority];
    const isMany = this.#callers.size > MANY_CALLERS;
    if (isMany && known && now >= known.at && now < known.at + RECOUNT_MS) return known;
    const all = { waiting: 1, recent: 1 };
    const same = { waiting: 1, recent: 1 };
    for (const [name, other] of this.#callers) {
      if (other === caller) continue;
      const isWaiting = other.last > now || other.refusedUntil > now;
      const isRecent = isWaiting || other.requestedAt > now - RECENT_MS;
      for (const count of other.priority === caller.priority ? [all, same] : [all]) {
        count.waiting += isWaiting ? 1 : 0;
        count.recent += isRecent ? 1 : 0;
      }
      if (isMany && !isRecent && other.fairAt <= now) this.#callers.delete(name);
    }
    const part = {
      at: now,
      isAlone: same.recent === 1,
      waiting: Math.min(all.waiting, GROUP * same.waiting),
      recent: Math.min(all.recent, GROUP * same.recent),
    };
    this.#parts[caller.priority] = part;
    return part;
  }

  /** If no turn is booked, the next one begins immediately. The same applies after the clock stepped back. */
  #restartIfIdle(from: number, now: number): void {
    const { nextFreeAt } = this;
    if (nextFreeAt > from && !isTooFar(nextFreeAt - this.#spacing, now)) {
      if (this.#booked.size > 2 * (this.#nextFree - this.#firstFrom(now)) + GROUP) this.#forgetPast(now);
      return;
    }
    // After the clock stepped back, turns that were booked before the step still lie ahead.
    const ahead = Array.from(this.#booked, ([number, caller]) => ({ startAt: this.#startOf(number), caller })).filter(
      ({ startAt }) => startAt > now - this.#spacing && !isTooFar(startAt, now),
    );
    this.#origin = from;
    this.#nextFree = 0;
    this.#booked.clear();
    this.#line.clear();
    for (const turn of ahead) this.#block(turn);
  }

  /** Blocks a turn that was booked earlier. One that was booked at a different rate lies between two turns, and blocks both until it has passed. */
  #block({ startAt, caller }: BookedTurn): void {
    const number = (startAt - this.#origin) / this.#spacing;
    const [before, after] = [Math.floor(number + 0.001), Math.ceil(number - 0.001)];
    const owner = before === after && !this.#booked.has(after) ? caller : BETWEEN;
    for (const turn of [before, after]) this.#booked.set(turn, owner);
    this.#nextFree = Math.max(this.#nextFree, after + 1);
  }

  #forgetPast(now: number): void {
    for (const number of this.#booked.keys()) if (this.#startOf(number) < now - this.#spacing) this.#booked.delete(number);
    this.#line.forgetBefore(this.#firstFrom(now - this.#spacing));
  }

  #startOf(number: number): number {
    return this.#origin + number * this.#spacing;
  }

  /** The first turn that starts at or after this time. */
  #firstFrom(time: number): number {
    return Math.ceil((time - this.#origin) / this.#spacing - 1e-6);
  }

  #caller(name: string): Caller {
    const known: Caller = this.#callers.get(name) ?? { name, ...NEW_CALLER };
    this.#callers.set(name, known);
    return known;
  }
}
