/** Builds the status object, reduces it to the lines a caller may see, and converts it to header fields. No I/O. No clock. */
import { serializeList } from "structured-headers";
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, dayOf, endOfDay, isoSeconds } from "../lib/time.ts";
import { floorAt, remaining, safetyLimit } from "./policy.ts";
import { LEDGER_CALLERS, PROJECT_CALLER_PREFIX, isProject } from "./types.ts";
import type { CallerUse, QuotaStatus, Settings, UpstreamStatus } from "./types.ts";

export interface LedgerNumbers {
  readonly provider: string;
  readonly settings: Settings;
  readonly charged: number;
  readonly untracked: number;
  readonly reserved: number;
  /** Calls spent in the last 60 minutes. */
  readonly callsPerHour: number;
  readonly recovered: boolean;
  readonly callers: readonly CallerUse[];
  readonly upstream: UpstreamStatus | null;
}

/** The time when the quota runs out at this rate, rounded down to a minute. Null if the day ends first. */
function exhaustedAt(left: number, callsPerHour: number, now: number): string | null {
  if (left > 0 && callsPerHour <= 0) return null;
  const at = left <= 0 ? now : now + (left / callsPerHour) * HOUR_MS;
  return at < endOfDay(now) ? isoSeconds(Math.floor(at / MINUTE_MS) * MINUTE_MS) : null;
}

export function quotaStatus(numbers: LedgerNumbers, now: number): QuotaStatus {
  const { settings } = numbers;
  const limit = safetyLimit(settings);
  const used = numbers.charged + numbers.untracked;
  const left = remaining(settings, { used, reserved: numbers.reserved });
  const floor = floorAt(settings.backgroundFloor, now);
  const callers = [...numbers.callers, ...(numbers.untracked > 0 ? [{ caller: "untracked", used: numbers.untracked }] : [])];
  return {
    provider: numbers.provider,
    date: dayOf(now),
    daily_limit: settings.dailyLimit,
    safety_limit: limit,
    used,
    reserved: numbers.reserved,
    remaining: left,
    percentage_used: limit > 0 ? Math.floor((used * 100) / limit) : 100,
    reset_at: isoSeconds(endOfDay(now)),
    can_make_calls: left > 0 || settings.enforcement !== "enforce",
    safety_remaining: Math.max(0, limit - used),
    enforcement: settings.enforcement,
    source: "ledger",
    as_of: isoSeconds(now),
    ...(numbers.recovered ? { recovered: true as const } : {}),
    callers: bySize(callers),
    forecast: { calls_per_hour: numbers.callsPerHour, exhausted_at: exhaustedAt(limit - used, numbers.callsPerHour, now) },
    background: { floor, remaining: Math.max(0, left - floor) },
    upstream: numbers.upstream,
  };
}

export function bySize(callers: readonly CallerUse[]): readonly CallerUse[] {
  return callers.toSorted((a, b) => b.used - a.used || a.caller.localeCompare(b.caller));
}

/** The label under which a project's calls appear. */
export function projectCaller(projectId: string): string {
  return `${PROJECT_CALLER_PREFIX}${projectId}`;
}

/** The status with only one caller's line, which is 0 if the caller spent nothing. */
export function statusOfCaller(status: QuotaStatus, caller: string): QuotaStatus {
  return { ...status, callers: [status.callers.find((line) => line.caller === caller) ?? { caller, used: 0 }] };
}

/** The status for callers other than the administrator: only their own line. `own`: this caller. */
export function publicStatus(status: QuotaStatus, own?: string): QuotaStatus {
  return { ...status, callers: status.callers.filter(({ caller }) => caller === own) };
}

/** Whether a caller's name is reserved for the ledger or for projects. */
export function isReservedCaller(caller: string): boolean {
  return isProject(caller) || LEDGER_CALLERS.some((name) => name === caller);
}

const POLICY = "daily";

/**
 * The IETF fields of draft-ietf-httpapi-ratelimit-headers-11, for every quota-related answer:
 * `RateLimit-Policy: "daily";q=13000;w=86400` and `RateLimit: "daily";r=4544;t=36000`.
 */
export function rateLimitFields(status: QuotaStatus): Record<string, string> {
  const atPublication = Math.ceil((Date.parse(status.reset_at) - Date.parse(status.as_of)) / SECOND_MS);
  const secondsLeft = Math.max(0, atPublication - (status.age_seconds ?? 0));
  return {
    "RateLimit-Policy": list({ q: Math.max(0, status.safety_limit), w: DAY_MS / SECOND_MS }),
    RateLimit: list({ r: status.remaining, t: secondsLeft }),
  };
}

function list(parameters: Record<string, number>): string {
  return serializeList([[POLICY, new Map(Object.entries(parameters))]]);
}
