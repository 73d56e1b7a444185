/** Prints events as JSON or plain lines. A terminal also has a status line that is updated in place. */
import { styleText } from "node:util";
import type { HarvestEvent } from "./events.ts";
import { planLines } from "./plan.ts";
import { resultText, summary } from "./results.ts";
import { StatusLine } from "./status-line.ts";
import { oneLine, shorten, span } from "./words.ts";

/** Interval of the status line. It shows a countdown while the run waits. */
const TICK_MS = 1_000;
const CLEAR_LINE = "\r\u001B[K";
/** Makes the terminal cut long lines instead of wrapping them. */
const [NO_WRAP, WRAP] = ["\u001B[?7l", "\u001B[?7h"];

export class Reporter {
  readonly #json: boolean;
  readonly #status: StatusLine | null;
  readonly #clock: NodeJS.Timeout | null;

  constructor({ json, terminal }: { readonly json: boolean; readonly terminal: boolean }) {
    this.#json = json;
    this.#status = terminal ? new StatusLine() : null;
    this.#clock = terminal ? setInterval(() => this.#draw(), TICK_MS) : null;
  }

  report(event: HarvestEvent): void {
    if (this.#json) return printJson(event);
    this.#status?.update(event);
    if (event.type === "end") this.close();
    for (const line of linesFor(event)) this.#print(event, oneLine(line));
    if (event.type !== "end") this.#draw();
  }

  /** Removes the status line. */
  close(): void {
    if (this.#clock) clearInterval(this.#clock);
    this.#clear();
  }

  #print(event: HarvestEvent, line: string): void {
    this.#clear();
    const isTrouble = event.type === "warning" || event.type === "error";
    const stream = isTrouble ? process.stderr : process.stdout;
    const color = event.type === "error" || (event.type === "author" && event.result === "failed") ? "red" : "yellow";
    const plain = event.type !== "pause" && event.type !== "exhausted" && !isTrouble && color === "yellow";
    stream.write(`${plain ? line : styleText(color, line, { stream })}\n`);
  }

  #clear(): void {
    if (this.#status) process.stdout.write(CLEAR_LINE);
  }

  #draw(): void {
    const line = this.#status?.text(Date.now()) ?? "";
    if (line !== "") process.stdout.write(`${CLEAR_LINE}${NO_WRAP}${line}${WRAP}`);
  }
}

function printJson(event: HarvestEvent): void {
  if (event.type === "request") return;
  const { type, ...rest } = event;
  const fields = event.type === "quota" ? event.quota : rest;
  console.log(JSON.stringify({ type, at: new Date().toISOString(), ...fields }));
}

/** Empty if the event only changes the status line. */
function linesFor(event: HarvestEvent): string[] {
  switch (event.type) {
    case "start": {
      const { source, authors, settled, base_url, resumed } = event;
      return [`${source} at ${base_url}: ${authors} authors${resumed ? `, continuing after ${settled}` : ""}`];
    }
    case "author":
      return [`[${event.settled}/${event.total}] ${shorten(event.author)}: ${resultText(event)}`];
    case "pause":
      return [`${shorten(event.author)}: ${event.message} Waiting ${span(event.seconds * 1_000)}.`];
    case "exhausted": {
      const { message, waiting, reset_at, looks_every_seconds, next_author } = event;
      const until = `Waiting for the reset at ${reset_at}, checking every ${looks_every_seconds} s. Next author: ${next_author}.`;
      return waiting ? [message, until] : [message];
    }
    case "continued":
      return [`Calls are available after ${span(event.waited_seconds * 1_000)}. Continuing with ${event.next_author}.`];
    case "warning":
      return [`Warning: ${event.message}`];
    case "error":
      return [event.message];
    case "plan":
      return planLines(event);
    case "end":
      return summary(event);
    case "quota":
    case "request":
      return [];
  }
}
