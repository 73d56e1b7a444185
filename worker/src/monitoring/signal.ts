/** Shared by the readers of all sources: one alert becomes one `Signal`, or errors that name the fields. No I/O. No clock. */
import { z } from "zod";
import { abuseMetrics } from "../jobs/catalog.ts";
import { fieldErrors } from "../lib/field-errors.ts";
import type { FieldError } from "../lib/field-errors.ts";
import { ABUSE_PATTERNS } from "../store/abuse/abuse.ts";
import type { AbusePattern } from "../store/abuse/abuse.ts";
import type { Signal } from "../store/monitoring/signals.ts";

export type { Signal } from "../store/monitoring/signals.ts";

/** One alert of a body, by its position. */
export type ReadAlert =
  | { readonly result: "read"; readonly index: number; readonly signal: Signal }
  | { readonly result: "refused"; readonly index: number; readonly errors: readonly FieldError[] };

/** The alerts of a body, or the errors of the body as a whole. */
export type ReadBody =
  | { readonly result: "read"; readonly alerts: readonly ReadAlert[] }
  | { readonly result: "refused"; readonly errors: readonly FieldError[] };

const MAX_ID_CHARACTERS = 200;
const MAX_TEXT_CHARACTERS = 500;

/** Text for people, cut to its maximum length. */
export const textOrNull = (text: string | undefined): string | null =>
  text === undefined || text.trim() === "" ? null : text.trim().slice(0, MAX_TEXT_CHARACTERS).toWellFormed();

export const instant = z.iso.datetime({ offset: true, error: "must be an ISO 8601 time" });

const patternText = z
  .string()
  .transform((text) => text.trim().toUpperCase())
  .pipe(z.enum(ABUSE_PATTERNS));

/** Part of an alert's key. The database would alter malformed Unicode and then not find the alert again. */
export const idText = z
  .string("must be a string")
  .max(MAX_ID_CHARACTERS)
  .refine((text) => text.isWellFormed() && !text.includes("\0"), "must not contain NUL or broken surrogates");

export const signalId = idText.min(1, "must be a string that is not empty");

/** Labels and annotations are strings. */
export const aboutProject = {
  project_id: idText.optional(),
  abuse_pattern: z.union([z.literal("").transform(() => undefined), patternText], `must be one of ${ABUSE_PATTERNS.join(", ")}`).optional(),
  enforce_action: z.enum(["true", "false"], "must be true or false").optional(),
};

/** null: the alert names no project. */
export const projectOrNull = (id: string | undefined): string | null => (id === undefined || id.trim() === "" ? null : id.trim());

export const patternOrNull = (pattern: AbusePattern | undefined): AbusePattern | null => pattern ?? null;

const METRICS = Object.keys(abuseMetrics.shape);

type Metrics = { readonly metrics: Signal["metrics"] } | { readonly errors: readonly FieldError[] };

/** Known metrics among the fields. Labels and annotations hold them as strings. */
export function metricsOf(given: Readonly<Record<string, unknown>>, place: string): Metrics {
  const named = METRICS.flatMap((name) => {
    const value = given[name];
    // A missing measurement is not 0.
    if (value === undefined || value === null || (typeof value === "string" && value.trim() === "")) return [];
    return [[name, typeof value === "string" ? Number(value) : value] as const];
  });
  const read = abuseMetrics.safeParse(Object.fromEntries(named));
  if (read.success) return { metrics: read.data };
  const errors = fieldErrors(read.error.issues, given, "");
  return { errors: errors.map((error) => ({ ...error, path: `${place}.${error.path}` })) };
}

/** Errors of one alert, with the path of the alert before each field. */
export function errorsAt(place: string, error: z.ZodError, given: unknown): readonly FieldError[] {
  return fieldErrors(error.issues, given, "").map((each) => ({
    ...each,
    path: [place, each.path].filter((part) => part !== "").join("."),
  }));
}
