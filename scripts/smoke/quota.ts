/** Quota of the deployment. */
import type { Answer, Client } from "./client.ts";
import { countIn, expect, expectStatus } from "./expect.ts";

export interface Quota {
  /** The UTC day the counts belong to. */
  readonly date: string;
  /** All calls that count today. */
  readonly used: number;
  /** Calls charged by this service. The provider's count may add untracked calls to `used`. */
  readonly charged: number;
  readonly reserved: number;
  readonly remaining: number;
  readonly safetyLimit: number;
}

export function quotaIn(answer: Answer): Quota {
  const { date, upstream } = answer.json;
  expect(typeof date === "string", "the date of the counts", `${String(date)} from ${answer.request}`);
  const untracked = typeof upstream === "object" && upstream !== null && "untracked" in upstream ? Number(upstream.untracked) : 0;
  const used = countIn(answer, "used");
  return {
    date,
    used,
    charged: used - untracked,
    reserved: countIn(answer, "reserved"),
    remaining: countIn(answer, "remaining"),
    safetyLimit: countIn(answer, "safety_limit"),
  };
}

/** Reads the public status if `token` is null. */
export async function readQuota(client: Client, token?: null): Promise<Quota> {
  const answer = await client.send("GET", "/api/quota/status", token === null ? { token } : {});
  expectStatus(answer, 200);
  return quotaIn(answer);
}

export async function setUsed(client: Client, used: number): Promise<Quota> {
  const answer = await client.send("PUT", "/api/quota/usage", { body: { used } });
  expectStatus(answer, 200);
  return quotaIn(answer);
}
