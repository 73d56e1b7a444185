/**
 * Creates jobs: first the row in the index, then the instance. After a crash between the two, housekeeping starts the job. A job's id is
 * derived from the requester and the idempotency key, so repeated requests create one job.
 */
import { fieldErrors } from "../lib/field-errors.ts";
import { Problem, invalidFields } from "../errors.ts";
import { errorFields, log } from "../lib/log.ts";
import type { Sleep } from "../lib/sleep.ts";
import { claimStart, endJob, findJob, insertJob, insertJobs } from "../store/jobs/jobs.ts";
import type { JobRow, NewJob } from "../store/jobs/jobs.ts";
import { JOBS, isJobType } from "./catalog.ts";
import type { JobPayloadInput, JobType } from "./catalog.ts";
import { Instances } from "./instances.ts";
import { jobId, retryId } from "./job-id.ts";
import { paramsOf } from "./job-params.ts";
import type { JobParams } from "./job-params.ts";

/** The platform accepts 1 MiB. The other parameters are small. */
const MAX_PAYLOAD_CHARACTERS = 300_000;

/** The instance is created right after the row. If it takes longer, its creator has crashed. */
const CREATED_WITHIN_MS = 10_000;

/** W3C trace context. All zeros mean no trace. */
const TRACEPARENT = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/u;

export interface EnqueueOptions {
  /** `admin`, `cron`, `job:<id>`. */
  readonly requestedBy: string;
  /** The same key, requester and type are the same job. Without a key, each request is a new job. */
  readonly idempotencyKey?: string | undefined;
  readonly delaySeconds?: number | undefined;
  /** Overrides the attempts of the type. */
  readonly maxAttempts?: number | undefined;
  readonly projectId?: string | undefined;
  readonly requestId?: string | null | undefined;
  readonly traceparent?: string | null | undefined;
  /** Cron expression that triggered the job. */
  readonly cron?: { readonly expression: string; readonly scheduledTime: number } | undefined;
}

type CamelCase<Name> = Name extends `${infer Head}_${infer Rest}` ? `${Head}${Capitalize<CamelCase<Rest>>}` : Name;

type Listed<Value> = Value extends readonly (infer Item)[] ? readonly Item[] : Value;

/** Payload of a type with fields in camelCase, for the methods that are named after a type. */
type JobRequest<Type extends JobType> = {
  readonly [Field in keyof JobPayloadInput<Type> as CamelCase<Field>]: Listed<JobPayloadInput<Type>[Field]>;
};

type AutoSuspend = Omit<JobRequest<"auto_suspend">, "asOf"> & { readonly asOf?: number };

export interface Enqueued {
  readonly id: string;
  /** false: the same job was requested before. */
  readonly created: boolean;
  readonly job: JobRow;
}

interface JobQueueOptions {
  readonly db: D1Database;
  readonly workflow: Workflow<JobParams>;
  readonly clock: () => number;
  readonly sleep?: Sleep;
}

export class JobQueue {
  readonly #options: JobQueueOptions;
  readonly #instances: Instances;

  constructor(options: JobQueueOptions) {
    this.#options = options;
    this.#instances = new Instances(options.workflow, options.sleep);
  }

  /**
   * Enqueues a job. Throws `invalid_request` if the payload does not fit the type, and `conflict` if the key was used for a different payload.
   * Throws `storage_unavailable` if the job could not be recorded. Then nothing was started.
   */
  async enqueueJob<Type extends JobType>(type: Type, payload: JobPayloadInput<Type>, options: EnqueueOptions): Promise<Enqueued> {
    return this.#begin(await this.#newJob(type, payload, options));
  }

  /**
   * Enqueues many jobs of a type. Existing ones stay unchanged. Returns the ids in the given order. If an instance cannot be created now, the
   * relay creates it.
   */
  async enqueueMany<Type extends JobType>(
    type: Type,
    requests: readonly (Pick<EnqueueOptions, "projectId"> & { readonly payload: JobPayloadInput<Type>; readonly idempotencyKey: string })[],
    options: Pick<EnqueueOptions, "requestedBy" | "traceparent">,
  ): Promise<string[]> {
    const jobs = await Promise.all(requests.map(async ({ payload, ...own }) => this.#newJob(type, payload, { ...options, ...own })));
    const inserted = await insertJobs(this.#options.db, jobs);
    const begun = jobs.filter(({ id }) => inserted.has(id)).map((job) => ({ id: job.id, params: paramsOf(job) }));
    await this.#instances.createMany(begun).catch((error: unknown) => {
      log.warn("Creating instances of jobs failed", { job_type: type, jobs: begun.length, ...errorFields(error) });
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

  /** The sweep of all active projects and caps, or of the given ones. `enforceLimits: false` is a dry run. */
  async enqueueCheckUsageLimitsJob(request: JobRequest<"check_usage_limits">, options: EnqueueOptions): Promise<Enqueued> {
    return this.#enqueueNamed("check_usage_limits", request, options);
  }

  /** Checks one project for abuse. Suspends it on evidence, unless `enforceAction` is false. `asOf`: epoch milliseconds. */
  async enqueueAutoSuspendJob({ asOf, ...request }: AutoSuspend, options: EnqueueOptions): Promise<Enqueued> {
    const end = asOf === undefined ? {} : { asOf: new Date(asOf).toISOString() };
    return this.#enqueueNamed("auto_suspend", { ...request, ...end }, options);
  }

  /** One message to one endpoint, in addition to the messages of events. */
  async enqueueDeliverWebhookJob(request: JobRequest<"deliver_webhook">, options: EnqueueOptions): Promise<Enqueued> {
    return this.#enqueueNamed("deliver_webhook", request, options);
  }

  /** The monthly reset. */
  async enqueueResetQuotasJob(options: EnqueueOptions): Promise<Enqueued> {
    return this.#enqueueNamed("reset_quotas", {}, options);
  }

  /** A backup of a project's database, `full` by default. */
  async enqueueExportBackupJob(request: JobRequest<"export_backup">, options: EnqueueOptions): Promise<Enqueued> {
    return this.#enqueueNamed("export_backup", request, options);
  }

  /** Everything that a new project needs besides its row. */
  async enqueueProvisionProjectJob(request: JobRequest<"provision_project">, options: EnqueueOptions): Promise<Enqueued> {
    return this.#enqueueNamed("provision_project", request, options);
  }

  /** The rotation of a key, or with `version` only its grace period. */
  async enqueueRotateKeyJob(keyId: string, options: EnqueueOptions & Omit<JobRequest<"rotate_key">, "keyId">): Promise<Enqueued> {
    const { newKeySha256, immediate, version, ...rest } = options;
    return this.#enqueueNamed("rotate_key", { keyId, newKeySha256, immediate, version }, rest);
  }

  /** Converts a payload from camelCase. A payload with a project makes the job belong to that project. */
  async #enqueueNamed<Type extends JobType>(type: Type, request: JobRequest<Type>, options: EnqueueOptions): Promise<Enqueued> {
    const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/gu, (capital) => `_${capital.toLowerCase()}`);
    const fields = Object.entries(request).map(([name, value]) => [snakeCase(name), value] as const);
    const { projectId } = { projectId: undefined, ...request };
    return this.enqueueJob(type, Object.fromEntries(fields) as JobPayloadInput<Type>, { projectId, ...options });
  }

  /**
   * Runs a failed or cancelled job again, as a new job. Idempotent. A job that was already retried can only be retried through its latest
   * run. Throws `conflict` otherwise.
   */
  async retry(job: JobRow, { requestedBy, requestId }: Pick<EnqueueOptions, "requestedBy" | "requestId">): Promise<Enqueued> {
    if (job.status !== "failed" && job.status !== "cancelled") {
      throw new Problem("conflict", `This job is ${job.status}. Only failed and cancelled jobs can be retried.`);
    }
    if (!isJobType(job.type)) throw new Problem("conflict", `The job type ${job.type} no longer exists.`);
    const run = job.run + 1;
    const id = retryId(job.root_id, run);
    const now = this.#options.clock();
    const request = { requested_by: requestedBy, request_id: requestId ?? null, cron: null, scheduled_for: null, created_at: now };
    const done = await this.#begin({ ...job, ...request, id, run, status: "queued" });
    if (!done.created && done.job.ended_at !== null) {
      const detail = `This job was already retried as ${id}, which is ${done.job.status}. If that job did not complete, retry it instead.`;
      throw new Problem("conflict", detail, { members: { retried_as: id } });
    }
    return done;
  }

  /**
   * Cancels a job: first its row in the index, so that no further step begins, then its instance. Returns the job. A job that ended meanwhile
   * keeps its result. Throws `conflict` if it had already ended.
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
    throw new Problem("conflict", `This job is ${now.status}, so it cannot be cancelled.`);
  }

  /** A failure to create the instance is not an error: the job is recorded, and the relay creates the instance. */
  async #begin(request: NewJob): Promise<Enqueued> {
    const { db } = this.#options;
    const inserted = await insertJob(db, request);
    const job = inserted ?? (await findJob(db, request.id));
    if (job === null)
      throw new Problem("storage_unavailable", "The job was recorded but cannot be found. Send the request again.", {
        retryAfterSeconds: 5,
      });
    if (job.payload !== request.payload) {
      throw new Problem("conflict", "This idempotency key was already used with a different payload. Use a new idempotency key.", {
        members: { job_id: job.id },
      });
    }
    if (inserted !== null || (await this.#claimUnstarted(job))) {
      await this.#instances.create(job.id, paramsOf(job)).catch((error: unknown) => {
        log.warn("Creating a job's instance failed", { job_id: job.id, job_type: job.type, ...errorFields(error) });
      });
    }
    return { id: job.id, created: inserted !== null, job };
  }

  /** The job was requested before and has not begun. Its creator may have crashed. A claim prevents a second start. */
  async #claimUnstarted(job: JobRow): Promise<boolean> {
    const { db, clock } = this.#options;
    const now = clock();
    const begun = job.status !== "queued" && job.status !== "scheduled";
    return !begun && now - job.updated_at >= CREATED_WITHIN_MS && claimStart(db, job, now);
  }
}

/** The payload as stored: parsed, with sorted fields, so that equal payloads are equal texts. */
function payloadText(type: JobType, payload: unknown): string {
  const parsed = JOBS[type].payload.safeParse(payload);
  if (!parsed.success) {
    const errors = fieldErrors(parsed.error.issues, payload, "");
    throw invalidFields(errors.map((error) => ({ ...error, path: ["payload", error.path].filter((part) => part !== "").join(".") })));
  }
  const text = JSON.stringify(parsed.data, sorted);
  if (text.length > MAX_PAYLOAD_CHARACTERS) {
    throw new Problem("payload_too_large", `The payload must have at most ${MAX_PAYLOAD_CHARACTERS} characters (got ${text.length}).`);
  }
  return text;
}

function sorted(_name: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
