/**
 * Dumps a project's database into parts in R2. A part is one gzip member, so that the concatenated parts are one gzip file. A part can be
 * recreated from its cursor alone. Parts of two freezes are never mixed: each freeze (`moment`) has its own id, rows and keys.
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

/** Size of a part's SQL. Compressed it is about a quarter, or half for random bytes. A row of long values may exceed it. */
const PART_SQL_BYTES = 4 * 1024 * 1024;
/** An attempt of a step may take 5 minutes. A part takes a second. */
const PARTS_PER_STEP = 8;
/** D1 allows 1,000 queries per invocation. Each part needs two. */
const MAX_PARTS = 400;

/** One freeze of one database. */
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

/**
 * Stops writes and records the freeze. Throws `conflict` if the backup is no longer running, `unprocessable` if the database cannot be
 * dumped.
 */
export async function freezeSource({ tenantDatabases, db, clock }: Deps, source: Source): Promise<Frozen> {
  const frozen = await tenantDatabases.call(source.project_id, async (database) => database.freeze(freezeOf(source), source.export_type));
  if (frozen.result === "impossible") throw new Problem("unprocessable", frozen.detail);
  if (frozen.result === "busy") return { ...frozen, retryAt: clock() + frozen.retryAfterSeconds * 1_000 };
  if (await beginMoment(db, source.id, source.moment, clock())) return { result: "frozen" };
  // The backup has failed meanwhile. Its earlier freeze was released then, but this one was not.
  await tenantDatabases.call(source.project_id, async (database) => database.thaw(freezeOf(source)));
  throw new Problem("conflict", "This backup is no longer running.");
}

/** Allows writes again. Idempotent. */
export async function thawSource({ tenantDatabases }: Deps, source: Source): Promise<void> {
  await tenantDatabases.call(source.project_id, async (database) => database.thaw(freezeOf(source)));
}

/** `thawed`: writes happened, or may have happened, so that all parts of this freeze are unusable. */
export type ReadProgress = "more" | "done" | "thawed";

/** Stores the next parts, after the last stored one. Throws `unprocessable` if the database cannot be dumped. */
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

/** Reads the contents in the same freeze, separately from the dump. */
export const readingOf = (source: Source): Reading => ({ name: source.project_id, freeze: freezeOf(source), mode: source.export_type });

/** Removes the parts of earlier freezes. Idempotent. */
export async function discardEarlierParts(deps: Deps, source: Source): Promise<void> {
  await removeObjects(deps, source, source.moment);
  await forgetParts(deps.db, source.id, source.moment);
}
