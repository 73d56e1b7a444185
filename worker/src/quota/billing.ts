/** What a batch of ISBNs costs, and how to find out. No I/O. No clock. */
import type { BulkBilling } from "../env.ts";
import type { BulkPrice, Cost } from "./types.ts";

/** The price as the ledger knows it. `assumed`: the provider gave no count to learn from. */
export interface KnownPrice {
  readonly price: BulkPrice;
  readonly source: "configured" | "observed" | "assumed";
}

/** The configured price stands; with `auto`, what was learned, or null while unknown. */
export function effectivePrice(configured: BulkBilling, learned: KnownPrice | null): KnownPrice | null {
  return configured === "auto" ? learned : { price: configured, source: "configured" };
}

/** Calls that a request costs. A batch of unknown price counts at its worst: one call an ISBN. */
export function callsFor(cost: Cost, price: BulkPrice | null): number {
  if ("calls" in cost) return cost.calls;
  return price === "per_request" ? 1 : cost.batchOf;
}

/** Only a batch of two or more can reveal a price, or depends on one. */
export function isPriced(cost: Cost): cost is { readonly batchOf: number } {
  return "batchOf" in cost && cost.batchOf > 1;
}

interface CountAroundBatch {
  readonly batchOf: number;
  /** The provider's count of spent calls, before the batch was sent and with its answer. */
  readonly spentBefore: number;
  readonly spentAfter: number;
  /** The most that other requests of ours may have added in between. */
  readonly others: number;
}

/**
 * The price that the provider's count proves. A rise below `batchOf` cannot be one call an ISBN; a rise of `batchOf` or more
 * is, unless other requests of ours could explain it. Null: not to be told.
 */
export function provenPrice({ batchOf, spentBefore, spentAfter, others }: CountAroundBatch): BulkPrice | null {
  const rise = spentAfter - spentBefore;
  // Every request that reaches the provider counts: a count that did not move lags behind.
  if (rise < 1) return null;
  if (rise < batchOf) return "per_request";
  return rise > 1 + others ? "per_isbn" : null;
}
