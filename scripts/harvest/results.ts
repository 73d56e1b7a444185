/** Texts for the result of an author and of the run. No I/O. */
import type { HarvestEvent } from "./events.ts";
import { quantity, formatCount, shorten } from "./words.ts";

export type AuthorEvent = Extract<HarvestEvent, { type: "author" }>;

/** Result of an author, without the name. */
export function resultText({ result, books, calls, next_page, reason }: AuthorEvent): string {
  const spent = calls === 0 ? "no calls" : quantity(calls, "call");
  switch (result) {
    case "done":
      return `${quantity(books, "book")}, ${spent}`;
    case "limited":
      return `${quantity(books, "book")}, ${spent}, --max-pages reached (next page ${next_page ?? "?"})`;
    case "truncated":
      return `${quantity(books, "book")}, ${spent} (${reason ?? "the provider returns no more"})`;
    case "unknown":
      return `unknown to the provider, ${spent}`;
    case "failed":
      return `failed: ${reason ?? "no reason given"}`;
  }
}

type EndEvent = Extract<HarvestEvent, { type: "end" }>;

const MAX_FAILURES = 10;

/** Summary at the end of a run. */
export function summary(end: EndEvent): string[] {
  const { totals, authors, settled, failed, message, checkpoint } = end;
  const listed = failed.slice(0, MAX_FAILURES).map(({ author, reason }) => `  ${shorten(author)}: ${reason}`);
  const more = failed.length - listed.length;
  return [
    message,
    `${formatCount(totals.authors)} of ${quantity(authors, "author")} done, ${quantity(failed.length, "failure")}, ${formatCount(authors - settled)} remaining.`,
    `${quantity(totals.books, "book")}, ${quantity(totals.calls, "call")}, ${quantity(totals.pages, "page")}.`,
    ...(failed.length > 0 ? ["Failed:", ...listed, ...(more > 0 ? [`  and ${formatCount(more)} more`] : [])] : []),
    `Checkpoint: ${checkpoint}`,
  ];
}
