/** One reported usage event: its validation, identity and billing period. No I/O. No clock. */
import { z } from "zod";
import { describeValue } from "../../lib/describe-value.ts";
import { sentenceOf, unknownField } from "../../lib/field-errors.ts";
import { DAY_MS, MINUTE_MS, isoSeconds } from "../../lib/time.ts";
import { METERS } from "../../store/limits/meters.ts";
import type { Meter } from "../../store/limits/meters.ts";
import type { BillingPeriod } from "../../store/billing/periods.ts";
import type { EventMode, NewEvent, Owner, StoredEvent } from "../../store/limits/usage-events.ts";
import { CAPS } from "./caps.ts";
import { billingPeriodAt } from "../billing/periods.ts";

/** Far above a day's real usage. A thousand such events in a report stay far below 2^53. */
const MAX_QUANTITY = 1_000_000_000;
const MAX_ID_CHARACTERS = 128;
const MAX_SOURCE_CHARACTERS = 64;

/** Maximum accepted clock skew. */
const MAX_AHEAD_MINUTES = 5;
/**
 * The longest billing period (31 days) plus one day. Ids are kept for 33 days after arrival. A repeated event is therefore recognized by
 * its id or refused as too old, and never counts twice. (An event without `occurred_at` uses the current time. It is recognized only during
 * those 33 days.)
 */
const MAX_AGE_DAYS = 32;

const ID = `must have 1 to ${MAX_ID_CHARACTERS} visible characters`;
const SOURCE = `must have at most ${MAX_SOURCE_CHARACTERS} characters, without control characters or broken surrogates`;
const TIME = "must be an ISO 8601 time in UTC, such as 2025-12-30T14:03:11Z";

const visible = z
  .string(ID)
  .min(1, ID)
  .max(MAX_ID_CHARACTERS, ID)
  .refine((text) => /^[\p{L}\p{M}\p{N}\p{P}\p{S}]+$/u.test(text), ID);

/** The shape of an event. Combinations of fields and the range of times are checked afterwards. */
export const usageEventSchema = z.strictObject({
  id: visible.describe("Unique with `source`. Sending the same event again does not count twice"),
  project_id: visible,
  type: z.enum(METERS),
  quantity: z
    .int("must be a whole number")
    .default(1)
    .describe(`1 to ${MAX_QUANTITY}. For a gauge, 0 or more with mode set, any integer except 0 with mode add`),
  mode: z.enum(["add", "set"]).default("add").describe("set: the gauge's level from this time on"),
  source: z
    .string(SOURCE)
    .max(MAX_SOURCE_CHARACTERS, SOURCE)
    .refine((text) => /^[^\p{Cc}\p{Cs}]*$/u.test(text), SOURCE)
    .default("")
    .describe("Name of the reporting service"),
  occurred_at: z.iso
    .datetime(TIME)
    .optional()
    .describe(`ISO 8601 in UTC. Default: now. At most ${MAX_AHEAD_MINUTES} minutes in the future and ${MAX_AGE_DAYS} days in the past`),
});

type Given = z.output<typeof usageEventSchema>;

export interface RefusedEvent {
  readonly result: "refused";
  /** Null if the event has no valid id. */
  readonly id: string | null;
  readonly status: 400 | 404 | 422;
  readonly error: string;
}

export type ReadEvent = { readonly result: "read"; readonly event: NewEvent } | RefusedEvent;

const FIELDS = Object.keys(usageEventSchema.shape);

export function readEvent(given: unknown, index: number, now: number): ReadEvent {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    return { result: "refused", id: null, status: 400, error: sentenceOf({ path: "event", message: "must be an object", value: given }) };
  }
  const { data: id = null } = visible.safeParse(Reflect.get(given, "id"));
  const refused = (status: 400 | 422, path: string, message: string, value: unknown): RefusedEvent => ({
    result: "refused",
    id,
    status,
    error: sentenceOf({ path, message, value }),
  });

  // Checked before the schema, which would list all unknown fields. There may be a hundred thousand.
  const unknown = Object.keys(given).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) return refused(400, unknown, unknownField(unknown, FIELDS), Reflect.get(given, unknown));
  const parsed = usageEventSchema.safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = issue?.path[0] ?? "event";
    return refused(400, String(field), issue?.message ?? "", Reflect.get(given, field));
  }

  const use = parsed.data;
  const mode = modeOf(use);
  if (mode === null) return refused(400, "mode", `must be add for a counter such as ${use.type}`, use.mode);
  const wrong = quantityError(mode, use.quantity);
  if (wrong !== null) return refused(400, "quantity", wrong, use.quantity);
  const occurredAt = use.occurred_at === undefined ? now : Date.parse(use.occurred_at);
  const tooFar = timeError(occurredAt, now);
  if (tooFar !== null) return refused(422, "occurred_at", tooFar, use.occurred_at);
  const { id: name, source, project_id, type: meter, quantity } = use;
  const event = {
    index,
    source,
    id: name,
    project_id,
    meter,
    mode,
    quantity,
    occurred_at: occurredAt,
    fingerprint: fingerprint(use, mode),
  };
  return { result: "read", event };
}

const isGauge = (meter: Meter): boolean => meter !== "api_calls" && CAPS[meter].kind === "gauge";

/** Returns null if a counter should be set. */
function modeOf({ type, mode }: Given): EventMode | null {
  if (isGauge(type)) return mode;
  return mode === "set" ? null : "count";
}

/** The accepted quantities. Null if the quantity is accepted. */
function quantityError(mode: EventMode, quantity: number): string | null {
  switch (mode) {
    case "count":
      return quantity >= 1 && quantity <= MAX_QUANTITY ? null : `must be from 1 to ${MAX_QUANTITY}`;
    case "set":
      return quantity >= 0 && quantity <= MAX_QUANTITY ? null : `must be from 0 to ${MAX_QUANTITY} to set a level`;
    case "add":
      return quantity !== 0 && Math.abs(quantity) <= MAX_QUANTITY
        ? null
        : `must be from -${MAX_QUANTITY} to ${MAX_QUANTITY}, and not 0, to change a level`;
  }
}

/** The accepted times. Null if the time is accepted. */
function timeError(occurredAt: number, now: number): string | null {
  if (occurredAt > now + MAX_AHEAD_MINUTES * MINUTE_MS) return `must be at most ${MAX_AHEAD_MINUTES} minutes after now, ${isoSeconds(now)}`;
  if (occurredAt < now - MAX_AGE_DAYS * DAY_MS) return `must be at most ${MAX_AGE_DAYS} days before now, ${isoSeconds(now)}`;
  return null;
}

const FINGERPRINT_FIELDS = ["project_id", "type", "mode", "quantity", "occurred_at"] as const;

/**
 * Identifies the content of an event, regardless of the order of its fields and of omitted defaults. Two events with one id and one
 * fingerprint are equal. A default `occurred_at` is excluded, because it differs with every attempt. The
 * fingerprint is readable text, so that a conflict can be explained.
 */
function fingerprint({ project_id, type, quantity, occurred_at }: Given, mode: EventMode): string {
  const time = occurred_at === undefined ? null : new Date(occurred_at).toISOString();
  return JSON.stringify([project_id, type, mode, quantity, time]);
}

/** The difference between an event and the stored event with its id. */
export function difference(event: Pick<NewEvent, "fingerprint">, stored: Pick<StoredEvent, "fingerprint">): string {
  const [given, counted] = [event, stored].map(({ fingerprint }) => JSON.parse(fingerprint) as unknown[]);
  const at = FINGERPRINT_FIELDS.findIndex((_, place) => given?.[place] !== counted?.[place]);
  const before = counted?.[at] ?? null;
  const message = `must be ${before === null ? "absent" : describeValue(before)}, as in the event already counted with this id`;
  return sentenceOf({ path: FINGERPRINT_FIELDS[at] ?? "event", message, value: given?.[at] ?? undefined });
}

/** The billing period of an event. Null if it happened before the organization's first period. */
export function periodOfEvent({ occurred_at }: Pick<NewEvent, "occurred_at">, owner: Pick<Owner, "billing_anchor">): BillingPeriod | null {
  const period = billingPeriodAt(owner.billing_anchor, occurred_at);
  return period.index < 0 ? null : period;
}
