/** The steps of one provider call, for tracing. */
import type { ProviderCount, QuotaStatus, ReserveAnswer } from "./types.ts";

/** The ledger's answer, and when it was requested. */
export interface Turn {
  readonly answer: Exclude<ReserveAnswer, { result: "conflict" | "impossible" }>;
  readonly requestedAt: number;
}

export interface Settled {
  readonly charged: number;
  readonly status: QuotaStatus | null;
}

/** Hooks around the steps of one provider call, for tracing: `quota/` does not know telemetry. Results and errors pass unchanged. */
export interface Watch {
  readonly reserve: (step: () => Promise<Turn>) => Promise<Turn>;
  readonly count: (step: () => Promise<ProviderCount>) => Promise<ProviderCount>;
  readonly settle: (step: () => Promise<Settled>) => Promise<Settled>;
}

export const UNWATCHED: Watch = { reserve: async (step) => step(), count: async (step) => step(), settle: async (step) => step() };
