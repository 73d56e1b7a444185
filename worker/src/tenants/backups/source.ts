/**
 * From a project's database to parts in R2. A part is one gzip member, so that parts one after the other are one gzip file, and each can be
 * made again from its cursor alone. Parts of two moments are never mixed: each freeze has its own name, rows and keys.
 */
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import { gzip, sha256Hex } from "../../lib/bytes.ts";
import { addPart, forgetParts, lastPart } from "../../store/backups/parts.ts";
import { beginMoment } from "../../store/backups/backups.ts";
import type { BackupRow, ExportType } from "../../store/backups/backups.ts";
import type { Busy } from "../../tenant-database/index.ts";
import type { Reading } from "./contents.ts";
import { partKey, putObject, removeObjects } from "./bucket.ts";

/** Of SQL; stored it is about a quarter, or half where bytes are random. A row of long values may take a part further. */
const PART_SQL_BYTES = 4 * 1024 * 1024;
/** A try of a step may take 5 minutes; a part takes a second. */
const PARTS_PER_STEP = 8;
/** D1 allows 1,000 queries an invocation, and each part needs two. */
const MAX_PARTS = 400;

/** What is read: one freeze of one database. */
export interface Source {
  readonly id: string;
  readonly project_id: string;
  readonly export_type: ExportType;
  readonly job_id: string;
  readonly moment: number;
}

export const sourceOf = ({ id, project_id, export_type, job_id }: BackupRow, moment: number): Source => ({
  id,
  project_id,
  export_type,
  job_id,
  moment,
});

const freezeOf = ({ job_id, moment }: Source): string => `${job_id}:${moment}`;

export type Frozen = { readonly result: "frozen" } | (Busy & { readonly retryAt: number });

/** Stops writes, and begins a moment. Throws `conflict` where the backup does not run any more, `unprocessable` for what no dump can hold. */
export async function freezeSource({ tenantDatabases, db, clock }: Deps, source: Source): Promise<Frozen> {
  const frozen = await tenantDatabases.call(source.project_id, async (database) => database.freeze(freezeOf(source), source.export_type));
  if (frozen.result === "impossible") throw new Problem("unprocessable", frozen.detail);
  if (frozen.result === "busy") return { ...frozen, retryAt: clock() + frozen.retryAfterSeconds * 1_000 };
  if (await beginMoment(db, source.id, source.moment, clock())) return { result: "frozen" };
  // Whoever gave the backup up has thawed what was frozen until then.
  await tenantDatabases.call(source.project_id, async (database) => database.thaw(freezeOf(source)));
  throw new Problem("conflict", "This backup does not run any more.");
}

/** Lets writes through again. Twice is once. */
export async function thawSource({ tenantDatabases }: Deps, source: Source): Promise<void> {
  await tenantDatabases.call(source.project_id, async (database) => database.thaw(freezeOf(source)));
}

/** `thawed`: something was written, or may have been; all parts of this moment are worthless. */
export type ReadProgress = "more" | "done" | "thawed";

/** The next parts, from behind the last one that is stored. Throws `unprocessable` for what no dump can hold. */
export async function readParts(deps: Deps, source: Source): Promise<ReadProgress> {
  const { db, tenantDatabases } = deps;
  const last = await lastPart(db, source);
  let [number, cursor] = last === null ? [1, null] : [last.number + 1, last.next];
  if (last !== null && cursor === null) return "done";
  for (let count = 0; count < PARTS_PER_STEP; count += 1) {
    if (number > MAX_PARTS) throw new Problem("unprocessable", `The database is too large: more than ${MAX_PARTS * 4} MiB of SQL.`);
    const request = { freeze: freezeOf(source), mode: source.export_type, cursor, maxBytes: PART_SQL_BYTES };
    const part = await tenantDatabases.call(source.project_id, async (database) => database.dumpPart(request));
    if (part.result === "impossible") throw new Problem("unprocessable", part.detail);
    if (part.result !== "part") return "thawed";
    const bytes = await gzip(part.sql);
    const sha256 = await sha256Hex(bytes);
    const key = partKey(source, source.moment, number);
    await putObject(deps, key, bytes, { sha256, contentType: "application/gzip" });
    const { schemaVersion: schema_version, bytes: sql_bytes, next } = part;
    await addPart(db, source, { number, key, stored_bytes: bytes.byteLength, sha256, sql_bytes, next, schema_version });
    if (next === null) return "done";
    number += 1;
    cursor = next;
  }
  return "more";
}

/** What it holds, to be read beside the dump. */
export const readingOf = (source: Source): Reading => ({ name: source.project_id, freeze: freezeOf(source), mode: source.export_type });

/** Throws away what was read of moments before this one. Twice is once. */
export async function discardMoments(deps: Deps, source: Source): Promise<void> {
  await removeObjects(deps, source, source.moment);
  await forgetParts(deps.db, source.id, source.moment);
}
