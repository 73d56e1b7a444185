/** Injects faults: every operation of every part runs through here, and fails if the current cell targets it. */
import { SLOW_SECONDS } from "../matrix.ts";
import type { Fault, Part, Place, Target } from "../matrix.ts";
import type { PassingTime } from "./time.ts";

const MINUTE_MS = 60_000;

/** How a part fails, with the errors of its platform. */
export interface Failures {
  readonly failure: () => Error;
  /** The part is overloaded. Parts that are called over HTTP answer with `refused` instead. */
  readonly overloaded: () => Error;
  /** The answer is lost because the part went down. */
  readonly lost: () => Error;
  /** Restarts the part. */
  readonly restart?: () => Promise<void>;
  /** Time after which the platform ends a call that hangs. Absent: the call hangs forever. */
  readonly platformLimitMs?: number;
}

/** One operation of a part. */
export interface Operation<Answer> {
  readonly part: Part;
  readonly name: string;
  readonly failures: Failures;
  readonly real: () => Promise<Answer>;
  readonly nonsense: (answer: Answer) => Answer | Promise<Answer>;
  /** For parts whose refusal or restart is an answer, not an exception. */
  readonly refused?: () => Promise<Answer>;
  readonly cutOff?: (answer: Answer) => Promise<Answer>;
}

/** Whether the operation of this name is the one of the place. */
export const isAt = ({ at }: Place, name: string): boolean => at.split("|").some((part) => name.includes(part));

/** The clock of jobs has no `end`: the matrix of jobs stops no request. */
type Clock = Pick<PassingTime, "during" | "sleep"> & Partial<Pick<PassingTime, "end">>;

interface ActiveFault {
  readonly target: Target;
  readonly fault: Fault;
  readonly until: number;
  /** Operations at the target so far, the skipped ones included. */
  operations: number;
}

export class FaultInjector {
  readonly #time: Clock;
  #active: ActiveFault | null = null;
  #disabled: Place | null = null;
  readonly #seen = new Set<string>();

  constructor(time: Clock) {
    this.#time = time;
  }

  /** Starts the fault. It lasts until `stop`, or for a minute if it is a fault of a minute. */
  start(target: Target, fault: Fault): void {
    this.#active = { target, fault, until: Date.now() + MINUTE_MS, operations: 0 };
  }

  stop(): void {
    this.#active = null;
  }

  /** Makes a place fail in addition to the fault. Null: none. */
  disable(place: Place | null): void {
    this.#disabled = place;
  }

  /** Attempts at the faulty operation since `start`. */
  get attempts(): number {
    const { operations = 0, target } = this.#active ?? {};
    return Math.max(0, operations - (target?.skips ?? 0));
  }

  /** Operations since the last call, as "part: name". */
  takeSeen(): string[] {
    const seen = [...this.#seen];
    this.#seen.clear();
    return seen;
  }

  async run<Answer>(operation: Operation<Answer>): Promise<Answer> {
    const { part, name, failures, nonsense } = operation;
    this.#seen.add(`${part}: ${name}`);
    const real = async (): Promise<Answer> => this.#time.during(operation.real);
    const isPlace = (place: Place | null): place is Place => place !== null && place.part === part && isAt(place, name);
    if (isPlace(this.#disabled)) throw failures.failure();
    const active = this.#active;
    if (active === null || !isPlace(active.target)) return real();
    active.operations += 1;
    if (active.operations <= (active.target.skips ?? 0)) return real();
    switch (active.fault) {
      case "before":
        throw failures.failure();
      case "after":
        await real();
        throw failures.failure();
      case "hangs":
        await real();
        await this.#hang(failures.platformLimitMs);
        throw failures.failure();
      case "slow":
        await this.#time.sleep(SLOW_SECONDS * 1_000);
        return real();
      case "nonsense":
        return nonsense(await real());
      case "minute":
        if (Date.now() >= active.until) return real();
        if (operation.refused) return this.#time.during(operation.refused);
        throw failures.overloaded();
      case "dies":
        await real();
        this.#time.end?.();
        return new Promise(() => undefined);
      case "restarts":
        if (this.attempts > 1) return real();
        return this.#restart(operation, await real());
    }
  }

  async #restart<Answer>({ failures, cutOff }: Operation<Answer>, answer: Answer): Promise<Answer> {
    if (failures.restart) await this.#time.during(failures.restart);
    if (cutOff) return cutOff(answer);
    throw failures.lost();
  }

  async #hang(limitMs: number | undefined): Promise<void> {
    if (limitMs === undefined) await new Promise(() => undefined);
    else await this.#time.sleep(limitMs);
  }
}
