/** Another SQLite than the platform's: Node's own, which shares no code with the product. */
import { DatabaseSync } from "node:sqlite";
import { dumpPart } from "../../../worker/src/tenant-database/dump.ts";
import type { DumpedPart } from "../../../worker/src/tenant-database/dump.ts";
import type { ReadRows } from "../../../worker/src/tenant-database/reader.ts";

/** Reads in the dump engine's way. */
function readerOf(database: DatabaseSync): ReadRows {
  return (sql, visit) => {
    const statement = database.prepare(sql);
    statement.setReturnArrays(true);
    for (const row of statement.iterate() as Iterable<unknown> as Iterable<unknown[]>) {
      if (!visit(row)) return;
    }
  };
}

export function open(...scripts: (readonly string[])[]): DatabaseSync {
  const database = new DatabaseSync(":memory:", { enableForeignKeyConstraints: false });
  for (const sql of scripts.flat()) database.exec(sql);
  return database;
}

export interface Dump {
  readonly sql: string;
  readonly parts: readonly DumpedPart[];
}

export function dump(database: DatabaseSync, maxBytes = 1_000_000, mode: "full" | "schema" = "full"): Dump {
  const parts: DumpedPart[] = [];
  let cursor: string | null = null;
  do {
    const part: DumpedPart = dumpPart(readerOf(database), { mode, cursor, maxBytes, text: true });
    parts.push(part);
    cursor = part.next;
  } while (cursor !== null);
  return { sql: parts.map(({ sql }) => sql).join(""), parts };
}

export const summary = ({ parts }: { readonly parts: readonly Pick<DumpedPart, "schemaHash" | "tables">[] }) => ({
  schema: parts[0]?.schemaHash,
  tables: parts.flatMap(({ tables }) => tables),
});

interface Listed {
  readonly type: string;
  readonly name: string;
}

/** Everything in a database, read without the product's engine: the schema, and all rows, exact to the bit and in the table's own order. */
export function content(database: DatabaseSync): unknown {
  const all = (sql: string): unknown[] => {
    const statement = database.prepare(sql);
    statement.setReadBigInts(true);
    return statement.all();
  };
  const objects = all("SELECT type, name, tbl_name FROM sqlite_schema ORDER BY type, name") as Listed[];
  const tables = objects.filter(({ type, name }) => type === "table" && !/^(search|article_search|boxes)_/u.test(name));
  const rows = tables.map(({ name }) => {
    const quoted = `"${name.replaceAll('"', '""')}"`;
    const columns = (all(`PRAGMA table_xinfo(${quoted})`) as { name: string; hidden: bigint }[]).filter(({ hidden }) => hidden !== 1n);
    const selected = columns.flatMap(({ name: column }) => {
      const one = `"${column.replaceAll('"', '""')}"`;
      return [`typeof(${one})`, `CASE WHEN typeof(${one}) IN ('text', 'blob') THEN hex(${one}) ELSE ${one} END`];
    });
    // An R-tree's own order is the order of its nodes.
    const statement = database.prepare(`SELECT ${selected.join(", ")} FROM ${quoted} ${name === "boxes" ? "ORDER BY id" : "NOT INDEXED"}`);
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    return [name, statement.all()];
  });
  return { objects, rows };
}
