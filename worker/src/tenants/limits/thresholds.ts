/** Compares usage with caps and thresholds. Integers only, no division. No I/O. No clock. */
import type { CapType } from "../../store/limits/meters.ts";
import { CAPS } from "./caps.ts";
import type { CapValue } from "./caps.ts";

/** Percent of the cap at which the owner is warned. */
export const THRESHOLDS = [80, 90] as const;
export type Threshold = (typeof THRESHOLDS)[number];

/** Usage compared with a cap. `unknown`: the source was unreadable. It is never treated as 0. */
export type CapState = "unknown" | "unlimited" | "ok" | "warning" | "exceeded";

export interface CapUsage {
  /** null: unknown. */
  readonly used: number | null;
  readonly cap: CapValue;
}

/** Whether usage suspends the project: a counter at its cap, a gauge above it, and a cap of 0 after any use. */
export function isExceeded(type: CapType, { used, cap }: CapUsage): boolean {
  if (used === null || cap === null) return false;
  if (cap === 0 || CAPS[type].kind === "gauge") return used > cap;
  return used >= cap;
}

/** The thresholds that usage has reached, lowest first. A cap of 0 has none. */
export function thresholdsReached({ used, cap }: CapUsage): readonly Threshold[] {
  if (used === null || cap === null || cap === 0) return [];
  return THRESHOLDS.filter((threshold) => used * 100 >= cap * threshold);
}

export function capState(type: CapType, usage: CapUsage): CapState {
  if (usage.cap === null) return "unlimited";
  if (usage.used === null) return "unknown";
  if (isExceeded(type, usage)) return "exceeded";
  return thresholdsReached(usage).length > 0 ? "warning" : "ok";
}

/** Percent of the cap, rounded down. Null if the usage is unknown, or the cap is null or 0. */
export function percentOf({ used, cap }: CapUsage): number | null {
  if (used === null || cap === null || cap === 0) return null;
  return Math.floor((used * 100) / cap);
}
