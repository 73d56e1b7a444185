/** Limits the large answers in memory: 128 MB are shared by all requests of an instance, and one answer takes up to 62 MB. */
import type { Deps } from "../deps.ts";
import { Problem } from "../errors.ts";
import { MINUTE_MS, SECOND_MS } from "../lib/time.ts";
import { jittered, sleep as realSleep } from "../lib/sleep.ts";

/** Answers with more records count as large. */
const SMALL_ANSWER_RECORDS = 100;
const MAX_LARGE_ANSWERS = 2;
/** Waits for room: about 15 s, which is longer than most answers take. */
const POLL_MS = 50;
const MAX_POLLS = 240;
/** A request that the platform ended never leaves its room. It is free again when every request would have ended. */
const MAX_STAY_MS = 3 * MINUTE_MS;
const RETRY_AFTER_SECONDS = 5;

/** A request that has not polled for so long was ended by the platform. */
const MAX_SILENCE_MS = SECOND_MS;

interface Stay {
  readonly caller: string;
  /** The time from which it no longer counts. */
  readonly until: number;
}

/** Large answers in their rooms, and those that wait for one. Shared by all requests of this instance. */
const rooms = new Map<symbol, Stay>();
const waiting = new Map<symbol, Stay>();
/** Number of the latest entry of each caller that has a room or waits for one. */
const entries = new Map<string, number>();
let entered = 0;

/**
 * Runs `work` while at most one other large answer is processed. Callers take turns, so that many requests of one do not keep another
 * waiting. Call it before the quota is reserved: nothing is paid for while it waits. Throws `pace_exceeded` if it waits too long.
 */
export async function withRoom<Result>(
  { clock }: Pick<Deps, "clock">,
  { caller, records }: { readonly caller: string; readonly records: number },
  work: () => Promise<Result>,
  sleep = realSleep,
): Promise<Result> {
  if (records <= SMALL_ANSWER_RECORDS) return work();
  const answer = Symbol("large answer");
  try {
    for (let polls = 0; !enter(answer, caller, clock()); polls += 1) {
      if (polls >= MAX_POLLS) throw noRoom();
      await sleep(jittered(POLL_MS));
    }
    return await work();
  } finally {
    rooms.delete(answer);
    waiting.delete(answer);
  }
}

function enter(answer: symbol, caller: string, now: number): boolean {
  for (const stays of [rooms, waiting]) for (const [other, { until }] of stays) if (until <= now) stays.delete(other);
  waiting.set(answer, { caller, until: now + MAX_SILENCE_MS });
  const present = new Set([...rooms.values(), ...waiting.values()].map((stay) => stay.caller));
  for (const name of entries.keys()) if (!present.has(name)) entries.delete(name);
  const entryOf = (name: string): number => entries.get(name) ?? 0;
  const isNext = [...waiting.values()].every((other) => entryOf(other.caller) >= entryOf(caller));
  if (rooms.size >= MAX_LARGE_ANSWERS || !isNext) return false;
  waiting.delete(answer);
  rooms.set(answer, { caller, until: now + MAX_STAY_MS });
  entered += 1;
  entries.set(caller, entered);
  return true;
}

function noRoom(): Problem {
  const detail = `${MAX_LARGE_ANSWERS} requests for more than ${SMALL_ANSWER_RECORDS} records are already in progress. Retry in ${RETRY_AFTER_SECONDS} seconds, or request at most ${SMALL_ANSWER_RECORDS} records.`;
  return new Problem("pace_exceeded", detail, { retryAfterSeconds: RETRY_AFTER_SECONDS, members: { calls_charged: 0 } });
}
