/** A terminal: the last results, a bar and a few numbers, drawn again in place; warnings and failures stay above it. */
import { styleText } from "node:util";
import cliTruncate from "cli-truncate";
import { createLogUpdate } from "log-update";
import wrapAnsi from "wrap-ansi";
import type { HarvestEvent, Reporter } from "./events.ts";
import { linesFor } from "./report-plain.ts";
import { Scene } from "./scene.ts";
import { oneLine } from "./words.ts";

/** Under the text of a line that goes on. */
const HANGING = "    ";

const FRAME_MS = 100;
/** Nothing may happen for hours, but the clock goes on. */
const TICK_MS = 1_000;

export class TerminalReporter implements Reporter {
  readonly #live = createLogUpdate(process.stdout);
  readonly #scene = new Scene(Date.now());
  readonly #clock = setInterval(() => this.#draw(), TICK_MS);
  #drawnAt = 0;
  #pending: NodeJS.Timeout | null = null;
  #closed = false;

  tell(event: HarvestEvent): void {
    this.#scene.see(event, Date.now());
    for (const line of lasting(event)) this.#keep(line);
    if (event.type === "end") this.close();
    if (event.type === "error") console.error(oneLine(event.message));
    if (event.type === "end" || event.type === "plan") for (const line of linesFor(event)) print(`  ${oneLine(line)}`);
    this.#drawSoon();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#clock);
    if (this.#pending) clearTimeout(this.#pending);
    if (this.#scene.begun) this.#live(this.#frame());
    this.#live.done();
    if (this.#scene.begun) console.log("");
  }

  #keep(line: string): void {
    this.#live.clear();
    print(line);
    this.#drawnAt = 0;
  }

  #drawSoon(): void {
    if (this.#closed || this.#pending) return;
    const due = this.#drawnAt + FRAME_MS - Date.now();
    if (due <= 0) this.#draw();
    else {
      this.#pending = setTimeout(() => {
        this.#pending = null;
        this.#draw();
      }, due);
    }
  }

  #draw(): void {
    if (this.#closed || !this.#scene.begun) return;
    this.#drawnAt = Date.now();
    this.#live(this.#frame());
  }

  #frame(): string {
    const width = (process.stdout.columns || 80) - 1;
    return this.#scene
      .lines(Date.now(), width)
      .map((line) => cliTruncate(line, width))
      .join("\n");
  }
}

/** A line that may be longer than the terminal is wide. */
function print(line: string): void {
  const width = (process.stdout.columns || 80) - 1;
  const [first = "", ...more] = wrapAnsi(line, width - HANGING.length, { trim: false }).split("\n");
  for (const wrapped of [first, ...more.map((rest) => `${HANGING}${rest.trimStart()}`)]) console.log(wrapped);
}

/** What is worth finding in the morning, above the display. */
function lasting(event: HarvestEvent): string[] {
  const yellow = (text: string): string => styleText("yellow", text, { stream: process.stdout });
  const red = (text: string): string => styleText("red", text, { stream: process.stdout });
  switch (event.type) {
    case "pause":
      if (event.because === "pace") return [];
      return linesFor(event).map((line) => `  ${yellow("!")} ${oneLine(line)}`);
    case "warning":
      return linesFor(event).map((line) => `  ${yellow("!")} ${oneLine(line)}`);
    case "author":
      return event.result === "failed" ? linesFor(event).map((line) => `  ${red("✗")} ${oneLine(line)}`) : [];
    case "exhausted":
      return [`  ${yellow("!")} ${oneLine(event.message)}`];
    case "start":
    case "quota":
    case "asking":
    case "continued":
    case "plan":
    case "end":
    case "error":
      return [];
  }
}
