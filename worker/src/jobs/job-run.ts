/**
 * One run of a job on Workflows. A step is durable: what it came to is remembered and never done again. The index is told of every try,
 * and nothing depends on it: where it is away the work goes on, and housekeeping learns the end from the instance.
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

/** The platform keeps 1 MiB of a step's result, at two bytes a character where one of them is not Latin. */
const MAX_RESULT_CHARACTERS = 400_000;

/** Of steps that write nothing but the index. What they fail to write, housekeeping finds out. */
const INDEX_POLICY = { retries: { limit: 4, delay: "2 seconds", backoff: "exponential" }, timeout: "1 minute" } as const;

/** What the engine throws through a run that it stops, to go on elsewhere or never. */
const ENGINE_STOPS = /^Aborting engine/u;

export interface StepPolicy {
  readonly tries: number;
  readonly delaySeconds: number;
  readonly backoff: "exponential" | "constant";
  readonly timeoutMinutes: number;
}

/** What a step came to, as the platform remembers it. The last try does not throw: an error loses its name on the platform's way. */
type Remembered =
  | { readonly is: "done"; readonly json: string }
  | { readonly is: "failed"; readonly error: string }
  /** The job is over: cancelled while it ran. */
  | { readonly is: "over" };

/** A failure of the platform's own, on its way out: it is for the platform to judge. */
class EngineFailure extends Error {
  override readonly name = "EngineFailure";
}

/** Cancelled while it ran: nothing of it is to be done any more. */
class JobOver extends Error {
  override readonly name = "JobOver";
}

export interface JobExecutionResult {
  readonly success: boolean;
  /** JSON. */
  readonly data?: unknown;
  /** Why it did not succeed. */
  readonly error?: string;
}

export interface JobRunOptions {
  readonly id: string;
  readonly db: D1Database;
  readonly clock: () => number;
  readonly steps: WorkflowStep;
  readonly policy: StepPolicy;
  readonly log: JobLog;
  /** Told once the end is written down. */
  readonly onEnd: (end: Pick<JobEnd, "status" | "error">) => void;
}

export class JobRun {
  readonly #options: JobRunOptions;
  readonly #seen = new Map<string, number>();

  constructor(options: JobRunOptions) {
    this.#options = options;
  }

  /**
   * Does something once, by the type's policy. The name must be the same each time the handler is run; the result goes through JSON.
   * Throws `StepFailed` where it is given up.
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
        throw new JobOver("The job is over.");
    }
  }

  /** Sleeps without costing anything, for up to a year. */
  async sleepUntil(name: string, time: number): Promise<void> {
    const { id, db, clock, steps } = this.#options;
    // Measured once: the platform knows a sleep by its length, and refuses to sleep until a time that has passed.
    const ms = await engine(async () =>
      steps.do(`${name}: falling asleep`, INDEX_POLICY, async () => {
        await this.#told(async () => markWaiting(db, id, clock()));
        return Math.max(0, time - clock());
      }),
    );
    if (ms > 0) await engine(async () => steps.sleep(name, ms));
  }

  /** Runs the handler, and writes down how it ended. Throws where the instance is to end as failed. */
  async toEnd(execute: () => Promise<JobExecutionResult>): Promise<JobExecutionResult> {
    const { log } = this.#options;
    try {
      const result = await this.#executed(execute);
      const error = result.success ? null : (result.error ?? "The handler did not say why.");
      await this.#recordEnd({ status: result.success ? "completed" : "failed", result: jsonOf(result.data), error });
      this.#options.onEnd({ status: error === null ? "completed" : "failed", error });
      if (error === null) log.info("Completed");
      else log.error(`Failed: ${error}`);
      if (error !== null) throw new Error(error);
      return result;
    } catch (thrown) {
      if (thrown instanceof EngineFailure) throw thrown.cause;
      if (!(thrown instanceof JobOver)) throw thrown;
      this.#options.onEnd({ status: "cancelled", error: null });
      log.info("Stopped: the job was cancelled");
      return { success: false, error: "The job was cancelled." };
    }
  }

  /** What the handler throws is a result, too. */
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
      if (!/timed out/iu.test(message)) throw new EngineFailure("The platform gave a step up.", { cause: thrown });
      const error = `It took longer than its time-out of ${timeoutMinutes} minutes.`;
      await this.#told(async () => giveUpStep(db, key, { tries, outcome: "timed_out", error }, clock()));
      return { is: "failed", error };
    }
  }

  async #attempted(key: AttemptKey, work: (attempt: number) => Promise<unknown>): Promise<Remembered> {
    const { db, clock, policy, log } = this.#options;
    const { step, attempt } = key;
    const startedAt = clock();
    // The platform begins a step anew whose Worker died, however often: a type with one try means one.
    if (attempt > policy.tries) {
      const error = "The Worker died during the last try.";
      await this.#told(async () => giveUpStep(db, key, { tries: policy.tries, outcome: "interrupted", error }, startedAt));
      return { is: "failed", error };
    }
    const status = await this.#told(async () => beginAttempt(db, key, policy.timeoutMinutes * MINUTE_MS, startedAt));
    if (status === "cancelled" || status === "failed" || status === "completed") return { is: "over" };
    log.info(`Starting: ${step}`, { attempt });
    const ended = async (outcome: "succeeded" | "failed", error: string | null) =>
      this.#told(async () => endAttempt(db, key, { startedAt, outcome, error }, clock()));
    try {
      const json = jsonOf(await work(attempt)) ?? "null";
      if (json.length > MAX_RESULT_CHARACTERS) throw new StepFailed(TOO_LARGE);
      await ended("succeeded", null);
      return { is: "done", json };
    } catch (thrown) {
      const { message, retryable } = failureOf(thrown);
      await ended("failed", message);
      const again = retryable && attempt < policy.tries;
      log.warn(`Failed: ${step}`, { attempt, tries_again: again, ...errorFields(thrown), error: message });
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
      log.error("The end could not be recorded; housekeeping will", errorFields(thrown));
    }
  }

  /** Tells the index; null where that fails, for the work matters more. */
  async #told<Answer>(tell: () => Promise<Answer>): Promise<Answer | null> {
    try {
      return await tell();
    } catch (error) {
      this.#options.log.warn("The index of jobs was not told", errorFields(error));
      return null;
    }
  }
}

const TOO_LARGE = `The result is larger than ${MAX_RESULT_CHARACTERS} characters.`;

function jsonOf(value: unknown): string | null {
  return value === undefined ? null : (JSON.stringify(value) ?? null);
}

/** What the engine throws is told from what a handler throws. */
async function engine<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (thrown) {
    throw new EngineFailure("The platform failed.", { cause: thrown });
  }
}
