/** Query parameters of the provider that the coordinator sends. No I/O, no clock: `today` is an argument. */
import { z } from "zod";

const whole = (least: number, most: number, fallback: number) => {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.coerce.number({ error }).int({ error }).min(least, { error }).max(most, { error }).default(fallback);
};

const date = z.string().regex(/^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$/, { error: "must be YYYY, YYYY-MM or YYYY-MM-DD" });

// Unsupported parameters are refused. Ignoring them would look like success.
const pagingSchema = z.strictObject({ page: whole(1, 1_000_000, 1), pageSize: whole(1, 1_000, 20) });
const releasesSchema = pagingSchema.extend({
  publishedFrom: date.default("1800"),
  publishedTo: date.optional(),
  /** An empty value means no filter. */
  subject: z
    .string()
    .max(150, { error: "must be at most 150 characters" })
    .transform((text) => (text === "" ? undefined : text))
    .optional(),
});

export type Paging = z.infer<typeof pagingSchema>;
export type ReleasesQuery = z.infer<typeof releasesSchema>;

type Parameters = Record<string, string>;
export type Read<Value> = { ok: true; value: Value } | { ok: false; message: string };

const readBy = <Value>(schema: z.ZodType<Value>, parameters: Parameters): Read<Value> => {
  const parsed = schema.safeParse(parameters);
  if (parsed.success) return { ok: true, value: parsed.data };
  const [issue] = parsed.error.issues;
  return { ok: false, message: `${issue?.path.join(".") || "query"} ${issue?.message ?? "is invalid"}` };
};

export const readPaging = (parameters: Parameters): Read<Paging> => readBy(pagingSchema, parameters);
export const readReleasesQuery = (parameters: Parameters): Read<ReleasesQuery> => readBy(releasesSchema, parameters);

/** First and last day as YYYY-MM-DD. */
export interface Dates {
  from: string;
  to: string;
}

const endOf = (written: string): string => (written.length === 4 ? `${written}-12-31` : written.length === 7 ? `${written}-31` : written);

/** Range of a query. Without a last day it ends today. */
export const datesOf = ({ publishedFrom, publishedTo }: ReleasesQuery, today: string): Dates => ({
  from: `${publishedFrom}-01-01`.slice(0, 10),
  to: publishedTo === undefined ? today : endOf(publishedTo),
});
