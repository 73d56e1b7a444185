/**
 * Which catalog tables have moved from the main database, where earlier releases kept them: table `moves`. Until a table has moved, reads
 * fall back to the old one. A row in the catalog is always the newer one.
 */
import { stored } from "../database.ts";
import type { CountedDatabase } from "../statements.ts";

/** The order of the move: the harvest pauses until its targets have moved, and books take longest. */
export const MOVED_TABLES = ["harvest_targets", "harvest_runs", "missing_isbns", "bibliographies", "books"] as const;
export type MovedTable = (typeof MOVED_TABLES)[number];

/** Where catalog rows may be. */
export interface Shelves {
  readonly catalog: CountedDatabase;
  /** The main database, with the old tables. */
  readonly db: CountedDatabase;
}

export interface Move {
  readonly table_name: MovedTable;
  /** JSON array: the key of the last row that was moved. */
  readonly cursor: string | null;
  readonly done_at: number | null;
}

/** Outlives an invocation, because a table never moves back. Keyed by binding, so that each environment has its own. */
const finished = new WeakMap<D1Database, ReadonlySet<MovedTable>>();

/** Progress of the move. */
export async function readMoves({ catalog }: Pick<Shelves, "catalog">): Promise<readonly Move[]> {
  const { results } = await stored(async () => catalog.prepare("SELECT table_name, cursor, done_at FROM moves").all<Move>());
  finished.set(catalog.binding, new Set(results.filter(({ done_at }) => done_at !== null).map(({ table_name }) => table_name)));
  return results;
}

/**
 * Whether reading the catalog alone is enough. Call this before you read it. Rows may arrive meanwhile, but none disappears from the old table. Free
 * once the table has moved.
 */
export async function hasMoved(shelves: Pick<Shelves, "catalog">, table: MovedTable): Promise<boolean> {
  if (finished.get(shelves.catalog.binding)?.has(table) === true) return true;
  const moves = await readMoves(shelves);
  return moves.some(({ table_name, done_at }) => table_name === table && done_at !== null);
}

/** The database with all rows of a table: the old one until they have moved. Then newer rows may be missing for a moment. */
export async function shelfOf({ catalog, db }: Shelves, table: MovedTable): Promise<CountedDatabase> {
  return (await hasMoved({ catalog }, table)) ? catalog : db;
}
