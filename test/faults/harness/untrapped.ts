/** The stores as they are, whatever strikes: what a flow's own words are taken from. Taken before any trap is laid. */
import { env } from "cloudflare:workers";
import type { QuotaLedger } from "../../../worker/src/index.ts";
import { quotaStatus } from "../../support/worker.ts";

const prepare = env.DB.prepare.bind(env.DB);
const getByName = env.QUOTA_LEDGER.getByName.bind(env.QUOTA_LEDGER);
const read = env.QUOTA_KV.get.bind(env.QUOTA_KV);

interface Today {
  readonly used: number;
  readonly reserved: number;
  readonly enforcement: string;
  readonly background: { readonly floor: number };
  readonly callers: readonly { readonly caller: string; readonly used: number }[];
}

export const ledger = (): DurableObjectStub<QuotaLedger> => getByName("isbndb");

/** The ledger's own word; null of one without a store, which it does not begin with. */
export async function known(): Promise<Today | null> {
  const answer = await ledger().status();
  return "empty" in answer ? null : answer;
}

/** The same, after a request that it begins with. */
export const today = async (): Promise<Today> => (await known()) ?? ((await quotaStatus()) as unknown as Today);

/** What KV holds of the settings. */
export async function mirror(): Promise<{ readonly enforcement: { readonly value: string | null } } | null> {
  return read("settings:isbndb", "json");
}

/** One number. */
export async function numberOf(sql: string, ...values: unknown[]): Promise<number> {
  const row = await prepare(sql)
    .bind(...values)
    .first<Record<string, number>>();
  return Object.values(row ?? {})[0] ?? 0;
}
