/** What a run remembers, and how it moves on. No I/O. No clock. */
import { z } from "zod";
import { sourceSchema } from "./source.ts";

const count = z.int().min(0);

const failure = z.object({
  author: z.string(),
  /** Place in the list of authors. */
  index: count,
  reason: z.string(),
  /** Where the bibliography goes on. */
  next_page: z.int().optional(),
});

export const checkpointSchema = z
  .object({
    version: z.literal(1),
    source: sourceSchema,
    options: z.object({ base_url: z.string(), max_pages: z.int().nullable() }),
    /** The list stands beside: it may be long, and never changes, while this is written after every author. */
    authors: z.object({ file: z.string(), count, sha256: z.string() }),
    /** Authors of the list that are processed or failed; the next stands at this index. */
    settled: count,
    processed: count,
    failed: z.array(failure),
    /** What came of an author before the day ended, or another stop. */
    unfinished: z.object({ index: count, author: z.string(), books: count, pages: count, next_page: z.int().optional() }).nullable(),
    /** The run ended by itself. Otherwise an answer may have been lost on its way. */
    orderly: z.boolean(),
    /** Authors before this place may have lost an answer on its way. */
    doubtful_below: count.default(0),
    totals: z.object({ authors: count, books: count, pages: count, calls: count }),
    started_at: z.string(),
    updated_at: z.string(),
  })
  .refine(isConsistent, "its numbers contradict one another");

interface Counts {
  readonly authors: { readonly count: number };
  readonly settled: number;
  readonly processed: number;
  readonly failed: readonly { readonly index: number }[];
  readonly unfinished: { readonly index: number } | null;
}

/** What was written by hand, or half, is damage too. */
function isConsistent({ authors, settled, processed, failed, unfinished }: Counts): boolean {
  const distinct = new Set(failed.map(({ index }) => index));
  return (
    settled <= authors.count &&
    processed === settled - failed.length &&
    distinct.size === failed.length &&
    [...distinct].every((index) => index < settled) &&
    (unfinished === null || unfinished.index < authors.count)
  );
}

export type Checkpoint = z.infer<typeof checkpointSchema>;
export type Failure = z.infer<typeof failure>;

type Beginning = Pick<Checkpoint, "source" | "options" | "authors"> & { readonly now: string };

export function newCheckpoint({ now, ...given }: Beginning): Checkpoint {
  return {
    version: 1,
    ...given,
    settled: 0,
    processed: 0,
    failed: [],
    unfinished: null,
    orderly: false,
    doubtful_below: 0,
    totals: { authors: 0, books: 0, pages: 0, calls: 0 },
    started_at: now,
    updated_at: now,
  };
}

/** What one answer brought; `calls` also where it brought nothing else. */
export interface Spent {
  readonly calls: number;
  readonly pages: number;
}

export function withSpent(checkpoint: Checkpoint, { calls, pages }: Spent): Checkpoint {
  const { totals } = checkpoint;
  return { ...checkpoint, totals: { ...totals, calls: totals.calls + calls, pages: totals.pages + pages } };
}

export function withUnfinished(checkpoint: Checkpoint, unfinished: Checkpoint["unfinished"]): Checkpoint {
  return { ...checkpoint, unfinished };
}

/** An author is settled once, in the order of the list; one that had failed may be processed later. */
export function withProcessed(checkpoint: Checkpoint, { index, books }: { index: number; books: number }): Checkpoint {
  const failed = checkpoint.failed.filter((entry) => entry.index !== index);
  return moved(checkpoint, { index, failed, books });
}

export function withFailed(checkpoint: Checkpoint, failure: Failure): Checkpoint {
  const others = checkpoint.failed.filter((entry) => entry.index !== failure.index);
  return moved(checkpoint, { index: failure.index, failed: [...others, failure], books: 0 });
}

/** Gives the latest authors of the list back: they failed because of the server, not of themselves. */
export function withoutLatest(checkpoint: Checkpoint, indices: readonly number[]): Checkpoint {
  const settled = Math.min(checkpoint.settled, ...indices);
  const failed = checkpoint.failed.filter(({ index }) => index < settled);
  const processed = settled - failed.length;
  return {
    ...checkpoint,
    settled,
    processed,
    failed,
    unfinished: null,
    doubtful_below: Math.max(checkpoint.doubtful_below, checkpoint.settled),
  };
}

/** An answer for this author may have been lost: its count is taken from the finished bibliography, even by a later run. */
export function withDoubt(checkpoint: Checkpoint, index: number): Checkpoint {
  return { ...checkpoint, doubtful_below: Math.max(checkpoint.doubtful_below, index + 1) };
}

function moved(checkpoint: Checkpoint, { index, failed, books }: { index: number; failed: Failure[]; books: number }): Checkpoint {
  const settled = Math.max(checkpoint.settled, index + 1);
  const processed = settled - failed.length;
  const totals = { ...checkpoint.totals, authors: processed, books: checkpoint.totals.books + books };
  return { ...checkpoint, settled, processed, failed, totals, unfinished: null };
}
