/** Rules that divide the remaining calls. No I/O. No clock. All numbers are provider calls of one period unless a name says otherwise. */
import { DAY_MS, startOfDay } from "../lib/time.ts";
import { isProject } from "./types.ts";
import type { Priority, Refuser, Settings, ShareUse, Spender } from "./types.ts";

export const DEFAULT_TTL_SECONDS = 120;
export const MAX_TTL_SECONDS = 3_600;
const MAX_PROJECT_TTL_SECONDS = 120;
/** One project's open reservations may use at most a tenth of the limit. */
const PROJECT_RESERVED_DIVISOR = 10;
/**
 * All projects' open reservations may use at most half of the limit. Reserving is free, so without this bound ten projects could
 * block all other callers by reserving and releasing. The other half remains for the administrator's own work. Projects need less in
 * practice: a reservation expires after at most two minutes, and this bound does not limit their spending.
 */
const PROJECTS_RESERVED_DIVISOR = 2;
/** A project may reserve at most half of the part that other projects leave free. So the next project always gets some. */
const FREE_PART_DIVISOR = 2;
/** A project without a share of its own may spend a tenth of the limit in a day. */
const DEFAULT_SHARE_DIVISOR = 10;

export function safetyLimit({ dailyLimit, safetyBuffer }: Pick<Settings, "dailyLimit" | "safetyBuffer">): number {
  return dailyLimit - safetyBuffer;
}

/** The share of a project that has none of its own. It is at least one call, so that a test call is possible. */
export function defaultShare(limit: number): number {
  return Math.max(1, Math.floor(limit / DEFAULT_SHARE_DIVISOR));
}

/** The most that a caller may spend in the period, null without a share. By default, only projects have one. */
export function shareOf({ caller, share, shareMode }: Pick<Spender, "caller" | "share" | "shareMode">, settings: Settings): number | null {
  if (shareMode === "default") return defaultShare(safetyLimit(settings));
  if (shareMode === "unlimited") return null;
  return share ?? (isProject(caller) ? defaultShare(safetyLimit(settings)) : null);
}

/** Calls held back from background work: the whole floor at 00:00 UTC, then linearly less until 24:00, rounded up. */
export function floorAt(backgroundFloor: number, now: number): number {
  const left = DAY_MS - (now - startOfDay(now));
  return Math.ceil((backgroundFloor * left) / DAY_MS);
}

/** The time when today's floor has shrunk to `wanted` calls. From then on, background work may use the calls above. */
export function floorReaches(wanted: number, backgroundFloor: number, now: number): number {
  if (wanted >= backgroundFloor) return startOfDay(now);
  return startOfDay(now) + Math.ceil((DAY_MS * (backgroundFloor - wanted)) / backgroundFloor);
}

export interface Demand {
  readonly calls: number;
  readonly minCalls: number;
  readonly caller: string;
  readonly priority: Priority;
  /** The most that this caller may spend in the period, null without a share. */
  readonly share: number | null;
}

export interface CurrentUse {
  /** Charged plus untracked. */
  readonly used: number;
  /** Calls of all open reservations. */
  readonly reserved: number;
  /** Calls in open reservations of this demand's caller. Read only for a project, or a caller with a share. */
  readonly reservedByCaller: number;
  /** Calls in open reservations of all projects. Read only for a project. */
  readonly reservedByProjects: number;
  /** Charged to this demand's caller. Read only for a caller with a share. */
  readonly usedByCaller: number;
}

/** Remaining calls, never below 0. */
export function remaining(settings: Settings, { used, reserved }: Pick<CurrentUse, "used" | "reserved">): number {
  return Math.max(0, safetyLimit(settings) - used - reserved);
}

export type Decision =
  | { readonly result: "granted"; readonly calls: number }
  | (Refuser & { readonly result: "refused"; readonly available: number; readonly held?: true });

/** `unspent`: calls that would be available without any open reservation. */
type Limit = Refuser & { readonly available: number; readonly unspent: number };

/**
 * Decides by all limits together. The tightest limit sets the granted calls. Fewer than the minimum is a refusal. A refusal names the
 * first limit below the minimum. Limits that bind more callers, or for longer, come first: spent limits before limits that are only
 * reserved, because reserved calls may be released soon.
 */
export function decide(demand: Demand, current: CurrentUse, settings: Settings, now: number): Decision {
  const left = remaining(settings, current);
  const unspent = safetyLimit(settings) - current.used;
  const limits: Limit[] = [{ refusedBy: "daily", available: left, unspent }];
  if (isProject(demand.caller)) {
    const [own, all] = [maxReservedByProject(settings), maxReservedByProjects(settings)];
    limits.push({ refusedBy: "hold", available: Math.max(0, own - current.reservedByCaller), unspent: own });
    const byOthers = Math.max(0, current.reservedByProjects - current.reservedByCaller);
    const part = Math.ceil(Math.max(0, all - byOthers) / FREE_PART_DIVISOR);
    limits.push({ refusedBy: "projects-hold", available: Math.max(0, part - current.reservedByCaller), unspent: all });
  }
  if (demand.share !== null) {
    const [used, reserved] = [current.usedByCaller, current.reservedByCaller];
    const share = { calls_per_day: demand.share, used, reserved };
    limits.push({ refusedBy: "share", share, available: remainingOfShare(share), unspent: demand.share - used });
  }
  if (demand.priority === "background") {
    const floor = floorAt(settings.backgroundFloor, now);
    limits.push({ refusedBy: "floor", available: Math.max(0, left - floor), unspent: unspent - floor });
  }
  const available = Math.min(...limits.map((limit) => limit.available));
  const spent = limits.find((limit) => limit.unspent < demand.minCalls);
  const refusing = spent ?? limits.find((limit) => limit.available < demand.minCalls);
  if (refusing) {
    const { unspent: _, ...refuser } = refusing;
    return { result: "refused", ...refuser, available, ...(spent ? {} : { held: true as const }) };
  }
  return { result: "granted", calls: Math.min(demand.calls, available) };
}

/** Remaining calls of a caller's share, never below 0. */
export function remainingOfShare({ calls_per_day, used, reserved }: ShareUse): number {
  return Math.max(0, calls_per_day - used - reserved);
}

/** The most calls that one project may reserve at a time. */
export function maxReservedByProject(settings: Settings): number {
  return Math.max(1, Math.floor(safetyLimit(settings) / PROJECT_RESERVED_DIVISOR));
}

/** The most calls that all projects together may reserve at a time. */
function maxReservedByProjects(settings: Settings): number {
  return Math.max(1, Math.floor(safetyLimit(settings) / PROJECTS_RESERVED_DIVISOR));
}

/** The longest lifetime of a caller's reservation. */
export function maxTtlSeconds(caller: string): number {
  return isProject(caller) ? MAX_PROJECT_TTL_SECONDS : MAX_TTL_SECONDS;
}

/** Calls that the provider counted and that were not made through the coordinator. Only an operator can lower this number. */
export function untrackedCalls(
  previous: number,
  provider: { spent: number; base: number },
  ours: { charged: number; reserved: number },
): number {
  return Math.max(previous, provider.spent - provider.base - ours.charged - ours.reserved);
}
