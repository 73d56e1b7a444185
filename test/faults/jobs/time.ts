/**
 * A clock for jobs, which run in the Workflows engine. It moves only while the product waits for a hanging or slow part, or for its own pause.
 * It stands while the engine or a part works. Pauses and sleeps of steps move it immediately. A due timer fires in the invocation that set it,
 * because no invocation may run another's work.
 */
import { vi } from "vitest";

interface Timer {
  readonly id: number;
  readonly at: number;
  /** A deadline may outlive its operation, because it is never cleared. */
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
  /** Operations in progress, each with the last timer that was set before it. */
  readonly #pending = new Set<{ readonly timer: number }>();
  /** Number of operations that do real work now. */
  #working = 0;
  #events = 0;

  /** Replaces all timers until the mocks are restored. */
  install(): void {
    // Pauses without jitter, so that every run takes the same time.
    vi.spyOn(Math, "random").mockReturnValue(0);
    vi.spyOn(globalThis, "setTimeout").mockImplementation(((work: () => void, ms = 0) => this.#add(work, ms)) as never);
    vi.spyOn(globalThis, "clearTimeout").mockImplementation(((id?: number) => this.#remove(id)) as never);
    vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
      const controller = new AbortController();
      this.#add(() => controller.abort(new DOMException("The operation timed out", "TimeoutError")), ms, true);
      return controller.signal;
    });
  }

  /** Runs an operation that may hang. */
  async operation<Result>(run: () => Promise<Result>): Promise<Result> {
    const entry = { timer: this.#lastId };
    this.#pending.add(entry);
    this.#events += 1;
    try {
      return await run();
    } finally {
      this.#pending.delete(entry);
      this.#events += 1;
    }
  }

  /** Runs real work, during which no time passes. */
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

  /** Moves the clock to `time` if it is earlier. */
  reach(time: number): void {
    if (time > Date.now()) vi.setSystemTime(time);
  }

  /** Lets time pass until the condition holds. */
  async until(holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + GIVE_UP_MS;
    while (!(await holds())) {
      if (performance.now() > deadline) throw new Error("The condition was not met");
      await turn(POLL_MS);
      if (!(await this.#isQuiet())) continue;
      const next = this.#timers.toSorted((one, other) => one.at - other.at || one.id - other.id)[0];
      if (next === undefined) continue;
      this.reach(next.at);
      next.state = "due";
      // The time limit of an operation is set right before or after it. Once it fires, the operation no longer counts as pending.
      for (const entry of this.#pending) if (entry.timer === next.id || entry.timer + 1 === next.id) this.#pending.delete(entry);
      // The invocation that set the timer may have ended already.
      for (let turns = 0; next.state === "due" && turns < 50; turns += 1) await turn(1);
      this.#remove(next.id);
    }
  }

  /** Forgets all operations and timers. */
  clear(): void {
    this.#pending.clear();
    for (const { id } of this.#timers) this.#remove(id);
  }

  async #isQuiet(): Promise<boolean> {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet += 1) {
      const isAwaited = this.#pending.size > 0 || this.#timers.some(({ isDeadline }) => !isDeadline);
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
    const poll = (): void => {
      if (timer.state === "set") void realSetTimeout(poll, 1);
      if (timer.state !== "due") return;
      timer.state = "over";
      this.#events += 1;
      fire();
    };
    poll();
    return timer.id;
  }

  #remove(id: number | undefined): void {
    for (const timer of this.#timers) if (timer.id === id) timer.state = "over";
    this.#timers = this.#timers.filter((timer) => timer.id !== id);
  }
}
