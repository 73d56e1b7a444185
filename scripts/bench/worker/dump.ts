/** Fills, dumps and restores a project's database through its RPC methods. */

export interface TenantObject {
  query(request: {
    sql: string;
    params: readonly unknown[];
    readOnly: boolean;
    maxRows: number;
  }): Promise<{ result: string; message?: string }>;
  freeze(id: string): Promise<{ result: string }>;
  thaw(id: string): Promise<void>;
  dumpPart(request: { freeze: string; mode: "full"; cursor: string | null; maxBytes: number }): Promise<Part>;
  beginImport(id: string): Promise<{ result: string }>;
  importPart(id: string, piece: number, sql: string, isLines: boolean): Promise<{ result: string }>;
  finishImport(id: string, schemaVersion: number): Promise<{ result: string }>;
  destroy(): Promise<void>;
}

interface Part {
  readonly result: string;
  readonly sql: string;
  readonly bytes: number;
  readonly next: string | null;
  readonly schemaVersion: number;
}

const PART_BYTES = 1024 * 1024;
const ROW_BYTES = 1_000;
const ROWS_PER_STATEMENT = 10_000;

type Namespace = { getByName(name: string): TenantObject };

function assertResult(expected: string, answer: { readonly result: string }): void {
  if (answer.result !== expected) throw new Error(`expected ${expected}: ${JSON.stringify(answer)}`);
}

/** Fills a table with this number of megabytes. */
export async function fill(namespace: Namespace, name: string, megabytes: number): Promise<number> {
  const database = namespace.getByName(name);
  const run = async (sql: string, params: readonly unknown[]): Promise<void> =>
    assertResult("rows", await database.query({ sql, params, readOnly: false, maxRows: 1 }));
  await run("CREATE TABLE IF NOT EXISTS filling (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body TEXT NOT NULL)", []);
  const rows = Math.round((megabytes * 1_000_000) / ROW_BYTES);
  for (let from = 0; from < rows; from += ROWS_PER_STATEMENT) {
    await run(
      `WITH RECURSIVE numbers (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?2)
       INSERT INTO filling SELECT n, 'row ' || n, hex(randomblob(${(ROW_BYTES - 40) / 2})) FROM numbers`,
      [from, Math.min(rows, from + ROWS_PER_STATEMENT)],
    );
  }
  return rows;
}

/** Dumps all parts in order and passes each to `onPart`. Returns the number of bytes. */
async function dumpParts(database: TenantObject, id: string, onPart: (part: Part, piece: number) => Promise<void>): Promise<number> {
  assertResult("frozen", await database.freeze(id));
  let [bytes, piece] = [0, 0];
  for (let cursor: string | null = null; piece === 0 || cursor !== null; piece += 1) {
    const part: Part = await database.dumpPart({ freeze: id, mode: "full", cursor, maxBytes: PART_BYTES });
    assertResult("part", part);
    await onPart(part, piece);
    bytes += part.bytes;
    cursor = part.next;
  }
  await database.thaw(id);
  return bytes;
}

export async function dump(namespace: Namespace, name: string, id: string): Promise<number> {
  return dumpParts(namespace.getByName(name), id, async () => undefined);
}

/** Dumps a database into an empty one and then deletes the copy. */
export async function restore(namespace: Namespace, name: string, id: string): Promise<number> {
  const target = namespace.getByName(id);
  assertResult("ready", await target.beginImport(id));
  let version = 0;
  const bytes = await dumpParts(namespace.getByName(name), id, async (part, piece) => {
    assertResult("ready", await target.importPart(id, piece, part.sql, true));
    version = part.schemaVersion;
  });
  assertResult("ready", await target.finishImport(id, version));
  await target.destroy();
  return bytes;
}
