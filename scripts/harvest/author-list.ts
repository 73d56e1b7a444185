/** Lists the authors of a source, in its order. */
import { UserError } from "../start/user-error.js";
import type { Api } from "./api.ts";
import { readAuthorFile } from "./author-file.ts";
import { sleep } from "./run.ts";
import { TIERS, uniqueNames } from "./source.ts";
import type { Source, Tier } from "./source.ts";

export interface ListedAuthor {
  readonly name: string;
  /** Editions in the catalog, or null if it was not queried. */
  readonly editions: number | null;
}

/** Largest page of the API. */
const PAGE_SIZE = 1_000;
const ATTEMPTS = 4;

interface ListContext {
  readonly api: Api;
  readonly interrupted: AbortSignal;
  readonly retryPauseMs: number;
}

/** Throws `UserError` if the list is unavailable. */
export async function listAuthors(source: Source, context: ListContext): Promise<ListedAuthor[]> {
  switch (source.kind) {
    case "tier":
      return authorsOfTier(source.tier, context);
    case "author":
      return source.names.map((name) => ({ name, editions: null }));
    case "authors":
      return readAuthorFile(source.file).map((name) => ({ name, editions: null }));
  }
}

async function authorsOfTier(tier: Tier, context: ListContext): Promise<ListedAuthor[]> {
  const { from, count } = TIERS[tier];
  const editions = new Map<string, number>();
  for (let offset = from; offset < from + count; offset += PAGE_SIZE) {
    const limit = Math.min(PAGE_SIZE, from + count - offset);
    const page = await readPage(offset, limit, context);
    for (const { author_name, edition_count } of page) editions.set(author_name, edition_count);
    if (page.length < limit) break;
  }
  return uniqueNames(editions.keys()).map((name) => ({ name, editions: editions.get(name) ?? null }));
}

async function readPage(offset: number, limit: number, { api, interrupted, retryPauseMs }: ListContext) {
  let detail = "";
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const reply = await api.topAuthors(offset, limit);
    if (reply.kind === "answer") return reply.body.authors;
    detail = reply.detail;
    if (reply.kind !== "trouble" && reply.kind !== "pace") break;
    if (attempt < ATTEMPTS) await sleep(retryPauseMs * 2 ** (attempt - 1), interrupted);
    if (interrupted.aborted) break;
  }
  throw new UserError(`Cannot read the authors of the tier: ${detail}`);
}
