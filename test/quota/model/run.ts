/** One random sequence: the real ledger and the reference model side by side, compared after every step. */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { assert, vi } from "vitest";
import type { QuotaLedger } from "../../../worker/src/index.ts";
import type { QuotaStatus, Settlement } from "../../../worker/src/quota/types.ts";
import { AFTERNOON } from "../../support/worker.ts";
import type { Count, Moment, Operation } from "./operations.ts";
import { PROVIDER_LIMIT, ReferenceLedger } from "./reference.ts";
import type { Counted, Limits, Outcome } from "./reference-types.ts";

const START = Date.parse(AFTERNOON);
const DAY = 86_400_000;
/** What is settled is remembered for two days: within a sequence no id is forgotten. */
const LATEST = START + 1.8 * DAY;
const LIMITS: Limits = { dailyLimit: 150, safetyBuffer: 30, backgroundFloor: 20, enforcement: "enforce" };

let ledgers = 0;

export class Run {
  readonly model = new ReferenceLedger({ ...LIMITS });
  readonly #name = `model-${(ledgers += 1)}`;
  #now = START;
  #operations = 0;
  #before: QuotaStatus | null = null;

  get #ledger(): DurableObjectStub<QuotaLedger> {
    return env.QUOTA_LEDGER.getByName(this.#name);
  }

  async begin(): Promise<void> {
    vi.setSystemTime(START);
    this.#fail(false);
    await this.#ledger.initialise({ snapshot: null, mirror: null, report: null });
    await this.#ledger.changeSettings({ ...LIMITS, ratePerSecond: 0 }, this.#operation(), null);
  }

  /** Lets go of its files: ten thousand ledgers at once would be more than the machine opens. */
  async end(): Promise<void> {
    await evictDurableObject(this.#ledger);
  }

  async step(operation: Operation): Promise<void> {
    this.#pass(operation);
    this.model.expire(this.#now);
    this.model.findOthers(this.#now);
    const [actual, expected] = await this.#both(operation);
    this.model.findOthers(this.#now);
    assert.deepEqual(actual, expected);
    const status = await this.#ledger.status();
    if ("empty" in status) throw new Error("the ledger is empty");
    this.#agree(status);
    this.#lawful(status, operation, actual);
    this.#before = status;
  }

  #agree(status: QuotaStatus): void {
    const { model } = this;
    const now = this.#now;
    const { used, reserved, remaining, date, safety_limit } = status;
    const expected = {
      date: new Date(now).toISOString().slice(0, 10),
      used: model.used(now),
      reserved: model.reserved,
      remaining: Math.max(0, model.safetyLimit - model.used(now) - model.reserved),
      safety_limit: model.safetyLimit,
      callers: model.callers(now),
    };
    assert.deepEqual({ date, used, reserved, remaining, safety_limit, callers: byCaller(status) }, expected);
  }

  /** What must hold of the ledger's own words, whatever the model thinks. */
  #lawful(status: QuotaStatus, { does }: Operation, outcome: Outcome): void {
    const callers = Object.values(byCaller(status));
    assert.equal(
      callers.reduce((sum, used) => sum + used, 0),
      status.used,
      "the sum of the callers is what was used",
    );
    if (does === "reserve" && outcome.result === "granted" && status.enforcement === "enforce" && this.#grew(status)) {
      assert.ok(status.used + status.reserved <= status.safety_limit, "nothing is granted beyond the safety limit");
    }
    if (this.#before?.date !== status.date) return;
    const taken = this.#before.used + this.#before.reserved;
    const mayRefund = ["set usage", "reset", "observe", "commit"];
    if (!mayRefund.includes(does)) assert.ok(status.used >= this.#before.used, "what was used stays used, unless a count proves a refund");
    const givesBack = ["release", "abandon", "commit", "set usage", "reset", "observe"].includes(does);
    if (!givesBack) assert.ok(status.used + status.reserved >= taken, "only a release, a commit or an operator gives back");
  }

  /** A repeated request is granted what it has already, also where the day is over since. */
  #grew(status: QuotaStatus): boolean {
    return this.#before === null || status.reserved > this.#before.reserved;
  }

  #pass(operation: Operation): void {
    if (operation.does === "pass") this.#now += operation.milliseconds;
    if (operation.does === "go to midnight") this.#now = (Math.floor(this.#now / DAY) + 1) * DAY + operation.offset;
    this.#now = Math.min(this.#now, LATEST);
    vi.setSystemTime(this.#now);
  }

  /** What the ledger answers, and what the model does. */
  async #both(operation: Operation): Promise<[Outcome, Outcome]> {
    const { model } = this;
    const now = this.#now;
    const done: Outcome = { result: "done" };
    switch (operation.does) {
      case "reserve": {
        const { calls, minCalls, ...who } = operation.asked;
        const request = { id: operation.id, cost: { calls }, ...who, ...(minCalls === null ? {} : { minCalls }) };
        return [outcomeOf(await this.#ledger.reserve(request, null)), model.reserve(operation.id, operation.asked, now)];
      }
      case "commit": {
        const { id, calls, counted } = operation;
        const sentAt = operation.sent === null ? null : sentWhen(operation.sent, model.holds.get(id)?.openedAt ?? now, now);
        const request = {
          id,
          ...(calls === null ? {} : { calls }),
          ...(sentAt === null ? {} : { sentAt }),
          ...(counted === null ? {} : { settlement: settlement(counted, now) }),
        };
        return [outcomeOf(await this.#ledger.commit(request)), model.commit(id, { calls, sentAt, counted: asked(counted, now) }, now)];
      }
      case "release":
        return [outcomeOf(await this.#ledger.release(operation.id)), model.release(operation.id)];
      case "abandon":
        await this.#ledger.abandon(operation.id);
        model.abandon(operation.id, now);
        return [done, done];
      case "add": {
        const { id, caller, calls } = operation;
        return [outcomeOf(await this.#ledger.add(id, caller, calls)), model.add(id, caller, calls, now)];
      }
      case "change": {
        const answer = await this.#ledger.changeSettings(operation.limits, this.#operation(), null);
        const result = "result" in answer && answer.result === "changed" ? "done" : "impossible";
        return [{ result }, model.change(operation.limits)];
      }
      case "observe":
        await this.#ledger.observe(report(operation.counted, now));
        model.observe(asked(operation.counted, now), now);
        return [done, done];
      case "set usage":
        await this.#ledger.setUsage(operation.used, this.#operation(), operation.fresh && report(operation.fresh, now));
        model.setUsage(operation.used, asked(operation.fresh, now), now);
        return [done, done];
      case "reset":
        await this.#ledger.reset(this.#operation(), operation.fresh && report(operation.fresh, now));
        model.reset(asked(operation.fresh, now), now);
        return [done, done];
      case "evict":
        await evictDurableObject(this.#ledger);
        return [done, done];
      case "alarm":
        await runDurableObjectAlarm(this.#ledger);
        return [done, done];
      case "KV":
        this.#fail(operation.fails);
        return [done, done];
      case "pass":
      case "go to midnight":
        return [done, done];
    }
  }

  #fail(fails: boolean): void {
    vi.restoreAllMocks();
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    if (!fails) return;
    for (const method of ["get", "put"] as const) vi.spyOn(env.QUOTA_KV, method).mockRejectedValue(new Error("KV is away"));
  }

  #operation(): { id: string; actor: string } {
    this.#operations += 1;
    return { id: `${this.#name}-${this.#operations}`, actor: "model" };
  }
}

function sentWhen(moment: Moment, opened: number, now: number): number {
  if ("fromMidnight" in moment) return Math.round(now / DAY) * DAY + moment.fromMidnight;
  const margin = 10_000;
  return Math.round(opened + moment.life * (now - opened + margin));
}

type Report = NonNullable<Settlement["report"]>;

/** When it was asked for. */
function asked<Given extends Count | null>(count: Given, now: number): Given extends null ? null : Counted;
function asked(count: Count | null, now: number): Counted | null {
  return count && { spent: count.spent, askedAt: now - count.age };
}

function report({ spent, age }: Count, now: number): Report {
  return { requestedAt: now - age, receivedAt: now, daily: { left: PROVIDER_LIMIT - spent, limit: PROVIDER_LIMIT }, rate: null };
}

function settlement(count: Count, now: number): Settlement {
  return { sent: "yes", underWay: null, delivered: true, report: report(count, now), signal: "none", retryAfterSeconds: null };
}

type Answered = Awaited<ReturnType<DurableObjectStub<QuotaLedger>["reserve" | "commit" | "release" | "add"]>>;

/** The part of an answer that the model foretells. */
function outcomeOf(answer: Answered): Outcome {
  if ("empty" in answer) throw new Error("the ledger is empty");
  switch (answer.result) {
    case "granted":
      return { result: "granted", calls: answer.reservation.calls };
    case "refused":
      return { result: "refused", available: answer.refusal.available };
    case "committed":
      return { result: "committed", charged: answer.charged, late: answer.late };
    case "released":
      return { result: "released", calls: answer.calls };
    case "conflict":
    case "impossible":
    case "unknown":
      return { result: answer.result };
  }
}

function byCaller({ callers }: QuotaStatus): Record<string, number> {
  return Object.fromEntries(callers.filter(({ used }) => used !== 0).map(({ caller, used }) => [caller, used]));
}
