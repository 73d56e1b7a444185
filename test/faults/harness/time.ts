/**
 * A clock that moves only while every operation in progress hangs or sleeps. Deadlines of seconds end in milliseconds, always in the same
 * order. A busy machine never delays a healthy answer.
 */
import { vi } from "vitest";

interface Timer {
  readonly id: number;
  readonly at: number;
  readonly fire: () => void;
  /** A deadline may outlive its operation, because it is never cleared. */
  readonly isDeadline: boolean;
}

const QUIET_TURNS = 3;

const realSetTimeout = globalThis.setTimeout;
const turn = async (): Promise<void> => new Promise((resolve) => realSetTimeout(resolve, 0));

export const NEVER = Symbol("never answered");

export class PassingTime {
  #timers: Timer[] = [];
  #lastId = 1_000_000;
  #inProgress = 0;
  /** Grows with each event. */
  #events = 0;
  #answeredAt: number | null = null;
  #isOver = false;

  /** Replaces all timers until the mocks are restored. */
  install(): void {
    vi.spyOn(globalThis, "setTimeout").mockImplementation(((work: () => void, ms = 0) => this.#add(work, ms)) as never);
    vi.spyOn(globalThis, "clearTimeout").mockImplementation(((id?: number) => this.#remove(id)) as never);
    // Pauses without jitter, so that every run takes the same time.
    vi.spyOn(Math, "random").mockReturnValue(0);
    vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
      const controller = new AbortController();
      this.#add(() => controller.abort(new DOMException("The operation timed out", "TimeoutError")), ms, true);
      return controller.signal;
    });
  }

  /** Runs real work, during which no time passes. */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#inProgress += 1;
    try {
      return await work();
    } finally {
      this.#inProgress -= 1;
      this.#events += 1;
    }
  }

  async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.#add(resolve, ms));
  }

  /** Records the time of the answer. Later work is background work. */
  answered(): void {
    this.#answeredAt = Date.now();
  }

  /** Stops all running work: no timer fires again. */
  end(): void {
    this.#isOver = true;
  }

  /** Runs `work` until it ends or no timer is left. `seconds` is the time until the answer, or else until the end. */
  async run<Result>(work: () => Promise<Result>): Promise<{ readonly result: Result | typeof NEVER; readonly seconds: number }> {
    const began = Date.now();
    this.#answeredAt = null;
    this.#isOver = false;
    let ended: { readonly result: Result; readonly at: number } | null = null;
    let failure: { readonly error: unknown } | null = null;
    void work().then(
      (result) => (ended = { result, at: Date.now() }),
      (error: unknown) => (failure = { error }),
    );
    const state = (): { readonly ended: typeof ended; readonly failure: typeof failure } => ({ ended, failure });
    for (;;) {
      await this.#quiet();
      const { ended: done, failure: failed } = state();
      if (failed !== null) throw failed.error;
      const next = this.#isOver ? undefined : this.#next(done === null);
      if (next !== undefined) {
        this.#remove(next.id);
        if (next.at > Date.now()) vi.setSystemTime(next.at);
        next.fire();
        continue;
      }
      this.#timers = [];
      const answeredAt = this.#answeredAt ?? done?.at ?? began;
      return { result: done === null ? NEVER : done.result, seconds: (answeredAt - began) / 1_000 };
    }
  }

  async #quiet(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet += 1) {
      const before = this.#events;
      await turn();
      if (this.#inProgress > 0 || this.#events !== before) quiet = -1;
    }
  }

  #next(withDeadlines: boolean): Timer | undefined {
    const awaited = this.#timers.filter(({ isDeadline }) => withDeadlines || !isDeadline);
    return awaited.toSorted((one, other) => one.at - other.at || one.id - other.id)[0];
  }

  #add(fire: () => void, ms: number, isDeadline = false): number {
    this.#lastId += 1;
    this.#events += 1;
    this.#timers.push({ id: this.#lastId, at: Date.now() + Math.max(0, ms), fire, isDeadline });
    return this.#lastId;
  }

  #remove(id: number | undefined): void {
    this.#timers = this.#timers.filter((timer) => timer.id !== id);
  }
}
