/**
 * Time for jobs, which run in an engine of their own: it passes only while the product waits for something that hangs, is slow, or for a
 * pause of its own, and never while the engine or a part is at work. Retries and sleeps of steps take their time too, at once. What is due
 * is done by whoever set it: no invocation may do another's.
 */
import { vi } from "vitest";

interface Timer {
  readonly id: number;
  readonly at: number;
  /** A deadline of something that may be over: nobody takes it back. */
  readonly isDeadline: boolean;
  state: "set" | "due" | "over";
}

const QUIET_TURNS = 5;
const POLL_MS = 2;
const GIVE_UP_MS = 30_000;

const realSetTimeout = globalThis.setTimeout;
export const turn = async (ms = 0): Promise<void> => new Promise((resolve) => realSetTimeout(resolve, ms));

export class JobTime {
  #timers: Timer[] = [];
  #lastId = 1_000_000;
  /** Operations on their way, each with the timer that was set last before it. */
  readonly #asked = new Set<{ readonly timer: number }>();
  /** How many of them are being done. */
  #working = 0;
  #events = 0;

  /** Every timer of the product's from now on; until the mocks are restored. */
  install(): void {
    vi.spyOn(globalThis, "setTimeout").mockImplementation(((work: () => void, ms = 0) => this.#add(work, ms)) as never);
    vi.spyOn(globalThis, "clearTimeout").mockImplementation(((id?: number) => this.#remove(id)) as never);
    vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
      const controller = new AbortController();
      this.#add(() => controller.abort(new DOMException("The operation timed out", "TimeoutError")), ms, true);
      return controller.signal;
    });
  }

  /** An operation that may hang. */
  async asked<Result>(operation: () => Promise<Result>): Promise<Result> {
    const asked = { timer: this.#lastId };
    this.#asked.add(asked);
    this.#events += 1;
    try {
      return await operation();
    } finally {
      this.#asked.delete(asked);
      this.#events += 1;
    }
  }

  /** Real work, during which no time passes. */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#working += 1;
    try {
      return await work();
    } finally {
      this.#working -= 1;
      this.#events += 1;
    }
  }

  async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.#add(resolve, ms));
  }

  /** It is at least so late. */
  reach(time: number): void {
    if (time > Date.now()) vi.setSystemTime(time);
  }

  /** Lets time pass until it is so. Nothing that happened before is waited for any more. */
  async until(isSo: () => Promise<boolean>): Promise<void> {
    const giveUpAt = performance.now() + GIVE_UP_MS;
    while (!(await isSo())) {
      if (performance.now() > giveUpAt) throw new Error("It never came to an end");
      await turn(POLL_MS);
      if (!(await this.#isQuiet())) continue;
      const next = this.#timers.toSorted((one, other) => one.at - other.at || one.id - other.id)[0];
      if (next === undefined) continue;
      this.reach(next.at);
      next.state = "due";
      // The limit of an operation is set right before it, or right after: nobody waits for it any more.
      for (const asked of this.#asked) if (asked.timer === next.id || asked.timer + 1 === next.id) this.#asked.delete(asked);
      // Whoever set it may be gone.
      for (let turns = 0; next.state === "due" && turns < 50; turns += 1) await turn(1);
      this.#remove(next.id);
    }
  }

  /** All that is over. */
  forget(): void {
    this.#asked.clear();
    for (const { id } of this.#timers) this.#remove(id);
  }

  async #isQuiet(): Promise<boolean> {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet += 1) {
      const isAwaited = this.#asked.size > 0 || this.#timers.some(({ isDeadline }) => !isDeadline);
      if (this.#working > 0 || !isAwaited) return false;
      const before = this.#events;
      await turn();
      if (this.#events !== before) return false;
    }
    return true;
  }

  #add(fire: () => void, ms: number, isDeadline = false): number {
    this.#lastId += 1;
    this.#events += 1;
    const timer: Timer = { id: this.#lastId, at: Date.now() + Math.max(0, ms), isDeadline, state: "set" };
    this.#timers.push(timer);
    const look = (): void => {
      if (timer.state === "set") void realSetTimeout(look, 1);
      if (timer.state !== "due") return;
      timer.state = "over";
      this.#events += 1;
      fire();
    };
    look();
    return timer.id;
  }

  #remove(id: number | undefined): void {
    for (const timer of this.#timers) if (timer.id === id) timer.state = "over";
    this.#timers = this.#timers.filter((timer) => timer.id !== id);
  }
}
