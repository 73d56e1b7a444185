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

/** A rise of a few calls is soon somebody else's: a smaller batch proves no price of its size, and contradicts none. */
export const LEAST_TELLING_BATCH = 10;

/** The provider's count of spent calls just before a batch was sent and just after its answer, both asked for. */
interface CountsAroundBatch {
  readonly batchOf: number;
  readonly spentBefore: number;
  readonly spentAfter: number;
  /** A 2xx came back: then it was certainly billed. */
  readonly delivered: boolean;
}

/**
 * What a batch of unknown price was charged, whatever its answer was. A batch costs nothing, one call, or one an ISBN: never more than
 * the count rose. null: the counts prove nothing, because the count fell, or lags behind a batch that was certainly billed.
 */
export function provenCost({ batchOf, spentBefore, spentAfter, delivered }: CountsAroundBatch): number | null {
  const rise = spentAfter - spentBefore;
  if (rise < 0) return null;
  if (rise < 1) return delivered ? null : 0;
  return rise < batchOf ? 1 : batchOf;
}

/** A delivered batch that raised the count by less than its size: one call, unless the count lags behind. */
export interface CheapBatch {
  readonly date: string;
  readonly batchOf: number;
  readonly spentBefore: number;
}

/**
 * Whether a later batch, after which the provider had counted `spentAfter`, confirms the price of a cheap one. By then the count no
 * longer lags behind the first: had that cost one call an ISBN, the count had risen by its size since, whatever others spent besides.
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
  /** The most that other requests of ours may have added in between. */
  readonly others: number;
}

/**
 * The price that the provider's count suggests. A rise below `batchOf` cannot be one call an ISBN, unless the count lags behind; a rise of
 * `batchOf` or more is, unless others explain it. Enough to doubt a known price; only `per_isbn`, the dearer one, is learned from it, and
 * only from a batch that is large enough. Null: not to be told.
 */
export function suggestedPrice({ batchOf, spentBefore, spentAfter, others }: CountAroundBatch): BulkPrice | null {
  const rise = spentAfter - spentBefore;
  // Every request that reaches the provider counts: a count that did not move lags behind.
  if (rise < 1) return null;
  if (rise < batchOf) return "per_request";
  return rise > 1 + others ? "per_isbn" : null;
}
