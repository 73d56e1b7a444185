/**
 * Simulated callers of the pace. They see only the answers, like real clients. Time passes in events, so a minute takes milliseconds.
 * No I/O. No clock.
 */
import type { Priority } from "../../worker/src/quota/types.ts";

export interface Door {
  /** Requests a turn. The id identifies it later. */
  readonly book: (
    caller: string,
    priority: Priority,
    now: number,
  ) => { readonly startAt: number; readonly id: string } | { readonly waitMs: number };
  /** Releases a turn without sending. */
  readonly release: (id: string, now: number) => void;
}

/** The use of a turn: it is sent, or released immediately, just before its start, or after its start. */
export type Use = "send" | "release" | "release before" | "release after";

export interface CallerPlan {
  readonly name: string;
  readonly priority?: Priority;
  /** Parallel loops. Each requests a turn, waits for it, uses it and continues. Default 1. */
  readonly loops?: number;
  /** Milliseconds between a turn and the loop's next request. Default 0. */
  readonly pauseMs?: number;
  /** Milliseconds from one request to the next, unless the turn comes later. */
  readonly everyMs?: number;
  readonly use?: Use;
  /** A loop that is refused retries after this time instead of the advised one. */
  readonly retryMs?: number;
  readonly from?: number;
}

export interface CallerResult {
  granted: number;
  refused: number;
  /** Start times of sent requests. */
  readonly sent: number[];
  /** The longest time from a request to the turn that was granted. */
  longestWaitMs: number;
}

/** The time until an answer arrives and the next request is made. */
const RELEASE_AFTER_MS = 20;

/** Clients learn the wait in whole seconds from `Retry-After`, and add up to a quarter at random. */
const advised = (waitMs: number, random: number): number => Math.max(1_000, Math.ceil(waitMs / 1_000) * 1_000) * (1 + random / 4);

/** Pseudorandom numbers from 0 to 1, the same in every run. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

export function simulate(door: Door, plans: readonly CallerPlan[], untilMs: number, startAt = 0): Map<string, CallerResult> {
  const random = randomNumbers(17);
  const results = new Map<string, CallerResult>();
  /** The earliest event is last. Simultaneous events happen in the order of their creation. */
  const events: { readonly at: number; readonly run: (now: number) => void }[] = [];
  const later = (at: number, run: (now: number) => void): void => {
    let [low, high] = [0, events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((events[middle]?.at ?? 0) > at) low = middle + 1;
      else high = middle;
    }
    events.splice(low, 0, { at, run });
  };

  for (const plan of plans) {
    const { name, priority = "interactive", loops = 1, pauseMs = 0, everyMs = 0, use = "send", retryMs, from = 0 } = plan;
    const result = results.get(name) ?? { granted: 0, refused: 0, sent: [], longestWaitMs: 0 };
    results.set(name, result);
    const request = (now: number, since: number): void => {
      const answer = door.book(name, priority, now);
      if ("waitMs" in answer) {
        result.refused += 1;
        later(now + (retryMs ?? advised(answer.waitMs, random())), (time) => request(time, since));
        return;
      }
      result.granted += 1;
      result.longestWaitMs = Math.max(result.longestWaitMs, answer.startAt - since);
      const next = (time: number): void => later(Math.max(time + pauseMs, since + everyMs), (at) => request(at, at));
      const { id, startAt: turn } = answer;
      const release = (time: number): void => {
        door.release(id, time);
        next(time);
      };
      if (use === "send") {
        later(turn, (time) => {
          result.sent.push(turn);
          next(time);
        });
      } else if (use === "release") later(now + RELEASE_AFTER_MS, release);
      else if (use === "release before") later(Math.max(now + RELEASE_AFTER_MS, turn - 1), release);
      else later(turn + 1, release);
    };
    for (let loop = 0; loop < loops; loop += 1) later(startAt + from, (at) => request(at, at));
  }

  for (let next = events.pop(); next && next.at <= startAt + untilMs; next = events.pop()) next.run(next.at);
  return results;
}

const many = (projects: number, plan: Partial<CallerPlan>): readonly CallerPlan[] =>
  Array.from({ length: projects }, (_, index) => ({ name: `project:x${index}`, retryMs: 50, ...plan }));

/** All kinds of hostile callers. */
export const HOSTILE: Readonly<Record<string, readonly CallerPlan[]>> = {
  "one loop": [{ name: "project:x" }],
  "64 loops": [{ name: "project:x", loops: 64 }],
  "64 loops that never wait": [{ name: "project:x", loops: 64, retryMs: 50 }],
  "64 background loops": [{ name: "project:x", loops: 64, priority: "background", retryMs: 50 }],
  "bursts of 64": [{ name: "project:x", loops: 64, pauseMs: 10_000, retryMs: 50 }],
  "reserve and release": [{ name: "project:x", loops: 60, use: "release", retryMs: 50 }],
  "release just before the start": [{ name: "project:x", loops: 20, use: "release before", retryMs: 50 }],
  "ten projects with 6 loops each": many(10, { loops: 6 }),
  "30 projects that never wait": many(30, {}),
  "30 projects that release just before the start": many(30, { use: "release before" }),
  "release after the start": [{ name: "project:x", loops: 20, use: "release after", retryMs: 50 }],
};
