/** Projects in the OpenAPI document. */
import { z } from "@hono/zod-openapi";
import { MAX_CALLS } from "../../env.ts";
import { line, time } from "../../http/fields.ts";
import { CAP_TYPES } from "../../store/limits/meters.ts";
import { PROVISIONING_STATUSES } from "../../store/provisioning/provisionings.ts";
import { PROJECT_STATUSES, SHARE_MODES } from "../../store/projects/projects.ts";
import type { ShareMode } from "../../store/projects/projects.ts";
import type { ProjectShare } from "../../tenants/projects/projects.ts";
import { invalidField } from "../../errors.ts";
import { REGIONS } from "../../tenant-database/index.ts";
import { MAX_CAP } from "../../tenants/limits/caps.ts";
import { STEP_STATUSES } from "../../tenants/provisioning/status.ts";
import { firstKey, keyInput } from "../keys/keys.ts";
import { answer } from "../operation.ts";

export const ownerId = line(200).nullable().describe("Your name for the owner");
export const region = z
  .enum(REGIONS)
  .nullable()
  .describe(
    "Location of the database: North America west, east, South America, Europe west, east, Asia, Oceania, Africa, Middle East. null: near the first request. The database never moves, so a later change is only a note",
  );

export const capValue = z
  .int(`must be a whole number from 0 to ${MAX_CAP}, or null`)
  .min(0)
  .max(MAX_CAP)
  .nullable()
  .describe("null: unlimited. 0: every use is refused");

const capShape = Object.fromEntries(CAP_TYPES.map((type) => [type, capValue.optional()])) as {
  [Type in (typeof CAP_TYPES)[number]]: z.ZodOptional<typeof capValue>;
};

export const capsBody = z.strictObject(capShape);

export const callsPerDay = z
  .int()
  .min(0)
  .max(MAX_CALLS)
  .nullable()
  .describe("The project's share of the provider's limit, in calls per day. null: `share_mode` decides");

export const shareMode = z
  .enum(SHARE_MODES)
  .describe("default: a tenth of the limit. fixed: `calls_per_day`. unlimited: only the overall limit applies");

/** The share in a request body. Throws `invalid_request` if its two fields contradict each other. */
export function shareIn(body: { calls_per_day?: number | null | undefined; share_mode?: ShareMode | undefined }): ProjectShare {
  if (body.calls_per_day === undefined && body.share_mode === undefined) {
    throw invalidField("calls_per_day", "is required, unless `share_mode` is given");
  }
  const calls_per_day = body.calls_per_day ?? null;
  const share_mode = body.share_mode ?? (calls_per_day === null ? "default" : "fixed");
  if ((share_mode === "fixed") === (calls_per_day !== null)) return { calls_per_day, share_mode };
  const accepted = share_mode === "fixed" ? "a number of calls" : "null";
  throw invalidField("calls_per_day", `must be ${accepted}, because \`share_mode\` is ${share_mode}`, calls_per_day);
}

/** Optional fields of a new project. */
export const newProject = {
  owner_id: ownerId.default(null),
  region: region.default(null),
  caps: capsBody.default({}),
  calls_per_day: callsPerDay.default(null),
  share_mode: shareMode.optional(),
  key: firstKey,
};

export const newProjectInput = (body: z.infer<z.ZodObject<typeof newProject>>) => ({
  ownerId: body.owner_id,
  region: body.region,
  caps: body.caps,
  share: shareIn(body),
  key: keyInput(body.key, null),
});

export const reason = z.object({
  reason: z.string().describe("`quota:<cap>`, `abuse:<pattern>` or `admin`"),
  cap_type: z.string().optional(),
  detail: z.string().optional(),
  since: time,
  until: time.optional().describe("Automatic end"),
});

export const project = z
  .object({
    id: z.string(),
    organization_id: z.string(),
    name: z.string(),
    owner_id: z.string().nullable(),
    region: z.string().nullable(),
    status: z.enum(PROJECT_STATUSES).describe("SUSPENDED while a reason is active"),
    reasons: z.array(reason),
    caps: z.record(z.string(), capValue),
    upstream_share: z.object({ calls_per_day: callsPerDay, share_mode: shareMode }),
    provisioning: z
      .object({
        status: z
          .enum(PROVISIONING_STATUSES)
          .describe("done: its keys work. failed: provisioning is rolled back and the project disappears. The job holds the reason"),
        job_id: z.string().nullable().describe("null: the project is older than provisioning"),
        steps: z.array(
          z.object({
            step: z.string(),
            status: z.enum(STEP_STATUSES).describe("local: no service is configured, so only our own row was written"),
            at: time.nullable(),
          }),
        ),
        error: z.string().nullable(),
      })
      .describe("Progress of the creation"),
    created_at: time,
    updated_at: time,
  })
  .openapi("Project");

export const asItIsNow = { 200: answer("The project", project) };
