/**
 * The story of a scheduled harvest: due targets, the highest priority first, fetched as background work until nothing is due, the
 * budget ends or the time does. Each target is done once, whatever runs at the same time; each run is a row that says why it stopped.
 */
import { Problem } from "../errors.ts";
import type { Deps } from "../deps.ts";
import { errorFields, log } from "../lib/log.ts";
import type { QuotaStatus, Spender } from "../quota/index.ts";
import { findBibliography } from "../store/library/authors.ts";
import { beginRun, nextKind, saveRun, settleTargets, takeTargets } from "../store/library/harvest.ts";
import type { HarvestRun, Stop, TakenTarget, TargetKind, TargetResult } from "../store/library/harvest.ts";
import { enrichBatch, readIsbns } from "./batch.ts";
import { enrichBibliography } from "./bibliography.ts";
import { afterFailure, batchSize } from "./harvest-retry.ts";

/** Our own work has no share: what is left of the day, and the floor, are all that stop it. */
const SPENDER = { caller: "cron.harvest", priority: "background" } as const satisfies Spender;
/** Longer than any request may take; a crashed run's targets are free again after it. */
const TAKEN_MS = 15 * 60 * 1_000;
/** After so many failures in a row the provider is left alone: every one of them may have cost a call. */
const MAX_FAILURES_IN_A_ROW = 3;
/** D1 allows 1,000 queries an invocation, and an author takes up to 15: the rest is the next run's. */
const MAX_STEPS = 60;
/** A pause of the pace that is worth waiting for; a longer one ends the run. */
const MAX_PACE_WAIT_SECONDS = 15;

export interface HarvestRequest {
  /** The same id runs once. */
  readonly id: string;
  /** Epoch milliseconds; nothing new is begun after it. */
  readonly deadline: number;
}

/** What became of some targets, and what that cost. */
interface Step {
  readonly results: readonly TargetResult[];
  readonly calls: number;
  readonly found: number;
  /** Why the run ends after this step; null goes on. */
  readonly stop: { readonly reason: Stop; readonly detail: string } | null;
}

/** Runs a harvest; null where this id has run already. */
export async function runHarvest(deps: Deps, { id, deadline }: HarvestRequest): Promise<HarvestRun | null> {
  if (!Number.isFinite(deadline)) throw new RangeError(`A run needs a deadline; it is ${deadline}`);
  const startedAt = deps.clock();
  if (!(await beginRun(deps.db, id, startedAt, startedAt - TAKEN_MS))) return null;
  return new Harvest(deps, id, startedAt).run(deadline);
}

class Harvest {
  readonly #deps: Deps;
  #run: HarvestRun;
  #failuresInARow = 0;
  #deadline = 0;

  constructor(deps: Deps, id: string, startedAt: number) {
    this.#deps = deps;
    this.#run = { id, started_at: startedAt, ended_at: null, targets: 0, calls: 0, found: 0, failed: 0, stopped: null, detail: null };
  }

  async run(deadline: number): Promise<HarvestRun> {
    this.#deadline = deadline;
    let stop: Step["stop"] = null;
    try {
      for (let steps = 0; stop === null; steps += 1) stop = this.#ended(steps) ?? (await this.#step());
    } catch (error) {
      log.error("[Harvest] Failed", { run: this.#run.id, ...errorFields(error) });
      stop = stopAfter(error);
    }
    this.#count({ ended_at: this.#deps.clock(), stopped: stop.reason, detail: stop.detail });
    log.info("[Harvest] Stopped", { ...this.#run });
    await this.#save().catch(async () => this.#save());
    return this.#run;
  }

  #ended(steps: number): Step["stop"] {
    if (this.#deps.clock() >= this.#deadline) return { reason: "out_of_time", detail: "The time of this run is over." };
    if (steps < MAX_STEPS) return null;
    return { reason: "enough_for_one_run", detail: `${MAX_STEPS} provider requests are enough for one run; the next one goes on.` };
  }

  #count(change: Partial<HarvestRun>): void {
    this.#run = { ...this.#run, ...change };
  }

  async #save(): Promise<void> {
    await saveRun(this.#deps.db, this.#run);
  }

  /** Quota first: without it nothing is taken. */
  async #step(): Promise<Step["stop"]> {
    const { quota, db, clock, config } = this.#deps;
    const largest = config.isbndb.maxBatch;
    const kind = await nextKind(db, clock());
    if (kind === null) return { reason: "nothing_due", detail: "Nothing is due." };
    const cost = kind === "isbn" ? { batchOf: largest } : { calls: 1 };
    const check = await quota.check({ cost, ...SPENDER });
    if (check.available < 1) return outOfQuota(check.status.remaining, check.status.background.floor);
    const affordable = check.callsNeeded === 1 ? largest : Math.min(largest, check.available);
    const taken = await this.#take(kind, kind === "isbn" ? affordable : 1);
    // Another run was quicker: look again.
    if (taken.length === 0) return null;

    const step = kind === "isbn" ? await this.#batch(taken) : await this.#author(taken);
    const over = step.results.filter(({ state }) => state !== "due").length;
    const failed = step.results.filter(({ state }) => state === "failed").length;
    const { targets, calls, found } = this.#run;
    // Counted before anything is written: what was paid for is told even if the database fails now.
    this.#count({ targets: targets + over, calls: calls + step.calls, found: found + step.found, failed: this.#run.failed + failed });
    await settleTargets(db, this.#run.id, step.results, clock());
    await this.#save();
    return step.stop;
  }

  /** Targets that failed before come in smaller batches: the others are given back. */
  async #take(kind: TargetKind, limit: number): Promise<TakenTarget[]> {
    const { db, clock } = this.#deps;
    const now = clock();
    const taken = await takeTargets(db, { kind, limit, run: this.#run.id, until: now + TAKEN_MS }, now);
    // In order of priority, as far as the first one's batch reaches: those that failed more often wait for their turn.
    const tries = taken[0]?.tries ?? 0;
    const kept = new Set(taken.filter((target) => target.tries <= tries).slice(0, batchSize(limit, tries)));
    await settleTargets(
      db,
      this.#run.id,
      taken.filter((target) => !kept.has(target)).map((target) => again(target)),
      now,
    );
    return [...kept];
  }

  async #batch(taken: readonly TakenTarget[]): Promise<Step> {
    const now = this.#deps.clock();
    return this.#attempt(taken, async () => {
      const isbns = taken.map(({ target_key }) => target_key);
      const result = await enrichBatch(this.#deps, { isbns: readIsbns(isbns), refresh: false, withBooks: false, ...SPENDER });
      const missing = new Set(result.not_found);
      const failed = new Map(result.failed.map(({ isbn, error }) => [isbn, error]));
      const results = taken.map((target) => {
        const error = failed.get(target.target_key);
        if (error !== undefined) return failure(target, error, now);
        return missing.has(target.target_key) ? done(target, 0, "the provider does not know it", now) : done(target, 1, null, now);
      });
      return { results, calls: result.api_calls, found: result.found, stop: null };
    });
  }

  /** One page a step, so that the time and the budget are looked at between pages. */
  async #author(taken: readonly TakenTarget[]): Promise<Step> {
    const now = this.#deps.clock();
    const [target] = taken;
    if (!target) return { results: [], calls: 0, found: 0, stop: null };
    return this.#attempt(taken, async () => {
      const request = { authorName: target.name, maxPages: 1, pageSize: 1_000, refresh: false, ...SPENDER };
      const result = await enrichBibliography(this.#deps, request);
      const cost = { calls: result.api_calls, found: result.books_found };
      if (result.quota_exhausted) return { results: [again(target)], ...cost, stop: dayEnded(result.errors.at(-1)?.message, result.quota) };
      const [problem] = result.errors;
      if (result.next_page === undefined) {
        const whole = await findBibliography(this.#deps.db, target.name);
        return { results: [done(target, whole?.books_found ?? result.books_found, problem?.message ?? null, now)], ...cost, stop: null };
      }
      const results = [problem ? failure(target, problem.message, now) : again(target)];
      return { results, ...cost, stop: null };
    });
  }

  /**
   * Runs one provider request. A short pause of the pace is waited out with what was taken in hand; any other refusal gives it back
   * untried. A failure counts as a try of each.
   */
  async #attempt(taken: readonly TakenTarget[], work: () => Promise<Step>): Promise<Step> {
    for (let charged = 0; ;) {
      try {
        const step = await work();
        this.#failuresInARow = 0;
        return { ...step, calls: step.calls + charged };
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        charged += Number(error.members["calls_charged"] ?? 0);
        if (!(await this.#waited(error))) return this.#afterProblem(taken, error, charged);
      }
    }
  }

  /** Whether a pause was waited out. One that the provider charged for is a failure: it may go on for ever. */
  async #waited({ code, members, retryAfterSeconds = 1 }: Problem): Promise<boolean> {
    if (code !== "pace_exceeded" || retryAfterSeconds > MAX_PACE_WAIT_SECONDS) return false;
    if (members["calls_charged"] !== 0) this.#failuresInARow += 1;
    const until = this.#deps.clock() + retryAfterSeconds * 1_000;
    if (this.#failuresInARow >= MAX_FAILURES_IN_A_ROW || until >= this.#deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, retryAfterSeconds * 1_000));
    return true;
  }

  #afterProblem(taken: readonly TakenTarget[], problem: Problem, calls: number): Step {
    const untried: Step = { results: taken.map((target) => again(target)), calls, found: 0, stop: null };
    if (problem.code === "upstream_error") return this.#afterFailure(taken, untried, problem);
    return { ...untried, stop: stopAfter(problem) };
  }

  /** A wrong key or plan fails every target alike: none of them is to blame, and no other is to be tried. */
  #afterFailure(taken: readonly TakenTarget[], untried: Step, problem: Problem): Step {
    this.#failuresInARow += 1;
    const { outcome } = problem.members;
    const hopeless = outcome === "key_refused" || outcome === "plan_refused";
    const now = this.#deps.clock();
    const results = hopeless ? untried.results : taken.map((target) => failure(target, problem.detail, now));
    const enough = hopeless || this.#failuresInARow >= MAX_FAILURES_IN_A_ROW;
    return { ...untried, results, stop: enough ? { reason: "provider_failing", detail: problem.detail } : null };
  }
}

/** Why a run ends after this. */
function stopAfter(error: unknown): { readonly reason: Stop; readonly detail: string } {
  if (!(error instanceof Problem)) return { reason: "error", detail: "A fault of ours; the log says which." };
  const { code, detail, members } = error;
  if (code === "quota_exhausted") {
    const policies = members["violated-policies"];
    const floor = Array.isArray(policies) && policies.includes("daily-background");
    return { reason: floor ? "below_floor" : "quota_exhausted", detail };
  }
  if (code === "pace_exceeded") return { reason: "pace", detail };
  return { reason: code === "quota_unavailable" ? "quota_unavailable" : "error", detail };
}

/** The day ended between two pages. While calls are left, it was the floor that kept them. */
function dayEnded(detail: string | undefined, quota: QuotaStatus | null): Step["stop"] {
  const floor = quota !== null && quota.remaining > 0;
  return { reason: floor ? "below_floor" : "quota_exhausted", detail: detail ?? "The day is over." };
}

function outOfQuota(remaining: number, floor: number): Step["stop"] {
  if (remaining === 0) return { reason: "quota_exhausted", detail: "Nothing is left today." };
  return { reason: "below_floor", detail: `${remaining} calls are left, ${floor} of them are kept for interactive callers.` };
}

/** Given back as it was. */
function again({ kind, target_key, tries, due_at }: TakenTarget): TargetResult {
  return { kind, target_key, state: "due", tries, due_at, found: null, reason: null };
}

function done({ kind, target_key, tries }: TakenTarget, found: number, reason: string | null, now: number): TargetResult {
  return { kind, target_key, state: "done", tries: tries + 1, due_at: now, found, reason };
}

function failure({ kind, target_key, tries }: TakenTarget, reason: string, now: number): TargetResult {
  const { state, dueAt } = afterFailure(tries + 1, now);
  return { kind, target_key, state, tries: tries + 1, due_at: dueAt, found: null, reason };
}
