/** What a database holds, read page by page beside the dump: of a backup's source while it is frozen, and of what was loaded from it. */
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import type { Contents, DumpPartRequest } from "../../tenant-database/index.ts";

const PAGE_BYTES = 4 * 1024 * 1024;
/** A try of a step may take 5 minutes; a page takes a second. */
const PAGES_PER_STEP = 8;
/** A row in D1 holds 2 MB. */
const MAX_TABLES_CHARACTERS = 1_000_000;

/** Whose contents, under which freeze. */
export interface Reading {
  readonly name: string;
  readonly freeze: string;
  readonly mode: DumpPartRequest["mode"];
}

/** So much of it, and where to go on. `thawed`: something was written, or may have been. */
export type ContentsRead = (Contents & { readonly next: string | null }) | "thawed";

const NOTHING_READ = { schemaHash: "", schemaVersion: 0, tables: [], next: null } as const;

/** Reads on from a cursor. Throws `unprocessable` where SQLite cannot read it. */
export async function readContents({ tenantDatabases }: Deps, { name, freeze, mode }: Reading, from: string | null): Promise<ContentsRead> {
  let read: Contents & { readonly next: string | null } = { ...NOTHING_READ, next: from };
  for (let pages = 0; pages < PAGES_PER_STEP; pages += 1) {
    const request = { freeze, mode, cursor: read.next, maxBytes: PAGE_BYTES };
    const page = await tenantDatabases.call(name, async (database) => database.survey(request));
    if (page.result === "impossible") throw new Problem("unprocessable", page.detail);
    if (page.result !== "page") return "thawed";
    read = added(read, { ...page, schemaHash: page.schemaHash ?? "" });
    if (read.next === null) break;
  }
  return read;
}

/** All of it, step by step. What a step says that is no reading, ends it. */
export async function allContents<End>(
  readOn: (from: string | null) => Promise<Exclude<ContentsRead, string> | End>,
): Promise<Contents | End> {
  let read: Exclude<ContentsRead, string> = NOTHING_READ;
  do {
    const more = await readOn(read.next);
    if (!isReading(more)) return more;
    read = added(read, more);
  } while (read.next !== null);
  return read;
}

const isReading = (answer: unknown): answer is Exclude<ContentsRead, string> =>
  typeof answer === "object" && answer !== null && "schemaHash" in answer;

/** Two readings one after the other. Throws `unprocessable` for more tables than can be kept. */
function added<Read extends Contents>(before: Contents, after: Read): Read {
  const tables = [...before.tables, ...after.tables];
  if (JSON.stringify(tables).length > MAX_TABLES_CHARACTERS) {
    throw new Problem("unprocessable", "The database has too many tables to be described.");
  }
  return { ...after, tables, schemaHash: before.schemaHash || after.schemaHash };
}
