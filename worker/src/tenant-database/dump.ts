/**
 * A database as SQL, in parts: where one ends, the next goes on, from a cursor that is all that needs to be remembered. The same content
 * gives the same bytes, whatever the parts were. Each statement is one line and begins with a keyword of ours: a reader of lines finds no
 * line that a project began.
 */
import { Buffer } from "node:buffer";
import { readCatalog } from "./catalog.ts";
import type { Catalog, Step } from "./catalog.ts";
import { expectContent, readIndex } from "./dump-index.ts";
import { BEFORE_FIRST, readRows } from "./dump-rows.ts";
import type { RowsPosition } from "./dump-rows.ts";
import type { ReadRows } from "./reader.ts";

export interface DumpRequest {
  readonly mode: "full" | "schema";
  /** Of the part before; null: from the beginning. */
  readonly cursor: string | null;
  /** A part ends with the statement that reaches it; a row with long values may take it further. */
  readonly maxBytes: number;
}

export interface DumpedPart {
  readonly sql: string;
  readonly bytes: number;
  /** Where the next part begins; null after the last one. */
  readonly next: string | null;
}

interface Place {
  readonly step: number;
  readonly rows: RowsPosition | null;
}

const START: Place = { step: 0, rows: null };

/** Throws `Undumpable` where no dump can hold what is there. */
export function expectDumpable(read: ReadRows, mode: DumpRequest["mode"]): void {
  for (const step of readCatalog(read, mode).steps) {
    if (step.kind === "index") expectContent(read, step.index);
  }
}

export function dumpPart(read: ReadRows, { mode, cursor, maxBytes }: DumpRequest): DumpedPart {
  const catalog = readCatalog(read, mode);
  const staging = freeName(catalog);
  const lines: string[] = [];
  let bytes = 0;
  const isFull = (): boolean => bytes >= maxBytes;
  const put = (sql: string): void => {
    bytes += Buffer.byteLength(sql) + 2;
    lines.push(`${sql};\n`);
  };
  /** Null where the step is done. */
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
    const stopped = readFrom(step, place.rows);
    place = stopped === null ? { step: place.step + 1, rows: null } : { step: place.step, rows: stopped };
  }
  return { sql: lines.join(""), bytes, next: place.step < catalog.steps.length ? JSON.stringify(place) : null };
}

/** For the table of long values: a name that nothing else has. */
function freeName({ names }: Catalog): string {
  let name = "_qc_long";
  while (names.has(name)) name += "_";
  return name;
}
