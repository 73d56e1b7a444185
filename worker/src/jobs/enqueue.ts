/**
 * Where jobs come from. First the index, then the instance: what a crash leaves between the two, housekeeping starts. A job's id comes
 * from who asked and their idempotency key, so that asking twice is asking once.
 */
import { fieldErrors } from "../lib/field-errors.ts";
import { Problem, invalidFields } from "../errors.ts";
import { errorFields, log } from "../lib/log.ts";
import { claimStart, endJob, findJob, insertJob, insertJobs } from "../store/jobs/jobs.ts";
import type { JobRow, NewJob } from "../store/jobs/jobs.ts";
import { JOBS, isJobType } from "./catalog.ts";
import type { JobPayloadInput, JobType } from "./catalog.ts";
import { Instances } from "./instances.ts";
import { jobId, retryId } from "./job-id.ts";
import { paramsOf } from "./job-params.ts";
import type { JobParams } from "./job-params.ts";

/** The platform takes 1 MiB, of which the rest of the parameters need little. */
const MAX_PAYLOAD_CHARACTERS = 300_000;

/** An instance is created right after its row, or its creator has died. */
const CREATED_WITHIN_MS = 10_000;

/** W3C trace context; all zeros mean no trace. */
const TRACEPARENT = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/u;

export interface EnqueueOptions {
  /** `admin`, `cron`, `job:<id>`. */
  readonly requestedBy: string;
  /** The same key of the same asker and type is the same job; none: a job of its own. */
  readonly idempotencyKey?: string | undefined;
  readonly delaySeconds?: number | undefined;
  /** Instead of the type's. */
  readonly maxAttempts?: number | undefined;
  readonly projectId?: string | undefined;
  readonly requestId?: string | null | undefined;
  readonly traceparent?: string | null | undefined;
  /** The cron whose tick this is. */
  readonly cron?: { readonly expression: string; readonly scheduledTime: number } | undefined;
}

type CamelCase<Name> = Name extends `${infer Head}_${infer Rest}` ? `${Head}${Capitalize<CamelCase<Rest>>}` : Name;

type Listed<Value> = Value extends readonly (infer Item)[] ? readonly Item[] : Value;

/** A type's payload with its fields in camelCase, as the methods take it that are named after a type. */
type JobRequest<Type extends JobType> = {
  readonly [Field in keyof JobPayloadInput<Type> as CamelCase<Field>]: Listed<JobPayloadInput<Type>[Field]>;
};

type AutoSuspend = Omit<JobRequest<"auto_suspend">, "asOf"> & { readonly asOf?: number };

export interface Enqueued {
  readonly id: string;
  /** False where the same was asked for before. */
  readonly created: boolean;
  readonly job: JobRow;
}

interface JobQueueOptions {
  readonly db: D1Database;
  readonly workflow: Workflow<JobParams>;
  readonly clock: () => number;
}

export class JobQueue {
  readonly #options: JobQueueOptions;
  readonly #instances: Instances;

  constructor(options: JobQueueOptions) {
    this.#options = options;
    this.#instances = new Instances(options.workflow);
  }

  /**
   * Asks for a job. Throws `invalid_request` for a payload that is not the type's, `conflict` where the key was used for another one, and
   * `storage_unavailable` where it could not be written down: then nothing was begun.
   */
  async enqueueJob<Type extends JobType>(type: Type, payload: JobPayloadInput<Type>, options: EnqueueOptions): Promise<Enqueued> {
    return this.#begin(await this.#newJob(type, payload, options));
  }

  /**
   * Asks for many jobs of a type at once; those that were asked for before stay as they are. Returns their ids, in the order given. What is
   * written down and cannot be created now, the relay creates.
   */
  async enqueueMany<Type extends JobType>(
    type: Type,
    asked: readonly (Pick<EnqueueOptions, "projectId"> & { readonly payload: JobPayloadInput<Type>; readonly idempotencyKey: string })[],
    options: Pick<EnqueueOptions, "requestedBy" | "traceparent">,
  ): Promise<string[]> {
    const jobs = await Promise.all(asked.map(async ({ payload, ...own }) => this.#newJob(type, payload, { ...options, ...own })));
    const inserted = await insertJobs(this.#options.db, jobs);
    const begun = jobs.filter(({ id }) => inserted.has(id)).map((job) => ({ id: job.id, params: paramsOf(job) }));
    await this.#instances.createMany(begun).catch((error: unknown) => {
      log.warn("Instances of jobs were not created; the relay will", { job_type: type, jobs: begun.length, ...errorFields(error) });
    });
    return jobs.map(({ id }) => id);
  }

  async #newJob<Type extends JobType>(type: Type, payload: JobPayloadInput<Type>, options: EnqueueOptions): Promise<NewJob> {
    const text = payloadText(type, payload);
    const id = await jobId(options.requestedBy, type, options.idempotencyKey ?? crypto.randomUUID());
    const now = this.#options.clock();
    const delayed = (options.delaySeconds ?? 0) > 0;
    const traceparent = options.traceparent ?? null;
    const traceId = TRACEPARENT.exec(traceparent ?? "")?.[1] ?? null;
    return {
      id,
      type,
      status: delayed ? "scheduled" : "queued",
      payload: text,
      requested_by: options.requestedBy,
      project_id: options.projectId ?? null,
      root_id: id,
      run: 1,
      max_tries: options.maxAttempts ?? JOBS[type].tries,
      cron: options.cron?.expression ?? null,
      scheduled_for: delayed ? now + (options.delaySeconds ?? 0) * 1_000 : (options.cron?.scheduledTime ?? null),
      request_id: options.requestId ?? null,
      trace_id: traceId,
      traceparent: traceId === null ? null : traceparent,
      created_at: now,
    };
  }

  /** The sweep: of all active projects and caps, unless some are named; `enforceLimits: false` is a dry run. */
  async enqueueCheckUsageLimitsJob(request: JobRequest<"check_usage_limits">, options: EnqueueOptions): Promise<Enqueued> {
    return this.#enqueueNamed("check_usage_limits", request, options);
  }

  /** A look at one project; without `enforceAction: false` it is suspended where there is evidence. `asOf`: epoch milliseconds. */
  async enqueueAutoSuspendJob({ asOf, ...request }: AutoSuspend, options: EnqueueOptions): Promise<Enqueued> {
    const end = asOf === undefined ? {} : { asOf: new Date(asOf).toISOString() };
    return this.#enqueueNamed("auto_suspend", { ...request, ...end }, options);
  }

  /** One message to one endpoint, beside those that events make. */
  async enqueueDeliverWebhookJob(request: JobRequest<"deliver_webhook">, options: EnqueueOptions): Promise<Enqueued> {
    return this.#enqueueNamed("deliver_webhook", request, options);
  }

  /** The monthly reset. */
  async enqueueResetQuotasJob(options: EnqueueOptions): Promise<Enqueued> {
    return this.#enqueueNamed("reset_quotas", {}, options);
  }

  /** A backup of a project's database, `full` unless it is to be its schema only. */
  async enqueueExportBackupJob(request: JobRequest<"export_backup">, options: EnqueueOptions): Promise<Enqueued> {
    return this.#enqueueNamed("export_backup", request, options);
  }

  /** What a new project needs beside its row. */
  async enqueueProvisionProjectJob(request: JobRequest<"provision_project">, options: EnqueueOptions): Promise<Enqueued> {
    return this.#enqueueNamed("provision_project", request, options);
  }

  /** The rotation of a key, or with `version` the grace after one. */
  async enqueueRotateKeyJob(keyId: string, options: EnqueueOptions & Omit<JobRequest<"rotate_key">, "keyId">): Promise<Enqueued> {
    const { newKeySha256, immediate, version, ...rest } = options;
    return this.#enqueueNamed("rotate_key", { keyId, newKeySha256, immediate, version }, rest);
  }

  /** A payload in camelCase; a job about one project belongs to it. */
  async #enqueueNamed<Type extends JobType>(type: Type, request: JobRequest<Type>, options: EnqueueOptions): Promise<Enqueued> {
    const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/gu, (capital) => `_${capital.toLowerCase()}`);
    const fields = Object.entries(request).map(([name, value]) => [snakeCase(name), value] as const);
    const { projectId } = { projectId: undefined, ...request };
    return this.enqueueJob(type, Object.fromEntries(fields) as JobPayloadInput<Type>, { projectId, ...options });
  }

  /**
   * Runs a failed or cancelled job once more, as a job of its own. Asking twice gives one; what was retried already is retried by its
   * latest run. Throws `conflict` otherwise.
   */
  async retry(job: JobRow, { requestedBy, requestId }: Pick<EnqueueOptions, "requestedBy" | "requestId">): Promise<Enqueued> {
    if (job.status !== "failed" && job.status !== "cancelled") {
      throw new Problem("conflict", `This job is ${job.status}; only a failed or cancelled one can be retried.`);
    }
    if (!isJobType(job.type)) throw new Problem("conflict", `There is no job type ${job.type} any more.`);
    const run = job.run + 1;
    const id = retryId(job.root_id, run);
    const now = this.#options.clock();
    const asked = { requested_by: requestedBy, request_id: requestId ?? null, cron: null, scheduled_for: null, created_at: now };
    const done = await this.#begin({ ...job, ...asked, id, run, status: "queued" });
    if (!done.created && done.job.ended_at !== null) {
      throw new Problem("conflict", `This job was retried already as ${id}, which is ${done.job.status}; retry that one.`, {
        members: { retried_as: id },
      });
    }
    return done;
  }

  /**
   * Cancels a job: its index first, so that no step of it begins any more, then its instance. Returns it as it is then. One that was
   * quicker keeps the end it had. Throws `conflict` where it has ended already.
   */
  async cancel(job: JobRow): Promise<JobRow> {
    const { db, clock } = this.#options;
    const cancelled = await endJob(db, job.id, { status: "cancelled", result: null, error: null }, clock());
    if (cancelled) {
      const end = await this.#instances.terminate(job.id);
      if (end !== null && end.status !== "cancelled") await endJob(db, job.id, end, clock(), "cancelled");
    }
    const now = (await findJob(db, job.id)) ?? job;
    if (now.status === "cancelled") return now;
    throw new Problem("conflict", `This job is ${now.status}; there is nothing to cancel.`);
  }

  /** An instance that cannot be created now is no error: the job is written down, and the relay creates it. */
  async #begin(asked: NewJob): Promise<Enqueued> {
    const { db } = this.#options;
    const inserted = await insertJob(db, asked);
    const job = inserted ?? (await findJob(db, asked.id));
    if (job === null) throw new Problem("storage_unavailable", "The job was written down and is gone.", { retryAfterSeconds: 5 });
    if (job.payload !== asked.payload) {
      throw new Problem("conflict", "This idempotency key was used for another payload.", { members: { job_id: job.id } });
    }
    if (inserted !== null || (await this.#leftBehind(job))) {
      await this.#instances.create(job.id, paramsOf(job)).catch((error: unknown) => {
        log.warn("A job's instance was not created; the relay will", { job_id: job.id, job_type: job.type, ...errorFields(error) });
      });
    }
    return { id: job.id, created: inserted !== null, job };
  }

  /** Asked for before, and not begun: whoever asked first may have died before they created it. Nobody else creates it meanwhile. */
  async #leftBehind(job: JobRow): Promise<boolean> {
    const { db, clock } = this.#options;
    const now = clock();
    const begun = job.status !== "queued" && job.status !== "scheduled";
    return !begun && now - job.updated_at >= CREATED_WITHIN_MS && claimStart(db, job, now);
  }
}

/** The payload as it is kept: read by its schema, with sorted fields, so that equal ones are equal texts. */
function payloadText(type: JobType, payload: unknown): string {
  const parsed = JOBS[type].payload.safeParse(payload);
  if (!parsed.success) {
    const errors = fieldErrors(parsed.error.issues, payload, "");
    throw invalidFields(errors.map((error) => ({ ...error, path: ["payload", error.path].filter((part) => part !== "").join(".") })));
  }
  const text = JSON.stringify(parsed.data, sorted);
  if (text.length > MAX_PAYLOAD_CHARACTERS) {
    throw new Problem("payload_too_large", `The payload is ${text.length} characters long; at most ${MAX_PAYLOAD_CHARACTERS} are taken.`);
  }
  return text;
}

function sorted(_name: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
