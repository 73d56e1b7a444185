/** Points of today's usage and its forecast. No I/O. No clock. */
import { DAY_MS, HOUR_MS, startOfDay } from "../../lib/time.ts";

export interface Point {
  /** Hours since 00:00 UTC, 0 to 24. */
  readonly hour: number;
  /** Calls since 00:00 UTC. */
  readonly calls: number;
}

export interface DayCurve {
  /** Calls charged by the end of each hour and by now. */
  readonly spent: readonly Point[];
  /** Current usage, including untracked calls. */
  readonly now: Point;
  /** From now until the pace of the last hour reaches the limit, or until the day ends. */
  readonly forecast: readonly [Point, Point];
  readonly exhausts: boolean;
  /** The most calls for background work: the limit minus the floor, which shrinks to zero. */
  readonly floor: readonly [Point, Point];
}

interface DayNumbers {
  readonly hours: readonly { readonly hour: number; readonly used: number }[];
  readonly used: number;
  readonly limit: number;
  readonly callsPerHour: number;
  readonly backgroundFloor: number;
}

export function dayCurve({ hours, used, limit, callsPerHour, backgroundFloor }: DayNumbers, now: number): DayCurve {
  const hourNow = (now - startOfDay(now)) / HOUR_MS;
  const end = DAY_MS / HOUR_MS;
  const spent: Point[] = [{ hour: 0, calls: 0 }];
  let calls = 0;
  for (let hour = 0; hour < hourNow; hour += 1) {
    calls += hours.find((each) => each.hour === hour)?.used ?? 0;
    spent.push({ hour: Math.min(hour + 1, hourNow), calls });
  }
  const left = limit - used;
  const hoursLeft = callsPerHour > 0 ? Math.max(0, left) / callsPerHour : Infinity;
  const exhausts = left > 0 && hourNow + hoursLeft < end;
  const last = exhausts ? { hour: hourNow + hoursLeft, calls: limit } : { hour: end, calls: used + callsPerHour * (end - hourNow) };
  return {
    spent,
    now: { hour: hourNow, calls: used },
    forecast: [{ hour: hourNow, calls: used }, last],
    exhausts,
    floor: [
      { hour: 0, calls: Math.max(0, limit - backgroundFloor) },
      { hour: end, calls: limit },
    ],
  };
}
