/** The checkpoint on disk: written whole or not at all, and never over something that cannot be read. */
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
import { Foreseen } from "../start/foreseen.js";
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

  /** Throws `Foreseen` while another harvest has it. It is let go of when the process ends, however it ends. */
  async lock(): Promise<void> {
    const folder = dirname(this.path);
    if (!existsSync(folder)) throw new Foreseen(`--checkpoint is ${this.path}, but there is no folder ${folder}.`);
    const release = await tryLock(`harvest ${join(realpathSync(folder), basename(this.path))}`);
    if (!release)
      throw new Foreseen(`${this.path} is in use by another harvest that is running; name another --checkpoint, or wait for it.`);
  }

  /** Throws `Foreseen` for what is no checkpoint, and leaves it as it is. */
  read(): Checkpoint {
    const value = this.#parse();
    const version = typeof value === "object" && value !== null && "version" in value ? value.version : undefined;
    if (typeof version === "number" && version !== 1) {
      throw new Foreseen(`${this.path} is a checkpoint of version ${version}; this harvest reads version 1.`);
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
      throw new Foreseen(`${this.path} could not be read (${reasonOf(error)}).`);
    }
    try {
      return JSON.parse(text);
    } catch (error) {
      throw this.#damaged(reasonOf(error));
    }
  }

  #damaged(why: string): Foreseen {
    const ways = "bring back a copy of it, or start anew with --force, which keeps it under another name";
    return new Foreseen(`${this.path} is damaged (${why}) and was left as it is; ${ways}.`);
  }

  /** The names that the checkpoint counts in. */
  readAuthors({ authors }: Checkpoint): string[] {
    const path = join(dirname(this.path), basename(authors.file));
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      throw new Foreseen(`The list of authors that belongs to ${this.path} could not be read (${reasonOf(error)}).`);
    }
    if (sha256(text) !== authors.sha256) throw new Foreseen(`${path} was changed since; ${this.path} counts in the list as it was.`);
    return text.split("\n").slice(0, authors.count);
  }

  /** Stands before any checkpoint names it, so that neither is ever without the other. */
  writeAuthors(names: readonly string[]): Checkpoint["authors"] {
    const text = `${names.join("\n")}\n`;
    const hash = sha256(text);
    const file = `${basename(this.path)}.authors-${hash.slice(0, 8)}.txt`;
    this.#writeWhole(join(dirname(this.path), file), text);
    return { file, count: names.length, sha256: hash };
  }

  /** Throws `Foreseen` where it cannot be written; what was there before is there still. */
  write(checkpoint: Checkpoint): void {
    this.#writeWhole(this.path, `${JSON.stringify(checkpoint, null, 2)}\n`);
  }

  /** Keeps what is no checkpoint under another name. */
  moveAside(): string {
    if (!statSync(this.path).isFile()) throw new Foreseen(`--checkpoint is ${this.path}, which is no file.`);
    const names = [`${this.path}.damaged`, ...Array.from({ length: 99 }, (_, index) => `${this.path}.damaged-${index + 2}`)];
    const free = names.find((name) => !existsSync(name));
    if (free === undefined)
      throw new Foreseen(`${this.path} is damaged, and so were a hundred before it; expected somebody to look at them.`);
    renameSync(this.path, free);
    return free;
  }

  removeAuthors({ authors }: Checkpoint): void {
    rmSync(join(dirname(this.path), basename(authors.file)), { force: true });
  }

  #writeWhole(path: string, text: string): void {
    const temporary = `${path}.tmp`;
    try {
      // On disk before it has its name.
      writeFileSync(temporary, text, { mode: 0o644, flush: true });
      renameSync(temporary, path);
    } catch (error) {
      const kept = existsSync(path) ? "; the one written before is still there" : "";
      throw new Foreseen(`${path} could not be written (${reasonOf(error)})${kept}.`);
    }
    syncFolder(dirname(path));
  }
}

/** So that the new name survives a power cut. Not every system lets a folder be synced. */
function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, "r");
    fsyncSync(descriptor);
    closeSync(descriptor);
  } catch {
    // The file itself is safe already.
  }
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
