/** Initial checkpoint of a run: a new one, or an existing one that matches the options. */
import { UserError } from "../start/user-error.js";
import type { Item } from "./author-run.ts";
import { readAuthorFile } from "./author-file.ts";
import { newCheckpoint } from "./checkpoint.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { CheckpointFile } from "./checkpoint-file.ts";
import { DEFAULT_BASE_URL } from "./options.ts";
import type { Options } from "./options.ts";
import { describeSource } from "./source.ts";
import type { Source } from "./source.ts";

export interface InitialState {
  readonly checkpoint: Checkpoint;
  readonly items: readonly Item[];
  readonly resumed: boolean;
  readonly warning?: string;
}

interface NewRun {
  readonly options: Options & { readonly source: Source };
  readonly file: CheckpointFile;
  readonly names: readonly string[];
}

/** Writes the first checkpoint before the first call, so that a failure costs nothing. */
export function startNew({ options, file, names }: NewRun): InitialState {
  const { source, maxPages } = options;
  const old = file.exists ? readOrMoveAside(file) : null;
  const authors = file.writeAuthors(names);
  const base_url = options.baseUrl ?? DEFAULT_BASE_URL;
  const now = new Date().toISOString();
  const checkpoint = newCheckpoint({ source, options: { base_url, max_pages: maxPages }, authors, now });
  file.write(checkpoint);
  if (old?.checkpoint && old.checkpoint.authors.file !== authors.file) file.removeAuthors(old.checkpoint);
  const items = names.map((author, index) => ({ index, author }));
  return { checkpoint, items, resumed: false, ...(old?.warning === undefined ? {} : { warning: old.warning }) };
}

function readOrMoveAside(file: CheckpointFile): { checkpoint?: Checkpoint; warning?: string } {
  try {
    return { checkpoint: file.read() };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { warning: `${file.path} was unusable and was renamed to ${file.moveAside()}.` };
  }
}

/** Throws `UserError` if the checkpoint is unusable or does not match the options. */
export function resumeFrom(options: Options, file: CheckpointFile): InitialState {
  if (!file.exists) throw new UserError(`Checkpoint ${file.path} not found. Omit --resume to start a new run.`);
  const read = file.read();
  const mismatch = mismatchOf(options, read);
  if (mismatch !== null) throw new UserError(`${mismatch}. Use the options of the checkpoint, or choose another --checkpoint.`);
  const names = file.readAuthors(read);
  const checkpoint = options.baseUrl === null ? read : { ...read, options: { ...read.options, base_url: options.baseUrl } };
  const remaining = names.slice(read.settled).map((author, place) => ({ index: read.settled + place, author }));
  const retried = options.from === "retry_failed" ? read.failed.map(({ index, author }) => ({ index, author })) : [];
  const warning = changedSince(options.source, names);
  return { checkpoint, items: [...remaining, ...retried], resumed: true, ...(warning === null ? {} : { warning }) };
}

function mismatchOf({ source, maxPages, baseUrl, force }: Options, { source: saved, options }: Checkpoint): string | null {
  if (source && describeSource(source) !== describeSource(saved))
    return `The checkpoint is for ${describeSource(saved)}, not ${describeSource(source)}`;
  if (maxPages !== null && maxPages !== options.max_pages) {
    const before = options.max_pages === null ? "no --max-pages" : `--max-pages ${options.max_pages}`;
    return `The checkpoint is for ${before}, not --max-pages ${maxPages}`;
  }
  if (baseUrl !== null && baseUrl !== options.base_url && !force) {
    return `The checkpoint is for --base-url ${options.base_url}, not ${baseUrl} (add --force if the coordinator has moved)`;
  }
  return null;
}

/** Warning if the file has changed. A resumed run keeps the list of its first start. */
function changedSince(source: Source | null, names: readonly string[]): string | null {
  if (source?.kind !== "authors") return null;
  try {
    if (readAuthorFile(source.file).join("\n") === names.join("\n")) return null;
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
  return `${source.file} has changed. The run continues with the original list. To use the new list, start again with --force.`;
}
