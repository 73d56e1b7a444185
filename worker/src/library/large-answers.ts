/** Limits the large answers in memory: 128 MB are shared by all requests of an instance, and one answer takes up to 62 MB. */
import type { Deps } from "../deps.ts";
import { Problem } from "../errors.ts";
import { MINUTE_MS } from "../lib/time.ts";
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

/** When the room of each large answer is free at the latest. Shared by all requests of this instance. */
const rooms = new Map<symbol, number>();

/**
 * Runs `work` while at most one other large answer is processed. Call it before the quota is reserved: nothing is paid for while it waits.
 * Throws `pace_exceeded` if it waits too long.
 */
export async function withRoom<Result>(
  { clock }: Pick<Deps, "clock">,
  records: number,
  work: () => Promise<Result>,
  sleep = realSleep,
): Promise<Result> {
  if (records <= SMALL_ANSWER_RECORDS) return work();
  const answer = Symbol("large answer");
  for (let polls = 0; !enter(answer, clock()); polls += 1) {
    if (polls >= MAX_POLLS) throw noRoom();
    await sleep(jittered(POLL_MS));
  }
  try {
    return await work();
  } finally {
    rooms.delete(answer);
  }
}

function enter(answer: symbol, now: number): boolean {
  for (const [other, until] of rooms) if (until <= now) rooms.delete(other);
  if (rooms.size >= MAX_LARGE_ANSWERS) return false;
  rooms.set(answer, now + MAX_STAY_MS);
  return true;
}

function noRoom(): Problem {
  const detail = `${MAX_LARGE_ANSWERS} requests for more than ${SMALL_ANSWER_RECORDS} records are already in progress. Retry in ${RETRY_AFTER_SECONDS} seconds, or request at most ${SMALL_ANSWER_RECORDS} records.`;
  return new Problem("pace_exceeded", detail, { retryAfterSeconds: RETRY_AFTER_SECONDS, members: { calls_charged: 0 } });
}
