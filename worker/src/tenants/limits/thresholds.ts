/** When use is close to a cap, and when it is over. Integers only, no division. No I/O. No clock. */
import type { CapType } from "../../store/limits/meters.ts";
import { CAPS } from "./caps.ts";
import type { CapValue } from "./caps.ts";

/** Percent of the cap at which the owner is told. */
export const THRESHOLDS = [80, 90] as const;
export type Threshold = (typeof THRESHOLDS)[number];

/** Use against a cap: `unknown` where the source could not be read, which is never taken for 0. */
export type CapState = "unknown" | "unlimited" | "ok" | "warning" | "exceeded";

export interface Standing {
  /** null: unknown. */
  readonly used: number | null;
  readonly cap: CapValue;
}

/** Whether use stops the project: a counter when it reached its cap, a gauge only above; a cap of 0 once anything was used. */
export function isExceeded(type: CapType, { used, cap }: Standing): boolean {
  if (used === null || cap === null) return false;
  if (cap === 0 || CAPS[type].kind === "gauge") return used > cap;
  return used >= cap;
}

/** The thresholds that use has reached, the lowest first; a cap of 0 warns of nothing. */
export function thresholdsReached({ used, cap }: Standing): readonly Threshold[] {
  if (used === null || cap === null || cap === 0) return [];
  return THRESHOLDS.filter((threshold) => used * 100 >= cap * threshold);
}

export function capState(type: CapType, standing: Standing): CapState {
  if (standing.cap === null) return "unlimited";
  if (standing.used === null) return "unknown";
  if (isExceeded(type, standing)) return "exceeded";
  return thresholdsReached(standing).length > 0 ? "warning" : "ok";
}

/** Whole percent of the cap, rounded down; null where there is no percentage. */
export function percentOf({ used, cap }: Standing): number | null {
  if (used === null || cap === null || cap === 0) return null;
  return Math.floor((used * 100) / cap);
}
