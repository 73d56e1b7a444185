/** What is asked of the ledger and of the provider for one provider call, for somebody who watches. The quota knows nothing of telemetry. */
import type { ProviderCount, QuotaStatus, ReserveAnswer } from "./types.ts";

/** What the ledger said, and when it was asked. */
export interface Turn {
  readonly answer: Exclude<ReserveAnswer, { result: "conflict" | "impossible" }>;
  readonly askedAt: number;
}

export interface Settled {
  readonly charged: number;
  readonly status: QuotaStatus | null;
}

/** Stands around each question. Its answer, or its failure, is to pass through as it is. */
export interface Watch {
  readonly reserve: (ask: () => Promise<Turn>) => Promise<Turn>;
  readonly count: (ask: () => Promise<ProviderCount>) => Promise<ProviderCount>;
  readonly settle: (ask: () => Promise<Settled>) => Promise<Settled>;
}

export const UNWATCHED: Watch = { reserve: async (ask) => ask(), count: async (ask) => ask(), settle: async (ask) => ask() };
