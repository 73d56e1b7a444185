/** Status line of a terminal. No I/O. No clock: `now` is an argument. */
import type { HarvestEvent } from "./events.ts";
import { clockTime, countdown, quantity, formatCount, oneLine, shorten, span } from "./words.ts";

export class StatusLine {
  #authors = 0;
  #settled = 0;
  #calls = 0;
  #left: number | null = null;
  #activity = "";
  /** Set while the run waits for new calls. */
  #waiting: { readonly reset_at: string; readonly next_author: string } | null = null;

  update(event: HarvestEvent): void {
    if (event.type === "start") [this.#authors, this.#settled] = [event.authors, event.settled];
    else if (event.type === "request") this.#activity = `${shorten(event.author)}${event.page === null ? "" : `, page ${event.page}`}`;
    else if (event.type === "pause") this.#activity = `${shorten(event.author)} in ${span(event.seconds * 1_000)}`;
    else if (event.type === "exhausted") this.#waiting = event.waiting ? event : null;
    else if (event.type === "continued") this.#waiting = null;
    else if (event.type === "author") {
      this.#settled = event.settled;
      this.#calls += event.calls;
    } else if (event.type === "quota") {
      this.#left = event.quota.remaining;
      if (this.#waiting && event.quota.source === "ledger") this.#waiting = { ...this.#waiting, reset_at: event.quota.reset_at };
    }
  }

  /** Empty before the start of the run. */
  text(now: number): string {
    if (this.#authors === 0) return "";
    const percent = Math.floor((this.#settled / this.#authors) * 100);
    const done = `${percent}%, ${formatCount(this.#settled)} of ${quantity(this.#authors, "author")}`;
    if (this.#waiting) {
      const { reset_at, next_author } = this.#waiting;
      const left = countdown(Date.parse(reset_at) - now);
      return oneLine(`${done} · reset in ${left}, at ${clockTime(reset_at)} · next ${shorten(next_author)}`);
    }
    const left = this.#left === null ? "" : `, ${formatCount(this.#left)} left today`;
    return oneLine(`${done} · ${quantity(this.#calls, "call")} spent${left} · ${this.#activity}`);
  }
}
