/** Checks that cost one provider call and briefly change today's count. */
import type { Answer, Client } from "./client.ts";
import { countIn, expect, expectProblem, expectStatus, describeAnswer } from "./expect.ts";
import { quotaIn, readQuota, setUsed } from "./quota.ts";
import type { Quota } from "./quota.ts";
import type { Report } from "./report.ts";

/** Pride and Prejudice, which every plan includes. */
const BATCH = { isbns: ["9780141439518"], refresh: true };
const PATH = "/api/enrich/batch-direct";

const DAY_SECONDS = 86_400;
/** Refusals spread Retry-After over a minute. */
const JITTER_SECONDS = 60;

/** `inUse`: others make calls too, so the count may rise by more than this call. */
export async function checkCounting(client: Client, report: Report, inUse: boolean): Promise<void> {
  await report.check("counting of one call", async () => {
    const before = await readQuota(client);
    const answer = await client.send("POST", PATH, { body: BATCH });
    expectStatus(answer, 200);
    expect(answer.json["found"] === 1, "the book to be found", describeAnswer(answer));
    const calls = countIn(answer, "api_calls");
    expect(calls >= 1, "at least one provider call", `api_calls ${calls}`);
    const after = await readQuota(client);
    expect(before.date === after.date, "one UTC day", `${after.date} after ${before.date}, run this again`);
    const rise = after.charged - before.charged;
    expect(inUse ? rise >= calls : rise === calls, `the count to go up by ${calls}`, `${before.charged} before, ${after.charged} after`);
    return `${calls} ${calls === 1 ? "call" : "calls"}, ${after.used} used now`;
  });
}

/** Raises today's count and restores it. */
export class CountOverride {
  readonly #client: Client;
  #changed: { before: Quota; setTo: number } | null = null;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Raises the count to `used`. Changes nothing if the count is already that high. */
  async raise(used: number): Promise<Quota> {
    const before = await readQuota(this.#client);
    if (before.used >= used) return before;
    // Recorded first, because the change may succeed without a response.
    this.#changed = { before, setTo: used };
    return setUsed(this.#client, used);
  }

  /** Restores the earlier count plus calls made in the meantime. null if there is nothing to restore. */
  async restore(): Promise<number | null> {
    if (this.#changed === null) return null;
    const { before, setTo } = this.#changed;
    const client = this.#client.uninterruptible();
    const now = await readQuota(client);
    this.#changed = null;
    // The change never happened, or a new day has begun.
    if (now.date !== before.date || now.used < setTo) return null;
    return (await setUsed(client, before.used + now.used - setTo)).used;
  }
}

export async function checkRefusing(client: Client, report: Report, count: CountOverride): Promise<void> {
  const set = await report.check("setting the count to the limit", async () => {
    const { safetyLimit } = await readQuota(client);
    const quota = await count.raise(safetyLimit);
    expect(
      quota.used >= safetyLimit && quota.remaining === 0,
      `${safetyLimit} used, 0 remaining`,
      `${quota.used} used, ${quota.remaining} remaining`,
    );
    return quota;
  });
  if (set === null) return report.skip("refusal with 429 quota_exhausted", "the count was not set");

  const refusal = await report.check("refusal with 429 quota_exhausted", async () => {
    const answer = await client.send("POST", PATH, { body: BATCH });
    expectProblem(answer, 429, "quota_exhausted");
    return answer;
  });
  if (refusal === null) return report.skip("details of the refusal", "no refusal");
  await report.check("details of the refusal", async () => {
    expectExplanation(refusal, set);
  });
}

function expectExplanation(refusal: Answer, { safetyLimit }: Quota): void {
  const retryAfter = refusal.headers.get("retry-after") ?? "none";
  const seconds = /^\d+$/u.test(retryAfter) ? Number(retryAfter) : 0;
  expect(seconds >= 1 && seconds <= DAY_SECONDS + JITTER_SECONDS, "Retry-After with the seconds to the next UTC day", retryAfter);

  const policy = refusal.headers.get("ratelimit-policy") ?? "none";
  expect(policy.includes(`;q=${safetyLimit};w=${DAY_SECONDS}`), `RateLimit-Policy: "daily";q=${safetyLimit};w=${DAY_SECONDS}`, policy);
  const limit = refusal.headers.get("ratelimit") ?? "none";
  expect(/^"daily";r=0;t=\d+$/u.test(limit), 'RateLimit: "daily";r=0;t=<seconds>', limit);

  const { quota } = refusal.json;
  expect(typeof quota === "object" && quota !== null, "the quota in the body", describeAnswer(refusal));
  const { used } = quotaIn({ ...refusal, json: { ...quota } });
  expect(used >= safetyLimit, `a quota with ${safetyLimit} used`, `${used} used`);
}
