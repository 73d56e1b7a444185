/** Three forms of a run: JSON lines, plain lines, and on a terminal one more line that is rewritten in place. */
import { styleText } from "node:util";
import type { HarvestEvent } from "./events.ts";
import { planLines } from "./plan.ts";
import { resultText, summary } from "./results.ts";
import { StatusLine } from "./status-line.ts";
import { oneLine, shortened, span } from "./words.ts";

/** Nothing may happen for hours, but the clock of a waiting run goes on. */
const TICK_MS = 1_000;
const CLEARED = "\r\u001B[K";
/** The terminal itself cuts what is wider than it is. */
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

  tell(event: HarvestEvent): void {
    if (this.#json) return tellJson(event);
    this.#status?.see(event);
    if (event.type === "end") this.close();
    for (const line of linesFor(event)) this.#print(event, oneLine(line));
    if (event.type !== "end") this.#draw();
  }

  /** Leaves the terminal as it was. */
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
    if (this.#status) process.stdout.write(CLEARED);
  }

  #draw(): void {
    const line = this.#status?.text(Date.now()) ?? "";
    if (line !== "") process.stdout.write(`${CLEARED}${NO_WRAP}${line}${WRAP}`);
  }
}

function tellJson(event: HarvestEvent): void {
  if (event.type === "asking") return;
  const { type, ...rest } = event;
  const fields = event.type === "quota" ? event.quota : rest;
  console.log(JSON.stringify({ type, at: new Date().toISOString(), ...fields }));
}

/** No line where the event only changes the status line. */
function linesFor(event: HarvestEvent): string[] {
  switch (event.type) {
    case "start": {
      const { source, authors, settled, base_url, resumed } = event;
      return [`${source} at ${base_url}: ${authors} authors${resumed ? `, continuing after ${settled}` : ""}`];
    }
    case "author":
      return [`[${event.settled}/${event.total}] ${shortened(event.author)}: ${resultText(event)}`];
    case "pause":
      return [`${shortened(event.author)}: ${event.message} Waiting ${span(event.seconds * 1_000)}.`];
    case "exhausted": {
      const { message, waiting, reset_at, looks_every_seconds, next_author } = event;
      const until = `Waiting for new calls until ${reset_at}, looking every ${looks_every_seconds} s; next is ${next_author}.`;
      return waiting ? [message, until] : [message];
    }
    case "continued":
      return [`There are calls again after ${span(event.waited_seconds * 1_000)}; continuing with ${event.next_author}.`];
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
