/**
 * Every job type: its payload, its attempts and its retention. One catalog types the sender and the handler. No I/O. No clock.
 */
import { z } from "zod";
import { ABUSE_PATTERNS } from "../store/abuse/abuse.ts";
import { EXPORT_TYPES } from "../store/backups/backups.ts";
import type { FinalStatus } from "../store/jobs/jobs.ts";
import { CAP_TYPES } from "../store/limits/meters.ts";

interface JobKind {
  /** Strict, so that a misspelled field is refused. The API document shows its descriptions. */
  readonly payload: z.ZodObject;
  /** Shown in the API document. */
  readonly description: string;
  /** Attempts of each step. 1: no retry. */
  readonly tries: number;
  /** Pause before the second attempt. */
  readonly delaySeconds: number;
  /** `exponential`: each further pause is twice as long. */
  readonly backoff: "exponential" | "constant";
  /** Longest duration of each attempt. */
  readonly timeoutMinutes: number;
  /** Fields of the payload that are never shown. */
  readonly redact?: readonly string[];
  /** Retention in days after the end, by final status. */
  readonly keptDays: Readonly<Record<FinalStatus, number>>;
}

/** Failures are kept for a monthly review, successes for a week. */
const KEPT_DAYS = { completed: 7, failed: 30, cancelled: 7 } as const;
/** Policy of retryable types. */
const RETRYABLE = { tries: 3, delaySeconds: 5, backoff: "exponential", timeoutMinutes: 5, keptDays: KEPT_DAYS } as const;

const projectId = z.string().regex(/^[\w-]{1,64}$/u, "must be 1 to 64 letters, digits, _ or -");

const measured = z.number().min(0).max(Number.MAX_SAFE_INTEGER).optional();
const whole = z.int().min(0).optional();

/** Keeps the metrics far below the maximum size of a payload. A signal too large for a job would wait forever. */
const MAX_METRICS = 100;
const MAX_NAME = 100;

/** Measurements of a monitoring system. Unknown names are allowed and stored. */
export const abuseMetrics = z
  .object({
    requests_per_minute: measured,
    baseline_requests_per_minute: measured,
    error_rate: z.number().min(0).max(1, "must be a share from 0 to 1").optional().describe("0.5: half of the requests failed"),
    requests: whole.describe("Requests in the window with fewer of them"),
    errors: whole,
    probes: whole.describe("Requests for resources that no key of the project can access, in the window with fewer of them"),
    windows: whole.describe("Number of consecutive windows of five minutes that match the pattern"),
    baseline_hours: whole.describe("Hours of usage in the baseline"),
    baseline_days: whole.describe("Days that contain these hours"),
  })
  .catchall(z.union([z.number(), z.string().max(500)], "must be a number, or a string of at most 500 characters"))
  .refine((metrics) => Object.keys(metrics).length <= MAX_METRICS, `must have at most ${MAX_METRICS} names`)
  .refine((metrics) => Object.keys(metrics).every((name) => name.length <= MAX_NAME), `must have names of at most ${MAX_NAME} characters`);

export const JOBS = {
  check_usage_limits: {
    ...RETRYABLE,
    description: "The sweep: compares usage with caps, warns at 80 and 90%, suspends projects over a cap, and ends expired suspensions",
    payload: z
      .strictObject({
        check_all: z.boolean().optional().describe("All active projects. This is the default without `project_ids`"),
        project_ids: z.array(projectId).min(1).max(1_000).optional().describe("Only these projects"),
        cap_types: z.array(z.enum(CAP_TYPES)).min(1).optional().describe("Only these caps"),
        enforce_limits: z.boolean().default(true).describe("false: a dry run, which only writes evaluations"),
        after: z.string().max(64).optional().describe("Id of the last project that an earlier job of this sweep has checked"),
      })
      .refine(({ check_all, project_ids }) => check_all !== true || project_ids === undefined, {
        path: ["check_all"],
        error: "must not be true together with `project_ids`",
      })
      .refine(({ check_all, project_ids }) => check_all !== false || project_ids !== undefined, {
        path: ["project_ids"],
        error: "is required if `check_all` is false",
      }),
  },
  reset_quotas: {
    ...RETRYABLE,
    tries: 4,
    description: "Closes billing periods that have ended, even after an outage of several months. QUOTA_RESET_ENABLED=false turns it off",
    payload: z.strictObject({}),
    // Kept for two months, because a billing period lasts one.
    keptDays: { completed: 70, failed: 70, cancelled: 70 },
  },
  provision_project: {
    ...RETRYABLE,
    description:
      "Creates the database of a new project, registers it with auth, realtime and storage, and activates its key. Rolls back after a failure. POST /api/projects starts it",
    payload: z.strictObject({
      project_id: projectId.describe("Created by POST /api/projects"),
      project_name: z.string().max(200).optional(),
      owner_id: z.string().max(200).nullable().optional(),
      region: z.string().max(64).nullable().optional(),
    }),
  },
  rotate_key: {
    ...RETRYABLE,
    tries: 1,
    description:
      "Adds a version of a key, sleeps through the grace period and ends the earlier version. POST …/keys/{key_id}/rotate starts it. Without that route, it needs new_key_sha256",
    payload: z
      .strictObject({
        key_id: z.string().regex(/^[0-9A-Za-z]{10}$/u, "must be the 10 letters and digits in the middle of a key"),
        new_key_sha256: z
          .string()
          .regex(/^[0-9a-f]{64}$/u, "must be a SHA-256 hash: 64 lower-case hex digits")
          .optional()
          .describe("Hash of a key that you generated. A job cannot return a key"),
        immediate: z.boolean().optional().describe("true: the secret leaked, so earlier versions stop working immediately"),
        version: z.int().min(2).optional().describe("Existing version: the job only ends the grace period of the version before it"),
      })
      .refine(({ version, new_key_sha256, immediate }) => version === undefined || (new_key_sha256 ?? immediate) === undefined, {
        path: ["version"],
        error: "must not be given together with `new_key_sha256` or `immediate`",
      }),
    // The hash of 190 random bits is not a secret, but does not need to be shown either.
    redact: ["new_key_sha256"],
  },
  harvest: {
    ...RETRYABLE,
    description:
      "Fetches due targets in runs that stay within the database statements of an invocation. Each run is its own job. Ends if no target is due, or at `until`",
    payload: z.strictObject({
      until: z.iso.datetime().optional().describe("No run starts after this time. Default: 28 minutes after the scheduled time"),
    }),
  },
  auto_suspend: {
    ...RETRYABLE,
    tries: 1,
    description:
      "Checks a project for abuse, based on the coordinator's own measurements. Suspends it until an operator reactivates it. `GET /api/projects/{id}/detections` shows the decision",
    payload: z.strictObject({
      project_id: projectId,
      pattern_type: z
        .enum(ABUSE_PATTERNS)
        .describe(
          "EXCESSIVE_USAGE: more than 10 times the baseline. ERROR_SPIKE: more than half are errors. SUSPICIOUS_PATTERN: more probes than requests",
        ),
      metrics: abuseMetrics.default({}).describe("Used only if the coordinator has no measurements of the project"),
      enforce_action: z.boolean().default(true).describe("false: only report"),
      as_of: z.iso.datetime().optional().describe("End of the two checked windows of five minutes. Default: now"),
    }),
    // Kept for a month, because questions about a suspension may come up later.
    keptDays: { completed: 30, failed: 30, cancelled: 7 },
  },
  deliver_webhook: {
    ...RETRYABLE,
    tries: 5,
    description:
      "Sends one signed message to an endpoint. Up to 5 attempts, 5 s, 40 s, 5 min and 43 min apart, unless the receiver requests another pause. With `delivery_id` it sends an existing delivery",
    payload: z.strictObject({
      webhook_id: z.string().regex(/^wh_[0-9A-Za-z]{20}$/u, "must be wh_ and 20 letters and digits"),
      project_id: projectId,
      url: z.url().max(2_000).describe("URL of the endpoint. If it has changed since, the current URL is called"),
      payload: z
        .strictObject({
          type: z.string().regex(/^[a-z][\w.-]{0,99}$/u, "must be a name such as quota.warning"),
          timestamp: z.iso.datetime(),
          data: z.record(z.string(), z.unknown()),
        })
        .describe("The event to send"),
      delivery_id: z
        .string()
        .regex(/^dlv_[0-9a-f]{32}$/u, "must be dlv_ and 32 hexadecimal digits")
        .optional()
        .describe("An existing delivery of the endpoint. Default: a new one"),
    }),
    // The URL may contain a secret of its owner.
    redact: ["url"],
  },
  housekeeping: {
    ...RETRYABLE,
    description: "Starts jobs that a crash left unstarted, records missed results, dispatches events to webhooks, and deletes expired data",
    payload: z.strictObject({
      retention: z.boolean().optional().describe("Also deletes expired rows of all tables, not only of jobs"),
      provider_count: z.boolean().optional().describe("Also reads the provider's own count (GET /key, free)"),
      restarted_at: z.iso
        .datetime()
        .optional()
        .describe("Local only: start time of workerd. Jobs that were running before are asleep and get resumed"),
    }),
    // There are 288 a day, all alike.
    keptDays: { ...KEPT_DAYS, completed: 1 },
  },
  export_backup: {
    ...RETRYABLE,
    description: "Dumps a project's database into R2 and Telegram as one consistent snapshot, and verifies it by restoring it",
    payload: z.strictObject({
      project_id: projectId.describe("Owner of the database"),
      export_type: z.enum(EXPORT_TYPES).default("full").describe("full: schema and rows. schema: no rows"),
    }),
    keptDays: { completed: 30, failed: 30, cancelled: 30 },
  },
  restore_backup: {
    ...RETRYABLE,
    description: "Loads a backup into a new project and compares the result. POST /api/projects/{id}/backups/{backup_id}/restore starts it",
    payload: z.strictObject({
      project_id: projectId.describe("The new project"),
      backup_id: z.string().regex(/^bak_[0-9a-f]{40}(-r\d{1,5})?$/u, "must be the id of a backup"),
    }),
    keptDays: { completed: 30, failed: 30, cancelled: 30 },
  },
} as const satisfies Record<string, JobKind>;

export type JobType = keyof typeof JOBS;
export const JOB_TYPES = Object.keys(JOBS) as [JobType, ...JobType[]];

/** Payload for the handler: parsed, with defaults. */
export type JobPayload<Type extends JobType> = z.output<(typeof JOBS)[Type]["payload"]>;
/** Payload from the sender. */
export type JobPayloadInput<Type extends JobType> = z.input<(typeof JOBS)[Type]["payload"]>;

export function isJobType(type: string): type is JobType {
  return Object.hasOwn(JOBS, type);
}

/** null: the type is no longer in the catalog. */
export function jobKind(type: string): JobKind | null {
  return isJobType(type) ? JOBS[type] : null;
}

const REDACTED = "[redacted]";

/** Payload without secrets. Empty if the type no longer exists, because its secret fields are unknown. */
export function visiblePayload(type: string, payload: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kind = jobKind(type);
  if (kind === null) return {};
  const hidden = new Set(kind.redact);
  return Object.fromEntries(Object.entries(payload).map(([name, value]) => [name, hidden.has(name) ? REDACTED : value]));
}
