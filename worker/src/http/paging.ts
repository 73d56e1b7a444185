/** Lists in pages, newest first. The cursor of the next page is opaque to callers and validated like any input. */
import { z } from "@hono/zod-openapi";
import { fromBase64Url, toBase64Url } from "../lib/base64url.ts";
import { invalidField } from "../errors.ts";

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;
const MAX_CURSOR_CHARACTERS = 400;

/** Digits only: `Number` would also accept "", " " and "0x10". */
export const digits = (text: unknown): unknown => (typeof text === "string" && /^\d{1,15}$/u.test(text) ? Number(text) : text);

/** Query parameters of every list. */
export const pageQuery = {
  limit: z.preprocess(digits, z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT)).openapi({
    type: "integer",
    minimum: 1,
    maximum: MAX_LIMIT,
    default: DEFAULT_LIMIT,
    description: "Maximum number of items on the page",
  }),
  cursor: z.string().max(MAX_CURSOR_CHARACTERS).optional().describe("`next_cursor` of the page before"),
};

/** Query of lists that have only these parameters. */
export const pageOnly = z.object(pageQuery);

/** Field of every page. */
export const nextCursor = z.string().nullable().describe("Cursor of the next page. null: this is the last page");

const byTime = z.tuple([z.int(), z.string()]);
const bySeq = z.int().min(0);

/** Content of a cursor. null: no cursor. Throws `invalid_request`. */
function contentOf<Content>(cursor: string | undefined, schema: z.ZodType<Content>): Content | null {
  if (cursor === undefined) return null;
  const read = schema.safeParse(fromBase64Url(cursor));
  if (!read.success) throw invalidField("cursor", "must be the unchanged `next_cursor` of an earlier response");
  return read.data;
}

/** Cursor of a list by time of creation. Throws `invalid_request`. */
export function timeCursor(cursor: string | undefined): { readonly createdAt: number; readonly id: string } | null {
  const content = contentOf(cursor, byTime);
  return content && { createdAt: content[0], id: content[1] };
}

/** Cursor of a list by sequence number. Throws `invalid_request`. */
export const seqCursor = (cursor: string | undefined): number | null => contentOf(cursor, bySeq);

/** Cuts a list to one page. The list was read with one extra row, which shows that another page exists. */
export function page<Row>(
  rows: readonly Row[],
  limit: number,
  keyOf: (last: Row) => unknown,
): { rows: readonly Row[]; next: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { rows: shown, next: rows.length > limit && last !== undefined ? toBase64Url(JSON.stringify(keyOf(last))) : null };
}

interface ByTime {
  readonly created_at: number;
  readonly id: string;
}
interface BySeq {
  readonly seq: number;
}

export const timeKey = ({ created_at, id }: ByTime): unknown => [created_at, id];
export const seqKey = ({ seq }: BySeq): unknown => seq;

interface PageQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

interface Page<Shown> {
  readonly items: Shown[];
  readonly next_cursor: string | null;
}

/** One page of a list by time of creation. */
export async function pageByTime<Row extends ByTime, Shown>(
  { limit, cursor }: PageQuery,
  read: (slice: { readonly after: ReturnType<typeof timeCursor>; readonly limit: number }) => Promise<readonly Row[]>,
  show: (row: Row) => Shown,
): Promise<Page<Shown>> {
  const { rows, next } = page(await read({ after: timeCursor(cursor), limit: limit + 1 }), limit, timeKey);
  return { items: rows.map((row) => show(row)), next_cursor: next };
}

/** One page of a list by sequence number. */
export async function pageBySeq<Row extends BySeq, Shown>(
  { limit, cursor }: PageQuery,
  read: (slice: { readonly before: number | null; readonly limit: number }) => Promise<readonly Row[]>,
  show: (row: Row) => Shown,
): Promise<Page<Shown>> {
  const { rows, next } = page(await read({ before: seqCursor(cursor), limit: limit + 1 }), limit, seqKey);
  return { items: rows.map((row) => show(row)), next_cursor: next };
}
