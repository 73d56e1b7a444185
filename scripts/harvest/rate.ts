/** Authors a minute, over the latest minutes: what counts for the time left. No clock: `now` is given. */

const WINDOW_MS = 120_000;
/** Before that, a rate is a guess. */
const ENOUGH_MS = 2_000;

export class Rate {
  #since: number;
  #times: number[] = [];

  constructor(now: number) {
    this.#since = now;
  }

  count(now: number): void {
    this.#times.push(now);
    while ((this.#times[0] ?? now) < now - WINDOW_MS) this.#times.shift();
  }

  /** After a pause that says nothing about the pace. */
  restart(now: number): void {
    this.#since = now;
    this.#times = [];
  }

  /** Null while nobody can know. */
  perMinute(now: number): number | null {
    const spent = Math.min(WINDOW_MS, now - this.#since);
    if (spent < ENOUGH_MS) return null;
    const recent = this.#times.filter((time) => time > now - WINDOW_MS).length;
    return (recent * 60_000) / spent;
  }
}
