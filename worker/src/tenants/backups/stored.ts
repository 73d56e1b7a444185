/** Reads a backup's stored parts and compares each with its hash. A part that R2 lost or damaged comes from Telegram. */
import { createHash } from "node:crypto";
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import { readBytes, sha256Hex } from "../../lib/bytes.ts";
import { errorFields, log } from "../../lib/log.ts";
import { contentsOfParts, listDocuments, listParts } from "../../store/backups/parts.ts";
import type { BackupDocument, BackupPart } from "../../store/backups/parts.ts";
import type { Contents, TableSummary } from "../../tenant-database/index.ts";
import { MAX_DOCUMENT_BYTES } from "../../telegram/index.ts";
import { getObject, objectsOf, storedHash } from "./bucket.ts";
import type { Source } from "./source.ts";

type Reading = Pick<Deps, "db" | "backups" | "telegram">;
export type Stored = Pick<Source, "id" | "project_id" | "moment">;

const damaged = (number: number): Problem =>
  new Problem("conflict", `Part ${number} of the backup is damaged or missing, and has no intact copy.`, {
    members: { part: number },
  });

/** Reads parts one at a time, in any order. Caches the last Telegram document. */
export class StoredParts {
  readonly #deps: Reading;
  readonly #backup: Stored;
  #parts: readonly BackupPart[] | null = null;
  #documents: readonly BackupDocument[] | null = null;
  #cachedDocument: { readonly document: BackupDocument; readonly bytes: Uint8Array<ArrayBuffer> } | null = null;

  constructor(deps: Reading, backup: Stored) {
    this.#deps = deps;
    this.#backup = backup;
  }

  async parts(): Promise<readonly BackupPart[]> {
    this.#parts ??= await listParts(this.#deps.db, this.#backup);
    return this.#parts;
  }

  /** Throws `conflict` if neither R2 nor Telegram has the part intact, `storage_unavailable` if R2 does not respond. */
  async bytes(part: BackupPart): Promise<Uint8Array<ArrayBuffer>> {
    const found = await getObject(this.#deps, part.key);
    if (found !== null && (await sha256Hex(found)) === part.sha256) return found;
    log.error("Backup part is damaged or missing in R2", { backup_id: this.#backup.id, part: part.number, missing: found === null });
    const copy = await this.#copyOf(part);
    if (copy === null) throw damaged(part.number);
    return copy;
  }

  /** The file's bytes from `from` (inclusive) to `to` (exclusive), part by part. */
  async *all(from = 0, to = Infinity): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    let at = 0;
    for (const part of await this.parts()) {
      const begin = at;
      at += part.stored_bytes;
      if (at <= from || begin >= to) continue;
      const bytes = await this.bytes(part);
      yield bytes.subarray(Math.max(0, from - begin), Math.min(bytes.byteLength, to - begin));
    }
  }

  /** Checks by size and hash, without reading a part, that R2 or Telegram has each one. Throws `conflict` for the first missing part. */
  async expectAll(): Promise<void> {
    const objects = await objectsOf(this.#deps, this.#backup);
    for (const part of await this.parts()) {
      const object = objects.get(part.key);
      if (object?.size === part.stored_bytes && (object.sha256 ?? (await storedHash(this.#deps, part.key))) === part.sha256) continue;
      if ((await this.#documentOf(part)) === null) throw damaged(part.number);
    }
  }

  async #documentOf({ number }: BackupPart): Promise<BackupDocument | null> {
    if (this.#deps.telegram === null) return null;
    this.#documents ??= await listDocuments(this.#deps.db, this.#backup.id);
    return this.#documents.find(({ first_part, last_part }) => first_part <= number && number <= last_part) ?? null;
  }

  async #copyOf(part: BackupPart): Promise<Uint8Array<ArrayBuffer> | null> {
    const document = await this.#documentOf(part);
    const { telegram } = this.#deps;
    if (document === null || telegram === null) return null;
    try {
      if (this.#cachedDocument?.document.first_part !== document.first_part) {
        this.#cachedDocument = { document, bytes: await readBytes(await telegram.getFile(document.file_id), MAX_DOCUMENT_BYTES) };
      }
    } catch (error) {
      log.error("Backup copy could not be fetched from Telegram", { backup_id: this.#backup.id, ...errorFields(error) });
      return null;
    }
    const before = (await this.parts()).filter(({ number }) => number >= document.first_part && number < part.number);
    const from = before.reduce((total, { stored_bytes }) => total + stored_bytes, 0);
    const bytes = this.#cachedDocument.bytes.slice(from, from + part.stored_bytes);
    return (await sha256Hex(bytes)) === part.sha256 ? bytes : null;
  }
}

/** SHA-256 of the whole stored file, in hex. */
export async function fileHash(stored: StoredParts): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of stored.all()) hash.update(bytes);
  return hash.digest("hex");
}

/** Contents of the backup's source, as recorded when the backup was verified. */
export async function summaryOf({ db }: Pick<Deps, "db">, backup: Stored): Promise<Contents> {
  const parts = await contentsOfParts(db, backup);
  const [first] = parts;
  if (first === undefined) throw new Problem("conflict", "The backup has no parts.");
  const tables = parts.flatMap((part) => JSON.parse(part.tables) as TableSummary[]);
  return { schemaHash: first.schema_hash, schemaVersion: first.schema_version, tables };
}
