/** What the terminal shows at a moment. No I/O; the time is given. */
import { styleText } from "node:util";
import type { HarvestEvent } from "./events.ts";
import { Rate } from "./rate.ts";
import { resultText } from "./results.ts";
import type { AuthorEvent } from "./results.ts";
import { clockTime, countdown, counted, grouped, oneLine, span } from "./words.ts";

const SHOWN_RESULTS = 5;
const BAR_ROOM = 44;
const LONGEST_BAR = 60;

type Format = "bold" | "dim" | "green" | "red" | "yellow" | "cyan";
const paint = (format: Format, text: string): string => styleText(format, text, { stream: process.stdout });

type Waiting = Extract<HarvestEvent, { type: "exhausted" }>;

export class Scene {
  readonly #rate: Rate;
  #start: Extract<HarvestEvent, { type: "start" }> | null = null;
  #settled = 0;
  #failures = 0;
  #books = 0;
  #calls = 0;
  #quota: { used: number; remaining: number; safety_limit: number } | null = null;
  #pause: Extract<HarvestEvent, { type: "pause" }> | null = null;
  #now: { author: string; page: number | null } | null = null;
  #waiting: Waiting | null = null;
  #ended = false;
  readonly #latest: AuthorEvent[] = [];

  constructor(now: number) {
    this.#rate = new Rate(now);
  }

  get begun(): boolean {
    return this.#start !== null;
  }

  see(event: HarvestEvent, now: number): void {
    switch (event.type) {
      case "start":
        this.#start = event;
        this.#settled = event.settled;
        return;
      case "quota":
        this.#quota = event.quota;
        if (this.#waiting && event.quota.source === "ledger") this.#waiting = { ...this.#waiting, reset_at: event.quota.reset_at };
        return;
      case "asking":
        this.#now = event;
        this.#pause = null;
        return;
      case "pause":
        this.#pause = event;
        return;
      case "author":
        this.#seeAuthor(event, now);
        return;
      case "exhausted":
        this.#waiting = event.waiting ? event : null;
        return;
      case "continued":
        this.#waiting = null;
        this.#rate.restart(now);
        return;
      case "end":
        this.#waiting = null;
        this.#ended = true;
        return;
      case "warning":
      case "plan":
      case "error":
    }
  }

  #seeAuthor(event: AuthorEvent, now: number): void {
    if (event.settled > this.#settled) this.#rate.count(now);
    this.#settled = event.settled;
    this.#books += event.books;
    this.#calls += event.calls;
    if (event.result === "failed") this.#failures += 1;
    this.#latest.push(event);
    if (this.#latest.length > SHOWN_RESULTS) this.#latest.shift();
  }

  lines(now: number, width: number): string[] {
    if (!this.#start) return [];
    const { source, base_url, authors } = this.#start;
    return [
      "",
      `  ${paint("bold", oneLine(source))} ${paint("dim", `at ${base_url}`)}`,
      "",
      ...this.#latest.map(resultLine),
      ...(this.#latest.length > 0 ? [""] : []),
      `  ${this.#bar(width, authors)}`,
      `  ${this.#numbers()}`,
      ...(this.#ended ? [] : this.#waiting ? waitingLines(this.#waiting, now) : [`  ${this.#pace(now, authors)}`]),
    ];
  }

  #bar(width: number, authors: number): string {
    const share = authors === 0 ? 1 : this.#settled / authors;
    const length = Math.max(10, Math.min(LONGEST_BAR, width - BAR_ROOM));
    const full = Math.floor(share * length);
    const percent = `${Math.floor(share * 100)} %`.padStart(5);
    const failures = this.#failures > 0 ? paint("red", `, ${this.#failures} failed`) : "";
    const bar = `${paint("green", "█".repeat(full))}${paint("dim", "░".repeat(length - full))}`;
    return `${bar} ${paint("bold", percent)}  ${grouped(this.#settled)} of ${counted(authors, "author")}${failures}`;
  }

  #numbers(): string {
    const today = this.#quota
      ? ` · today ${grouped(this.#quota.used)} used, ${paint("bold", `${grouped(this.#quota.remaining)} left`)}`
      : "";
    return `${counted(this.#books, "book")} · ${counted(this.#calls, "call")} spent here${today}`;
  }

  #pace(now: number, authors: number): string {
    if (this.#pause) {
      const { author, seconds, message } = this.#pause;
      return paint("yellow", `waiting ${span(seconds * 1_000)} with ${oneLine(author)}: ${oneLine(message)}`);
    }
    const asked = this.#now ? `now ${oneLine(this.#now.author)}${this.#now.page === null ? "" : `, page ${this.#now.page}`}` : "";
    const perMinute = this.#rate.perMinute(now);
    if (perMinute === null) return paint("dim", asked);
    return paint("dim", `${grouped(Math.round(perMinute))} a minute · ${this.#timeLeft(authors - this.#settled, perMinute)} · ${asked}`);
  }

  /** In days where the calls, not the pace, are what takes time. */
  #timeLeft(authors: number, perMinute: number): string {
    const callsAnAuthor = Math.max(this.#calls, 1) / Math.max(1, this.#settled - (this.#start?.settled ?? 0));
    const calls = Math.ceil(authors * callsAnAuthor);
    const { remaining, safety_limit } = this.#quota ?? { remaining: calls, safety_limit: calls };
    if (calls <= remaining || safety_limit === 0) return `about ${span((authors / Math.max(perMinute, 0.01)) * 60_000)} left`;
    return `about ${counted(Math.ceil((calls - remaining) / safety_limit), "day")} left`;
  }
}

function resultLine(event: AuthorEvent): string {
  const mark = event.result === "failed" ? paint("red", "✗") : event.result === "done" ? paint("green", "✓") : paint("yellow", "~");
  return `  ${mark} ${oneLine(event.author)}  ${paint("dim", oneLine(resultText(event)))}`;
}

function waitingLines({ reset_at, looks_every_seconds, next_author }: Waiting, now: number): string[] {
  const left = Math.max(0, Date.parse(reset_at) - now);
  return [
    `  New calls in ${paint("bold", countdown(left))}, at ${clockTime(reset_at)}; ${paint("yellow", "today's are used up.")}`,
    paint("dim", `  Looks every ${looks_every_seconds} s, and goes on as soon as there are any. Next is ${oneLine(next_author)}.`),
  ];
}
