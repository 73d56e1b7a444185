/** The authors that a source names, in its order. */
import { Foreseen } from "../start/foreseen.js";
import type { Api } from "./api.ts";
import { readAuthorFile } from "./author-file.ts";
import { sleep } from "./run.ts";
import { TIERS, distinct } from "./source.ts";
import type { Source, Tier } from "./source.ts";

export interface ListedAuthor {
  readonly name: string;
  /** In the catalogue; null where it was not asked. */
  readonly editions: number | null;
}

/** As many as the API gives at a time. */
const PAGE = 1_000;
const TRIES = 4;

interface Asking {
  readonly api: Api;
  readonly interrupted: AbortSignal;
  readonly retryPauseMs: number;
}

/** Throws `Foreseen` where the list is not to be had. */
export async function listAuthors(source: Source, asking: Asking): Promise<ListedAuthor[]> {
  switch (source.kind) {
    case "tier":
      return inTier(source.tier, asking);
    case "author":
      return source.names.map((name) => ({ name, editions: null }));
    case "authors":
      return readAuthorFile(source.file).map((name) => ({ name, editions: null }));
  }
}

async function inTier(tier: Tier, asking: Asking): Promise<ListedAuthor[]> {
  const { from, count } = TIERS[tier];
  const editions = new Map<string, number>();
  for (let offset = from; offset < from + count; offset += PAGE) {
    const limit = Math.min(PAGE, from + count - offset);
    const page = await readPage(offset, limit, asking);
    for (const { author_name, edition_count } of page) editions.set(author_name, edition_count);
    if (page.length < limit) break;
  }
  return distinct(editions.keys()).map((name) => ({ name, editions: editions.get(name) ?? null }));
}

async function readPage(offset: number, limit: number, { api, interrupted, retryPauseMs }: Asking) {
  let detail = "";
  for (let tried = 1; tried <= TRIES; tried += 1) {
    const reply = await api.topAuthors(offset, limit);
    if (reply.kind === "answer") return reply.body.authors;
    detail = reply.detail;
    if (reply.kind !== "trouble" && reply.kind !== "pace") break;
    if (tried < TRIES) await sleep(retryPauseMs * 2 ** (tried - 1), interrupted);
    if (interrupted.aborted) break;
  }
  throw new Foreseen(`The authors of the tier are not to be had: ${detail}`);
}
