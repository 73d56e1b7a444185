/** Settings, their defaults and accepted values. No I/O. */
import { z } from "zod";
import { whole } from "./input.ts";

const oneOf = <const Values extends readonly [string, ...string[]]>(...values: Values) =>
  z.enum(values, { error: `one of ${values.map((value) => `"${value}"`).join(", ")}` });

const clockText = z.iso.datetime({ offset: true, error: 'an ISO 8601 time such as "2026-03-01T23:59:50Z", or null for real time' });
const monthText = z.string().regex(/^\d{4}-(0[1-9]|1[0-2])$/, { error: 'a month such as "2026-03"' });
const authorText = z.string().trim().min(1, { error: "an author's name" });

/** A total may exceed the 10,000 results that paging can reach. */
const total = whole(0, 1_000_000);

const PERCENT = "a number from 0 to 100";

const settingsSchema = z.strictObject({
  /** Calls per UTC day. */
  daily_limit: whole(0, 10_000_000),
  /** Enforced as 60 times this number in each rolling minute. 0: unlimited. */
  rate_per_second: whole(0, 10_000),
  /** ISBNs per `POST /books`. */
  max_batch: whole(1, 10_000),
  billing: oneOf("per_request", "per_isbn"),
  dialect: oneOf("2026", "2025"),
  /** Percentage of ISBNs that are unknown to the provider. */
  unknown_percent: z.number({ error: PERCENT }).min(0, { error: PERCENT }).max(100, { error: PERCENT }),
  /** Delay of each response, after billing. */
  latency_ms: whole(0, 600_000),
  /** Time that the clock was set to. It runs from there. */
  clock: clockText.nullable(),
  /** Number of books by author. 0: unknown author. */
  authors: z.record(authorText, total),
  /** Number of published books by month (YYYY-MM). */
  releases: z.record(monthText, total),
});

export type Settings = z.infer<typeof settingsSchema>;
export type Dialect = Settings["dialect"];

/** Settings that determine the books. */
export type World = Pick<Settings, "authors" | "releases" | "unknown_percent">;

export const DEFAULT_SETTINGS: Settings = {
  daily_limit: 15_000,
  rate_per_second: 3,
  max_batch: 1_000,
  billing: "per_request",
  dialect: "2026",
  unknown_percent: 2,
  latency_ms: 0,
  clock: null,
  authors: {},
  releases: {},
};

/** Parses stored settings. Settings of newer versions get their defaults. */
export const parseStored = (json: string): Settings =>
  settingsSchema.parse({ ...DEFAULT_SETTINGS, ...settingsSchema.partial().parse(JSON.parse(json)) });

/** Omitted settings stay unchanged. In the maps, null removes a name (RFC 7396). */
export const settingsPatchSchema = settingsSchema
  .extend({
    authors: z.record(authorText, total.nullable()),
    releases: z.record(monthText, total.nullable()),
  })
  .partial();

export type SettingsPatch = z.infer<typeof settingsPatchSchema>;

const mergeMap = (current: Record<string, number>, patch: Record<string, number | null> | undefined): Record<string, number> => {
  const merged = new Map(Object.entries(current));
  for (const [name, value] of Object.entries(patch ?? {})) {
    if (value === null) merged.delete(name);
    else merged.set(name, value);
  }
  return Object.fromEntries(merged);
};

export const applyPatch = (current: Settings, patch: SettingsPatch): Settings =>
  settingsSchema.parse({
    ...current,
    ...patch,
    authors: mergeMap(current.authors, patch.authors),
    releases: mergeMap(current.releases, patch.releases),
  });
