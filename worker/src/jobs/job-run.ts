/**
 * One run of a job on Workflows. A step is durable: its result is stored and the step never repeats. The index records every attempt. If it
 * is unavailable, the work continues, and housekeeping reads the result from the instance.
 */
import { MINUTE_MS } from "../lib/time.ts";
import type { WorkflowStep } from "cloudflare:workers";
import { errorFields } from "../lib/log.ts";
import { beginAttempt, endAttempt, giveUpStep } from "../store/jobs/attempts.ts";
import type { AttemptKey, StepKey } from "../store/jobs/attempts.ts";
import { endJob, markWaiting } from "../store/jobs/jobs.ts";
import type { JobEnd } from "../store/jobs/jobs.ts";
import { StepFailed, failureOf } from "./failure.ts";
import type { JobLog } from "./job-log.ts";

/** The platform stores 1 MiB of a step's result, with two bytes per character if one of them is not Latin. */
const MAX_RESULT_CHARACTERS = 400_000;

/** For steps that only write the index. Housekeeping repairs failed writes. */
const INDEX_POLICY = { retries: { limit: 4, delay: "2 seconds", backoff: "exponential" }, timeout: "1 minute" } as const;

/** Error of the engine when it stops a run, to resume it elsewhere or never. */
const ENGINE_STOPS = /^Aborting engine/u;

export interface StepPolicy {
  readonly tries: number;
  readonly delaySeconds: number;
  readonly backoff: "exponential" | "constant";
  readonly timeoutMinutes: number;
}

/** Stored result of a step. The last attempt returns its error, because a thrown error would lose its name. */
type Remembered =
  | { readonly is: "done"; readonly json: string }
  | { readonly is: "failed"; readonly error: string }
  /** The job was cancelled while it ran. */
  | { readonly is: "over" };

/** A failure of the platform. It is rethrown, so that the platform handles it. */
class EngineFailure extends Error {
  override readonly name = "EngineFailure";
}

/** The job was cancelled while it ran. No further step may run. */
class JobOver extends Error {
  override readonly name = "JobOver";
}

export interface JobExecutionResult {
  readonly success: boolean;
  /** JSON. */
  readonly data?: unknown;
  /** Reason for the failure. */
  readonly error?: string;
}

export interface JobRunOptions {
  readonly id: string;
  readonly db: D1Database;
  readonly clock: () => number;
  readonly steps: WorkflowStep;
  readonly policy: StepPolicy;
  readonly log: JobLog;
  /** Called once, after the end was recorded. */
  readonly onEnd: (end: Pick<JobEnd, "status" | "error">) => void;
}

export class JobRun {
  readonly #options: JobRunOptions;
  readonly #seen = new Map<string, number>();

  constructor(options: JobRunOptions) {
    this.#options = options;
  }

  /**
   * Runs a step once, by the type's policy. The name must be the same in each run of the handler. The result must survive JSON.
   * Throws `StepFailed` if the step finally fails.
   */
  async step<Result>(name: string, work: (attempt: number) => Promise<Result>): Promise<Result> {
    const nth = (this.#seen.get(name) ?? 0) + 1;
    this.#seen.set(name, nth);
    const remembered = await this.#remembered({ job_id: this.#options.id, step: name, nth }, work);
    switch (remembered.is) {
      case "done":
        return JSON.parse(remembered.json) as Result;
      case "failed":
        throw new StepFailed(remembered.error);
      case "over":
        throw new JobOver("The job has ended.");
    }
  }

  /** Sleeps for up to a year, free of charge. */
  async sleepUntil(name: string, time: number): Promise<void> {
    const { id, db, clock, steps } = this.#options;
    // Computed once: the platform identifies a sleep by its length, and refuses a time in the past.
    const ms = await engine(async () =>
      steps.do(`${name}: falling asleep`, INDEX_POLICY, async () => {
        await this.#updateIndex(async () => markWaiting(db, id, clock()));
        return Math.max(0, time - clock());
      }),
    );
    if (ms > 0) await engine(async () => steps.sleep(name, ms));
  }

  /** Runs the handler and records the result. Throws if the instance must end as failed. */
  async toEnd(execute: () => Promise<JobExecutionResult>): Promise<JobExecutionResult> {
    const { log } = this.#options;
    try {
      const result = await this.#executed(execute);
      const error = result.success ? null : (result.error ?? "The handler gave no reason.");
      await this.#recordEnd({ status: result.success ? "completed" : "failed", result: jsonOf(result.data), error });
      this.#options.onEnd({ status: error === null ? "completed" : "failed", error });
      if (error === null) log.info("Job completed");
      else log.error("Job failed", { error });
      if (error !== null) throw new Error(error);
      return result;
    } catch (thrown) {
      if (thrown instanceof EngineFailure) throw thrown.cause;
      if (!(thrown instanceof JobOver)) throw thrown;
      this.#options.onEnd({ status: "cancelled", error: null });
      log.info("Job cancelled");
      return { success: false, error: "The job was cancelled." };
    }
  }

  /** An error of the handler is a result, too. */
  async #executed(execute: () => Promise<JobExecutionResult>): Promise<JobExecutionResult> {
    try {
      const result = await execute();
      if ((jsonOf(result.data)?.length ?? 0) > MAX_RESULT_CHARACTERS) return { success: false, error: TOO_LARGE };
      return result;
    } catch (thrown) {
      if (thrown instanceof EngineFailure || thrown instanceof JobOver) throw thrown;
      return { success: false, error: failureOf(thrown).message };
    }
  }

  async #remembered(key: StepKey, work: (attempt: number) => Promise<unknown>): Promise<Remembered> {
    const { steps, policy, clock, db } = this.#options;
    const { tries, delaySeconds, backoff, timeoutMinutes } = policy;
    const config = {
      retries: { limit: tries - 1, delay: delaySeconds * 1_000, backoff },
      timeout: timeoutMinutes * MINUTE_MS,
    };
    try {
      return await steps.do(key.step, config, async ({ attempt }) => this.#attempted({ ...key, attempt }, work));
    } catch (thrown) {
      const { message } = failureOf(thrown);
      if (!/timed out/iu.test(message)) throw new EngineFailure("The platform ended a step.", { cause: thrown });
      const error = `The attempt exceeded its timeout of ${timeoutMinutes} minutes.`;
      await this.#updateIndex(async () => giveUpStep(db, key, { tries, outcome: "timed_out", error }, clock()));
      return { is: "failed", error };
    }
  }

  async #attempted(key: AttemptKey, work: (attempt: number) => Promise<unknown>): Promise<Remembered> {
    const { db, clock, policy, log } = this.#options;
    const { step, attempt } = key;
    const startedAt = clock();
    // The platform restarts a step whose Worker crashed, without limit. A type with one attempt must not repeat.
    if (attempt > policy.tries) {
      const error = "The Worker crashed during the last attempt.";
      await this.#updateIndex(async () => giveUpStep(db, key, { tries: policy.tries, outcome: "interrupted", error }, startedAt));
      return { is: "failed", error };
    }
    const status = await this.#updateIndex(async () => beginAttempt(db, key, policy.timeoutMinutes * MINUTE_MS, startedAt));
    if (status === "cancelled" || status === "failed" || status === "completed") return { is: "over" };
    log.info("Step started", { step, attempt });
    const ended = async (outcome: "succeeded" | "failed", error: string | null) =>
      this.#updateIndex(async () => endAttempt(db, key, { startedAt, outcome, error }, clock()));
    try {
      const json = jsonOf(await work(attempt)) ?? "null";
      if (json.length > MAX_RESULT_CHARACTERS) throw new StepFailed(TOO_LARGE);
      await ended("succeeded", null);
      return { is: "done", json };
    } catch (thrown) {
      const { message, retryable } = failureOf(thrown);
      await ended("failed", message);
      const again = retryable && attempt < policy.tries;
      log.warn("Step failed", { step, attempt, tries_again: again, ...errorFields(thrown), error: message });
      if (again) throw new Error(message, { cause: thrown });
      return { is: "failed", error: message };
    }
  }

  async #recordEnd(end: JobEnd): Promise<void> {
    const { id, db, clock, steps, log } = this.#options;
    try {
      await steps.do("record the end", INDEX_POLICY, async () => {
        await endJob(db, id, end, clock());
      });
    } catch (thrown) {
      if (ENGINE_STOPS.test(failureOf(thrown).message)) throw new EngineFailure("The engine stops.", { cause: thrown });
      log.error("Recording the end failed", errorFields(thrown));
    }
  }

  /** Updates the index. null: the update failed. The work continues anyway. */
  async #updateIndex<Answer>(tell: () => Promise<Answer>): Promise<Answer | null> {
    try {
      return await tell();
    } catch (error) {
      this.#options.log.warn("Updating the job index failed", errorFields(error));
      return null;
    }
  }
}

const TOO_LARGE = `The result must have at most ${MAX_RESULT_CHARACTERS} characters.`;

function jsonOf(value: unknown): string | null {
  return value === undefined ? null : (JSON.stringify(value) ?? null);
}

/** Separates errors of the engine from errors of the handler. */
async function engine<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (thrown) {
    throw new EngineFailure("The platform failed.", { cause: thrown });
  }
}
