/**
 * Every type of job there is: what it is told, how often it is tried, and how long it is kept. One catalogue types the sender and the
 * handler. No I/O. No clock.
 */
import { z } from "zod";
import { ABUSE_PATTERNS } from "../store/abuse/abuse.ts";
import { EXPORT_TYPES } from "../store/backups/backups.ts";
import type { FinalStatus } from "../store/jobs/jobs.ts";
import { CAP_TYPES } from "../store/limits/meters.ts";

interface JobKind {
  /** Strict, so that a misspelt field is refused; its descriptions stand in the API's document. */
  readonly payload: z.ZodObject;
  /** What it does, as the API's document says it. */
  readonly description: string;
  /** Of each step, the first included. 1: never again. */
  readonly tries: number;
  /** Before the second try. */
  readonly delaySeconds: number;
  /** `exponential`: each further pause is twice as long. */
  readonly backoff: "exponential" | "constant";
  /** Of each try. */
  readonly timeoutMinutes: number;
  /** Fields of the payload that nobody gets to read. */
  readonly redact?: readonly string[];
  /** Days after its end, by how it ended. */
  readonly keptDays: Readonly<Record<FinalStatus, number>>;
}

/** Failures are kept for those who look once a month; successes for a look back over the week. */
const KEPT_DAYS = { completed: 7, failed: 30, cancelled: 7 } as const;
/** "Retryable types wait 5 s, then exponentially; each try may take 5 minutes." */
const RETRYABLE = { tries: 3, delaySeconds: 5, backoff: "exponential", timeoutMinutes: 5, keptDays: KEPT_DAYS } as const;

const projectId = z.string().regex(/^[\w-]{1,64}$/u, "must be 1 to 64 letters, digits, _ or -");

const measured = z.number().min(0).max(Number.MAX_SAFE_INTEGER).optional();
const whole = z.int().min(0).optional();

/** Together with their texts far less than a job takes: what no job takes would wait for one for ever. */
const MAX_METRICS = 100;
const MAX_NAME = 100;

/** What somebody else measured; beside the known names anything may stand, to be kept. */
export const abuseMetrics = z
  .object({
    requests_per_minute: measured,
    baseline_requests_per_minute: measured,
    error_rate: z.number().min(0).max(1, "must be a share from 0 to 1").optional().describe("0.5: half of the requests failed"),
    requests: whole.describe("In the smaller of the windows"),
    errors: whole,
    probes: whole.describe("In the smaller of the windows: requests for what no key of the project opens"),
    windows: whole.describe("Windows of five minutes in a row, in each of which it was so"),
    baseline_hours: whole.describe("Hours of use that the baseline was taken from"),
    baseline_days: whole.describe("Days on which these hours lie"),
  })
  .catchall(z.union([z.number(), z.string().max(500)], "must be a number, or a text of at most 500 characters"))
  .refine((metrics) => Object.keys(metrics).length <= MAX_METRICS, `must have at most ${MAX_METRICS} names`)
  .refine((metrics) => Object.keys(metrics).every((name) => name.length <= MAX_NAME), `must have names of at most ${MAX_NAME} characters`);

export const JOBS = {
  check_usage_limits: {
    ...RETRYABLE,
    description: "The sweep: compares use with caps, warns at 80 and 90 %, stops what is over, and lifts what has ended",
    payload: z
      .strictObject({
        check_all: z.boolean().optional().describe("All active projects; so it is where `project_ids` names none"),
        project_ids: z.array(projectId).min(1).max(1_000).optional().describe("Only these"),
        cap_types: z.array(z.enum(CAP_TYPES)).min(1).optional().describe("Only these caps"),
        enforce_limits: z.boolean().default(true).describe("false: a dry run, which writes evaluations and does nothing else"),
        after: z.string().max(64).optional().describe("Where a sweep goes on that a job before this one began"),
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
    description:
      "Closes billing periods that have ended, each at its end, also after an outage of months. Off with QUOTA_RESET_ENABLED=false",
    payload: z.strictObject({}),
    // The ledger of a month is worth a look back over two.
    keptDays: { completed: 70, failed: 70, cancelled: 70 },
  },
  provision_project: {
    ...RETRYABLE,
    description:
      "Makes what a new project needs: its database, its registration with auth, realtime and storage, and then its key works. What fails is undone. POST /api/projects asks for it",
    payload: z.strictObject({
      project_id: projectId.describe("That POST /api/projects created"),
      project_name: z.string().max(200).optional(),
      owner_id: z.string().max(200).nullable().optional(),
      region: z.string().max(64).nullable().optional(),
    }),
  },
  rotate_key: {
    ...RETRYABLE,
    tries: 1,
    description:
      "A new version of a key, and the end of the earlier one's grace, for which the job sleeps. POST …/keys/{key_id}/rotate asks for it; by itself it needs new_key_sha256",
    payload: z
      .strictObject({
        key_id: z.string().regex(/^[0-9A-Za-z]{10}$/u, "must be the 10 letters and digits in the middle of a key"),
        new_key_sha256: z
          .string()
          .regex(/^[0-9a-f]{64}$/u, "must be a SHA-256 hash: 64 lower-case hex digits")
          .optional()
          .describe("Of a whole key that you made: a job can give a key to nobody"),
        immediate: z.boolean().optional().describe("The secret leaked: earlier versions stop working at once"),
        version: z.int().min(2).optional().describe("That exists already: only the grace of the one before is kept"),
      })
      .refine(({ version, new_key_sha256, immediate }) => version === undefined || (new_key_sha256 ?? immediate) === undefined, {
        path: ["version"],
        error: "must not be given together with `new_key_sha256` or `immediate`",
      }),
    // A hash, of 190 random bits: no secret, and nobody's business.
    redact: ["new_key_sha256"],
  },
  harvest: {
    ...RETRYABLE,
    description:
      "Fetches due targets in runs of at most 60 provider requests, each a job of its own, until nothing is due or `until` is reached",
    payload: z.strictObject({
      until: z.iso.datetime().optional().describe("No further run is begun after it; 28 minutes after its tick by default"),
    }),
  },
  auto_suspend: {
    ...RETRYABLE,
    tries: 1,
    description:
      "Looks whether a project is abused, by what we measured ourselves, and suspends it for that until somebody reactivates it. Its decision stands in `GET /api/projects/{id}/detections`",
    payload: z.strictObject({
      project_id: projectId,
      pattern_type: z
        .enum(ABUSE_PATTERNS)
        .describe(
          "EXCESSIVE_USAGE: more than 10 times the baseline. ERROR_SPIKE: more than half are errors. SUSPICIOUS_PATTERN: more probes than requests",
        ),
      metrics: abuseMetrics.default({}).describe("Kept, and used only for a project of which we measured nothing ourselves"),
      enforce_action: z.boolean().default(true).describe("false: only report"),
      as_of: z.iso.datetime().optional().describe("When the two windows of five minutes end that are looked at; without it, now"),
    }),
    // As long as a suspension may be asked about.
    keptDays: { completed: 30, failed: 30, cancelled: 7 },
  },
  deliver_webhook: {
    ...RETRYABLE,
    tries: 5,
    description:
      "Sends one signed message to an endpoint: up to 5 times, 5 s, 40 s, 5 and 43 minutes apart, or when the receiver says. With `delivery_id`, one that is written down already",
    payload: z.strictObject({
      webhook_id: z.string().regex(/^wh_[0-9A-Za-z]{20}$/u, "must be wh_ and 20 letters and digits"),
      project_id: projectId,
      url: z.url().max(2_000).describe("The endpoint's address. Where it was given another one meanwhile, that is called"),
      payload: z
        .strictObject({
          type: z.string().regex(/^[a-z][\w.-]{0,99}$/u, "must be a name such as quota.warning"),
          timestamp: z.iso.datetime(),
          data: z.record(z.string(), z.unknown()),
        })
        .describe("What is sent"),
      delivery_id: z
        .string()
        .regex(/^dlv_[0-9a-f]{32}$/u, "must be dlv_ and 32 hexadecimal digits")
        .optional()
        .describe("A delivery of the endpoint; without it one is written down"),
    }),
    // An address may hold a secret of its owner's.
    redact: ["url"],
  },
  housekeeping: {
    ...RETRYABLE,
    description:
      "Starts jobs that a crash left behind, adopts ends that were not recorded, hands events on to webhooks, and removes what is over its life",
    payload: z.strictObject({
      retention: z.boolean().optional().describe("Also removes rows of all tables that are over their life, not only those of jobs"),
      provider_count: z.boolean().optional().describe("Also asks the provider for its own count (GET /key, free)"),
      restarted_at: z.iso
        .datetime()
        .optional()
        .describe("Local only: workerd was started then, so whatever was under way before it is asleep, and is woken"),
    }),
    // 288 a day, each like the other.
    keptDays: { ...KEPT_DAYS, completed: 1 },
  },
  export_backup: {
    ...RETRYABLE,
    description: "A dump of a project's database into R2 and Telegram, one moment's truth, verified by restoring it",
    payload: z.strictObject({
      project_id: projectId.describe("Whose database"),
      export_type: z.enum(EXPORT_TYPES).default("full").describe("full: schema and rows. schema: no rows"),
    }),
    keptDays: { completed: 30, failed: 30, cancelled: 30 },
  },
  restore_backup: {
    ...RETRYABLE,
    description:
      "A verified backup into the new project that it was asked for; begun by POST /api/projects/{id}/backups/{backup_id}/restore",
    payload: z.strictObject({
      project_id: projectId.describe("The new project"),
      backup_id: z.string().regex(/^bak_[0-9a-f]{40}(-r\d{1,5})?$/u, "must be the id of a backup"),
    }),
    keptDays: { completed: 30, failed: 30, cancelled: 30 },
  },
} as const satisfies Record<string, JobKind>;

export type JobType = keyof typeof JOBS;
export const JOB_TYPES = Object.keys(JOBS) as [JobType, ...JobType[]];

/** As the handler gets it: parsed, with its defaults. */
export type JobPayload<Type extends JobType> = z.output<(typeof JOBS)[Type]["payload"]>;
/** As the sender may give it. */
export type JobPayloadInput<Type extends JobType> = z.input<(typeof JOBS)[Type]["payload"]>;

export function isJobType(type: string): type is JobType {
  return Object.hasOwn(JOBS, type);
}

/** What is known of a type; of one that is no longer in the catalogue, nothing. */
export function jobKind(type: string): JobKind | null {
  return isJobType(type) ? JOBS[type] : null;
}

const REDACTED = "[redacted]";

/** A payload as it may be shown. One whose type is gone is shown empty: nobody knows any more what in it was secret. */
export function visiblePayload(type: string, payload: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kind = jobKind(type);
  if (kind === null) return {};
  const hidden = new Set(kind.redact);
  return Object.fromEntries(Object.entries(payload).map(([name, value]) => [name, hidden.has(name) ? REDACTED : value]));
}
