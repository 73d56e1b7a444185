/** A project's database through its own methods: filled, dumped part by part, and read into another one. */

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
const ROWS_A_STATEMENT = 10_000;

type Namespace = { getByName(name: string): TenantObject };

function needs(expected: string, answer: { readonly result: string }): void {
  if (answer.result !== expected) throw new Error(`expected ${expected}: ${JSON.stringify(answer)}`);
}

/** A table of so many megabytes. */
export async function fill(namespace: Namespace, name: string, megabytes: number): Promise<number> {
  const database = namespace.getByName(name);
  const run = async (sql: string, params: readonly unknown[]): Promise<void> =>
    needs("rows", await database.query({ sql, params, readOnly: false, maxRows: 1 }));
  await run("CREATE TABLE IF NOT EXISTS filling (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body TEXT NOT NULL)", []);
  const rows = Math.round((megabytes * 1_000_000) / ROW_BYTES);
  for (let from = 0; from < rows; from += ROWS_A_STATEMENT) {
    await run(
      `WITH RECURSIVE numbers (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?2)
       INSERT INTO filling SELECT n, 'row ' || n, hex(randomblob(${(ROW_BYTES - 40) / 2})) FROM numbers`,
      [from, Math.min(rows, from + ROWS_A_STATEMENT)],
    );
  }
  return rows;
}

/** Every part of a dump, one after the other; `taken` sees each. Returns its bytes. */
async function dumped(database: TenantObject, id: string, taken: (part: Part, piece: number) => Promise<void>): Promise<number> {
  needs("frozen", await database.freeze(id));
  let [bytes, piece] = [0, 0];
  for (let cursor: string | null = null; piece === 0 || cursor !== null; piece += 1) {
    const part: Part = await database.dumpPart({ freeze: id, mode: "full", cursor, maxBytes: PART_BYTES });
    needs("part", part);
    await taken(part, piece);
    bytes += part.bytes;
    cursor = part.next;
  }
  await database.thaw(id);
  return bytes;
}

export async function dump(namespace: Namespace, name: string, id: string): Promise<number> {
  return dumped(namespace.getByName(name), id, async () => undefined);
}

/** Dumps one into another that is empty, and throws that away. */
export async function restore(namespace: Namespace, name: string, id: string): Promise<number> {
  const target = namespace.getByName(id);
  needs("ready", await target.beginImport(id));
  let version = 0;
  const bytes = await dumped(namespace.getByName(name), id, async (part, piece) => {
    needs("ready", await target.importPart(id, piece, part.sql, true));
    version = part.schemaVersion;
  });
  needs("ready", await target.finishImport(id, version));
  await target.destroy();
  return bytes;
}
