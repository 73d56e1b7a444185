/** Who gets how much of what is left. No I/O. No clock. All numbers are provider calls of one window unless a name says otherwise. */
import { DAY_MS, windowStart } from "./window.ts";
import { PROJECT_CALLER_PREFIX } from "./types.ts";
import type { Priority, Refuser, Settings, ShareUse } from "./types.ts";

export const DEFAULT_TTL_SECONDS = 120;
export const MAX_TTL_SECONDS = 3_600;
const MAX_PROJECT_TTL_SECONDS = 120;
/** A project may hold at most a tenth of the safety limit open at a time. */
const PROJECT_HOLD_DIVISOR = 10;

export function safetyLimit({ dailyLimit, safetyBuffer }: Pick<Settings, "dailyLimit" | "safetyBuffer">): number {
  return dailyLimit - safetyBuffer;
}

/** What background work leaves to others: the whole floor at 00:00 UTC, linearly less until 24:00, rounded up. */
export function floorAt(backgroundFloor: number, now: number): number {
  const left = DAY_MS - (now - windowStart(now));
  return Math.ceil((backgroundFloor * left) / DAY_MS);
}

/** The moment today's floor has shrunk to `wanted` calls; after it, background work may have what is above. */
export function floorReaches(wanted: number, backgroundFloor: number, now: number): number {
  if (wanted >= backgroundFloor) return windowStart(now);
  return windowStart(now) + Math.ceil((DAY_MS * (backgroundFloor - wanted)) / backgroundFloor);
}

export interface Demand {
  readonly calls: number;
  readonly minCalls: number;
  readonly caller: string;
  readonly priority: Priority;
  /** The most that this caller may spend in the window; null: no limit of its own. */
  readonly share: number | null;
}

export interface Standing {
  /** Charged plus untracked. */
  readonly used: number;
  /** Held by all open reservations. */
  readonly reserved: number;
  /** Held by the open reservations of this demand's caller. Read only for a project, or a caller with a share. */
  readonly reservedByCaller: number;
  /** Charged to this demand's caller. Read only for a caller with a share. */
  readonly usedByCaller: number;
}

/** Calls left for anybody; never below 0. */
export function remaining(settings: Settings, { used, reserved }: Pick<Standing, "used" | "reserved">): number {
  return Math.max(0, safetyLimit(settings) - used - reserved);
}

export type Decision =
  | { readonly result: "granted"; readonly calls: number }
  | (Refuser & { readonly result: "refused"; readonly available: number });

/**
 * Decides all limits together: the tightest sets what is granted, and the first that cannot give the minimum is the one that is named.
 * Nothing is clamped into a grant: less than the minimum is a refusal. What ends the day for more callers, or for longer, stands first.
 */
export function decide(demand: Demand, standing: Standing, settings: Settings, now: number): Decision {
  const left = remaining(settings, standing);
  const limits: (Refuser & { available: number })[] = [{ refusedBy: "daily", available: left }];
  if (demand.share !== null) {
    const [used, reserved] = [standing.usedByCaller, standing.reservedByCaller];
    const share = { calls_per_day: demand.share, used, reserved };
    limits.push({ refusedBy: "share", share, available: leftOfShare(share) });
  }
  if (demand.priority === "background") {
    limits.push({ refusedBy: "floor", available: Math.max(0, left - floorAt(settings.backgroundFloor, now)) });
  }
  if (demand.caller.startsWith(PROJECT_CALLER_PREFIX)) {
    limits.push({ refusedBy: "hold", available: Math.max(0, projectHold(settings) - standing.reservedByCaller) });
  }
  const available = Math.min(...limits.map((limit) => limit.available));
  const refusing = limits.find((limit) => limit.available < demand.minCalls);
  if (refusing) return { result: "refused", ...refusing, available };
  return { result: "granted", calls: Math.min(demand.calls, available) };
}

/** Calls a caller may still spend of its share; never below 0. */
export function leftOfShare({ calls_per_day, used, reserved }: ShareUse): number {
  return Math.max(0, calls_per_day - used - reserved);
}

/** The most a project may hold open at a time. */
export function projectHold(settings: Settings): number {
  return Math.floor(safetyLimit(settings) / PROJECT_HOLD_DIVISOR);
}

/** The longest life of a caller's reservation. */
export function maxTtlSeconds(caller: string): number {
  return caller.startsWith(PROJECT_CALLER_PREFIX) ? MAX_PROJECT_TTL_SECONDS : MAX_TTL_SECONDS;
}

/** The provider's count that we did not cause. Never goes down by itself: only an operator lowers it. */
export function untrackedCalls(
  was: number,
  provider: { spent: number; base: number },
  ours: { charged: number; reserved: number },
): number {
  return Math.max(was, provider.spent - provider.base - ours.charged - ours.reserved);
}
