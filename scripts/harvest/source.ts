/** Source of a run's authors. The checkpoint stores it. No I/O. */
import { z } from "zod";

/** Ranges of the ranking by editions: `count` authors starting at `from`. */
export const TIERS = {
  "top-100": { from: 0, count: 100 },
  "top-1000": { from: 0, count: 1_000 },
  "1000-5000": { from: 1_000, count: 4_000 },
  "5000-20000": { from: 5_000, count: 15_000 },
  all: { from: 0, count: Number.POSITIVE_INFINITY },
} as const;

export type Tier = keyof typeof TIERS;
export const TIER_NAMES = Object.keys(TIERS) as [Tier, ...Tier[]];

export const sourceSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("tier"), tier: z.enum(TIER_NAMES) }),
  z.object({ kind: z.literal("author"), names: z.array(z.string()).min(1) }),
  /** `file` is an absolute path. */
  z.object({ kind: z.literal("authors"), file: z.string() }),
]);

export type Source = z.infer<typeof sourceSchema>;

/** Options of the source, as on the command line. */
export function describeSource(source: Source): string {
  switch (source.kind) {
    case "tier":
      return `--tier ${source.tier}`;
    case "author":
      return source.names.map((name) => `--author ${JSON.stringify(name)}`).join(" ");
    case "authors":
      return `--authors ${source.file}`;
  }
}

/** Removes duplicate names, ignoring case and spacing. Keeps the order. */
export function uniqueNames(names: Iterable<string>): string[] {
  const byKey = new Map<string, string>();
  for (const name of names) {
    const tidy = name.normalize("NFC").replaceAll(/\s+/gu, " ").trim();
    if (tidy !== "" && !byKey.has(tidy.toLowerCase())) byKey.set(tidy.toLowerCase(), tidy);
  }
  return [...byKey.values()];
}
