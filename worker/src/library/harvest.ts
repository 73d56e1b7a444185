/**
 * A scheduled harvest: fetches due targets as background work, highest priority first. It stops when no target is due, the quota is used
 * up, or its time is up. Concurrent runs never fetch the same target. Each run has a row with the reason why it stopped.
 */
import { Problem } from "../errors.ts";
import type { Deps } from "../deps.ts";
import { errorFields, log } from "../lib/log.ts";
import { sleep } from "../lib/sleep.ts";
import type { QuotaStatus, Spender } from "../quota/index.ts";
import { findBibliography } from "../store/library/authors.ts";
import { beginRun, nextKind, saveRun, settleTargets, takeTargets } from "../store/library/harvest.ts";
import type { HarvestRun, Stop, TakenTarget, TargetKind, TargetResult } from "../store/library/harvest.ts";
import { DatabaseFull } from "../store/database.ts";
import { enrichBatch, readIsbns } from "./batch.ts";
import { enrichBibliography } from "./bibliography.ts";
import { CATALOG_FULL } from "./full-catalog.ts";
import { afterFailure, batchSize } from "./harvest-retry.ts";

/** This caller has no share. Only the remaining calls and the floor limit it. */
const SPENDER = { caller: "cron.harvest", priority: "background" } as const satisfies Spender;
/** Longer than any request takes. Targets of a crashed run are free again afterwards. */
const TAKEN_MS = 15 * 60 * 1_000;
/** Stops after this many consecutive failures, because each may have cost a call. */
const MAX_FAILURES_IN_A_ROW = 3;
/** Longest pace delay to wait for. A longer one ends the run. */
const MAX_PACE_WAIT_SECONDS = 15;

export interface HarvestRequest {
  /** A run with the same id is refused. */
  readonly id: string;
  /** Epoch milliseconds. No request starts after it. */
  readonly deadline: number;
}

/** Results of some targets, with their cost. */
interface Step {
  readonly results: readonly TargetResult[];
  readonly calls: number;
  readonly found: number;
  /** Why the run ends after this step. Null if it continues. */
  readonly stop: { readonly reason: Stop; readonly detail: string } | null;
}

/** The harvest must not pay for books that the catalog cannot store. */
const FULL = { reason: CATALOG_FULL.code, detail: "The catalog is full. Set CATALOG_MAX_MB to free space." } as const;

/** Runs a harvest. Returns null if this id has run already. */
export async function runHarvest(deps: Deps, { id, deadline }: HarvestRequest): Promise<HarvestRun | null> {
  if (!Number.isFinite(deadline)) throw new RangeError(`deadline must be a finite number (got ${deadline})`);
  const startedAt = deps.clock();
  try {
    if (!(await beginRun(deps.catalog, id, startedAt, startedAt - TAKEN_MS))) return null;
  } catch (error) {
    if (!(error instanceof DatabaseFull)) throw error;
    // The run has no row, but its caller gets the reason.
    return { ...newRun(id, startedAt), ended_at: deps.clock(), stopped: CATALOG_FULL.code, detail: FULL.detail };
  }
  return new Harvest(deps, id, startedAt).run(deadline);
}

function newRun(id: string, startedAt: number): HarvestRun {
  return { id, started_at: startedAt, ended_at: null, targets: 0, calls: 0, found: 0, failed: 0, stopped: null, detail: null };
}

class Harvest {
  readonly #deps: Deps;
  #run: HarvestRun;
  #failuresInARow = 0;
  #deadline = 0;

  constructor(deps: Deps, id: string, startedAt: number) {
    this.#deps = deps;
    this.#run = newRun(id, startedAt);
  }

  async run(deadline: number): Promise<HarvestRun> {
    this.#deadline = deadline;
    let stop: Step["stop"] = null;
    try {
      while (stop === null) stop = this.#ended() ?? (await this.#step());
    } catch (error) {
      log.error("Harvest failed", { run: this.#run.id, ...errorFields(error) });
      stop = stopAfter(error);
    }
    this.#count({ ended_at: this.#deps.clock(), stopped: stop.reason, detail: stop.detail });
    log.info("Harvest stopped", { ...this.#run });
    await this.#save().catch(async (error: unknown) => (error instanceof DatabaseFull ? undefined : this.#save()));
    return this.#run;
  }

  #ended(): Step["stop"] {
    if (this.#deps.clock() >= this.#deadline)
      return { reason: "out_of_time", detail: "The run reached its time limit. The next run continues." };
    if (!this.#deps.db.isUsedUp) return null;
    return { reason: "enough_for_one_run", detail: "The run reached its maximum of database statements. The next run continues." };
  }

  #count(change: Partial<HarvestRun>): void {
    this.#run = { ...this.#run, ...change };
  }

  async #save(): Promise<void> {
    await saveRun(this.#deps.catalog, this.#run);
  }

  /** Checks the quota first. Without quota no target is taken. */
  async #step(): Promise<Step["stop"]> {
    const { quota, catalog, clock, config } = this.#deps;
    const largest = config.isbndb.maxBatch;
    const kind = await nextKind(catalog, clock());
    if (kind === null) return { reason: "nothing_due", detail: "No target is due." };
    const cost = kind === "isbn" ? { batchOf: largest } : { calls: 1 };
    const check = await quota.check({ cost, ...SPENDER });
    if (check.available < 1) return outOfQuota(check.status.remaining, check.status.background.floor);
    const affordable = check.callsNeeded === 1 ? largest : Math.min(largest, check.available);
    const taken = await this.#take(kind, kind === "isbn" ? affordable : 1);
    // Another run took them. Look again.
    if (taken.length === 0) return null;

    const step = kind === "isbn" ? await this.#batch(taken) : await this.#author(taken);
    const over = step.results.filter(({ state }) => state !== "due").length;
    const failed = step.results.filter(({ state }) => state === "failed").length;
    const { targets, calls, found } = this.#run;
    // Counted before anything is written, so that paid calls are reported even if the database fails now.
    this.#count({ targets: targets + over, calls: calls + step.calls, found: found + step.found, failed: this.#run.failed + failed });
    await settleTargets(catalog, this.#run.id, step.results, clock());
    await this.#save();
    return step.stop;
  }

  /** Takes a batch of due targets, and releases those beyond its size. Targets that failed before come in smaller batches. */
  async #take(kind: TargetKind, limit: number): Promise<TakenTarget[]> {
    const { catalog, clock } = this.#deps;
    const now = clock();
    const taken = await takeTargets(catalog, { kind, limit, run: this.#run.id, until: now + TAKEN_MS }, now);
    // In order of priority, up to the first target's batch size. Targets with more failures wait.
    const tries = taken[0]?.tries ?? 0;
    const kept = new Set(taken.filter((target) => target.tries <= tries).slice(0, batchSize(limit, tries)));
    await settleTargets(
      catalog,
      this.#run.id,
      taken.filter((target) => !kept.has(target)).map((target) => unchanged(target)),
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
        return missing.has(target.target_key) ? done(target, 0, "unknown to the provider", now) : done(target, 1, null, now);
      });
      // The books are lost, and so would be the next ones.
      if (result.warnings !== undefined)
        return { results: taken.map((target) => unchanged(target)), calls: result.api_calls, found: 0, stop: FULL };
      return { results, calls: result.api_calls, found: result.found, stop: null };
    });
  }

  /** One page per step, so that time and quota are checked between pages. */
  async #author(taken: readonly TakenTarget[]): Promise<Step> {
    const now = this.#deps.clock();
    const [target] = taken;
    if (!target) return { results: [], calls: 0, found: 0, stop: null };
    return this.#attempt(taken, async () => {
      const request = { authorName: target.name, maxPages: 1, pageSize: 1_000, refresh: false, ...SPENDER };
      const result = await enrichBibliography(this.#deps, request);
      const cost = { calls: result.api_calls, found: result.books_found };
      if (result.quota_exhausted)
        return { results: [unchanged(target)], ...cost, stop: quotaEnded(result.errors.at(-1)?.message, result.quota) };
      const [problem] = result.errors;
      if (problem?.code === CATALOG_FULL.code) return { results: [unchanged(target)], calls: result.api_calls, found: 0, stop: FULL };
      if (result.next_page === undefined) {
        const bibliography = await findBibliography(this.#deps, target.name);
        return {
          results: [done(target, bibliography?.books_found ?? result.books_found, problem?.message ?? null, now)],
          ...cost,
          stop: null,
        };
      }
      const results = [problem ? failure(target, problem.message, now) : unchanged(target)];
      return { results, ...cost, stop: null };
    });
  }

  /**
   * Makes one provider request. Waits through short pace delays and keeps the targets. Any other refusal releases the targets and counts no
   * attempt. A failure counts as an attempt for each target.
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

  /** Whether it waited for the pace. A delay that the provider charged for is a failure, because it may repeat forever. */
  async #waited({ code, members, retryAfterSeconds = 1 }: Problem): Promise<boolean> {
    if (code !== "pace_exceeded" || retryAfterSeconds > MAX_PACE_WAIT_SECONDS) return false;
    if (members["calls_charged"] !== 0) this.#failuresInARow += 1;
    const until = this.#deps.clock() + retryAfterSeconds * 1_000;
    if (this.#failuresInARow >= MAX_FAILURES_IN_A_ROW || until >= this.#deadline) return false;
    await sleep(retryAfterSeconds * 1_000);
    return true;
  }

  #afterProblem(taken: readonly TakenTarget[], problem: Problem, calls: number): Step {
    const released: Step = { results: taken.map((target) => unchanged(target)), calls, found: 0, stop: null };
    if (problem.code === "upstream_error") return this.#afterFailure(taken, released, problem);
    return { ...released, stop: stopAfter(problem) };
  }

  /** A wrong key or plan fails every target, so none of them gets an attempt and the run ends. */
  #afterFailure(taken: readonly TakenTarget[], released: Step, problem: Problem): Step {
    this.#failuresInARow += 1;
    const { outcome } = problem.members;
    const permanent = outcome === "key_refused" || outcome === "plan_refused";
    const now = this.#deps.clock();
    const results = permanent ? released.results : taken.map((target) => failure(target, problem.detail, now));
    const stops = permanent || this.#failuresInARow >= MAX_FAILURES_IN_A_ROW;
    return { ...released, results, stop: stops ? { reason: "provider_failing", detail: problem.detail } : null };
  }
}

/** The reason why a run ends after this error. */
function stopAfter(error: unknown): { readonly reason: Stop; readonly detail: string } {
  if (error instanceof DatabaseFull) return FULL;
  if (!(error instanceof Problem)) return { reason: "error", detail: "Internal error. See the log." };
  const { code, detail, members } = error;
  if (code === "quota_exhausted") {
    const policies = members["violated-policies"];
    const floor = Array.isArray(policies) && policies.includes("daily-background");
    return { reason: floor ? "below_floor" : "quota_exhausted", detail };
  }
  if (code === "pace_exceeded") return { reason: "pace", detail };
  return { reason: code === "quota_unavailable" ? "quota_unavailable" : "error", detail };
}

/** The quota ran out between two pages. If calls are left, the floor holds them back. */
function quotaEnded(detail: string | undefined, quota: QuotaStatus | null): Step["stop"] {
  const floor = quota !== null && quota.remaining > 0;
  return { reason: floor ? "below_floor" : "quota_exhausted", detail: detail ?? "The daily quota is used up." };
}

function outOfQuota(remaining: number, floor: number): Step["stop"] {
  if (remaining === 0) return { reason: "quota_exhausted", detail: "No calls are left today." };
  const held = floor >= remaining ? "all" : String(floor);
  return { reason: "below_floor", detail: `${remaining} calls are left, and ${held} of them are held back for interactive callers.` };
}

/** Releases a target unchanged. */
function unchanged({ kind, target_key, tries, due_at }: TakenTarget): TargetResult {
  return { kind, target_key, state: "due", tries, due_at, found: null, reason: null };
}

function done({ kind, target_key, tries }: TakenTarget, found: number, reason: string | null, now: number): TargetResult {
  return { kind, target_key, state: "done", tries: tries + 1, due_at: now, found, reason };
}

function failure({ kind, target_key, tries }: TakenTarget, reason: string, now: number): TargetResult {
  const { state, dueAt } = afterFailure(tries + 1, now);
  return { kind, target_key, state, tries: tries + 1, due_at: dueAt, found: null, reason };
}
