/** Rates by the clock. A test may freeze or move `Date`, so the longer of the two measured times counts. */

interface Mark {
  readonly date: number;
  readonly time: number;
}

export const mark = (): Mark => ({ date: Date.now(), time: performance.now() });

/** Milliseconds since a mark. A clock that was set back gives no negative time. */
export const since = ({ date, time }: Mark): number => Math.max(Math.abs(Date.now() - date), performance.now() - time);

/** Counts events of the last second. */
export class EventsPerSecond {
  #marks: Mark[] = [];

  /** Number of events in the last second, including this one. */
  get next(): number {
    this.#marks = this.#marks.filter((each) => since(each) < 1_000);
    return this.#marks.length + 1;
  }

  add(): void {
    this.#marks.push(mark());
  }
}
