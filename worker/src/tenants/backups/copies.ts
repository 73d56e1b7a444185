/** Copies of a backup in Telegram: documents that a bot can fetch back, each of whole parts. And what operators are told. */
import type { Deps } from "../../deps.ts";
import { sha256Hex } from "../../lib/bytes.ts";
import { addDocument, listDocuments } from "../../store/backups/parts.ts";
import type { BackupPart } from "../../store/backups/parts.ts";
import { findBackup } from "../../store/backups/backups.ts";
import { MAX_DOCUMENT_BYTES, TelegramError } from "../../telegram/index.ts";
import { fileNameOf } from "./finish.ts";
import { StoredParts } from "./stored.ts";
import type { Stored } from "./stored.ts";

/** Up to 76 MiB: a try of a step may take 5 minutes. */
const DOCUMENTS_PER_STEP = 4;

/** Parts in their order, in as few documents as hold them. */
export function documentsOf<Part extends Pick<BackupPart, "stored_bytes">>(
  parts: readonly Part[],
  maxBytes = MAX_DOCUMENT_BYTES,
): Part[][] {
  const documents: Part[][] = [];
  let room = 0;
  for (const part of parts) {
    room -= part.stored_bytes;
    const last = documents.at(-1);
    if (last !== undefined && room >= 0) last.push(part);
    else {
      documents.push([part]);
      room = maxBytes - part.stored_bytes;
    }
  }
  return documents;
}

export type CopyProgress =
  | { readonly result: "sent" | "more" }
  | { readonly result: "failed"; readonly error: string }
  /** Telegram asks for a pause: it was asked at that time, and is to be asked again then. */
  | { readonly result: "pause"; readonly asked: number; readonly until: number };

/** Sends the next documents; those that were sent are not sent again. Throws what may succeed later; the rest is `failed`. */
export async function sendCopies(deps: Deps, backup: Stored): Promise<CopyProgress> {
  const { telegram, db, clock } = deps;
  const row = await findBackup(db, backup.id);
  if (telegram === null || row === null) return { result: "failed", error: "No bot is configured any more." };
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
    // One after the other, in their order, they are the file.
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
