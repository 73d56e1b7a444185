/** Workflow instances by the words of the index. The only file that speaks to the binding. */
import type { JobEnd } from "../store/jobs/jobs.ts";
import { inTime } from "../lib/in-time.ts";
import { failureOf } from "./failure.ts";
import type { JobParams } from "./job-params.ts";

/**
 * The platform's own memory of an ended instance: long enough for housekeeping to learn its end, no longer than the free plan allows, and
 * shorter than the index keeps the job, so that an id is free again when the index has forgotten it.
 */
const RETENTION = { successRetention: "1 day", errorRetention: "3 days" } as const;

/** How long a pause may take that nothing holds up. */
const PAUSE_POLL_MS = 20;
const PAUSE_POLLS = 250;

/** The binding has no limit of its own: whoever waits for an answer must not wait for it for ever. What it did is found out by the relay. */
const TIMEOUT_MS = 5_000;

const asked = async <Answer>(answer: Promise<Answer>): Promise<Answer> => inTime("Workflows", TIMEOUT_MS, answer);

/** The platform creates so many at once. */
const MAX_CREATED = 100;
/** The platform deletes so many at once. */
export const MAX_DELETED = 100;

export class Instances {
  readonly #workflow: Workflow<JobParams>;

  constructor(workflow: Workflow<JobParams>) {
    this.#workflow = workflow;
  }

  /** Begins one; one that exists already is as good. */
  async create(id: string, params: JobParams): Promise<void> {
    try {
      await asked(this.#workflow.create({ id, params, retention: RETENTION }));
    } catch (error) {
      if (!/already.?exists/iu.test(failureOf(error).message)) throw error;
    }
  }

  /** Begins many; those that exist already are as good. */
  async createMany(all: readonly { readonly id: string; readonly params: JobParams }[]): Promise<void> {
    for (let from = 0; from < all.length; from += MAX_CREATED) {
      const batch = all.slice(from, from + MAX_CREATED).map((each) => ({ ...each, retention: RETENTION }));
      await asked(this.#workflow.createBatch(batch));
    }
  }

  /** `missing`: there is none. Null: it has not ended. */
  async end(id: string): Promise<JobEnd | "missing" | null> {
    const status = await this.#status(id);
    return status === "missing" ? status : endOf(status);
  }

  /** Stops one. Returns its end where it had one already; null where it was stopped, or there is none, or the platform failed. */
  async terminate(id: string): Promise<JobEnd | null> {
    try {
      await asked((await asked(this.#workflow.get(id))).terminate());
      return null;
    } catch {
      // It has ended, or never began. If the platform failed, the index stops it before its next step.
      const end = await this.end(id).catch(() => null);
      return end === "missing" ? null : end;
    }
  }

  /** Makes one go on that a restart of local workerd left asleep. Returns its end where it has one. */
  async wake(id: string): Promise<JobEnd | "missing" | null> {
    const status = await this.#status(id);
    if (status === "missing") return status;
    const end = endOf(status);
    if (end !== null) return end;
    const instance = await asked(this.#workflow.get(id));
    // Left between the two by an earlier restart.
    if (status.status === "waitingForPause") await asked(instance.resume());
    await asked(instance.pause());
    for (let polls = 0; polls < PAUSE_POLLS; polls += 1) {
      if ((await asked(instance.status())).status === "paused") break;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_POLL_MS));
    }
    await asked(instance.resume());
    return null;
  }

  /** Frees their ids. Those that do not exist are no error. */
  async delete(ids: readonly string[]): Promise<void> {
    for (let from = 0; from < ids.length; from += MAX_DELETED) {
      await asked(this.#workflow.deleteBatch(ids.slice(from, from + MAX_DELETED)));
    }
  }

  async #status(id: string): Promise<InstanceStatus | "missing"> {
    try {
      return await asked((await asked(this.#workflow.get(id))).status());
    } catch (error) {
      if (/not.?found/iu.test(failureOf(error).message)) return "missing";
      throw error;
    }
  }
}

/** How an instance ended, in the words of the index; null where it has not. */
function endOf({ status, output, error }: InstanceStatus): JobEnd | null {
  switch (status) {
    case "complete":
      return completed(output);
    case "errored":
      return { status: "failed", result: null, error: error?.message ?? "The platform did not say why." };
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

/** What a run returns is a `JobExecutionResult`; one that was stopped by the index returns without success. */
function completed(output: unknown): JobEnd {
  const { success, data }: { success?: unknown; data?: unknown } = typeof output === "object" && output !== null ? output : {};
  if (success === false) return { status: "cancelled", result: null, error: null };
  return { status: "completed", result: data === undefined ? null : JSON.stringify(data), error: null };
}
