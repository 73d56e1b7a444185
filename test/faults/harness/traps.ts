/** Where a fault strikes: every operation of every part goes through here, and is spoiled where the cell says so. */
import { SLOW_SECONDS } from "../matrix.ts";
import type { Fault, Part, Place, Target } from "../matrix.ts";
import type { PassingTime } from "./time.ts";

const MINUTE_MS = 60_000;

/** How a part fails where nothing else is said, in the words of its platform. */
export interface Manner {
  readonly failure: () => Error;
  /** Too much to do; others would answer an HTTP status instead. */
  readonly overloaded: () => Error;
  /** A call whose answer is lost because the part went down. */
  readonly lost: () => Error;
  /** Brings the part down and up again. */
  readonly restart?: () => Promise<void>;
  /** The platform's own limit, after which a call that hangs fails; none: it would hang for ever. */
  readonly platformLimitMs?: number;
}

/** One operation on its way to its part. */
export interface Operation<Answer> {
  readonly part: Part;
  readonly name: string;
  readonly manner: Manner;
  readonly real: () => Promise<Answer>;
  readonly nonsense: (answer: Answer) => Answer | Promise<Answer>;
  /** Where a refusal or a restart is an answer of another kind, and no exception. */
  readonly refused?: () => Promise<Answer>;
  readonly cutOff?: (answer: Answer) => Promise<Answer>;
}

/** Whether an operation of this name is one of the place. */
export const isAt = ({ at }: Place, name: string): boolean => at.split("|").some((part) => name.includes(part));

/** Of jobs no time is over when somebody dies. */
type Clock = Pick<PassingTime, "during" | "sleep"> & Partial<Pick<PassingTime, "end">>;

interface Strike {
  readonly target: Target;
  readonly fault: Fault;
  readonly until: number;
  /** How often the operation was asked, the spared ones included. */
  asked: number;
}

export class Traps {
  readonly #time: Clock;
  #strike: Strike | null = null;
  #away: Place | null = null;
  readonly #met = new Set<string>();

  constructor(time: Clock) {
    this.#time = time;
  }

  /** Begins to strike; ends with `heal`, or after a minute where the fault is one of a minute. */
  arm(target: Target, fault: Fault): void {
    this.#strike = { target, fault, until: Date.now() + MINUTE_MS, asked: 0 };
  }

  heal(): void {
    this.#strike = null;
  }

  /** Something that is away besides, whatever strikes; null: nothing. */
  without(place: Place | null): void {
    this.#away = place;
  }

  /** How often the faulty operation was asked since `arm`. */
  get tries(): number {
    const { asked = 0, target } = this.#strike ?? {};
    return Math.max(0, asked - (target?.spares ?? 0));
  }

  /** Operations since the last look, as "part: name". */
  takeMet(): string[] {
    const met = [...this.#met];
    this.#met.clear();
    return met;
  }

  async through<Answer>(operation: Operation<Answer>): Promise<Answer> {
    const { part, name, manner, nonsense } = operation;
    this.#met.add(`${part}: ${name}`);
    const real = async (): Promise<Answer> => this.#time.during(operation.real);
    const meets = (place: Place | null): place is Place => place !== null && place.part === part && isAt(place, name);
    if (meets(this.#away)) throw manner.failure();
    const strike = this.#strike;
    if (strike === null || !meets(strike.target)) return real();
    strike.asked += 1;
    if (strike.asked <= (strike.target.spares ?? 0)) return real();
    switch (strike.fault) {
      case "before":
        throw manner.failure();
      case "after":
        await real();
        throw manner.failure();
      case "hangs":
        await real();
        await this.#silence(manner.platformLimitMs);
        throw manner.failure();
      case "slow":
        await this.#time.sleep(SLOW_SECONDS * 1_000);
        return real();
      case "nonsense":
        return nonsense(await real());
      case "minute":
        if (Date.now() >= strike.until) return real();
        if (operation.refused) return this.#time.during(operation.refused);
        throw manner.overloaded();
      case "dies":
        await real();
        this.#time.end?.();
        return new Promise(() => undefined);
      case "restarts":
        if (this.tries > 1) return real();
        return this.#restart(operation, await real());
    }
  }

  async #restart<Answer>({ manner, cutOff }: Operation<Answer>, answer: Answer): Promise<Answer> {
    if (manner.restart) await this.#time.during(manner.restart);
    if (cutOff) return cutOff(answer);
    throw manner.lost();
  }

  async #silence(limitMs: number | undefined): Promise<void> {
    if (limitMs === undefined) await new Promise(() => undefined);
    else await this.#time.sleep(limitMs);
  }
}
