/** Runs one random sequence on the real ledger and the reference model, and compares them after every step. */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { assert, vi } from "vitest";
import type { QuotaLedger } from "../../../worker/src/index.ts";
import type { QuotaStatus, Settlement } from "../../../worker/src/quota/types.ts";
import { AFTERNOON } from "../../support/worker.ts";
import type { Count, Operation, SendTime } from "./operations.ts";
import { PROVIDER_LIMIT, ReferenceLedger } from "./reference.ts";
import type { Counted, Limits, Outcome } from "./reference-types.ts";

const START = Date.parse(AFTERNOON);
const DAY = 86_400_000;
/** Settled reservations are kept for two days. A sequence is shorter, so no id is deleted in it. */
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

  /** Closes the ledger's files, because ten thousand ledgers would exceed the open files of the machine. */
  async end(): Promise<void> {
    await evictDurableObject(this.#ledger);
  }

  async step(operation: Operation): Promise<void> {
    this.#pass(operation);
    this.model.expire(this.#now);
    this.model.countUntracked(this.#now);
    const [actual, expected] = await this.#outcomes(operation);
    this.model.countUntracked(this.#now);
    assert.deepEqual(actual, expected);
    const status = await this.#ledger.status();
    if ("empty" in status) throw new Error("the ledger is empty");
    this.#compare(status);
    this.#checkLaws(status, operation, actual);
    this.#before = status;
  }

  #compare(status: QuotaStatus): void {
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

  /** Checks laws on the ledger's answers, independently of the model. */
  #checkLaws(status: QuotaStatus, { does }: Operation, outcome: Outcome): void {
    const callers = Object.values(byCaller(status));
    assert.equal(
      callers.reduce((sum, used) => sum + used, 0),
      status.used,
      "the sum of the callers equals the used calls",
    );
    if (does === "reserve" && outcome.result === "granted" && status.enforcement === "enforce" && this.#grew(status)) {
      assert.ok(status.used + status.reserved <= status.safety_limit, "nothing is granted beyond the limit");
    }
    if (this.#before?.date !== status.date) return;
    const before = this.#before.used + this.#before.reserved;
    const mayRefund = ["set usage", "reset", "observe", "commit"];
    if (!mayRefund.includes(does)) assert.ok(status.used >= this.#before.used, "used calls stay used, unless a count proves a refund");
    const mayReturn = ["release", "abandon", "commit", "set usage", "reset", "observe"].includes(does);
    if (!mayReturn) assert.ok(status.used + status.reserved >= before, "only a release, a commit or an operator returns calls");
  }

  /** Whether the request was new. A repeated one keeps its grant, even if the quota is exhausted now. */
  #grew(status: QuotaStatus): boolean {
    return this.#before === null || status.reserved > this.#before.reserved;
  }

  #pass(operation: Operation): void {
    if (operation.does === "pass") this.#now += operation.milliseconds;
    if (operation.does === "go to midnight") this.#now = (Math.floor(this.#now / DAY) + 1) * DAY + operation.offset;
    this.#now = Math.min(this.#now, LATEST);
    vi.setSystemTime(this.#now);
  }

  /** The ledger's answer and the model's outcome. */
  async #outcomes(operation: Operation): Promise<[Outcome, Outcome]> {
    const { model } = this;
    const now = this.#now;
    const done: Outcome = { result: "done" };
    switch (operation.does) {
      case "reserve": {
        const { calls, minCalls, ...spender } = operation.terms;
        const request = { id: operation.id, cost: { calls }, ...spender, ...(minCalls === null ? {} : { minCalls }) };
        return [outcomeOf(await this.#ledger.reserve(request, null)), model.reserve(operation.id, operation.terms, now)];
      }
      case "commit": {
        const { id, calls, counted } = operation;
        const sentAt = operation.sent === null ? null : sentAtOf(operation.sent, model.reservations.get(id)?.openedAt ?? now, now);
        const request = {
          id,
          ...(calls === null ? {} : { calls }),
          ...(sentAt === null ? {} : { sentAt }),
          ...(counted === null ? {} : { settlement: settlement(counted, now) }),
        };
        return [
          outcomeOf(await this.#ledger.commit(request)),
          model.commit(id, { calls, sentAt, counted: withRequestTime(counted, now) }, now),
        ];
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
        model.observe(withRequestTime(operation.counted, now), now);
        return [done, done];
      case "set usage":
        await this.#ledger.setUsage(operation.used, this.#operation(), operation.fresh && report(operation.fresh, now));
        model.setUsage(operation.used, withRequestTime(operation.fresh, now), now);
        return [done, done];
      case "reset":
        await this.#ledger.reset(this.#operation(), operation.fresh && report(operation.fresh, now));
        model.reset(withRequestTime(operation.fresh, now), now);
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
    for (const method of ["get", "put"] as const) vi.spyOn(env.QUOTA_KV, method).mockRejectedValue(new Error("KV is unavailable"));
  }

  #operation(): { id: string; actor: string } {
    this.#operations += 1;
    return { id: `${this.#name}-${this.#operations}`, actor: "model" };
  }
}

function sentAtOf(time: SendTime, opened: number, now: number): number {
  if ("fromMidnight" in time) return Math.round(now / DAY) * DAY + time.fromMidnight;
  const margin = 10_000;
  return Math.round(opened + time.fraction * (now - opened + margin));
}

type Report = NonNullable<Settlement["report"]>;

/** The count with the time of its request. */
function withRequestTime<Given extends Count | null>(count: Given, now: number): Given extends null ? null : Counted;
function withRequestTime(count: Count | null, now: number): Counted | null {
  return count && { spent: count.spent, requestedAt: now - count.age };
}

function report({ spent, age }: Count, now: number): Report {
  return { requestedAt: now - age, receivedAt: now, daily: { left: PROVIDER_LIMIT - spent, limit: PROVIDER_LIMIT }, rate: null };
}

function settlement(count: Count, now: number): Settlement {
  return { sent: "yes", underWay: null, delivered: true, report: report(count, now), signal: "none", retryAfterSeconds: null };
}

type Answer = Awaited<ReturnType<DurableObjectStub<QuotaLedger>["reserve" | "commit" | "release" | "add"]>>;

/** The part of an answer that the model predicts. */
function outcomeOf(answer: Answer): Outcome {
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
