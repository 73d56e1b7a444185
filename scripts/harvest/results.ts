/** One author's result, in words. No I/O. */
import type { HarvestEvent } from "./events.ts";
import { counted, grouped, shortened } from "./words.ts";

export type AuthorEvent = Extract<HarvestEvent, { type: "author" }>;

/** What became of an author, without the name. */
export function resultText({ result, books, calls, next_page, reason }: AuthorEvent): string {
  const spent = calls === 0 ? "no call" : counted(calls, "call");
  switch (result) {
    case "done":
      return `${counted(books, "book")}, ${spent}`;
    case "limited":
      return `${counted(books, "book")}, ${spent}; --max-pages reached, more from page ${next_page ?? "?"}`;
    case "truncated":
      return `${counted(books, "book")}, ${spent}; ${reason ?? "the provider gives no more"}`;
    case "unknown":
      return `not known to the provider, ${spent}`;
    case "failed":
      return `failed: ${reason ?? "no reason given"}`;
  }
}

type EndEvent = Extract<HarvestEvent, { type: "end" }>;

const MOST_FAILURES = 10;

/** What stands last on a screen and in a log. */
export function summary(end: EndEvent): string[] {
  const { totals, authors, settled, failed, message, checkpoint } = end;
  const shown = failed.slice(0, MOST_FAILURES).map(({ author, reason }) => `  ${shortened(author)}: ${reason}`);
  const more = failed.length - shown.length;
  return [
    message,
    `${grouped(totals.authors)} of ${counted(authors, "author")} done, ${counted(failed.length, "failure")}, ${grouped(authors - settled)} to go.`,
    `${counted(totals.books, "book")}, ${counted(totals.calls, "call")}, ${counted(totals.pages, "page")}.`,
    ...(failed.length > 0 ? ["Failed:", ...shown, ...(more > 0 ? [`  and ${grouped(more)} more`] : [])] : []),
    `Checkpoint: ${checkpoint}`,
  ];
}
