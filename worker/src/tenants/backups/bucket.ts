/** Where a backup's bytes stand in R2. Everything of a backup begins with the same prefix, so that all of it can be found and removed. */
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import { errorFields, log } from "../../lib/log.ts";
import { CURRENT_MANIFEST } from "../../store/backups/backups.ts";
import type { BackupRow } from "../../store/backups/backups.ts";

type Bucket = Pick<Deps, "backups">;
type Named = Pick<BackupRow, "id" | "project_id">;

const RETRY_AFTER_SECONDS = 5;
/** R2 lists and deletes as many at once. */
const PAGE = 1_000;

const prefixOf = ({ project_id, id }: Named): string => `${project_id}/${id}/`;
const momentPrefix = (backup: Named, moment: number): string => `${prefixOf(backup)}${moment}/`;

/** Its name tells the format of the backup, which so can be told without reading it; see isCurrent. */
export const manifestKey = (backup: Named): string => `${prefixOf(backup)}${CURRENT_MANIFEST}`;
/** Sorted by name, parts stand in their order. */
export const partKey = (backup: Named, moment: number, number: number): string =>
  `${momentPrefix(backup, moment)}${String(number).padStart(6, "0")}.sql.gz`;

/** Throws `storage_unavailable` where R2 fails. */
export async function inBucket<Answer>(run: () => Promise<Answer>): Promise<Answer> {
  try {
    return await run();
  } catch (error) {
    log.error("The store of backups did not answer", errorFields(error));
    throw new Problem("storage_unavailable", "The store of backups did not answer.", {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      cause: error,
    });
  }
}

/** R2 itself compares the bytes with the hash before it keeps them. */
export async function putObject(
  { backups }: Bucket,
  key: string,
  bytes: Uint8Array<ArrayBuffer>,
  { sha256, contentType }: { readonly sha256: string; readonly contentType: string },
): Promise<void> {
  await inBucket(async () => backups.put(key, bytes, { sha256, httpMetadata: { contentType } }));
}

/** null: there is no such object. */
export async function getObject({ backups }: Bucket, key: string): Promise<Uint8Array<ArrayBuffer> | null> {
  return inBucket(async () => {
    const found = await backups.get(key);
    return found === null ? null : new Uint8Array(await found.arrayBuffer());
  });
}

/** Everything of a backup: its size and the hash that R2 took down, by key. */
export async function objectsOf({ backups }: Bucket, backup: Named): Promise<ReadonlyMap<string, { size: number; sha256: string | null }>> {
  const found = new Map<string, { size: number; sha256: string | null }>();
  let cursor: string | undefined;
  do {
    const from = cursor === undefined ? {} : { cursor };
    const page = await inBucket(async () => backups.list({ prefix: prefixOf(backup), limit: PAGE, ...from }));
    for (const { key, size, checksums } of page.objects) found.set(key, { size, sha256: checksums.toJSON().sha256 ?? null });
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return found;
}

/** Removes all of it, or what is neither the manifest nor a part of the moment `but`. Twice is once. */
export async function removeObjects({ backups }: Bucket, backup: Named, but: number | null = null): Promise<void> {
  const kept = (key: string): boolean => but !== null && (key === manifestKey(backup) || key.startsWith(momentPrefix(backup, but)));
  const keys = [...(await objectsOf({ backups }, backup)).keys()].filter((key) => !kept(key));
  for (let from = 0; from < keys.length; from += PAGE) await inBucket(async () => backups.delete(keys.slice(from, from + PAGE)));
}
