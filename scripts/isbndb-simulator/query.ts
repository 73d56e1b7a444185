/** Reads the provider's query parameters, as far as the coordinator sends them. No I/O, no clock: `today` is given. */
import { z } from "zod";

const whole = (least: number, most: number, normal: number) => {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.coerce.number({ error }).int({ error }).min(least, { error }).max(most, { error }).default(normal);
};

const date = z.string().regex(/^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$/, { error: "must be YYYY, YYYY-MM or YYYY-MM-DD" });

// A parameter that is not simulated is refused: ignored, it would look as if it had worked.
const pagingSchema = z.strictObject({ page: whole(1, 1_000_000, 1), pageSize: whole(1, 1_000, 20) });
const releasesSchema = pagingSchema.extend({
  publishedFrom: date.default("1800"),
  publishedTo: date.optional(),
  /** Left empty, it asks for nothing. */
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

/** YYYY-MM-DD, both included. */
export interface Dates {
  from: string;
  to: string;
}

const endOf = (written: string): string => (written.length === 4 ? `${written}-12-31` : written.length === 7 ? `${written}-31` : written);

/** Without a last day, the range ends today. */
export const datesOf = ({ publishedFrom, publishedTo }: ReleasesQuery, today: string): Dates => ({
  from: `${publishedFrom}-01-01`.slice(0, 10),
  to: publishedTo === undefined ? today : endOf(publishedTo),
});
