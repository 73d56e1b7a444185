/**
 * Dumps a database as SQL, in parts. Each part ends with a cursor, and only the cursor is needed for the next part. The same content gives
 * the same bytes in parts of any size. Each statement is one line that begins with a keyword, so no project can insert a line of its own.
 */
import { Buffer } from "node:buffer";
import { readCatalog } from "./catalog.ts";
import type { Step } from "./catalog.ts";
import { expectContent, readIndex } from "./dump-index.ts";
import { BEFORE_FIRST, expectReadable, readRows } from "./dump-rows.ts";
import type { RowsPosition } from "./dump-rows.ts";
import type { ReadRows } from "./reader.ts";

export interface DumpRequest {
  readonly mode: "full" | "schema";
  /** Cursor of the previous part. Null: start at the beginning. */
  readonly cursor: string | null;
  /** A part ends with the statement that reaches this size. A row with long values may exceed it. */
  readonly maxBytes: number;
}

export interface DumpedPart {
  readonly sql: string;
  readonly bytes: number;
  /** Cursor of the next part. Null after the last one. */
  readonly next: string | null;
}

interface Place {
  readonly step: number;
  readonly rows: RowsPosition | null;
}

const START: Place = { step: 0, rows: null };

/** Throws `Undumpable`, or SQLite's error, if a dump cannot hold the content. The caller must roll back the transaction. */
export function expectDumpable(read: ReadRows, mode: DumpRequest["mode"]): void {
  for (const step of readCatalog(read, mode).steps) {
    if (step.kind === "rows") expectReadable(read, step.rows);
    if (step.kind === "index") expectContent(read, step.index);
  }
}

export function dumpPart(read: ReadRows, { mode, cursor, maxBytes }: DumpRequest): DumpedPart {
  const catalog = readCatalog(read, mode);
  const staging = catalog.freeName;
  const lines: string[] = [];
  let bytes = 0;
  const isFull = (): boolean => bytes >= maxBytes;
  const put = (sql: string): void => {
    bytes += Buffer.byteLength(sql) + 2;
    lines.push(`${sql};\n`);
  };
  /** The position after the last row read, or null at the end of the step. */
  const readFrom = (step: Step, from: RowsPosition | null): RowsPosition | null => {
    if (step.kind === "statement") {
      put(step.sql);
      return null;
    }
    let place = from ?? BEFORE_FIRST;
    const take = (sql: string, after: RowsPosition): boolean => {
      put(sql);
      place = after;
      return !isFull();
    };
    if (step.kind === "index") return readIndex(read, step.index, place, take) ? null : place;
    if (from === null && step.rows.before !== null) put(step.rows.before);
    return readRows(read, { rows: step.rows, from: place, staging }, take) ? null : place;
  };
  let place: Place = cursor === null ? START : (JSON.parse(cursor) as Place);
  for (let step = catalog.steps[place.step]; step !== undefined && !isFull(); step = catalog.steps[place.step]) {
    const position = readFrom(step, place.rows);
    place = position === null ? { step: place.step + 1, rows: null } : { step: place.step, rows: position };
  }
  return { sql: lines.join(""), bytes, next: place.step < catalog.steps.length ? JSON.stringify(place) : null };
}
