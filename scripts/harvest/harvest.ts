/** The run: one author after the other, never more than one in flight, until all are settled or the run must stop. */
import { saysDayIsOver } from "./answers.ts";
import { AuthorRun } from "./author-run.ts";
import type { AuthorEnd, Item } from "./author-run.ts";
import { withDoubt, withFailed, withProcessed, withoutLatest } from "./checkpoint.ts";
import type { Ending } from "./exit-codes.ts";
import type { Run } from "./run.ts";
import { nextMidnight, readStatus, waitForCalls } from "./waiting.ts";
import { counted } from "./words.ts";

const AUTHORS_PER_STATUS_CHECK = 100;
/** So many authors do not fail one after the other unless the server or the provider is away. */
const MAX_FAILURES_IN_A_ROW = 10;

export interface End {
  readonly ending: Ending;
  readonly message: string;
}

type Failed = Extract<AuthorEnd, { kind: "failed" }>;

export class Harvest {
  readonly #run: Run;
  readonly #total: number;
  /** From here on the list is new to this checkpoint; items below had failed before. */
  readonly #newFrom: number;
  /** An answer may have been lost when the run before this one ended, and only the next author's. */
  #lost: boolean;
  #sinceCheck = 0;
  #failuresInARow: number[] = [];

  constructor(run: Run, { lost }: { lost: boolean }) {
    this.#run = run;
    this.#lost = lost;
    this.#total = run.progress.checkpoint.authors.count;
    this.#newFrom = run.progress.checkpoint.settled;
  }

  /** Throws `Foreseen` where the checkpoint can no longer be written. */
  async go(items: readonly Item[]): Promise<End> {
    this.#run.progress.change((checkpoint) => ({ ...checkpoint, orderly: false }));
    const end = await this.#until(items);
    const orderly = end.ending !== "interrupted" && end.ending !== "fatal";
    this.#run.progress.change((checkpoint) => ({ ...checkpoint, orderly }));
    this.#run.progress.save();
    return end;
  }

  async #until(items: readonly Item[]): Promise<End> {
    if (items.length > 0) this.#run.progress.save();
    for (const item of items) {
      const end = (await this.#checkedQuota(item)) ?? (await this.#author(item));
      if (end) return end;
    }
    const { failed } = this.#run.progress.checkpoint;
    if (failed.length === 0) return { ending: "done", message: "Every author is done." };
    return { ending: "failures", message: `${counted(failed.length, "author")} failed; --retry-failed tries again.` };
  }

  /** Null: go on. */
  async #checkedQuota(item: Item): Promise<End | null> {
    if (this.#run.interrupted.aborted) return interrupted();
    if (this.#sinceCheck % AUTHORS_PER_STATUS_CHECK !== 0) return null;
    const status = await readStatus(this.#run);
    if (!status || !saysDayIsOver(status)) return null;
    return this.#dayIsOver(item, "The day's calls are used up.", status.reset_at);
  }

  async #author(item: Item): Promise<End | null> {
    const author = new AuthorRun(this.#run, item, {
      lost: this.#lost || item.index < this.#newFrom || item.index < this.#run.progress.checkpoint.doubtful_below,
    });
    this.#lost = false;
    for (;;) {
      const end = await author.go();
      switch (end.kind) {
        case "settled":
          this.#settled(author, end);
          return null;
        case "failed":
          return this.#failed(author, end);
        case "fatal":
          return { ending: "fatal", message: end.detail };
        case "interrupted":
          return interrupted();
        case "exhausted": {
          if (author.lost) this.#run.progress.change((checkpoint) => withDoubt(checkpoint, item.index));
          if (end.quota) this.#run.tell({ type: "quota", quota: end.quota });
          const stop = await this.#dayIsOver(item, end.detail, end.resetAt ?? nextMidnight(Date.now()));
          if (stop) return stop;
        }
      }
    }
  }

  async #dayIsOver({ author }: Item, message: string, resetAt: string): Promise<End | null> {
    const { wait, tell, interrupted: signal, statusIntervalMs, progress } = this.#run;
    progress.save();
    const looks_every_seconds = statusIntervalMs / 1_000;
    tell({ type: "exhausted", next_author: author, waiting: wait, message, reset_at: resetAt, looks_every_seconds });
    if (!wait) return { ending: "exhausted", message: `The day's calls are used up until ${resetAt}; --resume goes on with ${author}.` };
    const began = Date.now();
    await waitForCalls(this.#run, resetAt);
    if (signal.aborted) return interrupted();
    tell({ type: "continued", next_author: author, waited_seconds: Math.round((Date.now() - began) / 1_000) });
    return null;
  }

  #settled({ item, books, pages, calls, nextPage }: AuthorRun, { result, reason }: Extract<AuthorEnd, { kind: "settled" }>): void {
    this.#failuresInARow = [];
    this.#run.progress.change((checkpoint) => withProcessed(checkpoint, { index: item.index, books }));
    this.#recorded({ author: item.author, result, books, pages, calls, ...next(nextPage), ...(reason === undefined ? {} : { reason }) });
  }

  #failed({ item, books, pages, calls, nextPage }: AuthorRun, { reason, serverAway }: Failed): End | null {
    const { progress } = this.#run;
    progress.change((checkpoint) => withFailed(checkpoint, { ...item, reason, ...next(nextPage) }));
    this.#recorded({ author: item.author, result: "failed", books, pages, calls, ...next(nextPage), reason });
    if (!serverAway) return null;
    this.#failuresInARow.push(item.index);
    if (this.#failuresInARow.length < MAX_FAILURES_IN_A_ROW) return null;
    const untried = this.#failuresInARow.filter((index) => index >= this.#newFrom);
    if (untried.length > 0) progress.change((checkpoint) => withoutLatest(checkpoint, untried));
    const again = untried.length === MAX_FAILURES_IN_A_ROW ? "--resume" : "--retry-failed";
    const message = `${MAX_FAILURES_IN_A_ROW} authors in a row failed, the last because: ${reason} ${again} tries them again.`;
    return { ending: "fatal", message };
  }

  #recorded(author: Omit<Extract<Parameters<Run["tell"]>[0], { type: "author" }>, "type" | "settled" | "total">): void {
    this.#sinceCheck += 1;
    this.#run.progress.save();
    this.#run.tell({ type: "author", ...author, settled: this.#run.progress.checkpoint.settled, total: this.#total });
  }
}

function next(page: number | undefined): { next_page?: number } {
  return page === undefined ? {} : { next_page: page };
}

function interrupted(): End {
  return { ending: "interrupted", message: "Interrupted; --resume goes on." };
}
