/** Workflow instances in the terms of the index. The only file that uses the binding. */
import type { JobEnd } from "../store/jobs/jobs.ts";
import { inTime } from "../lib/in-time.ts";
import { failureOf } from "./failure.ts";
import type { JobParams } from "./job-params.ts";

/**
 * Retention of an ended instance by the platform. Long enough for housekeeping to read the result, and within the free plan. Shorter than
 * the retention of the index, so that the id is free again when the index has deleted the job.
 */
const RETENTION = { successRetention: "1 day", errorRetention: "3 days" } as const;

/** Maximum duration of pausing an instance. */
const PAUSE_POLL_MS = 20;
const PAUSE_POLLS = 250;

/** The binding has no timeout, and a request must not wait forever. The relay finds the outcome later. */
const TIMEOUT_MS = 5_000;

const withTimeout = async <Answer>(answer: Promise<Answer>): Promise<Answer> => inTime("Workflows", TIMEOUT_MS, answer);

/** The platform's maximum for one creation. */
const MAX_CREATED = 100;
/** The platform's maximum for one deletion. */
export const MAX_DELETED = 100;

export class Instances {
  readonly #workflow: Workflow<JobParams>;

  constructor(workflow: Workflow<JobParams>) {
    this.#workflow = workflow;
  }

  /** Creates one instance. Idempotent. */
  async create(id: string, params: JobParams): Promise<void> {
    try {
      await withTimeout(this.#workflow.create({ id, params, retention: RETENTION }));
    } catch (error) {
      if (!/already.?exists/iu.test(failureOf(error).message)) throw error;
    }
  }

  /** Creates many instances. Idempotent. */
  async createMany(all: readonly { readonly id: string; readonly params: JobParams }[]): Promise<void> {
    for (let from = 0; from < all.length; from += MAX_CREATED) {
      const batch = all.slice(from, from + MAX_CREATED).map((each) => ({ ...each, retention: RETENTION }));
      await withTimeout(this.#workflow.createBatch(batch));
    }
  }

  /** `missing`: the instance does not exist. null: it has not ended. */
  async end(id: string): Promise<JobEnd | "missing" | null> {
    const status = await this.#status(id);
    return status === "missing" ? status : endOf(status);
  }

  /** Stops an instance. Returns its result if it had already ended. null: it was stopped, does not exist, or the platform failed. */
  async terminate(id: string): Promise<JobEnd | null> {
    try {
      await withTimeout((await withTimeout(this.#workflow.get(id))).terminate());
      return null;
    } catch {
      // It has ended or never began. If the platform failed, the index stops the job before its next step.
      const end = await this.end(id).catch(() => null);
      return end === "missing" ? null : end;
    }
  }

  /** Resumes an instance that a restart of local workerd left asleep. Returns its result if it has ended. */
  async wake(id: string): Promise<JobEnd | "missing" | null> {
    const status = await this.#status(id);
    if (status === "missing") return status;
    const end = endOf(status);
    if (end !== null) return end;
    const instance = await withTimeout(this.#workflow.get(id));
    // An earlier restart interrupted the pause.
    if (status.status === "waitingForPause") await withTimeout(instance.resume());
    await withTimeout(instance.pause());
    for (let polls = 0; polls < PAUSE_POLLS; polls += 1) {
      if ((await withTimeout(instance.status())).status === "paused") break;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_POLL_MS));
    }
    await withTimeout(instance.resume());
    return null;
  }

  /** Frees the ids. Missing instances are ignored. */
  async delete(ids: readonly string[]): Promise<void> {
    for (let from = 0; from < ids.length; from += MAX_DELETED) {
      await withTimeout(this.#workflow.deleteBatch(ids.slice(from, from + MAX_DELETED)));
    }
  }

  async #status(id: string): Promise<InstanceStatus | "missing"> {
    try {
      return await withTimeout((await withTimeout(this.#workflow.get(id))).status());
    } catch (error) {
      if (/not.?found/iu.test(failureOf(error).message)) return "missing";
      throw error;
    }
  }
}

/** Result of an instance in the terms of the index. null: it has not ended. */
function endOf({ status, output, error }: InstanceStatus): JobEnd | null {
  switch (status) {
    case "complete":
      return completed(output);
    case "errored":
      return { status: "failed", result: null, error: error?.message ?? "The platform gave no reason." };
    case "terminated":
      return { status: "cancelled", result: null, error: null };
    case "queued":
    case "running":
    case "paused":
    case "waiting":
    case "waitingForPause":
    case "rollingBack":
    case "unknown":
      return null;
  }
}

/** A run returns a `JobExecutionResult`. A run that the index stopped returns without success. */
function completed(output: unknown): JobEnd {
  const { success, data }: { success?: unknown; data?: unknown } = typeof output === "object" && output !== null ? output : {};
  if (success === false) return { status: "cancelled", result: null, error: null };
  return { status: "completed", result: data === undefined ? null : JSON.stringify(data), error: null };
}
