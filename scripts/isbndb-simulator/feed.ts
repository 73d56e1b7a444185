/** `GET /feeds/books/updates`: what changed in the last seven days. No I/O. No clock: `now` is given. */
import { z } from "zod";
import { mix } from "./hash.ts";
import { isbn13Of } from "./isbn.ts";
import { utcDay } from "./plan.ts";
import type { Read } from "./query.ts";
import { stemsOfMonth } from "./releases.ts";
import { pageOf } from "./results.ts";
import type { World } from "./settings.ts";

const DAY_MS = 86_400_000;
const HISTORY_DAYS = 7;

const parametersSchema = z.object({
  page: z.coerce.number().int().min(1).default(1),
  pageSize: z.coerce.number().int().min(1).max(1_000).default(100),
  lastUpdated: z.iso.date().default("0000-01-01"),
});

interface Update {
  isbn13: string;
  updated_at: string;
}

/** A day's updates are spread evenly over it, and none lies in the future. */
const updatesOfDay = (dayStart: number, world: World, now: number): Update[] => {
  const stems = stemsOfMonth(utcDay(dayStart).slice(0, 7), world);
  const seed = mix(Math.floor(dayStart / DAY_MS), 50);
  const count = Math.min(stems.length, 40 + (seed % 80));
  return Array.from({ length: count }, (_, index) => ({
    at: dayStart + Math.floor((index * DAY_MS) / count),
    stem: stems[(seed + index) % stems.length] ?? 0,
  }))
    .filter(({ at }) => at <= now)
    .map(({ at, stem }) => ({ isbn13: isbn13Of(stem), updated_at: new Date(at).toISOString() }));
};

/** No total, as documented: the end is an empty page. */
export const updatesPage = (
  parameters: Record<string, string>,
  world: World,
  now: number,
): Read<{ data: Update[]; page: number; page_size: number }> => {
  const parsed = parametersSchema.safeParse(parameters);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { ok: false, message: `${issue?.path.join(".") ?? "query"}: ${issue?.message ?? "invalid"}` };
  }
  const { page, pageSize, lastUpdated } = parsed.data;
  const today = now - (now % DAY_MS);
  const updates = Array.from({ length: HISTORY_DAYS }, (_, back) => today - (HISTORY_DAYS - 1 - back) * DAY_MS)
    .filter((dayStart) => utcDay(dayStart) >= lastUpdated)
    .flatMap((dayStart) => updatesOfDay(dayStart, world, now));
  return { ok: true, value: { data: pageOf(updates, { page, pageSize }), page, page_size: pageSize } };
};
