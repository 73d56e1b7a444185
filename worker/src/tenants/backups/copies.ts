/** Copies of a backup in Telegram. Each document holds whole parts, and the bot can download it again. */
import type { Deps } from "../../deps.ts";
import { sha256Hex } from "../../lib/bytes.ts";
import { addDocument, listDocuments } from "../../store/backups/parts.ts";
import type { BackupPart } from "../../store/backups/parts.ts";
import { findBackup } from "../../store/backups/backups.ts";
import { MAX_DOCUMENT_BYTES, TelegramError } from "../../telegram/index.ts";
import { fileNameOf } from "./finish.ts";
import { StoredParts } from "./stored.ts";
import type { Stored } from "./stored.ts";

/** Up to 76 MiB. An attempt of a step may take 5 minutes. */
const DOCUMENTS_PER_STEP = 4;

/** Groups parts, in order, into as few documents as possible. */
export function documentsOf<Part extends Pick<BackupPart, "stored_bytes">>(
  parts: readonly Part[],
  maxBytes = MAX_DOCUMENT_BYTES,
): Part[][] {
  const documents: Part[][] = [];
  let freeBytes = 0;
  for (const part of parts) {
    freeBytes -= part.stored_bytes;
    const last = documents.at(-1);
    if (last !== undefined && freeBytes >= 0) last.push(part);
    else {
      documents.push([part]);
      freeBytes = maxBytes - part.stored_bytes;
    }
  }
  return documents;
}

export type CopyProgress =
  | { readonly result: "sent" | "more" }
  | { readonly result: "failed"; readonly error: string }
  /** Telegram requires a pause. `asked`: when the document was sent. `until`: when to send it again. Stored by job steps. */
  | { readonly result: "pause"; readonly asked: number; readonly until: number };

/** Sends the next documents that were not sent yet. Throws if a retry may succeed, and returns `failed` if it cannot. */
export async function sendCopies(deps: Deps, backup: Stored): Promise<CopyProgress> {
  const { telegram, db, clock } = deps;
  const row = await findBackup(db, backup.id);
  if (telegram === null || row === null)
    return { result: "failed", error: "The Telegram bot is no longer configured, or the backup was deleted." };
  const fileName = fileNameOf(row);
  const stored = new StoredParts(deps, backup);
  const documents = documentsOf(await stored.parts());
  const sent = new Set((await listDocuments(db, backup.id)).map(({ first_part }) => first_part));
  let count = 0;
  for (const [index, parts] of documents.entries()) {
    const [first, last] = [parts[0], parts.at(-1)];
    if (first === undefined || last === undefined || sent.has(first.number)) continue;
    if (count === DOCUMENTS_PER_STEP) return { result: "more" };
    count += 1;
    const bytes = new Uint8Array(parts.reduce((total, { stored_bytes }) => total + stored_bytes, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(await stored.bytes(part), at);
      at += part.stored_bytes;
    }
    const sha256 = await sha256Hex(bytes);
    // Concatenated in this order, the documents are the backup's file.
    const nth = String(index + 1).padStart(3, "0");
    const caption = `Backup ${backup.id} of project ${backup.project_id}: ${index + 1} of ${documents.length}. SHA-256 ${sha256}`;
    try {
      const file_id = await telegram.sendDocument(`${fileName}.${nth}`, bytes, caption);
      await addDocument(db, backup.id, { first_part: first.number, last_part: last.number, bytes: bytes.byteLength, sha256, file_id });
    } catch (error) {
      if (!(error instanceof TelegramError)) throw error;
      if (error.retryAfterSeconds !== null) return { result: "pause", asked: clock(), until: clock() + error.retryAfterSeconds * 1_000 };
      if (!error.retryable) return { result: "failed", error: error.message };
      throw error;
    }
  }
  return { result: "sent" };
}
