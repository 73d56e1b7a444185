/** Fetches one author page by page, with pauses and retries, until the author is settled or the run stops. */
import { PAGES_PER_REQUEST } from "./api.ts";
import { isDayUsedUp } from "./answers.ts";
import type { Bibliography } from "./answers.ts";
import { withSpent, withUnfinished } from "./checkpoint.ts";
import type { AuthorResult } from "./events.ts";
import type { Refusal } from "./refusals.ts";
import { sleep } from "./run.ts";
import type { Run } from "./run.ts";

export interface Item {
  /** Place in the list of authors. */
  readonly index: number;
  readonly author: string;
}

type Exhausted = Extract<Refusal, { kind: "exhausted" }>;

export type AuthorEnd =
  | { readonly kind: "settled"; readonly result: Exclude<AuthorResult, "failed">; readonly reason?: string }
  /** `serverFailed`: the failure is not specific to this author. */
  | { readonly kind: "failed"; readonly reason: string; readonly serverFailed: boolean }
  | Exhausted
  | { readonly kind: "fatal"; readonly detail: string }
  | { readonly kind: "interrupted" };

interface Trouble {
  readonly detail: string;
  readonly retryAfterSeconds: number | null;
  readonly costs: boolean;
}

/** Limit for the weights of consecutive failures. A failure that costs calls counts twice. */
const MAX_TROUBLE = 6;
/** More refusals in a row mean that the coordinator does not recover. */
const MAX_PACE_REFUSALS = 60;
const MAX_PAUSE_SECONDS = 600;
const MAX_DOUBLINGS = 4;

export class AuthorRun {
  readonly item: Item;
  readonly #run: Run;
  books = 0;
  pages = 0;
  calls = 0;
  nextPage: number | undefined;
  /** An earlier response and its counts were lost. Only the complete bibliography has the exact count. */
  #countIsPartial: boolean;
  #trouble = 0;
  #pauses = 0;
  #paceRefusals = 0;

  constructor(run: Run, item: Item, { lost }: { lost: boolean }) {
    this.#run = run;
    this.item = item;
    this.#countIsPartial = lost;
    const { unfinished } = run.progress.checkpoint;
    if (unfinished?.index !== item.index) return;
    this.books = unfinished.books;
    this.pages = unfinished.pages;
    this.nextPage = unfinished.next_page;
  }

  /** Fetches the pages. A second call after `exhausted` continues at the next page. */
  async run(): Promise<AuthorEnd> {
    const { api, interrupted, report } = this.#run;
    const { author } = this.item;
    while (!interrupted.aborted) {
      report({ type: "request", author, page: this.nextPage ?? null });
      const reply = await api.enrich(author, Math.min(PAGES_PER_REQUEST, Math.max(1, this.#pagesAllowed())));
      if (reply.kind === "trouble" && interrupted.aborted) break;
      const end = reply.kind === "answer" ? await this.#handleAnswer(reply.body) : await this.#handleRefusal(reply);
      if (end) return end;
    }
    return { kind: "interrupted" };
  }

  /** Remaining pages under --max-pages. Also counts pages of lost responses, derived from the next page. */
  #pagesAllowed(): number {
    return (this.#run.maxPages ?? Number.POSITIVE_INFINITY) - Math.max(this.pages, (this.nextPage ?? 1) - 1);
  }

  /** Whether a response was lost, so that the count is only exact in the complete bibliography. */
  get lost(): boolean {
    return this.#countIsPartial;
  }

  #spend(calls: number, pages = 0): void {
    this.calls += calls;
    this.pages += pages;
    if (calls + pages > 0) this.#run.progress.change((checkpoint) => withSpent(checkpoint, { calls, pages }));
  }

  /** null: more pages to fetch. */
  async #handleAnswer(body: Bibliography): Promise<AuthorEnd | null> {
    const { cached, complete, books_found, pages_fetched, next_page, errors, quota } = body;
    this.#spend(body.api_calls, pages_fetched);
    this.books = cached ? books_found : this.books + books_found;
    this.nextPage = next_page;
    if (pages_fetched > 0) [this.#trouble, this.#pauses, this.#paceRefusals] = [0, 0, 0];
    if (quota) this.#run.report({ type: "quota", quota });
    const [stop] = errors;

    if (complete || next_page === undefined) {
      if (this.#countIsPartial && !cached) return this.#requestTotal();
      if (complete) return { kind: "settled", result: stop?.code === "author_not_found" ? "unknown" : "done" };
      return { kind: "settled", result: "truncated", ...(stop ? { reason: stop.message } : {}) };
    }
    const isStuck = pages_fetched === 0 && errors.length === 0 && !body.quota_exhausted;
    this.#saveUnfinished();
    if (isStuck)
      return this.#handleTrouble({ detail: "The server fetched no page and gave no reason.", retryAfterSeconds: null, costs: false });
    if (body.quota_exhausted) {
      const detail = stop?.message ?? "Today's calls are used up.";
      // Reserved calls may be released. The next response says when, or that today's calls are used up.
      if (quota !== null && !isDayUsedUp(quota)) return this.#pace(detail, 1);
      return { kind: "exhausted", detail, resetAt: quota?.reset_at ?? null, quota, charged: 0 };
    }
    if (stop?.code === "pace_exceeded") return this.#pace(stop.message, 1);
    if (stop) return this.#handleTrouble({ detail: stop.message, retryAfterSeconds: null, costs: stop.code === "upstream_error" });
    return this.#pagesAllowed() > 0 ? null : { kind: "settled", result: "limited" };
  }

  /** Requests the complete bibliography from the catalog, which is free. */
  #requestTotal(): null {
    this.#countIsPartial = false;
    return null;
  }

  #saveUnfinished(): void {
    const { books, pages, nextPage, item } = this;
    const next = nextPage === undefined ? {} : { next_page: nextPage };
    this.#run.progress.change((checkpoint) => withUnfinished(checkpoint, { ...item, books, pages, ...next }));
    this.#run.progress.save();
  }

  async #handleRefusal(refusal: Refusal): Promise<AuthorEnd | null> {
    switch (refusal.kind) {
      case "pace":
        this.#spend(refusal.charged);
        return this.#pace(refusal.detail, refusal.seconds);
      case "exhausted":
        this.#spend(refusal.charged);
        return refusal;
      case "unusable":
        return { kind: "failed", reason: refusal.detail, serverFailed: false };
      case "fatal":
        return refusal;
      case "trouble": {
        this.#spend(refusal.charged);
        this.#countIsPartial ||= refusal.lost;
        if (!refusal.retry) return { kind: "failed", reason: refusal.detail, serverFailed: true };
        return this.#handleTrouble({ ...refusal, costs: refusal.charged > 0 });
      }
    }
  }

  async #pace(message: string, seconds: number): Promise<AuthorEnd | null> {
    this.#paceRefusals += 1;
    if (this.#paceRefusals > MAX_PACE_REFUSALS) return { kind: "failed", reason: message, serverFailed: true };
    return this.#pause("pace", message, Math.min(MAX_PAUSE_SECONDS, seconds));
  }

  async #handleTrouble({ detail, retryAfterSeconds, costs }: Trouble): Promise<AuthorEnd | null> {
    this.#trouble += costs ? 2 : 1;
    if (this.#trouble >= MAX_TROUBLE) return { kind: "failed", reason: detail, serverFailed: true };
    const growing = (this.#run.retryPauseMs / 1_000) * 2 ** Math.min(MAX_DOUBLINGS, this.#pauses);
    this.#pauses += 1;
    return this.#pause("trouble", detail, Math.min(MAX_PAUSE_SECONDS, Math.max(retryAfterSeconds ?? 0, growing)));
  }

  async #pause(because: "pace" | "trouble", message: string, seconds: number): Promise<null> {
    this.#run.report({ type: "pause", author: this.item.author, because, seconds, message });
    await sleep(seconds * 1_000, this.#run.interrupted);
    return null;
  }
}
