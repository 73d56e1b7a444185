/** Reads the stores without faults: the methods are bound before any fault is injected. */
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

/** The ledger's status, or null if it has no data. Does not initialize it. */
export async function currentStatus(): Promise<Today | null> {
  const answer = await ledger().status();
  return "empty" in answer ? null : answer;
}

/** The ledger's status. A ledger without data is initialized by a request. */
export const today = async (): Promise<Today> => (await currentStatus()) ?? ((await quotaStatus()) as unknown as Today);

/** The copy of the settings in KV. */
export async function settingsInKv(): Promise<{ readonly enforcement: { readonly value: string | null } } | null> {
  return read("settings:isbndb", "json");
}

/** First value of the first row, or 0. */
export async function numberOf(sql: string, ...values: unknown[]): Promise<number> {
  const row = await prepare(sql)
    .bind(...values)
    .first<Record<string, number>>();
  return Object.values(row ?? {})[0] ?? 0;
}
