/** Contents of a database, read in pages, separately from the dump: of a backup's frozen source, and of a database loaded from it. */
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import type { Contents, DumpPartRequest } from "../../tenant-database/index.ts";

const PAGE_BYTES = 4 * 1024 * 1024;
/** An attempt of a step may take 5 minutes. A page takes a second. */
const PAGES_PER_STEP = 8;
/** A row in D1 may have 2 MB. */
const MAX_TABLES_CHARACTERS = 1_000_000;

/** A database and the freeze under which it is read. */
export interface Reading {
  readonly name: string;
  readonly freeze: string;
  readonly mode: DumpPartRequest["mode"];
}

/** Contents read so far, and the next cursor. `thawed`: writes happened, or may have happened. */
export type ContentsRead = (Contents & { readonly next: string | null }) | "thawed";

const NOTHING_READ = { schemaHash: "", schemaVersion: 0, tables: [], next: null } as const;

/** Reads the next pages from a cursor. Throws `unprocessable` if SQLite cannot read the database. */
export async function readContents({ tenantDatabases }: Deps, { name, freeze, mode }: Reading, from: string | null): Promise<ContentsRead> {
  let read: Contents & { readonly next: string | null } = { ...NOTHING_READ, next: from };
  for (let pages = 0; pages < PAGES_PER_STEP; pages += 1) {
    const request = { freeze, mode, cursor: read.next, maxBytes: PAGE_BYTES };
    const page = await tenantDatabases.call(name, async (database) => database.survey(request));
    if (page.result === "impossible") throw new Problem("unprocessable", page.detail);
    if (page.result !== "page") return "thawed";
    read = merged(read, { ...page, schemaHash: page.schemaHash ?? "" });
    if (read.next === null) break;
  }
  return read;
}

/** Reads all contents, step by step. A step's result without contents ends the loop and is returned. */
export async function allContents<End>(
  readFrom: (from: string | null) => Promise<Exclude<ContentsRead, string> | End>,
): Promise<Contents | End> {
  let read: Exclude<ContentsRead, string> = NOTHING_READ;
  do {
    const more = await readFrom(read.next);
    if (!hasContents(more)) return more;
    read = merged(read, more);
  } while (read.next !== null);
  return read;
}

const hasContents = (answer: unknown): answer is Exclude<ContentsRead, string> =>
  typeof answer === "object" && answer !== null && "schemaHash" in answer;

/** Appends later contents to earlier ones. Throws `unprocessable` if the tables' list is too long to be stored. */
function merged<Read extends Contents>(before: Contents, after: Read): Read {
  const tables = [...before.tables, ...after.tables];
  if (JSON.stringify(tables).length > MAX_TABLES_CHARACTERS) {
    throw new Problem("unprocessable", `The database has too many tables: their list exceeds ${MAX_TABLES_CHARACTERS} characters of JSON.`);
  }
  return { ...after, tables, schemaHash: before.schemaHash || after.schemaHash };
}
