/** Reads the provider's query parameters. No I/O, no clock: `today` is given. */
import { z } from "zod";
import { stemOf } from "./isbn.ts";
import type { Criteria } from "./search.ts";

const whole = (least: number, most: number, normal: number) => {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.coerce.number({ error }).int({ error }).min(least, { error }).max(most, { error }).default(normal);
};

const date = z.string().regex(/^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$/, { error: "must be YYYY, YYYY-MM or YYYY-MM-DD" });
/** A parameter left empty asks for nothing. */
const short = z
  .string()
  .max(150, { error: "must be at most 150 characters" })
  .transform((text) => (text === "" ? undefined : text));

const querySchema = z
  .object({
    page: whole(1, 1_000_000, 1),
    pageSize: whole(1, 1_000, 20),
    year: z
      .string()
      .regex(/^\d{4}$/, { error: "must be a year" })
      .optional(),
    column: z
      .enum(["", "title", "author", "date_published", "subjects"], { error: 'must be "title", "author", "date_published" or "subjects"' })
      .default(""),
    publishedFrom: date.optional(),
    publishedTo: date.optional(),
    isbn: short.optional(),
    isbn13: short.optional(),
    author: short.optional(),
    text: short.optional(),
    subject: short.optional(),
    publisher: short.optional(),
  })
  .refine(({ year, publishedFrom, publishedTo }) => year === undefined || (publishedFrom ?? publishedTo) === undefined, {
    path: ["year"],
    error: "cannot be combined with publishedFrom or publishedTo",
  });

export type Query = z.infer<typeof querySchema>;

export type Read<Value> = { ok: true; value: Value } | { ok: false; message: string };

export const readQuery = (parameters: Record<string, string>): Read<Query> => {
  const parsed = querySchema.safeParse(parameters);
  if (parsed.success) return { ok: true, value: parsed.data };
  const [issue] = parsed.error.issues;
  return { ok: false, message: `${issue?.path.join(".") ?? "query"} ${issue?.message ?? "is invalid"}` };
};

const startOf = (written: string): string => `${written}-01-01`.slice(0, 10);
const endOf = (written: string): string => (written.length === 4 ? `${written}-12-31` : written.length === 7 ? `${written}-31` : written);

/** A range with one end open runs from 1800, or to today. */
export const datesOf = ({ year, publishedFrom, publishedTo }: Query, today: string): Pick<Criteria, "from" | "to"> => {
  const from = publishedFrom ?? year;
  const to = publishedTo ?? year;
  if (from === undefined && to === undefined) return {};
  return { from: from === undefined ? "1800-01-01" : startOf(from), to: to === undefined ? today : endOf(to) };
};

/** `GET /search/books`: every parameter narrows. */
export const criteriaOfParameters = (query: Query, today: string): Read<Criteria> => {
  const isbn = query.isbn13 ?? query.isbn;
  const stem = isbn === undefined ? undefined : stemOf(isbn);
  if (isbn !== undefined && stem === undefined) return { ok: false, message: `isbn "${isbn}" is no valid ISBN` };
  return {
    ok: true,
    value: {
      stem,
      text: query.text,
      author: query.author,
      subject: query.subject,
      publisher: query.publisher,
      ...datesOf(query, today),
    },
  };
};

/** `GET /books/{query}`: the column says what the path's text means. */
export const criteriaOfPath = (text: string, query: Query, today: string): Read<Criteria> => {
  const dates = datesOf(query, today);
  const { subject } = query;
  switch (query.column) {
    case "":
      return { ok: true, value: { text, subject, ...dates } };
    case "title":
      return { ok: true, value: { title: text, subject, ...dates } };
    case "author":
      return { ok: true, value: { author: text, subject, ...dates } };
    case "subjects":
      return { ok: true, value: { subject: text, ...dates } };
    case "date_published":
      return date.safeParse(text).success
        ? { ok: true, value: { from: startOf(text), to: endOf(text), subject } }
        : { ok: false, message: "query must be YYYY, YYYY-MM or YYYY-MM-DD for the column date_published" };
  }
};
