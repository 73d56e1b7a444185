/** The story of one author: page after page, through pauses and trouble, until settled or stopped. */
import { PAGES_PER_REQUEST } from "./api.ts";
import { saysDayIsOver } from "./answers.ts";
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
  /** `serverAway`: nothing that is this author's own fault. */
  | { readonly kind: "failed"; readonly reason: string; readonly serverAway: boolean }
  | Exhausted
  | { readonly kind: "fatal"; readonly detail: string }
  | { readonly kind: "interrupted" };

interface Trouble {
  readonly detail: string;
  readonly retryAfterSeconds: number | null;
  readonly costs: boolean;
}

/** Weights of failures in a row; one that costs a call weighs two. */
const MAX_TROUBLE = 6;
/** A coordinator that is busy for that long has lost its way. */
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
  /** An earlier answer was lost, and with it what it counted: only the finished bibliography knows all of it. */
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

  /** Once more after `exhausted`: goes on where it was. */
  async go(): Promise<AuthorEnd> {
    const { api, interrupted, tell } = this.#run;
    const { author } = this.item;
    while (!interrupted.aborted) {
      tell({ type: "asking", author, page: this.nextPage ?? null });
      const reply = await api.enrich(author, Math.min(PAGES_PER_REQUEST, Math.max(1, this.#pagesAllowed())));
      if (reply.kind === "trouble" && interrupted.aborted) break;
      const end = reply.kind === "answer" ? await this.#take(reply.body) : await this.#refused(reply);
      if (end) return end;
    }
    return { kind: "interrupted" };
  }

  /** Pages that an earlier answer fetched and that got lost with it count too: the next page tells. */
  #pagesAllowed(): number {
    return (this.#run.maxPages ?? Number.POSITIVE_INFINITY) - Math.max(this.pages, (this.nextPage ?? 1) - 1);
  }

  /** Whether an answer was lost, so that only the finished bibliography knows the count. */
  get lost(): boolean {
    return this.#countIsPartial;
  }

  #spend(calls: number, pages = 0): void {
    this.calls += calls;
    this.pages += pages;
    if (calls + pages > 0) this.#run.progress.change((checkpoint) => withSpent(checkpoint, { calls, pages }));
  }

  /** Null: there is more to ask for. */
  async #take(body: Bibliography): Promise<AuthorEnd | null> {
    const { cached, complete, books_found, pages_fetched, next_page, errors, quota } = body;
    this.#spend(body.api_calls, pages_fetched);
    this.books = cached ? books_found : this.books + books_found;
    this.nextPage = next_page;
    if (pages_fetched > 0) [this.#trouble, this.#pauses, this.#paceRefusals] = [0, 0, 0];
    if (quota) this.#run.tell({ type: "quota", quota });
    const [stop] = errors;

    if (complete || next_page === undefined) {
      if (this.#countIsPartial && !cached) return this.#askForTheWhole();
      if (complete) return { kind: "settled", result: stop?.code === "author_not_found" ? "unknown" : "done" };
      return { kind: "settled", result: "truncated", ...(stop ? { reason: stop.message } : {}) };
    }
    const stuck = pages_fetched === 0 && errors.length === 0 && !body.quota_exhausted;
    this.#remember();
    if (stuck) return this.#troubled({ detail: "The server fetched no page and did not say why.", retryAfterSeconds: null, costs: false });
    if (body.quota_exhausted) {
      const detail = stop?.message ?? "The day's calls are used up.";
      // What is only held by others may come back: the next answer says when, or that the day is over after all.
      if (quota !== null && !saysDayIsOver(quota)) return this.#pace(detail, 1);
      return { kind: "exhausted", detail, resetAt: quota?.reset_at ?? null, quota, charged: 0 };
    }
    if (stop?.code === "pace_exceeded") return this.#pace(stop.message, 1);
    if (stop) return this.#troubled({ detail: stop.message, retryAfterSeconds: null, costs: stop.code === "upstream_error" });
    return this.#pagesAllowed() > 0 ? null : { kind: "settled", result: "limited" };
  }

  /** The finished bibliography is in the catalogue now, so that this costs nothing. */
  #askForTheWhole(): null {
    this.#countIsPartial = false;
    return null;
  }

  #remember(): void {
    const { books, pages, nextPage, item } = this;
    const next = nextPage === undefined ? {} : { next_page: nextPage };
    this.#run.progress.change((checkpoint) => withUnfinished(checkpoint, { ...item, books, pages, ...next }));
    this.#run.progress.save();
  }

  async #refused(refusal: Refusal): Promise<AuthorEnd | null> {
    switch (refusal.kind) {
      case "pace":
        this.#spend(refusal.charged);
        return this.#pace(refusal.detail, refusal.seconds);
      case "exhausted":
        this.#spend(refusal.charged);
        return refusal;
      case "unusable":
        return { kind: "failed", reason: refusal.detail, serverAway: false };
      case "fatal":
        return refusal;
      case "trouble": {
        this.#spend(refusal.charged);
        this.#countIsPartial ||= refusal.lost;
        if (!refusal.retry) return { kind: "failed", reason: refusal.detail, serverAway: true };
        return this.#troubled({ ...refusal, costs: refusal.charged > 0 });
      }
    }
  }

  async #pace(message: string, seconds: number): Promise<AuthorEnd | null> {
    this.#paceRefusals += 1;
    if (this.#paceRefusals > MAX_PACE_REFUSALS) return { kind: "failed", reason: message, serverAway: true };
    return this.#pause("pace", message, Math.min(MAX_PAUSE_SECONDS, seconds));
  }

  async #troubled({ detail, retryAfterSeconds, costs }: Trouble): Promise<AuthorEnd | null> {
    this.#trouble += costs ? 2 : 1;
    if (this.#trouble >= MAX_TROUBLE) return { kind: "failed", reason: detail, serverAway: true };
    const growing = (this.#run.retryPauseMs / 1_000) * 2 ** Math.min(MAX_DOUBLINGS, this.#pauses);
    this.#pauses += 1;
    return this.#pause("trouble", detail, Math.min(MAX_PAUSE_SECONDS, Math.max(retryAfterSeconds ?? 0, growing)));
  }

  async #pause(because: "pace" | "trouble", message: string, seconds: number): Promise<null> {
    this.#run.tell({ type: "pause", author: this.item.author, because, seconds, message });
    await sleep(seconds * 1_000, this.#run.interrupted);
    return null;
  }
}
