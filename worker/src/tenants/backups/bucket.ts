/** A backup's objects in R2. All keys of a backup share a prefix, so that all of its objects can be found and removed. */
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import { errorFields, log } from "../../lib/log.ts";
import { CURRENT_MANIFEST } from "../../store/backups/backups.ts";
import type { BackupRow } from "../../store/backups/backups.ts";

type Bucket = Pick<Deps, "backups">;
type Named = Pick<BackupRow, "id" | "project_id">;

const RETRY_AFTER_SECONDS = 5;
/** Most keys that R2 lists or deletes in one call. */
const PAGE = 1_000;

const prefixOf = ({ project_id, id }: Named): string => `${project_id}/${id}/`;
const momentPrefix = (backup: Named, moment: number): string => `${prefixOf(backup)}${moment}/`;

/** The name shows the backup's format, so that the manifest need not be read (see isCurrent). */
export const manifestKey = (backup: Named): string => `${prefixOf(backup)}${CURRENT_MANIFEST}`;
/** Keys sort in the order of the parts. */
export const partKey = (backup: Named, moment: number, number: number): string =>
  `${momentPrefix(backup, moment)}${String(number).padStart(6, "0")}.sql.gz`;

/** Throws `storage_unavailable` if R2 fails. */
export async function inBucket<Answer>(run: () => Promise<Answer>): Promise<Answer> {
  try {
    return await run();
  } catch (error) {
    log.error("Backup storage did not respond", errorFields(error));
    throw new Problem("storage_unavailable", "Backup storage (R2) did not respond.", {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      cause: error,
    });
  }
}

/** R2 compares the bytes with the hash before it stores them. */
export async function putObject(
  { backups }: Bucket,
  key: string,
  bytes: Uint8Array<ArrayBuffer>,
  { sha256, contentType }: { readonly sha256: string; readonly contentType: string },
): Promise<void> {
  await inBucket(async () => backups.put(key, bytes, { sha256, httpMetadata: { contentType } }));
}

/** null: the object does not exist. */
export async function getObject({ backups }: Bucket, key: string): Promise<Uint8Array<ArrayBuffer> | null> {
  return inBucket(async () => {
    const found = await backups.get(key);
    return found === null ? null : new Uint8Array(await found.arrayBuffer());
  });
}

/** An object in R2. The hash is null if the list does not contain it: R2 does not promise that it does. */
export interface ListedObject {
  readonly size: number;
  readonly sha256: string | null;
}

/** All objects of a backup by key. */
export async function objectsOf({ backups }: Bucket, backup: Named): Promise<ReadonlyMap<string, ListedObject>> {
  const found = new Map<string, ListedObject>();
  let cursor: string | undefined;
  do {
    const from = cursor === undefined ? {} : { cursor };
    const page = await inBucket(async () => backups.list({ prefix: prefixOf(backup), limit: PAGE, ...from }));
    for (const { key, size, checksums } of page.objects) found.set(key, { size, sha256: checksums.toJSON().sha256 ?? null });
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return found;
}

/** The hash that R2 stored with an object. null: the object or its hash does not exist. */
export async function storedHash({ backups }: Bucket, key: string): Promise<string | null> {
  const found = await inBucket(async () => backups.head(key));
  return found?.checksums.toJSON().sha256 ?? null;
}

/** Removes all objects of a backup, or keeps the manifest and the parts of one freeze. Idempotent. */
export async function removeObjects({ backups }: Bucket, backup: Named, keptMoment: number | null = null): Promise<void> {
  const kept = (key: string): boolean =>
    keptMoment !== null && (key === manifestKey(backup) || key.startsWith(momentPrefix(backup, keptMoment)));
  const keys = [...(await objectsOf({ backups }, backup)).keys()].filter((key) => !kept(key));
  for (let from = 0; from < keys.length; from += PAGE) await inBucket(async () => backups.delete(keys.slice(from, from + PAGE)));
}
