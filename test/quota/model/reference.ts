/**
 * The ledger as one would explain it to a colleague: plain objects, no storage, nothing shared with the product's code. What the real
 * ledger answers is compared with this after every operation. Times are epoch milliseconds, counts are calls.
 */
import type { Asked, Counted, Day, Hold, Limits, Outcome } from "./reference-types.ts";

const SECOND = 1_000;
const DAY = 86_400 * SECOND;
/** Near midnight nobody knows on which side of it a request was sent. */
const MARGIN = 5 * SECOND;
/** The provider's own day may begin late. */
const PROVIDER_LAG = 120 * SECOND;
const MINUTE = 60 * SECOND;
/** After an hour, the provider's count contains what was charged before it. */
const PROOF_AFTER = 60 * MINUTE;
/** Of the counts in each part of a day, the one that proves the most is kept. */
const PART = 5 * MINUTE;

export const PROVIDER_LIMIT = 1_000;

const dateOf = (time: number): string => new Date(time).toISOString().slice(0, 10);
const datesOf = (...times: readonly number[]): string[] => [...new Set(times.map(dateOf))];
const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, each) => total + each, 0);

export class ReferenceLedger {
  readonly limits: Limits;
  readonly holds = new Map<string, Hold>();
  readonly #days = new Map<string, Day>();
  #charges: { readonly at: number; readonly calls: number }[] = [];

  constructor(limits: Limits) {
    this.limits = limits;
  }

  /** What is held for longer than its life was perhaps sent: it is spent, on each side of a midnight that it saw. */
  expire(now: number): void {
    for (const hold of this.holds.values()) {
      if (hold.state !== "held" || hold.expiresAt > now) continue;
      this.#charge(hold.caller, datesOf(hold.openedAt, hold.expiresAt), hold.calls);
      this.#charges.push({ at: hold.expiresAt, calls: hold.calls });
      hold.state = "expired";
      hold.charged = hold.calls;
    }
  }

  reserve(id: string, asked: Asked, now: number): Outcome {
    const { share: _, ...terms } = asked;
    const known = this.holds.get(id);
    if (known) {
      const again = known.state === "held" && known.asked === JSON.stringify(terms);
      return again ? { result: "granted", calls: known.calls } : { result: "conflict" };
    }
    const least = asked.minCalls ?? asked.calls;
    const enforcing = this.limits.enforcement === "enforce";
    const isProject = asked.caller.startsWith("project:");
    if (enforcing) {
      const own = this.#share(asked);
      const mostEver = Math.min(
        isProject ? this.#tenth : Infinity,
        own === null || own === 0 ? Infinity : own,
        this.safetyLimit > 0 ? this.safetyLimit : Infinity,
      );
      if (least > mostEver) return { result: "impossible" };
    }
    const available = this.#available(asked, now);
    if (enforcing && available < least) return { result: "refused", available };
    const calls = available >= least ? Math.min(asked.calls, available) : asked.calls;
    const longest = isProject ? 120 : 3_600;
    this.holds.set(id, {
      asked: JSON.stringify(terms),
      caller: asked.caller,
      calls,
      openedAt: now,
      expiresAt: now + Math.min(asked.ttlSeconds, longest) * SECOND,
      state: "held",
      charged: 0,
    });
    return { result: "granted", calls };
  }

  /** `counted`: what the provider's answer said it has counted, if it said so. */
  commit(id: string, given: { calls: number | null; sentAt: number | null; counted: Counted | null }, now: number): Outcome {
    const hold = this.holds.get(id);
    if (!hold) return { result: "unknown" };
    const late = hold.state === "expired" || hold.state === "late";
    if (hold.state === "committed" || hold.state === "late") return { result: "committed", charged: hold.charged, late };

    const { sentAt } = given;
    if (sentAt !== null && (sentAt < hold.openedAt - MARGIN || sentAt > now + MARGIN)) return { result: "impossible" };
    const sides = sentAt === null ? null : datesOf(sentAt - MARGIN, sentAt + MARGIN);
    const cost = given.calls ?? hold.calls;
    if (given.counted !== null) this.observe(given.counted, now);
    const unheld = Math.max(0, cost - (hold.state === "held" && hold.expiresAt > hold.openedAt ? hold.calls : hold.charged));
    for (const date of datesOf(hold.openedAt - MARGIN, now + MARGIN)) {
      for (const proof of this.#day(Date.parse(date)).proofs) proof.taken += unheld;
    }
    if (late) {
      const already = datesOf(hold.openedAt, hold.expiresAt);
      const missed = (sides ?? []).filter((date) => !already.includes(date));
      this.#charge(hold.caller, already, Math.max(0, cost - hold.charged));
      this.#charge(hold.caller, missed, cost);
      this.#charges.push({ at: now, calls: Math.max(0, cost - hold.charged) + (missed.length > 0 ? cost : 0) });
      hold.state = "late";
      hold.charged = Math.max(cost, hold.charged);
    } else {
      const saw = datesOf(hold.openedAt, now);
      this.#charge(hold.caller, saw.length === 1 ? saw : (sides ?? saw), cost);
      this.#charges.push({ at: now, calls: cost });
      hold.state = "committed";
      hold.charged = cost;
    }
    return { result: "committed", charged: hold.charged, late };
  }

  release(id: string): Outcome {
    const hold = this.holds.get(id);
    if (!hold) return { result: "unknown" };
    if (hold.state !== "held" && hold.state !== "released") return { result: "conflict" };
    hold.state = "released";
    return { result: "released", calls: hold.calls };
  }

  abandon(id: string, now: number): void {
    if (this.holds.has(id)) this.release(id);
    else this.#note(id, { asked: "abandoned", caller: "abandoned", calls: 0, state: "released" }, now);
  }

  add(id: string, caller: string, calls: number, now: number): Outcome {
    const asked = JSON.stringify(["added", calls, caller]);
    const known = this.holds.get(id);
    if (known && known.asked !== asked) return { result: "impossible" };
    if (!known) this.#note(id, { asked, caller, calls, state: "held" }, now);
    return this.commit(id, { calls, sentAt: null, counted: null }, now);
  }

  /** The provider's own count. Counts arrive late and out of order, so the largest is the latest. */
  observe(counted: Counted, now: number): void {
    const day = this.#day(now);
    if (!this.#isTodays(counted, now) || counted.askedAt < day.correctedAt) return;
    day.spent = Math.max(day.spent ?? 0, counted.spent);
    const partOf = (time: number): number => Math.floor(time / PART);
    const known = day.proofs.find(({ at }) => partOf(at) === partOf(now));
    if (!known) this.#refund(day, day.spent, counted.askedAt, now);
    const proof = { at: now, spent: day.spent, taken: sum(day.by.values()) + this.reserved };
    if (!known) day.proofs.push(proof);
    else if (proof.spent - proof.taken > known.spent - known.taken) Object.assign(known, proof);
  }

  /** What was charged between an earlier count and an hour before this one, and cannot be part of what the count rose by. */
  #refund(day: Day, spent: number, askedAt: number, now: number): void {
    const until = askedAt - PROOF_AFTER;
    const charged = sum(day.by.values());
    const minuteOf = (time: number): number => Math.floor(time / MINUTE);
    const recent = sum(this.#charges.filter(({ at }) => minuteOf(at) >= minuteOf(until)).map(({ calls }) => calls));
    const proven = day.proofs.filter(({ at }) => at <= until).map((before) => charged - recent - before.taken - (spent - before.spent));
    const never = charged + day.untracked - Math.max(0, spent - day.base);
    const calls = Math.min(Math.max(0, ...proven), never);
    if (calls > 0) this.#charge("refunded", [dateOf(now)], -calls);
  }

  /** To be called when everything else of a step is done: what the provider counted, and we neither spent nor hold, others spent. */
  findOthers(now: number): void {
    const day = this.#day(now);
    if (day.spent !== null) day.untracked = Math.max(day.untracked, day.spent - day.base - sum(day.by.values()) - this.reserved);
  }

  /** `fresh`: the provider's count, asked for just before. It may be below an earlier one: the count that an operator corrects can fall. */
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
    day.correctedAt = known?.askedAt ?? now;
    day.proofs = [];
    this.#charges = [];
  }

  /** Asked for on this day, and not while the provider may still count the day before. */
  #isTodays({ askedAt }: Counted, now: number): boolean {
    return dateOf(askedAt) === dateOf(now) && askedAt % DAY >= PROVIDER_LAG;
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

  /** What a project may hold at a time, and spend in a day unless it has a number of its own: one call at least. */
  get #tenth(): number {
    return Math.max(1, Math.floor(this.safetyLimit / 10));
  }

  get reserved(): number {
    return sum(this.#held().map(({ calls }) => calls));
  }

  used(now: number): number {
    const { by, untracked } = this.#day(now);
    return sum(by.values()) + untracked;
  }

  /** Who spent how much, without those who spent nothing. */
  callers(now: number): Record<string, number> {
    const { by, untracked } = this.#day(now);
    return Object.fromEntries([...by, ["untracked", untracked] as const].filter(([, calls]) => calls !== 0));
  }

  /** A project has a share: its own number, or a tenth of the limit, but one call at least. */
  #share({ caller, share }: Pick<Asked, "caller" | "share">): number | null {
    return share ?? (caller.startsWith("project:") ? this.#tenth : null);
  }

  #available(asked: Asked, now: number): number {
    const { caller, priority } = asked;
    const share = this.#share(asked);
    const left = Math.max(0, this.safetyLimit - this.used(now) - this.reserved);
    const bounds = [left];
    const heldBy = (holds: readonly Hold[]): number => sum(holds.map(({ calls }) => calls));
    const own = this.#held().filter((hold) => hold.caller === caller);
    if (share !== null) bounds.push(share - (this.#day(now).by.get(caller) ?? 0) - heldBy(own));
    if (priority === "background") bounds.push(left - Math.ceil((this.limits.backgroundFloor * (DAY - (now % DAY))) / DAY));
    if (caller.startsWith("project:")) {
      bounds.push(this.#tenth - heldBy(own));
      const others = heldBy(this.#held().filter((hold) => hold.caller.startsWith("project:") && hold.caller !== caller));
      // Half of what the other projects leave of one half of the limit.
      bounds.push(Math.ceil(Math.max(0, Math.max(1, Math.floor(this.safetyLimit / 2)) - others) / 2) - heldBy(own));
    }
    return Math.max(0, Math.min(...bounds));
  }

  #held(): Hold[] {
    return [...this.holds.values()].filter(({ state }) => state === "held");
  }

  #note(id: string, hold: Pick<Hold, "asked" | "caller" | "calls" | "state">, now: number): void {
    this.holds.set(id, { ...hold, openedAt: now, expiresAt: now, charged: 0 });
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
