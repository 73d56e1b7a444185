/** Types of the reference model: its state, requests and outcomes. */

/** Terms of a reservation request. */
export interface Terms {
  readonly calls: number;
  readonly minCalls: number | null;
  readonly caller: string;
  readonly priority: "interactive" | "background";
  readonly ttlSeconds: number;
  readonly share: number | null;
}

export interface ReservationState {
  /** The request as JSON, without the share. */
  readonly terms: string;
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
  /** The provider's count at an operator's last correction, minus the corrected count. Later counts are compared from there. */
  base: number;
  /** The provider's largest count since that correction. */
  spent: number | null;
  /** Time of an operator's last correction. Counts requested before it are ignored. */
  correctedAt: number;
  /** Kept provider counts. `taken`: the ledger's calls that the count can contain. */
  proofs: { at: number; spent: number; taken: number }[];
}

/** A provider count, with the time of its request. */
export interface Counted {
  readonly spent: number;
  readonly requestedAt: number;
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
