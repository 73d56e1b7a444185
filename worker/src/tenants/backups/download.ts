/** A backup as one file. Each part is compared with its hash before it is sent. */
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import { errorFields, log } from "../../lib/log.ts";
import type { VerifiedBackup } from "../../store/backups/backups.ts";
import { getObject } from "./bucket.ts";
import { fileNameOf } from "./finish.ts";
import type { Manifest } from "./finish.ts";
import { StoredParts } from "./stored.ts";

type Reading = Pick<Deps, "db" | "backups" | "telegram">;

export interface Download {
  readonly name: string;
  readonly bytes: number;
  /** SHA-256 in hex. */
  readonly sha256: string;
  /** Bytes from `from` (inclusive) to `to` (exclusive). The stream fails at a damaged part: it never sends other bytes. */
  readonly body: (range: { readonly from: number; readonly to: number }) => ReadableStream<Uint8Array>;
}

/** Throws `conflict` if a part is damaged or missing, before anything is sent. */
export async function downloadOf(deps: Reading, backup: VerifiedBackup): Promise<Download> {
  const stored = new StoredParts(deps, backup);
  await stored.expectAll();
  const body: Download["body"] = ({ from, to }) => {
    const pieces = stored.all(from, to);
    return new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const { done, value } = await pieces.next();
          if (done === true) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          log.error("Backup download failed", { backup_id: backup.id, ...errorFields(error) });
          controller.error(error);
        }
      },
      async cancel() {
        await pieces.return(undefined);
      },
    });
  };
  return { name: fileNameOf(backup), bytes: backup.stored_bytes, sha256: backup.sha256, body };
}

/** The manifest that finish.ts wrote. Throws `conflict` if it is missing or damaged. */
export async function manifestOf(deps: Pick<Deps, "backups">, backup: VerifiedBackup): Promise<Manifest> {
  const bytes = await getObject(deps, backup.manifest_key);
  if (bytes === null) throw new Problem("conflict", "The manifest of this backup is missing. Use another backup.");
  const manifest = manifestIn(bytes);
  if (manifest?.backup_id === backup.id && manifest.sha256 === backup.sha256) return manifest;
  throw new Problem("conflict", "The manifest of this backup is damaged. Use another backup.");
}

function manifestIn(bytes: Uint8Array): Manifest | null {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Manifest | null;
  } catch {
    return null;
  }
}
