/** Plain lines for pipes and logs: one an author, warnings on standard error. */
import type { HarvestEvent, Reporter } from "./events.ts";
import { planLines } from "./plan.ts";
import { resultText, summary } from "./results.ts";
import { oneLine, shortened, span } from "./words.ts";

export class PlainReporter implements Reporter {
  tell(event: HarvestEvent): void {
    for (const line of linesFor(event)) {
      if (event.type === "warning" || event.type === "error") console.error(oneLine(line));
      else console.log(oneLine(line));
    }
  }

  close(): void {
    // Nothing stays open.
  }
}

/** What stays to be read. No line where the event only changes what a screen shows. */
export function linesFor(event: HarvestEvent): string[] {
  switch (event.type) {
    case "start": {
      const { source, authors, settled, base_url, resumed } = event;
      return [`${source} at ${base_url}: ${authors} authors${resumed ? `, going on after ${settled}` : ""}`];
    }
    case "author":
      return [`[${event.settled}/${event.total}] ${shortened(event.author)}: ${resultText(event)}`];
    case "pause":
      return [`${shortened(event.author)}: ${event.message} Waiting ${span(event.seconds * 1_000)}.`];
    case "exhausted":
      return [
        event.message,
        ...(event.waiting
          ? [`Waiting for new calls until ${event.reset_at}, looking every ${event.looks_every_seconds} s; next is ${event.next_author}.`]
          : []),
      ];
    case "continued":
      return [`There are calls again after ${span(event.waited_seconds * 1_000)}; going on with ${event.next_author}.`];
    case "warning":
      return [`Warning: ${event.message}`];
    case "error":
      return [event.message];
    case "plan":
      return planLines(event);
    case "end":
      return summary(event);
    case "quota":
    case "asking":
      return [];
  }
}
