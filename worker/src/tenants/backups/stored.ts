/** A backup's parts as they are stored: read back, each compared with its hash. From R2, or where that fails to have it from Telegram. */
import { createHash } from "node:crypto";
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import { readBytes, sha256Hex } from "../../lib/bytes.ts";
import { errorFields, log } from "../../lib/log.ts";
import { contentsOfParts, listDocuments, listParts } from "../../store/backups/parts.ts";
import type { BackupDocument, BackupPart } from "../../store/backups/parts.ts";
import type { Contents, TableSummary } from "../../tenant-database/index.ts";
import { MAX_DOCUMENT_BYTES } from "../../telegram/index.ts";
import { getObject, objectsOf } from "./bucket.ts";
import type { Source } from "./source.ts";

type Reading = Pick<Deps, "db" | "backups" | "telegram">;
export type Stored = Pick<Source, "id" | "project_id" | "moment">;

const damaged = (number: number): Problem =>
  new Problem("conflict", `Part ${number} of the backup is damaged or gone, and there is no sound copy of it.`, {
    members: { part: number },
  });

/** Reads parts one after the other, in any order; keeps one document of Telegram's at a time. */
export class StoredParts {
  readonly #deps: Reading;
  readonly #backup: Stored;
  #parts: readonly BackupPart[] | null = null;
  #documents: readonly BackupDocument[] | null = null;
  #held: { readonly document: BackupDocument; readonly bytes: Uint8Array<ArrayBuffer> } | null = null;

  constructor(deps: Reading, backup: Stored) {
    this.#deps = deps;
    this.#backup = backup;
  }

  async parts(): Promise<readonly BackupPart[]> {
    this.#parts ??= await listParts(this.#deps.db, this.#backup);
    return this.#parts;
  }

  /** Throws `conflict` where neither R2 nor Telegram has it as it was, `storage_unavailable` where R2 does not answer. */
  async bytes(part: BackupPart): Promise<Uint8Array<ArrayBuffer>> {
    const found = await getObject(this.#deps, part.key);
    if (found !== null && (await sha256Hex(found)) === part.sha256) return found;
    log.error("A part of a backup is damaged or gone in R2", { backup_id: this.#backup.id, part: part.number, gone: found === null });
    const copy = await this.#copyOf(part);
    if (copy === null) throw damaged(part.number);
    return copy;
  }

  /** The file's bytes from one to before another, part by part, in their order. */
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

  /** Looks, without reading a part, whether each is there as it was, here or there. Throws `conflict` for the first that is not. */
  async expectAll(): Promise<void> {
    const objects = await objectsOf(this.#deps, this.#backup);
    for (const part of await this.parts()) {
      const object = objects.get(part.key);
      if (object?.size === part.stored_bytes && object.sha256 === part.sha256) continue;
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
      if (this.#held?.document.first_part !== document.first_part) {
        this.#held = { document, bytes: await readBytes(await telegram.getFile(document.file_id), MAX_DOCUMENT_BYTES) };
      }
    } catch (error) {
      log.error("A copy of a backup could not be fetched from Telegram", { backup_id: this.#backup.id, ...errorFields(error) });
      return null;
    }
    const before = (await this.parts()).filter(({ number }) => number >= document.first_part && number < part.number);
    const from = before.reduce((total, { stored_bytes }) => total + stored_bytes, 0);
    const bytes = this.#held.bytes.slice(from, from + part.stored_bytes);
    return (await sha256Hex(bytes)) === part.sha256 ? bytes : null;
  }
}

/** SHA-256 of the whole file in hex, from what is stored. */
export async function fileHash(stored: StoredParts): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of stored.all()) hash.update(bytes);
  return hash.digest("hex");
}

/** What its source held, once that is written down. */
export async function summaryOf({ db }: Pick<Deps, "db">, backup: Stored): Promise<Contents> {
  const parts = await contentsOfParts(db, backup);
  const [first] = parts;
  if (first === undefined) throw new Problem("conflict", "The backup has no parts.");
  const tables = parts.flatMap((part) => JSON.parse(part.tables) as TableSummary[]);
  return { schemaHash: first.schema_hash, schemaVersion: first.schema_version, tables };
}
