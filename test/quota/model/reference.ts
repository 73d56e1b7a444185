/**
 * Reference model of the ledger: plain objects without storage or concurrency. It shares no code with the product. The test compares the real
 * ledger with it after every operation. Times are in epoch milliseconds, counts in calls.
 */
const SECOND = 1_000;
const DAY = 86_400 * SECOND;
/** Near midnight, the day on which a request was sent is uncertain. */
const MARGIN = 5 * SECOND;
/** The provider's own day may start late. */
const PROVIDER_LAG = 120 * SECOND;

export const PROVIDER_LIMIT = 1_000;

export interface Demand {
  readonly calls: number;
  readonly minCalls: number | null;
  readonly caller: string;
  readonly priority: "interactive" | "background";
  readonly ttlSeconds: number;
  readonly share: number | null;
}

interface Reservation {
  readonly terms: string;
  readonly caller: string;
  readonly calls: number;
  readonly openedAt: number;
  readonly expiresAt: number;
  state: "open" | "committed" | "released" | "expired" | "late";
  charged: number;
}

interface Day {
  readonly by: Map<string, number>;
  untracked: number;
  /** The provider's count minus ours, when an operator last set ours. Later counts are compared with it. */
  base: number;
  /** The provider's largest count since then. */
  spent: number | null;
  /** Time of the operator's last correction. Counts requested before it are ignored. */
  correctedAt: number;
}

/** A count by the provider, and the time of its request. */
export interface Counted {
  readonly spent: number;
  readonly requestedAt: number;
}

export interface Limits {
  dailyLimit: number;
  safetyBuffer: number;
  backgroundFloor: number;
  enforcement: "enforce" | "observe" | "off";
}

export type Outcome =
  | { readonly result: "granted" | "released"; readonly calls: number }
  | { readonly result: "refused"; readonly available: number }
  | { readonly result: "committed"; readonly charged: number; readonly late: boolean }
  | { readonly result: "conflict" | "impossible" | "unknown" | "done" };

const dateOf = (time: number): string => new Date(time).toISOString().slice(0, 10);
const datesOf = (...times: readonly number[]): string[] => [...new Set(times.map(dateOf))];
const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, each) => total + each, 0);

export class ReferenceLedger {
  readonly limits: Limits;
  readonly reservations = new Map<string, Reservation>();
  readonly #days = new Map<string, Day>();

  constructor(limits: Limits) {
    this.limits = limits;
  }

  /** Charges expired reservations, because their calls may have been sent. One that spans midnight is charged to both days. */
  expire(now: number): void {
    for (const reservation of this.reservations.values()) {
      if (reservation.state !== "open" || reservation.expiresAt > now) continue;
      this.#charge(reservation.caller, datesOf(reservation.openedAt, reservation.expiresAt), reservation.calls);
      reservation.state = "expired";
      reservation.charged = reservation.calls;
    }
  }

  reserve(id: string, demand: Demand, now: number): Outcome {
    const { share, ...terms } = demand;
    const known = this.reservations.get(id);
    if (known) {
      const again = known.state === "open" && known.terms === JSON.stringify(terms);
      return again ? { result: "granted", calls: known.calls } : { result: "conflict" };
    }
    const least = demand.minCalls ?? demand.calls;
    const enforcing = this.limits.enforcement === "enforce";
    const isProject = demand.caller.startsWith("project:");
    if (enforcing) {
      const mostEver = Math.min(isProject ? Math.floor(this.safetyLimit / 10) : Infinity, share === null || share === 0 ? Infinity : share);
      if (least > mostEver) return { result: "impossible" };
    }
    const available = this.#available(demand, now);
    if (enforcing && available < least) return { result: "refused", available };
    const calls = available >= least ? Math.min(demand.calls, available) : demand.calls;
    const longest = isProject ? 120 : 3_600;
    this.reservations.set(id, {
      terms: JSON.stringify(terms),
      caller: demand.caller,
      calls,
      openedAt: now,
      expiresAt: now + Math.min(demand.ttlSeconds, longest) * SECOND,
      state: "open",
      charged: 0,
    });
    return { result: "granted", calls };
  }

  /** `counted`: the provider's count from its answer, if any. */
  commit(id: string, given: { calls: number | null; sentAt: number | null; counted: Counted | null }, now: number): Outcome {
    const reservation = this.reservations.get(id);
    if (!reservation) return { result: "unknown" };
    const late = reservation.state === "expired" || reservation.state === "late";
    if (reservation.state === "committed" || reservation.state === "late")
      return { result: "committed", charged: reservation.charged, late };

    const { sentAt } = given;
    if (sentAt !== null && (sentAt < reservation.openedAt - MARGIN || sentAt > now + MARGIN)) return { result: "impossible" };
    const sides = sentAt === null ? null : datesOf(sentAt - MARGIN, sentAt + MARGIN);
    const cost = given.calls ?? reservation.calls;
    if (given.counted !== null) this.observe(given.counted, now);
    if (late) {
      const already = datesOf(reservation.openedAt, reservation.expiresAt);
      this.#charge(reservation.caller, already, Math.max(0, cost - reservation.charged));
      this.#charge(
        reservation.caller,
        (sides ?? []).filter((date) => !already.includes(date)),
        cost,
      );
      reservation.state = "late";
      reservation.charged = Math.max(cost, reservation.charged);
    } else {
      const saw = datesOf(reservation.openedAt, now);
      this.#charge(reservation.caller, saw.length === 1 ? saw : (sides ?? saw), cost);
      reservation.state = "committed";
      reservation.charged = cost;
    }
    return { result: "committed", charged: reservation.charged, late };
  }

  release(id: string): Outcome {
    const reservation = this.reservations.get(id);
    if (!reservation) return { result: "unknown" };
    if (reservation.state !== "open" && reservation.state !== "released") return { result: "conflict" };
    reservation.state = "released";
    return { result: "released", calls: reservation.calls };
  }

  abandon(id: string, now: number): void {
    if (this.reservations.has(id)) this.release(id);
    else this.#add(id, { terms: "abandoned", caller: "abandoned", calls: 0, state: "released" }, now);
  }

  add(id: string, caller: string, calls: number, now: number): Outcome {
    const terms = JSON.stringify(["added", calls, caller]);
    const known = this.reservations.get(id);
    if (known && known.terms !== terms) return { result: "impossible" };
    if (!known) this.#add(id, { terms, caller, calls, state: "open" }, now);
    return this.commit(id, { calls, sentAt: null, counted: null }, now);
  }

  /** The provider's own count. Counts arrive late and out of order, so the largest is the latest. */
  observe(counted: Counted, now: number): void {
    const day = this.#day(now);
    if (!this.#isTodays(counted, now) || counted.requestedAt < day.correctedAt) return;
    day.spent = Math.max(day.spent ?? 0, counted.spent);
  }

  /** Finds untracked calls: those that the provider counted and we neither spent nor reserved. Call it at the end of a step. */
  findOthers(now: number): void {
    const day = this.#day(now);
    if (day.spent !== null) day.untracked = Math.max(day.untracked, day.spent - day.base - sum(day.by.values()) - this.reserved);
  }

  /** `fresh`: the provider's count, requested just before. It may be lower than an earlier one, because an operator may correct it downward. */
  setUsage(used: number, fresh: Counted | null, now: number): void {
    const was = this.used(now);
    this.#correct(used, fresh, now);
    this.#charge("operator", [dateOf(now)], used - was);
  }

  reset(fresh: Counted | null, now: number): void {
    const day = this.#day(now);
    this.#correct(0, fresh, now);
    day.by.clear();
    day.untracked = 0;
  }

  #correct(used: number, fresh: Counted | null, now: number): void {
    const day = this.#day(now);
    const known = fresh !== null && this.#isTodays(fresh, now) ? fresh : null;
    day.base = (known?.spent ?? this.#counted(day)) - used;
    day.spent = known?.spent ?? day.spent;
    day.correctedAt = known?.requestedAt ?? now;
  }

  /** True if the count was requested today, after the provider's own day has surely started. */
  #isTodays({ requestedAt }: Counted, now: number): boolean {
    return dateOf(requestedAt) === dateOf(now) && requestedAt % DAY >= PROVIDER_LAG;
  }

  change(limits: Partial<Limits>): Outcome {
    const wanted = { ...this.limits, ...limits };
    if (wanted.dailyLimit < wanted.safetyBuffer) return { result: "impossible" };
    Object.assign(this.limits, limits);
    return { result: "done" };
  }

  get safetyLimit(): number {
    return this.limits.dailyLimit - this.limits.safetyBuffer;
  }

  get reserved(): number {
    return sum(this.#open().map(({ calls }) => calls));
  }

  used(now: number): number {
    const { by, untracked } = this.#day(now);
    return sum(by.values()) + untracked;
  }

  /** Usage by caller, without callers that spent nothing. */
  callers(now: number): Record<string, number> {
    const { by, untracked } = this.#day(now);
    return Object.fromEntries([...by, ["untracked", untracked] as const].filter(([, calls]) => calls !== 0));
  }

  #available({ caller, priority, share }: Demand, now: number): number {
    const left = Math.max(0, this.safetyLimit - this.used(now) - this.reserved);
    const bounds = [left];
    const reservedBy = (reservations: readonly Reservation[]): number => sum(reservations.map(({ calls }) => calls));
    const own = this.#open().filter((reservation) => reservation.caller === caller);
    if (share !== null) bounds.push(share - (this.#day(now).by.get(caller) ?? 0) - reservedBy(own));
    if (priority === "background") bounds.push(left - Math.ceil((this.limits.backgroundFloor * (DAY - (now % DAY))) / DAY));
    if (caller.startsWith("project:")) {
      bounds.push(Math.floor(this.safetyLimit / 10) - reservedBy(own));
      bounds.push(
        Math.floor(this.safetyLimit / 2) - reservedBy(this.#open().filter((reservation) => reservation.caller.startsWith("project:"))),
      );
    }
    return Math.max(0, Math.min(...bounds));
  }

  #open(): Reservation[] {
    return [...this.reservations.values()].filter(({ state }) => state === "open");
  }

  #add(id: string, reservation: Pick<Reservation, "terms" | "caller" | "calls" | "state">, now: number): void {
    this.reservations.set(id, { ...reservation, openedAt: now, expiresAt: now, charged: 0 });
  }

  #counted({ by, untracked, base, spent }: Day): number {
    return spent ?? base + sum(by.values()) + untracked;
  }

  #charge(caller: string, dates: readonly string[], calls: number): void {
    for (const date of dates) {
      const { by } = this.#day(Date.parse(date));
      by.set(caller, (by.get(caller) ?? 0) + calls);
    }
  }

  #day(time: number): Day {
    const date = dateOf(time);
    const day = this.#days.get(date) ?? { by: new Map<string, number>(), untracked: 0, base: 0, spent: null, correctedAt: 0 };
    this.#days.set(date, day);
    return day;
  }
}
