/** Workflow instances in the terms of the index. The only file that uses the binding. */
import type { JobEnd } from "../store/jobs/jobs.ts";
import { inTime } from "../lib/in-time.ts";
import { errorFields, log } from "../lib/log.ts";
import { sleep as realSleep } from "../lib/sleep.ts";
import type { Sleep } from "../lib/sleep.ts";
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

/** The platform creates 100 instances a second per workflow, and refuses the others. These are 80 a second. */
const MAX_CREATED = 20;
const CREATION_PAUSE_MS = 250;
/** The platform accepts 1 MiB per creation. */
const MAX_CREATED_BYTES = 800_000;
/** A refused creation is repeated after the second in which too many were created. */
const CREATION_ATTEMPTS = 3;
const REFUSED_PAUSE_MS = 1_000;
/** The platform's maximum for one deletion. */
export const MAX_DELETED = 100;

export interface NewInstance {
  readonly id: string;
  readonly params: JobParams;
}

export interface Creation {
  /** Ids of the new instances. */
  readonly created: readonly string[];
  /** Ids that the platform refused to create. Existing instances are in neither list. */
  readonly refused: readonly string[];
}

export class Instances {
  readonly #workflow: Workflow<JobParams>;
  readonly #sleep: Sleep;

  constructor(workflow: Workflow<JobParams>, sleep = realSleep) {
    this.#workflow = workflow;
    this.#sleep = sleep;
  }

  /** Creates one instance. Idempotent. */
  async create(id: string, params: JobParams): Promise<void> {
    try {
      await withTimeout(this.#workflow.create({ id, params, retention: RETENTION }));
    } catch (error) {
      if (!EXISTS.test(failureOf(error).message)) throw error;
    }
  }

  /** Creates many instances, at the platform's pace. Idempotent. A refusal is logged. */
  async createMany(all: readonly NewInstance[]): Promise<Creation> {
    const created: string[] = [];
    const refused: string[] = [];
    for (const batch of batchesOf(all)) {
      const left = await this.#createBatch(batch, created);
      refused.push(...left);
      // After the last full batch too, because the next call may follow immediately.
      if (batch.length === MAX_CREATED) await this.#sleep(CREATION_PAUSE_MS);
    }
    if (refused.length > 0) log.warn("Instances of jobs refused", { requested: all.length, refused: refused.length });
    return { created, refused };
  }

  /** Adds the new ids to `created`. Returns the ids that were refused in each attempt. Throws if the platform fails in each. */
  async #createBatch(batch: readonly NewInstance[], created: string[]): Promise<string[]> {
    let rest = batch;
    for (let attempt = 1; ; attempt += 1) {
      const failure = await this.#createOnce(rest).then(
        (done) => {
          created.push(...done.created);
          rest = rest.filter(({ id }) => !done.created.has(id) && !done.existing.has(id));
          return null;
        },
        (error: unknown) => ({ error }),
      );
      if (failure === null && rest.length === 0) return [];
      if (attempt >= CREATION_ATTEMPTS) {
        if (failure !== null) throw failure.error;
        return rest.map(({ id }) => id);
      }
      log.warn("Creating instances of jobs again", { attempt, instances: rest.length, ...(failure && errorFields(failure.error)) });
      await this.#sleep(REFUSED_PAUSE_MS);
    }
  }

  /** An instance that the answer does not name was not created: the platform may omit it without an error. */
  async #createOnce(batch: readonly NewInstance[]): Promise<{ created: ReadonlySet<string>; existing: ReadonlySet<string> }> {
    const instances = batch.map((each) => ({ ...each, retention: RETENTION }));
    const { created, errors } = await withTimeout(this.#workflow.createBatch({ instances }));
    const existing = errors.filter(({ message }) => EXISTS.test(message)).map(({ index }) => batch[index]?.id ?? "");
    return { created: new Set(created.map(({ id }) => id)), existing: new Set(existing) };
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
      await this.#sleep(PAUSE_POLL_MS);
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

const EXISTS = /already.?exists/iu;

/** Splits instances by number and size. */
function batchesOf(all: readonly NewInstance[]): NewInstance[][] {
  const batches: NewInstance[][] = [];
  let bytes = 0;
  for (const instance of all) {
    const size = utf8.encode(JSON.stringify(instance)).byteLength;
    const last = batches.at(-1);
    if (last === undefined || last.length === MAX_CREATED || bytes + size > MAX_CREATED_BYTES) {
      batches.push([instance]);
      bytes = size;
    } else {
      last.push(instance);
      bytes += size;
    }
  }
  return batches;
}

const utf8 = new TextEncoder();

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
