/**
 * Metering: use that other services report. Each event is judged by itself: what is wrong with one is said in its row, and the others
 * count. The same event counts once, whoever sends it, however often, in one report or in many at once.
 */
import type { Deps } from "../../deps.ts";
import { sentenceOf } from "../../lib/field-errors.ts";
import { isoSeconds, startOfDay } from "../../lib/time.ts";
import type { PeriodOf } from "../../store/billing/periods.ts";
import { findOwners, storeEvents } from "../../store/limits/usage-events.ts";
import type { NewEvent, StoredEvent } from "../../store/limits/usage-events.ts";
import { difference, periodOfEvent, readEvent } from "./usage-event.ts";
import type { ReadEvent } from "./usage-event.ts";

/** late: its day or billing period was over, whose total never changes any more; it is counted beside it, as an adjustment. */
export const EVENT_RESULTS = ["counted", "late", "duplicate", "conflict", "refused"] as const;

export interface EventResult {
  /** Its place in the report. */
  readonly index: number;
  readonly id: string | null;
  readonly status: 200 | 400 | 404 | 409 | 422;
  readonly result: (typeof EVENT_RESULTS)[number];
  readonly error?: string;
}

/** One result for each event, in the order given. Throws `storage_unavailable` where the database fails; reporting all again is safe. */
export async function reportUsage({ db, clock }: Pick<Deps, "db" | "clock">, given: readonly unknown[]): Promise<EventResult[]> {
  const now = clock();
  const { reads, periods } = await withPeriods(
    db,
    given.map((event, index) => readEvent(event, index, now)),
  );
  const events = reads.flatMap((read) => (read.result === "read" ? [read.event] : []));
  const found = events.length === 0 ? [] : await storeEvents(db, events, periods, { now, dayStart: startOfDay(now) });
  const byIndex = new Map(found.map((stored) => [stored.index, stored]));
  const told = new Set<number>();
  return reads.map((read, index) => {
    if (read.result === "refused") return { index, id: read.id, status: read.status, result: read.result, error: read.error };
    const stored = byIndex.get(index);
    const first = stored !== undefined && !told.has(stored.seq);
    const result = resultOf(read.event, stored, first);
    if (stored && result.status === 200) told.add(stored.seq);
    return { index, id: read.event.id, ...result };
  });
}

/** `first`: no event before it in this report is the stored one. */
function resultOf(event: NewEvent, stored: StoredEvent | undefined, first: boolean): Pick<EventResult, "status" | "result" | "error"> {
  if (!stored) {
    const error = sentenceOf({ path: "project_id", message: "must be a project that exists and is ready", value: event.project_id });
    return { status: 404, result: "refused", error };
  }
  if (stored.fingerprint !== event.fingerprint) return { status: 409, result: "conflict", error: difference(event, stored) };
  if (!stored.brought || !first) return { status: 200, result: "duplicate" };
  return { status: 200, result: stored.late ? "late" : "counted" };
}

/**
 * The billing periods that calls fall into, to be written with them where they have no row yet: a new month may have begun before anybody
 * needed it. Asks for the owners only where something is billed to them. A project that nobody knows stays as it is: storing finds out.
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
      const message = `must not be before the organization's first billing period, ${isoSeconds(owner.billing_anchor)}`;
      const error = sentenceOf({ path: "occurred_at", message, value: isoSeconds(event.occurred_at) });
      return { result: "refused", id: event.id, status: 422, error };
    }
    periods.set(`${period.index} ${owner.organization_id}`, { organization: owner.organization_id, ...period });
    return read;
  });
  return { reads: checked, periods: [...periods.values()] };
}
