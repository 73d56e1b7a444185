/** Processes one author at a time until all are settled or the run must stop. */
import { isDayUsedUp } from "./answers.ts";
import type { QuotaStatus } from "./answers.ts";
import { AuthorRun } from "./author-run.ts";
import type { AuthorEnd, Item } from "./author-run.ts";
import { withDoubt, withFailed, withProcessed, withoutLatest } from "./checkpoint.ts";
import type { Ending } from "./exit-codes.ts";
import type { Run } from "./run.ts";
import { nextMidnight, readStatus, waitForCalls } from "./waiting.ts";
import { quantity } from "./words.ts";

const AUTHORS_PER_STATUS_CHECK = 100;
/** More failures in a row mean that the server or the provider is unavailable. */
const MAX_FAILURES_IN_A_ROW = 10;

export interface End {
  readonly ending: Ending;
  readonly message: string;
}

type Failed = Extract<AuthorEnd, { kind: "failed" }>;

export class Harvest {
  readonly #run: Run;
  readonly #total: number;
  /** Index of the first new author. Items below failed in an earlier run. */
  readonly #newFrom: number;
  /** A response for the next author may have been lost at the end of the previous run. */
  #lost: boolean;
  #sinceCheck = 0;
  #failuresInARow: number[] = [];

  constructor(run: Run, { lost }: { lost: boolean }) {
    this.#run = run;
    this.#lost = lost;
    this.#total = run.progress.checkpoint.authors.count;
    this.#newFrom = run.progress.checkpoint.settled;
  }

  /** Throws `UserError` if the checkpoint cannot be written. */
  async run(items: readonly Item[]): Promise<End> {
    this.#run.progress.change((checkpoint) => ({ ...checkpoint, orderly: false }));
    const end = await this.#processAll(items);
    const orderly = end.ending !== "interrupted" && end.ending !== "fatal";
    this.#run.progress.change((checkpoint) => ({ ...checkpoint, orderly }));
    this.#run.progress.save();
    return end;
  }

  async #processAll(items: readonly Item[]): Promise<End> {
    if (items.length > 0) this.#run.progress.save();
    for (const item of items) {
      const end = (await this.#checkQuota(item)) ?? (await this.#processAuthor(item));
      if (end) return end;
    }
    const { failed } = this.#run.progress.checkpoint;
    if (failed.length === 0) return { ending: "done", message: "Every author is done." };
    return { ending: "failures", message: `${quantity(failed.length, "author")} failed. Pass --retry-failed to retry.` };
  }

  /** null: continue. */
  async #checkQuota(item: Item): Promise<End | null> {
    if (this.#run.interrupted.aborted) return interrupted();
    if (this.#sinceCheck % AUTHORS_PER_STATUS_CHECK !== 0) return null;
    const status = await readStatus(this.#run);
    if (!status || !isDayUsedUp(status)) return null;
    return this.#handleExhausted(item, usedUp(status), status.reset_at);
  }

  async #processAuthor(item: Item): Promise<End | null> {
    const author = new AuthorRun(this.#run, item, {
      lost: this.#lost || item.index < this.#newFrom || item.index < this.#run.progress.checkpoint.doubtful_below,
    });
    this.#lost = false;
    for (;;) {
      const end = await author.run();
      switch (end.kind) {
        case "settled":
          this.#recordSettled(author, end);
          return null;
        case "failed":
          return this.#recordFailed(author, end);
        case "fatal":
          return { ending: "fatal", message: end.detail };
        case "interrupted":
          return interrupted();
        case "exhausted": {
          if (author.lost) this.#run.progress.change((checkpoint) => withDoubt(checkpoint, item.index));
          if (end.quota) this.#run.report({ type: "quota", quota: end.quota });
          const stop = await this.#handleExhausted(item, end.detail, end.resetAt ?? nextMidnight(Date.now()));
          if (stop) return stop;
        }
      }
    }
  }

  async #handleExhausted({ author }: Item, message: string, resetAt: string): Promise<End | null> {
    const { wait, report, interrupted: signal, statusIntervalMs, progress } = this.#run;
    progress.save();
    const looks_every_seconds = statusIntervalMs / 1_000;
    report({ type: "exhausted", next_author: author, waiting: wait, message, reset_at: resetAt, looks_every_seconds });
    if (!wait) return { ending: "exhausted", message: `The next day begins at ${resetAt}. Pass --resume to continue with ${author}.` };
    const began = Date.now();
    await waitForCalls(this.#run, resetAt);
    if (signal.aborted) return interrupted();
    report({ type: "continued", next_author: author, waited_seconds: Math.round((Date.now() - began) / 1_000) });
    return null;
  }

  #recordSettled({ item, books, pages, calls, nextPage }: AuthorRun, { result, reason }: Extract<AuthorEnd, { kind: "settled" }>): void {
    this.#failuresInARow = [];
    this.#run.progress.change((checkpoint) => withProcessed(checkpoint, { index: item.index, books }));
    this.#record({ author: item.author, result, books, pages, calls, ...next(nextPage), ...(reason === undefined ? {} : { reason }) });
  }

  #recordFailed({ item, books, pages, calls, nextPage }: AuthorRun, { reason, serverFailed }: Failed): End | null {
    const { progress } = this.#run;
    progress.change((checkpoint) => withFailed(checkpoint, { ...item, reason, ...next(nextPage) }));
    this.#record({ author: item.author, result: "failed", books, pages, calls, ...next(nextPage), reason });
    if (!serverFailed) return null;
    this.#failuresInARow.push(item.index);
    if (this.#failuresInARow.length < MAX_FAILURES_IN_A_ROW) return null;
    const newAuthors = this.#failuresInARow.filter((index) => index >= this.#newFrom);
    if (newAuthors.length > 0) progress.change((checkpoint) => withoutLatest(checkpoint, newAuthors));
    const option = newAuthors.length === MAX_FAILURES_IN_A_ROW ? "--resume" : "--retry-failed";
    const message = `${MAX_FAILURES_IN_A_ROW} authors in a row failed. Last reason: ${reason} Pass ${option} to retry them.`;
    return { ending: "fatal", message };
  }

  #record(author: Omit<Extract<Parameters<Run["report"]>[0], { type: "author" }>, "type" | "settled" | "total">): void {
    this.#sinceCheck += 1;
    this.#run.progress.save();
    this.#run.report({ type: "author", ...author, settled: this.#run.progress.checkpoint.settled, total: this.#total });
  }
}

function next(page: number | undefined): { next_page?: number } {
  return page === undefined ? {} : { next_page: page };
}

function interrupted(): End {
  return { ending: "interrupted", message: "Interrupted. Pass --resume to continue." };
}

/** Background work ends before interactive callers do. */
function usedUp({ remaining }: QuotaStatus): string {
  if (remaining <= 0) return "Today's calls are used up.";
  return `${quantity(remaining, "call")} left today, only for interactive callers. This floor shrinks during the day.`;
}
