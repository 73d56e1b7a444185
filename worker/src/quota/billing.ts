/** The cost of a batch of ISBNs, and how it is learned from the provider's count. No I/O. No clock. */
import type { BulkBilling } from "../env.ts";
import type { BulkPrice, Cost } from "./types.ts";

/** The price as the ledger knows it. `assumed`: the provider gave no count to learn from. */
export interface KnownPrice {
  readonly price: BulkPrice;
  readonly source: "configured" | "observed" | "assumed";
}

/** The configured price. With `auto`: the learned price, or null while it is unknown. */
export function effectivePrice(configured: BulkBilling, learned: KnownPrice | null): KnownPrice | null {
  return configured === "auto" ? learned : { price: configured, source: "configured" };
}

/** Calls that a request costs. A batch of unknown price counts as the worst case: one call per ISBN. */
export function callsFor(cost: Cost, price: BulkPrice | null): number {
  if ("calls" in cost) return cost.calls;
  return price === "per_request" ? 1 : cost.batchOf;
}

/** Only the cost of a batch of two or more depends on the price, and only such a batch can reveal it. */
export function isPriced(cost: Cost): cost is { readonly batchOf: number } {
  return "batchOf" in cost && cost.batchOf > 1;
}

/** The smallest batch that can prove or contradict a price. Other callers could explain a rise by fewer calls. */
export const MIN_CONCLUSIVE_BATCH = 10;

/** The provider's count of spent calls just before a batch was sent and just after its answer. Both were requested for this. */
interface CountsAroundBatch {
  readonly batchOf: number;
  readonly spentBefore: number;
  readonly spentAfter: number;
  /** The answer was a 2xx, so the batch was definitely billed. */
  readonly delivered: boolean;
}

/**
 * The cost of a batch of unknown price, with any answer. A batch costs 0, 1, or one call per ISBN, and never more than the count rose.
 * Null: the counts prove nothing, because the count fell or lags behind a batch that was definitely billed.
 */
export function provenCost({ batchOf, spentBefore, spentAfter, delivered }: CountsAroundBatch): number | null {
  const rise = spentAfter - spentBefore;
  if (rise < 0) return null;
  if (rise < 1) return delivered ? null : 0;
  return rise < batchOf ? 1 : batchOf;
}

/** A delivered batch that raised the count by less than its size. It cost one call, unless the count lags behind. */
export interface CheapBatch {
  readonly date: string;
  readonly batchOf: number;
  readonly spentBefore: number;
}

/**
 * Whether a later batch confirms the price of a cheap one. `spentAfter` is the provider's count after the later batch: it no longer lags
 * behind the first. At one call per ISBN, the count would have risen by at least the first batch's size.
 */
export function isConfirmed(first: CheapBatch, spentAfter: number): boolean {
  const rise = spentAfter - first.spentBefore;
  return rise >= 0 && rise < first.batchOf;
}

interface CountAroundBatch {
  readonly batchOf: number;
  /** The provider's count of spent calls, before the batch was sent and with its answer. */
  readonly spentBefore: number;
  readonly spentAfter: number;
  /** The most that the coordinator's other requests can have added between the two counts. */
  readonly others: number;
}

/**
 * The price that the provider's count suggests, null if it suggests none. A rise below `batchOf` excludes one call per ISBN, unless the
 * count lags behind. A larger rise means one call per ISBN, unless other requests explain it. This is enough to doubt a known price.
 * Only `per_isbn`, the higher price, is learned from it, and only from a large enough batch.
 */
export function suggestedPrice({ batchOf, spentBefore, spentAfter, others }: CountAroundBatch): BulkPrice | null {
  const rise = spentAfter - spentBefore;
  // The provider counts every request that it receives, so an unchanged count is out of date.
  if (rise < 1) return null;
  if (rise < batchOf) return "per_request";
  return rise > 1 + others ? "per_isbn" : null;
}
