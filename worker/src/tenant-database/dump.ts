/**
 * A database as SQL, in parts: where one ends, the next goes on, from a cursor that is all that needs to be remembered. The same content
 * gives the same bytes, whatever the parts were.
 */
import { Buffer } from "node:buffer";
import { readCatalog } from "./catalog.ts";
import type { Catalog, TableRows } from "./catalog.ts";
import { BEFORE_FIRST, readRows } from "./dump-rows.ts";
import type { RowsPosition } from "./dump-rows.ts";
import type { ReadRows } from "./reader.ts";
import type { TableSummary } from "./types.ts";

export interface DumpRequest {
  readonly mode: "full" | "schema";
  /** Of the part before; null: from the beginning. */
  readonly cursor: string | null;
  /** A part ends with the statement that reaches it; a row with long values may take it further. */
  readonly maxBytes: number;
  /** False: only what the tables hold is summed up. */
  readonly text: boolean;
}

export interface DumpedPart {
  readonly sql: string;
  readonly bytes: number;
  /** Where the next part begins; null after the last one. */
  readonly next: string | null;
  /** Tables whose last row stands in this part. */
  readonly tables: readonly TableSummary[];
  readonly schemaHash: string;
}

interface Place {
  readonly step: number;
  readonly rows: RowsPosition | null;
}

const START: Place = { step: 0, rows: null };

export function dumpPart(read: ReadRows, { mode, cursor, maxBytes, text }: DumpRequest): DumpedPart {
  const catalog = readCatalog(read, mode);
  const staging = freeName(catalog);
  const tables: TableSummary[] = [];
  const statements: string[] = [];
  let bytes = 0;
  const put = (sql: string): void => {
    bytes += Buffer.byteLength(sql) + 2;
    if (text) statements.push(`${sql};\n`);
  };
  /** Null where the table is done. */
  const rowsFrom = (rows: TableRows, from: RowsPosition | null): RowsPosition | null => {
    let place = from ?? BEFORE_FIRST;
    if (from === null && rows.before !== null) put(rows.before);
    const done = readRows(read, { rows, from: place, staging }, (sql, after) => {
      put(sql);
      place = after;
      return !isFull();
    });
    if (!done) return place;
    tables.push({ name: rows.table, rows: place.rows, hash: place.hash });
    return null;
  };
  let place: Place = cursor === null ? START : (JSON.parse(cursor) as Place);
  const isFull = (): boolean => bytes >= maxBytes;
  while (place.step < catalog.steps.length && !isFull()) {
    const step = catalog.steps[place.step];
    if (step?.kind === "statement") put(step.sql);
    const stopped = step?.kind === "rows" ? rowsFrom(step.rows, place.rows) : null;
    place = stopped === null ? { step: place.step + 1, rows: null } : { step: place.step, rows: stopped };
  }
  const next = place.step < catalog.steps.length ? JSON.stringify(place) : null;
  return { sql: statements.join(""), bytes, next, tables, schemaHash: catalog.schemaHash };
}

/** For the table of long values: a name that nothing else has. */
function freeName({ names }: Catalog): string {
  let name = "_qc_long";
  while (names.has(name)) name += "_";
  return name;
}
