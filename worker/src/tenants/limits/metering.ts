/**
 * Metering of usage reported by other services. Each event is checked separately: invalid ones get an error in their row, the others count.
 * An event counts once, even if it is sent several times, by several senders, or concurrently.
 */
import type { Deps } from "../../deps.ts";
import { sentenceOf } from "../../lib/field-errors.ts";
import { isoSeconds, startOfDay } from "../../lib/time.ts";
import type { PeriodOf } from "../../store/billing/periods.ts";
import { findOwners, storeEvents } from "../../store/limits/usage-events.ts";
import type { NewEvent, StoredEvent } from "../../store/limits/usage-events.ts";
import { difference, periodOfEvent, readEvent } from "./usage-event.ts";
import type { ReadEvent } from "./usage-event.ts";

/** late: its day or billing period had ended. Closed totals never change, so it counts as an adjustment. */
export const EVENT_RESULTS = ["counted", "late", "duplicate", "conflict", "refused"] as const;

export interface EventResult {
  /** Its position in the report. */
  readonly index: number;
  readonly id: string | null;
  readonly status: 200 | 400 | 404 | 409 | 422;
  readonly result: (typeof EVENT_RESULTS)[number];
  readonly error?: string;
}

/**
 * Returns one result per event, in the given order. Throws `storage_unavailable` if the database fails. Reporting all events again is safe.
 */
export async function reportUsage({ db, clock }: Pick<Deps, "db" | "clock">, given: readonly unknown[]): Promise<EventResult[]> {
  const now = clock();
  const { reads, periods } = await withPeriods(
    db,
    given.map((event, index) => readEvent(event, index, now)),
  );
  const events = reads.flatMap((read) => (read.result === "read" ? [read.event] : []));
  const found = events.length === 0 ? [] : await storeEvents(db, events, periods, { now, dayStart: startOfDay(now) });
  const byIndex = new Map(found.map((stored) => [stored.index, stored]));
  const counted = new Set<number>();
  return reads.map((read, index) => {
    if (read.result === "refused") return { index, id: read.id, status: read.status, result: read.result, error: read.error };
    const stored = byIndex.get(index);
    const first = stored !== undefined && !counted.has(stored.seq);
    const result = resultOf(read.event, stored, first);
    if (stored && result.status === 200) counted.add(stored.seq);
    return { index, id: read.event.id, ...result };
  });
}

/** `first`: no earlier event of this report has the same row. */
function resultOf(event: NewEvent, stored: StoredEvent | undefined, first: boolean): Pick<EventResult, "status" | "result" | "error"> {
  if (!stored) {
    const error = sentenceOf({ path: "project_id", message: "must be a project that exists and is ready", value: event.project_id });
    return { status: 404, result: "refused", error };
  }
  if (stored.fingerprint !== event.fingerprint) return { status: 409, result: "conflict", error: difference(event, stored) };
  if (!stored.isNew || !first) return { status: 200, result: "duplicate" };
  return { status: 200, result: stored.late ? "late" : "counted" };
}

/**
 * The billing periods of the calls, to be created if they have no row. A new month may have begun before any request needed it. Reads
 * owners only for billed events. Unknown projects are left to the insert, which finds them.
 */
async function withPeriods(db: D1Database, reads: readonly ReadEvent[]): Promise<{ reads: readonly ReadEvent[]; periods: PeriodOf[] }> {
  const billed = reads.flatMap((read) => (read.result === "read" && read.event.meter === "api_calls" ? [read.event.project_id] : []));
  if (billed.length === 0) return { reads, periods: [] };
  const owners = new Map((await findOwners(db, [...new Set(billed)])).map((owner) => [owner.project_id, owner]));
  const periods = new Map<string, PeriodOf>();
  const checked = reads.map((read): ReadEvent => {
    const owner = read.result === "read" && read.event.meter === "api_calls" ? owners.get(read.event.project_id) : undefined;
    if (read.result === "refused" || !owner) return read;
    const { event } = read;
    const period = periodOfEvent(event, owner);
    if (!period) {
      const message = `must not be before the organization's first billing period began, at ${isoSeconds(owner.billing_anchor)}`;
      const error = sentenceOf({ path: "occurred_at", message, value: isoSeconds(event.occurred_at) });
      return { result: "refused", id: event.id, status: 422, error };
    }
    periods.set(`${period.index} ${owner.organization_id}`, { organization: owner.organization_id, ...period });
    return read;
  });
  return { reads: checked, periods: [...periods.values()] };
}
