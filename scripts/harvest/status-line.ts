/** One line about the moment, for a terminal. No I/O. No clock: `now` is given. */
import type { HarvestEvent } from "./events.ts";
import { clockTime, countdown, counted, grouped, oneLine, shortened, span } from "./words.ts";

export class StatusLine {
  #authors = 0;
  #settled = 0;
  #calls = 0;
  #left: number | null = null;
  #doing = "";
  /** Set while the run waits for new calls. */
  #waiting: { readonly reset_at: string; readonly next_author: string } | null = null;

  see(event: HarvestEvent): void {
    if (event.type === "start") [this.#authors, this.#settled] = [event.authors, event.settled];
    else if (event.type === "asking") this.#doing = `${shortened(event.author)}${event.page === null ? "" : `, page ${event.page}`}`;
    else if (event.type === "pause") this.#doing = `${shortened(event.author)} in ${span(event.seconds * 1_000)}`;
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

  /** Empty before the run has begun. */
  text(now: number): string {
    if (this.#authors === 0) return "";
    const percent = Math.floor((this.#settled / this.#authors) * 100);
    const done = `${percent} %, ${grouped(this.#settled)} of ${counted(this.#authors, "author")}`;
    if (this.#waiting) {
      const { reset_at, next_author } = this.#waiting;
      const left = countdown(Date.parse(reset_at) - now);
      return oneLine(`${done} · new calls in ${left}, at ${clockTime(reset_at)} · next ${shortened(next_author)}`);
    }
    const left = this.#left === null ? "" : `, ${grouped(this.#left)} left today`;
    return oneLine(`${done} · ${counted(this.#calls, "call")} spent${left} · ${this.#doing}`);
  }
}
