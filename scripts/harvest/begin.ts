/** The checkpoint that a run begins with: a new one, or an old one that fits what was asked for. */
import { Foreseen } from "../start/foreseen.js";
import type { Item } from "./author-run.ts";
import { readAuthorFile } from "./author-file.ts";
import { newCheckpoint } from "./checkpoint.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { CheckpointFile } from "./checkpoint-file.ts";
import { DEFAULT_BASE_URL } from "./options.ts";
import type { Options } from "./options.ts";
import { described } from "./source.ts";
import type { Source } from "./source.ts";

export interface Beginning {
  readonly checkpoint: Checkpoint;
  readonly items: readonly Item[];
  readonly resumed: boolean;
  readonly warning?: string;
}

interface Anew {
  readonly options: Options & { readonly source: Source };
  readonly file: CheckpointFile;
  readonly names: readonly string[];
}

/** Writes the first state before anything is spent: where that fails, nothing is lost. */
export function beginAnew({ options, file, names }: Anew): Beginning {
  const { source, maxPages } = options;
  const old = file.exists ? readableOrMovedAside(file) : null;
  const authors = file.writeAuthors(names);
  const base_url = options.baseUrl ?? DEFAULT_BASE_URL;
  const now = new Date().toISOString();
  const checkpoint = newCheckpoint({ source, options: { base_url, max_pages: maxPages }, authors, now });
  file.write(checkpoint);
  if (old?.checkpoint && old.checkpoint.authors.file !== authors.file) file.removeAuthors(old.checkpoint);
  const items = names.map((author, index) => ({ index, author }));
  return { checkpoint, items, resumed: false, ...(old?.warning === undefined ? {} : { warning: old.warning }) };
}

function readableOrMovedAside(file: CheckpointFile): { checkpoint?: Checkpoint; warning?: string } {
  try {
    return { checkpoint: file.read() };
  } catch (error) {
    if (!(error instanceof Foreseen)) throw error;
    return { warning: `${file.path} could not be used, and is now ${file.moveAside()}.` };
  }
}

/** Throws `Foreseen` where the checkpoint is not what was asked for, or no use. */
export function beginWhereItStands(options: Options, file: CheckpointFile): Beginning {
  if (!file.exists) throw new Foreseen(`There is no checkpoint ${file.path} to go on with; leave --resume out to begin one.`);
  const read = file.read();
  const mismatch = mismatchOf(options, read);
  if (mismatch !== null) throw new Foreseen(`${mismatch}; leave the option out to go on with it, or name another --checkpoint.`);
  const names = file.readAuthors(read);
  const checkpoint = options.baseUrl === null ? read : { ...read, options: { ...read.options, base_url: options.baseUrl } };
  const untried = names.slice(read.settled).map((author, place) => ({ index: read.settled + place, author }));
  const again = options.from === "retry_failed" ? read.failed.map(({ index, author }) => ({ index, author })) : [];
  const warning = changedSince(options.source, names);
  return { checkpoint, items: [...untried, ...again], resumed: true, ...(warning === null ? {} : { warning }) };
}

function mismatchOf({ source, maxPages, baseUrl, force }: Options, { source: was, options }: Checkpoint): string | null {
  if (source && described(source) !== described(was)) return `The checkpoint belongs to ${described(was)}, and not to ${described(source)}`;
  if (maxPages !== null && maxPages !== options.max_pages) {
    const then = options.max_pages === null ? "no --max-pages" : `--max-pages ${options.max_pages}`;
    return `The checkpoint was begun with ${then}, and not with --max-pages ${maxPages}`;
  }
  if (baseUrl !== null && baseUrl !== options.base_url && !force) {
    return `The checkpoint belongs to --base-url ${options.base_url}, and not to ${baseUrl} (--force says that it has moved)`;
  }
  return null;
}

/** The list of the first start is the one that counts, and whoever has edited the file since should know. */
function changedSince(source: Source | null, names: readonly string[]): string | null {
  if (source?.kind !== "authors") return null;
  try {
    if (readAuthorFile(source.file).join("\n") === names.join("\n")) return null;
  } catch (error) {
    if (error instanceof Foreseen) return null;
    throw error;
  }
  return `${source.file} was changed since; the run goes on with the list as it was. To use the new one, start anew with --force.`;
}
