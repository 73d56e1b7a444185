/** The checkpoint file. Writes are atomic and never replace an unreadable file. */
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { UserError } from "../start/user-error.js";
import { tryLock } from "../start/lock.js";
import { checkpointSchema } from "./checkpoint.ts";
import type { Checkpoint } from "./checkpoint.ts";

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export class CheckpointFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get exists(): boolean {
    return existsSync(this.path);
  }

  /** Throws `UserError` while another harvest holds the lock. The end of the process releases it. */
  async lock(): Promise<void> {
    const folder = dirname(this.path);
    if (!existsSync(folder)) throw new UserError(`The folder ${folder} of --checkpoint ${this.path} does not exist.`);
    const release = await tryLock(`harvest ${join(realpathSync(folder), basename(this.path))}`);
    if (!release) throw new UserError(`${this.path} is in use by another harvest. Wait for it, or choose another --checkpoint.`);
  }

  /** Throws `UserError` for an invalid checkpoint and does not change it. */
  read(): Checkpoint {
    const value = this.#parse();
    const version = typeof value === "object" && value !== null && "version" in value ? value.version : undefined;
    if (typeof version === "number" && version !== 1) {
      throw new UserError(`${this.path} must be a checkpoint of version 1 (got version ${version}).`);
    }
    const { data, error } = checkpointSchema.safeParse(value);
    if (data) return data;
    const [issue] = error.issues;
    throw this.#damaged(issue ? `${issue.path.join(".")}: ${issue.message}` : error.message);
  }

  #parse(): unknown {
    let text: string;
    try {
      text = readFileSync(this.path, "utf8");
    } catch (error) {
      throw new UserError(`Cannot read ${this.path} (${reasonOf(error)}).`);
    }
    try {
      return JSON.parse(text);
    } catch (error) {
      throw this.#damaged(reasonOf(error));
    }
  }

  #damaged(reason: string): UserError {
    const fix = "Restore a copy, or start again with --force, which keeps it under a different name.";
    return new UserError(`${this.path} is damaged (${reason}) and was not changed. ${fix}`);
  }

  /** Names of the checkpoint's authors, in its order. */
  readAuthors({ authors }: Checkpoint): string[] {
    const path = join(dirname(this.path), basename(authors.file));
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      throw new UserError(`Cannot read the author list of ${this.path} (${reasonOf(error)}).`);
    }
    if (sha256(text) !== authors.sha256)
      throw new UserError(`${path} has changed since the run of ${this.path} began. Restore it, or start again with --force.`);
    return text.split("\n").slice(0, authors.count);
  }

  /** Writes the list of authors before the checkpoint that refers to it. */
  writeAuthors(names: readonly string[]): Checkpoint["authors"] {
    const text = `${names.join("\n")}\n`;
    const hash = sha256(text);
    const file = `${basename(this.path)}.authors-${hash.slice(0, 8)}.txt`;
    this.#writeAtomically(join(dirname(this.path), file), text);
    return { file, count: names.length, sha256: hash };
  }

  /** Throws `UserError` if the write fails. The previous checkpoint remains. */
  write(checkpoint: Checkpoint): void {
    this.#writeAtomically(this.path, `${JSON.stringify(checkpoint, null, 2)}\n`);
  }

  /** Renames an invalid checkpoint. Returns the new name. */
  moveAside(): string {
    if (!statSync(this.path).isFile()) throw new UserError(`--checkpoint ${this.path} is not a file.`);
    const names = [`${this.path}.damaged`, ...Array.from({ length: 99 }, (_, index) => `${this.path}.damaged-${index + 2}`)];
    const free = names.find((name) => !existsSync(name));
    if (free === undefined) throw new UserError(`${this.path} is damaged, and 100 damaged files exist already. Remove them first.`);
    renameSync(this.path, free);
    return free;
  }

  removeAuthors({ authors }: Checkpoint): void {
    rmSync(join(dirname(this.path), basename(authors.file)), { force: true });
  }

  #writeAtomically(path: string, text: string): void {
    const temporary = `${path}.tmp`;
    try {
      // Flushed to disk before the rename.
      writeFileSync(temporary, text, { mode: 0o644, flush: true });
      renameSync(temporary, path);
    } catch (error) {
      const kept = existsSync(path) ? " The previous version remains." : "";
      throw new UserError(`Cannot write ${path} (${reasonOf(error)}).${kept}`);
    }
    syncFolder(dirname(path));
  }
}

/** Makes the rename survive a power failure. Some systems cannot sync folders. */
function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, "r");
    fsyncSync(descriptor);
    closeSync(descriptor);
  } catch {
    // The file itself is on disk already.
  }
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
