/**
 * Moves the catalog out of the main database. Bounded and resumable: each chunk and its cursor are one transaction. It deletes nothing, so that
 * the release before can be deployed again. A row that exists in the catalog is newer and stays.
 */
import { jsonChunks, stored } from "../database.ts";
import { countAuthors } from "./authors.ts";
import { MOVED_TABLES, readMoves } from "./moved.ts";
import type { MovedTable, Shelves } from "./moved.ts";

type Row = Readonly<Record<string, unknown>>;

interface Chunks {
  readonly key: readonly string[];
  /** Rows per chunk. */
  readonly rows: number;
  /** Rows to leave out. */
  readonly unless?: string;
}

const CHUNKS: Readonly<Record<MovedTable, Chunks>> = {
  harvest_targets: { key: ["kind", "target_key"], rows: 2_000 },
  harvest_runs: { key: ["id"], rows: 2_000 },
  // Found since then. A book's arrival removes its miss from the catalog, and the move must not bring it back.
  missing_isbns: {
    key: ["isbn13"],
    rows: 2_000,
    unless: "EXISTS (SELECT 1 FROM books b WHERE b.isbn13 = value ->> 'isbn13' AND b.fetched_at >= value ->> 'missed_at')",
  },
  bibliographies: { key: ["author_key"], rows: 2_000 },
  books: { key: ["isbn13"], rows: 500 },
};

const MAX_CHUNKS = 25;
/** No chunk begins after this many statements. The largest has far fewer than 100, so that a run stays below 500. */
const ENOUGH_STATEMENTS = 400;

export interface MoveProgress {
  /** Rows by table. */
  readonly moved: Readonly<Partial<Record<MovedTable, number>>>;
  readonly done: boolean;
}

interface Bounds {
  readonly chunks?: number;
  readonly rowsPerChunk?: number;
}

/** Moves some chunks. The next run continues. */
export async function moveCatalog(
  shelves: Shelves,
  now: number,
  { chunks: maxChunks = MAX_CHUNKS, rowsPerChunk = Infinity }: Bounds = {},
): Promise<MoveProgress> {
  const moves = new Map((await readMoves(shelves)).map((move) => [move.table_name, move]));
  const moved: Partial<Record<MovedTable, number>> = {};
  const before = shelves.db.statements;
  let chunks = 0;
  for (const table of MOVED_TABLES) {
    const known = moves.get(table);
    let cursor = known?.cursor ?? null;
    let more = (known?.done_at ?? null) === null;
    while (more) {
      if (chunks >= maxChunks || shelves.db.isUsedUp || shelves.db.statements - before >= ENOUGH_STATEMENTS) return { moved, done: false };
      const chunk = await moveChunk(shelves, { table, after: cursor, limit: Math.min(CHUNKS[table].rows, rowsPerChunk) }, now);
      moved[table] = (moved[table] ?? 0) + chunk.rows;
      chunks += 1;
      ({ cursor, more } = chunk);
    }
  }
  // Remembers the result for later reads of this instance.
  if (chunks > 0) await readMoves(shelves);
  return { moved, done: true };
}

interface ChunkRequest {
  readonly table: MovedTable;
  readonly after: string | null;
  readonly limit: number;
}

interface Chunk {
  readonly rows: number;
  readonly cursor: string | null;
  readonly more: boolean;
}

async function moveChunk({ catalog, db }: Shelves, { table, after, limit }: ChunkRequest, now: number): Promise<Chunk> {
  const { key, unless = "false" } = CHUNKS[table];
  const begin = after === null ? "" : `WHERE (${key.join(", ")}) > (${key.map((_, index) => `?1 ->> ${index}`).join(", ")})`;
  const source = `FROM ${table} ${begin} ORDER BY ${key.join(", ")} LIMIT ${limit}`;
  const select = (sql: string): D1PreparedStatement => (after === null ? db.prepare(sql) : db.prepare(sql).bind(after));
  // One transaction, so that books and authors belong together.
  const reads = [select(`SELECT * ${source}`), ...(table === "books" ? [select(`${LINKS} (SELECT isbn13 ${source})`)] : [])];
  const [read, links] = await stored(async () => db.batch<Row>(reads));
  const rows = read?.results ?? [];
  const last = rows.at(-1);
  const cursor = last === undefined ? after : JSON.stringify(key.map((column) => last[column]));
  const more = rows.length === limit;
  const columns = Object.keys(last ?? {});
  const insert = `INSERT INTO ${table} (${columns.join(", ")}) SELECT ${columns.map((column) => `value ->> '${column}'`).join(", ")}
    FROM json_each(?1) WHERE NOT (${unless}) ON CONFLICT DO NOTHING`;
  const names = jsonChunks(links?.results ?? []);
  const statements = [
    // Authors before their books, because then new books are those that do not exist yet.
    ...(names.length > 0 ? [catalog.prepare("PRAGMA defer_foreign_keys = on")] : []),
    ...names.map((chunk) => catalog.prepare(INSERT_LINKS).bind(chunk)),
    ...jsonChunks(rows).map((chunk) => catalog.prepare(insert).bind(chunk)),
    ...names.map((chunk) => countAuthors(catalog, chunk)),
    catalog.prepare(SAVE_CURSOR).bind(table, cursor, more ? null : now),
  ];
  await stored(async () => catalog.batch(statements), { idempotent: true });
  return { rows: rows.length, cursor, more };
}

/** The authors of a chunk of books, with the name that the old table shows. */
const LINKS = `
  SELECT link.author_key, link.isbn13, link.work_key, coalesce(author.name, link.author_key) AS name
  FROM book_authors AS link LEFT JOIN authors AS author ON author.author_key = link.author_key WHERE link.isbn13 IN`;

const INSERT_LINKS = `
  INSERT INTO book_authors (author_key, isbn13, work_key)
  SELECT value ->> 'author_key', value ->> 'isbn13', value ->> 'work_key' FROM json_each(?1)
  WHERE NOT EXISTS (SELECT 1 FROM books b WHERE b.isbn13 = value ->> 'isbn13') ON CONFLICT DO NOTHING`;

/** A slower run, that repeats an earlier chunk, must not reopen a finished table. */
const SAVE_CURSOR = `
  INSERT INTO moves (table_name, cursor, done_at) VALUES (?1, ?2, ?3)
  ON CONFLICT (table_name) DO UPDATE SET cursor = excluded.cursor, done_at = excluded.done_at WHERE done_at IS NULL`;
