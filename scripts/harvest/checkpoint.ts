/** Schema of the checkpoint and its changes. No I/O. No clock. */
import { z } from "zod";
import { sourceSchema } from "./source.ts";

const count = z.int().min(0);

const failure = z.object({
  author: z.string(),
  /** Place in the list of authors. */
  index: count,
  reason: z.string(),
  /** Next page of the bibliography. */
  next_page: z.int().optional(),
});

export const checkpointSchema = z
  .object({
    version: z.literal(1),
    source: sourceSchema,
    options: z.object({ base_url: z.string(), max_pages: z.int().nullable() }),
    /** The list is a separate file, because it may be long. It never changes, but the checkpoint changes after each author. */
    authors: z.object({ file: z.string(), count, sha256: z.string() }),
    /** Number of processed and failed authors. Also the index of the next author. */
    settled: count,
    processed: count,
    failed: z.array(failure),
    /** Progress of an author that was interrupted. */
    unfinished: z.object({ index: count, author: z.string(), books: count, pages: count, next_page: z.int().optional() }).nullable(),
    /** Whether the run ended normally. Otherwise a response may have been lost. */
    orderly: z.boolean(),
    /** A response may have been lost for authors before this index. */
    doubtful_below: count.default(0),
    totals: z.object({ authors: count, books: count, pages: count, calls: count }),
    started_at: z.string(),
    updated_at: z.string(),
  })
  .refine(isConsistent, "its numbers are inconsistent");

interface Counts {
  readonly authors: { readonly count: number };
  readonly settled: number;
  readonly processed: number;
  readonly failed: readonly { readonly index: number }[];
  readonly unfinished: { readonly index: number } | null;
}

/** Rejects checkpoints that were edited or written partly. */
function isConsistent({ authors, settled, processed, failed, unfinished }: Counts): boolean {
  const indices = new Set(failed.map(({ index }) => index));
  return (
    settled <= authors.count &&
    processed === settled - failed.length &&
    indices.size === failed.length &&
    [...indices].every((index) => index < settled) &&
    (unfinished === null || unfinished.index < authors.count)
  );
}

export type Checkpoint = z.infer<typeof checkpointSchema>;
export type Failure = z.infer<typeof failure>;

type InitialValues = Pick<Checkpoint, "source" | "options" | "authors"> & { readonly now: string };

export function newCheckpoint({ now, ...values }: InitialValues): Checkpoint {
  return {
    version: 1,
    ...values,
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

/** Calls and pages of one response. Failures may cost calls too. */
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

/** Records a processed author. A failed author may be processed later. */
export function withProcessed(checkpoint: Checkpoint, { index, books }: { index: number; books: number }): Checkpoint {
  const failed = checkpoint.failed.filter((entry) => entry.index !== index);
  return advance(checkpoint, { index, failed, books });
}

export function withFailed(checkpoint: Checkpoint, failure: Failure): Checkpoint {
  const others = checkpoint.failed.filter((entry) => entry.index !== failure.index);
  return advance(checkpoint, { index: failure.index, failed: [...others, failure], books: 0 });
}

/** Marks the latest authors as not attempted, because the server caused their failures. */
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

/** Marks that a response may have been lost. Later runs take the count from the complete bibliography. */
export function withDoubt(checkpoint: Checkpoint, index: number): Checkpoint {
  return { ...checkpoint, doubtful_below: Math.max(checkpoint.doubtful_below, index + 1) };
}

function advance(checkpoint: Checkpoint, { index, failed, books }: { index: number; failed: Failure[]; books: number }): Checkpoint {
  const settled = Math.max(checkpoint.settled, index + 1);
  const processed = settled - failed.length;
  const totals = { ...checkpoint.totals, authors: processed, books: checkpoint.totals.books + books };
  return { ...checkpoint, settled, processed, failed, totals, unfinished: null };
}
