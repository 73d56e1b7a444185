/** Who gets how much of what is left. No I/O. No clock. All numbers are provider calls of one period unless a name says otherwise. */
import { DAY_MS, startOfDay } from "../lib/time.ts";
import { isProject } from "./types.ts";
import type { Priority, Refuser, Settings, ShareUse, Spender } from "./types.ts";

export const DEFAULT_TTL_SECONDS = 120;
export const MAX_TTL_SECONDS = 3_600;
const MAX_PROJECT_TTL_SECONDS = 120;
/** A project may hold at most a tenth of the safety limit open at a time. */
const PROJECT_HOLD_DIVISOR = 10;
/**
 * All projects together at most half. Holding costs nothing, so without a bound ten projects could keep the whole day from everybody
 * by reserving and giving back. Half leaves the administrator's own work the other half, and is more than projects need in practice:
 * a hold lives two minutes at most, and what they spend is not bound by it.
 */
const PROJECTS_HOLD_DIVISOR = 2;
/** Of what the other projects leave of that half, a project may hold one part of two: so there is always a part for the next one. */
const FREE_HOLD_DIVISOR = 2;
/** A project without a share of its own may spend a tenth of the limit in a day. */
const DEFAULT_SHARE_DIVISOR = 10;

export function safetyLimit({ dailyLimit, safetyBuffer }: Pick<Settings, "dailyLimit" | "safetyBuffer">): number {
  return dailyLimit - safetyBuffer;
}

/** The share of a project that has none of its own: at least one call, so that it can be tried. */
export function defaultShare(limit: number): number {
  return Math.max(1, Math.floor(limit / DEFAULT_SHARE_DIVISOR));
}

/** The most that a caller may spend in the period, as of now; null: no limit of its own. A project has one unless it is told otherwise. */
export function shareOf({ caller, share, shareMode }: Pick<Spender, "caller" | "share" | "shareMode">, settings: Settings): number | null {
  if (shareMode === "default") return defaultShare(safetyLimit(settings));
  if (shareMode === "unlimited") return null;
  return share ?? (isProject(caller) ? defaultShare(safetyLimit(settings)) : null);
}

/** What background work leaves to others: the whole floor at 00:00 UTC, linearly less until 24:00, rounded up. */
export function floorAt(backgroundFloor: number, now: number): number {
  const left = DAY_MS - (now - startOfDay(now));
  return Math.ceil((backgroundFloor * left) / DAY_MS);
}

/** The moment today's floor has shrunk to `wanted` calls; after it, background work may have what is above. */
export function floorReaches(wanted: number, backgroundFloor: number, now: number): number {
  if (wanted >= backgroundFloor) return startOfDay(now);
  return startOfDay(now) + Math.ceil((DAY_MS * (backgroundFloor - wanted)) / backgroundFloor);
}

export interface Demand {
  readonly calls: number;
  readonly minCalls: number;
  readonly caller: string;
  readonly priority: Priority;
  /** The most that this caller may spend in the period; null: no limit of its own. */
  readonly share: number | null;
}

export interface CurrentUse {
  /** Charged plus untracked. */
  readonly used: number;
  /** Held by all open reservations. */
  readonly reserved: number;
  /** Held by the open reservations of this demand's caller. Read only for a project, or a caller with a share. */
  readonly reservedByCaller: number;
  /** Held by the open reservations of all projects. Read only for a project. */
  readonly reservedByProjects: number;
  /** Charged to this demand's caller. Read only for a caller with a share. */
  readonly usedByCaller: number;
}

/** Calls left for anybody; never below 0. */
export function remaining(settings: Settings, { used, reserved }: Pick<CurrentUse, "used" | "reserved">): number {
  return Math.max(0, safetyLimit(settings) - used - reserved);
}

export type Decision =
  | { readonly result: "granted"; readonly calls: number }
  | (Refuser & { readonly result: "refused"; readonly available: number; readonly held?: true });

/** `unheld`: what would be available if nothing were held. */
type Limit = Refuser & { readonly available: number; readonly unheld: number };

/**
 * Decides all limits together: the tightest sets what is granted, and the first that cannot give the minimum is the one that is named.
 * Nothing is clamped into a grant: less than the minimum is a refusal. What ends the day for more callers, or for longer, stands first:
 * a limit that is spent before one that is only held, and may have it back in a moment.
 */
export function decide(demand: Demand, current: CurrentUse, settings: Settings, now: number): Decision {
  const left = remaining(settings, current);
  const unspent = safetyLimit(settings) - current.used;
  const limits: Limit[] = [{ refusedBy: "daily", available: left, unheld: unspent }];
  if (isProject(demand.caller)) {
    const [own, all] = [projectHold(settings), projectsHold(settings)];
    limits.push({ refusedBy: "hold", available: Math.max(0, own - current.reservedByCaller), unheld: own });
    const ofOthers = Math.max(0, current.reservedByProjects - current.reservedByCaller);
    const part = Math.ceil(Math.max(0, all - ofOthers) / FREE_HOLD_DIVISOR);
    limits.push({ refusedBy: "projects-hold", available: Math.max(0, part - current.reservedByCaller), unheld: all });
  }
  if (demand.share !== null) {
    const [used, reserved] = [current.usedByCaller, current.reservedByCaller];
    const share = { calls_per_day: demand.share, used, reserved };
    limits.push({ refusedBy: "share", share, available: leftOfShare(share), unheld: demand.share - used });
  }
  if (demand.priority === "background") {
    const floor = floorAt(settings.backgroundFloor, now);
    limits.push({ refusedBy: "floor", available: Math.max(0, left - floor), unheld: unspent - floor });
  }
  const available = Math.min(...limits.map((limit) => limit.available));
  const spent = limits.find((limit) => limit.unheld < demand.minCalls);
  const refusing = spent ?? limits.find((limit) => limit.available < demand.minCalls);
  if (refusing) {
    const { unheld: _, ...refuser } = refusing;
    return { result: "refused", ...refuser, available, ...(spent ? {} : { held: true as const }) };
  }
  return { result: "granted", calls: Math.min(demand.calls, available) };
}

/** Calls a caller may still spend of its share; never below 0. */
export function leftOfShare({ calls_per_day, used, reserved }: ShareUse): number {
  return Math.max(0, calls_per_day - used - reserved);
}

/** The most a project may hold open at a time. */
export function projectHold(settings: Settings): number {
  return Math.max(1, Math.floor(safetyLimit(settings) / PROJECT_HOLD_DIVISOR));
}

/** The most all projects may hold open together. */
function projectsHold(settings: Settings): number {
  return Math.max(1, Math.floor(safetyLimit(settings) / PROJECTS_HOLD_DIVISOR));
}

/** The longest life of a caller's reservation. */
export function maxTtlSeconds(caller: string): number {
  return isProject(caller) ? MAX_PROJECT_TTL_SECONDS : MAX_TTL_SECONDS;
}

/** The provider's count that we did not cause. Never goes down by itself: only an operator lowers it. */
export function untrackedCalls(
  was: number,
  provider: { spent: number; base: number },
  ours: { charged: number; reserved: number },
): number {
  return Math.max(was, provider.spent - provider.base - ours.charged - ours.reserved);
}
