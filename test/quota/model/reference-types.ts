/** What the reference model is made of, and what it is asked and answers. */
export interface Asked {
  readonly calls: number;
  readonly minCalls: number | null;
  readonly caller: string;
  readonly priority: "interactive" | "background";
  readonly ttlSeconds: number;
  readonly share: number | null;
}

export interface Hold {
  readonly asked: string;
  readonly caller: string;
  readonly calls: number;
  readonly openedAt: number;
  readonly expiresAt: number;
  state: "held" | "committed" | "released" | "expired" | "late";
  charged: number;
}

export interface Day {
  readonly by: Map<string, number>;
  untracked: number;
  /** The provider's count when an operator last set ours, less what ours was set to: from there on both are compared. */
  base: number;
  /** The provider's largest count since then. */
  spent: number | null;
  /** Counts that were requested before it are of an account, or of a day, that the operator has corrected. */
  correctedAt: number;
  /** Kept counts: what the provider had counted, and all of ours that may have been part of it. */
  proofs: { at: number; spent: number; taken: number }[];
}

/** What the provider said it had counted, and when it was asked. */
export interface Counted {
  readonly spent: number;
  readonly askedAt: number;
}

export interface Limits {
  dailyLimit: number;
  safetyBuffer: number;
  backgroundFloor: number;
  enforcement: "enforce" | "observe" | "off";
}

export type Outcome =
  | { readonly result: "granted" | "released"; readonly calls: number }
  | { readonly result: "refused"; readonly available: number }
  | { readonly result: "committed"; readonly charged: number; readonly late: boolean }
  | { readonly result: "conflict" | "impossible" | "unknown" | "done" };
