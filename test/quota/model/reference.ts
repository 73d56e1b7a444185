/**
 * A simple reference model of the ledger: plain objects, no storage, no code shared with the product. The tests compare the real ledger's
 * answers with it after every operation. Times are epoch milliseconds, counts are calls.
 */
import type { Counted, Day, Limits, Outcome, ReservationState, Terms } from "./reference-types.ts";

const SECOND = 1_000;
const DAY = 86_400 * SECOND;
/** A request this close to midnight may belong to either day. */
const MARGIN = 5 * SECOND;
/** The provider's own reset may be this late. */
const PROVIDER_LAG = 120 * SECOND;
const MINUTE = 60 * SECOND;
/** A provider count contains all calls that were charged at least an hour before it. */
const PROOF_AFTER = 60 * MINUTE;
/** Length of a day's part. For each part, only the strongest proof is kept. */
const PART = 5 * MINUTE;

export const PROVIDER_LIMIT = 1_000;

const dateOf = (time: number): string => new Date(time).toISOString().slice(0, 10);
const datesOf = (...times: readonly number[]): string[] => [...new Set(times.map(dateOf))];
const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, each) => total + each, 0);

export class ReferenceLedger {
  readonly limits: Limits;
  readonly reservations = new Map<string, ReservationState>();
  readonly #days = new Map<string, Day>();
  #charges: { readonly at: number; readonly calls: number }[] = [];

  constructor(limits: Limits) {
    this.limits = limits;
  }

  /** Charges expired reservations, because they may have been sent. A reservation open at midnight is charged in both days. */
  expire(now: number): void {
    for (const reservation of this.reservations.values()) {
      if (reservation.state !== "held" || reservation.expiresAt > now) continue;
      this.#charge(reservation.caller, datesOf(reservation.openedAt, reservation.expiresAt), reservation.calls);
      this.#charges.push({ at: reservation.expiresAt, calls: reservation.calls });
      reservation.state = "expired";
      reservation.charged = reservation.calls;
    }
  }

  reserve(id: string, terms: Terms, now: number): Outcome {
    const { share: _, ...comparable } = terms;
    const known = this.reservations.get(id);
    if (known) {
      const again = known.state === "held" && known.terms === JSON.stringify(comparable);
      return again ? { result: "granted", calls: known.calls } : { result: "conflict" };
    }
    const least = terms.minCalls ?? terms.calls;
    const enforcing = this.limits.enforcement === "enforce";
    const isProject = terms.caller.startsWith("project:");
    if (enforcing) {
      const own = this.#share(terms);
      const mostEver = Math.min(
        isProject ? this.#tenth : Infinity,
        own === null || own === 0 ? Infinity : own,
        this.safetyLimit > 0 ? this.safetyLimit : Infinity,
      );
      if (least > mostEver) return { result: "impossible" };
    }
    const available = this.#available(terms, now);
    if (enforcing && available < least) return { result: "refused", available };
    const calls = available >= least ? Math.min(terms.calls, available) : terms.calls;
    const longest = isProject ? 120 : 3_600;
    this.reservations.set(id, {
      terms: JSON.stringify(comparable),
      caller: terms.caller,
      calls,
      openedAt: now,
      expiresAt: now + Math.min(terms.ttlSeconds, longest) * SECOND,
      state: "held",
      charged: 0,
    });
    return { result: "granted", calls };
  }

  /** `counted`: the count in the provider's answer, if it has one. */
  commit(id: string, request: { calls: number | null; sentAt: number | null; counted: Counted | null }, now: number): Outcome {
    const reservation = this.reservations.get(id);
    if (!reservation) return { result: "unknown" };
    const late = reservation.state === "expired" || reservation.state === "late";
    if (reservation.state === "committed" || reservation.state === "late")
      return { result: "committed", charged: reservation.charged, late };

    const { sentAt } = request;
    if (sentAt !== null && (sentAt < reservation.openedAt - MARGIN || sentAt > now + MARGIN)) return { result: "impossible" };
    const sides = sentAt === null ? null : datesOf(sentAt - MARGIN, sentAt + MARGIN);
    const cost = request.calls ?? reservation.calls;
    if (request.counted !== null) this.observe(request.counted, now);
    const unreserved = Math.max(
      0,
      cost - (reservation.state === "held" && reservation.expiresAt > reservation.openedAt ? reservation.calls : reservation.charged),
    );
    for (const date of datesOf(reservation.openedAt - MARGIN, now + MARGIN)) {
      for (const proof of this.#day(Date.parse(date)).proofs) proof.taken += unreserved;
    }
    if (late) {
      const already = datesOf(reservation.openedAt, reservation.expiresAt);
      const missed = (sides ?? []).filter((date) => !already.includes(date));
      this.#charge(reservation.caller, already, Math.max(0, cost - reservation.charged));
      this.#charge(reservation.caller, missed, cost);
      this.#charges.push({ at: now, calls: Math.max(0, cost - reservation.charged) + (missed.length > 0 ? cost : 0) });
      reservation.state = "late";
      reservation.charged = Math.max(cost, reservation.charged);
    } else {
      const openIn = datesOf(reservation.openedAt, now);
      this.#charge(reservation.caller, openIn.length === 1 ? openIn : (sides ?? openIn), cost);
      this.#charges.push({ at: now, calls: cost });
      reservation.state = "committed";
      reservation.charged = cost;
    }
    return { result: "committed", charged: reservation.charged, late };
  }

  release(id: string): Outcome {
    const reservation = this.reservations.get(id);
    if (!reservation) return { result: "unknown" };
    if (reservation.state !== "held" && reservation.state !== "released") return { result: "conflict" };
    reservation.state = "released";
    return { result: "released", calls: reservation.calls };
  }

  abandon(id: string, now: number): void {
    if (this.reservations.has(id)) this.release(id);
    else this.#record(id, { terms: "abandoned", caller: "abandoned", calls: 0, state: "released" }, now);
  }

  add(id: string, caller: string, calls: number, now: number): Outcome {
    const terms = JSON.stringify(["added", calls, caller]);
    const known = this.reservations.get(id);
    if (known && known.terms !== terms) return { result: "impossible" };
    if (!known) this.#record(id, { terms, caller, calls, state: "held" }, now);
    return this.commit(id, { calls, sentAt: null, counted: null }, now);
  }

  /** The provider's own count. Counts arrive late and out of order, so the largest is the latest. */
  observe(counted: Counted, now: number): void {
    const day = this.#day(now);
    if (!this.#isTodays(counted, now) || counted.requestedAt < day.correctedAt) return;
    day.spent = Math.max(day.spent ?? 0, counted.spent);
    const partOf = (time: number): number => Math.floor(time / PART);
    const known = day.proofs.find(({ at }) => partOf(at) === partOf(now));
    if (!known) this.#refund(day, day.spent, counted.requestedAt, now);
    const proof = { at: now, spent: day.spent, taken: sum(day.by.values()) + this.reserved };
    if (!known) day.proofs.push(proof);
    else if (proof.spent - proof.taken > known.spent - known.taken) Object.assign(known, proof);
  }

  /** Refunds calls charged between an earlier count and an hour before this one, beyond the rise of the count. */
  #refund(day: Day, spent: number, requestedAt: number, now: number): void {
    const until = requestedAt - PROOF_AFTER;
    const charged = sum(day.by.values());
    const minuteOf = (time: number): number => Math.floor(time / MINUTE);
    const recent = sum(this.#charges.filter(({ at }) => minuteOf(at) >= minuteOf(until)).map(({ calls }) => calls));
    const proven = day.proofs.filter(({ at }) => at <= until).map((before) => charged - recent - before.taken - (spent - before.spent));
    const limit = charged + day.untracked - Math.max(0, spent - day.base);
    const calls = Math.min(Math.max(0, ...proven), limit);
    if (calls > 0) this.#charge("refunded", [dateOf(now)], -calls);
  }

  /** Runs after every step. Calls that the provider counted, and that are neither charged nor reserved, are untracked. */
  countUntracked(now: number): void {
    const day = this.#day(now);
    if (day.spent !== null) day.untracked = Math.max(day.untracked, day.spent - day.base - sum(day.by.values()) - this.reserved);
  }

  /** `fresh`: the provider's count, requested just before. It may be lower than an earlier count, as an operator may lower the count. */
  setUsage(used: number, fresh: Counted | null, now: number): void {
    const before = this.used(now);
    this.#correct(used, fresh, now);
    this.#charge("operator", [dateOf(now)], used - before);
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
    day.proofs = [];
    this.#charges = [];
  }

  /** Whether the count was requested today, and after the provider's reset lag. */
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

  /** A project's most reserved calls, and its default share: a tenth of the limit, but at least one call. */
  get #tenth(): number {
    return Math.max(1, Math.floor(this.safetyLimit / 10));
  }

  get reserved(): number {
    return sum(this.#open().map(({ calls }) => calls));
  }

  used(now: number): number {
    const { by, untracked } = this.#day(now);
    return sum(by.values()) + untracked;
  }

  /** Usage by caller, without zeros. */
  callers(now: number): Record<string, number> {
    const { by, untracked } = this.#day(now);
    return Object.fromEntries([...by, ["untracked", untracked] as const].filter(([, calls]) => calls !== 0));
  }

  /** The caller's own share. Without one, a project has the default share. */
  #share({ caller, share }: Pick<Terms, "caller" | "share">): number | null {
    return share ?? (caller.startsWith("project:") ? this.#tenth : null);
  }

  #available(terms: Terms, now: number): number {
    const { caller, priority } = terms;
    const share = this.#share(terms);
    const left = Math.max(0, this.safetyLimit - this.used(now) - this.reserved);
    const bounds = [left];
    const callsOf = (open: readonly ReservationState[]): number => sum(open.map(({ calls }) => calls));
    const own = this.#open().filter((reservation) => reservation.caller === caller);
    if (share !== null) bounds.push(share - (this.#day(now).by.get(caller) ?? 0) - callsOf(own));
    if (priority === "background") bounds.push(left - Math.ceil((this.limits.backgroundFloor * (DAY - (now % DAY))) / DAY));
    if (caller.startsWith("project:")) {
      bounds.push(this.#tenth - callsOf(own));
      const others = callsOf(
        this.#open().filter((reservation) => reservation.caller.startsWith("project:") && reservation.caller !== caller),
      );
      // All projects share half of the limit. One project gets at most half of its free part.
      bounds.push(Math.ceil(Math.max(0, Math.max(1, Math.floor(this.safetyLimit / 2)) - others) / 2) - callsOf(own));
    }
    return Math.max(0, Math.min(...bounds));
  }

  #open(): ReservationState[] {
    return [...this.reservations.values()].filter(({ state }) => state === "held");
  }

  #record(id: string, reservation: Pick<ReservationState, "terms" | "caller" | "calls" | "state">, now: number): void {
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
    const day = this.#days.get(date) ?? { by: new Map<string, number>(), untracked: 0, base: 0, spent: null, correctedAt: 0, proofs: [] };
    this.#days.set(date, day);
    return day;
  }
}
