/** Shapes of the tenants' routes, as the OpenAPI document shows them. */
import { z } from "@hono/zod-openapi";
import { MAX_CALLS } from "../../env.ts";
import { line, name, note } from "../../http/fields.ts";
import { SCOPES } from "../../store/keys/api-keys.ts";
import { CAP_TYPES } from "../../store/limits/meters.ts";
import { PROVISIONING_STATUSES } from "../../store/provisioning/provisionings.ts";
import { PROJECT_STATUSES, SHARE_MODES } from "../../store/projects/projects.ts";
import type { ShareMode } from "../../store/projects/projects.ts";
import type { ProjectShare } from "../../tenants/projects/projects.ts";
import { invalidField } from "../../http/index.ts";
import { REGIONS } from "../../tenant-database/index.ts";
import { KEY_MODES } from "../../tenants/keys/api-key.ts";
import { MAX_CAP } from "../../tenants/limits/caps.ts";
import { STEP_STATUSES } from "../../tenants/provisioning/status.ts";

export const time = z.string().describe("ISO 8601 in UTC, without milliseconds");

export { name, note };
export const ownerId = line(200).nullable().describe("Your name for who owns it");
export const region = z
  .enum(REGIONS)
  .nullable()
  .describe(
    "Where its database is put: North America west, east, South America, Europe west, east, Asia, Oceania, Africa, Middle East; null: near whoever asks first. It never moves: a later change is a note",
  );

const identifier = z.string().regex(/^[\w-]{1,64}$/u, "expected 1 to 64 letters, digits, _ or -");

export const organizationId = identifier.describe("Of an organisation").openapi({ example: "org_alexandria" });
export const projectId = identifier.describe("Of a project").openapi({ example: "proj_reading_list" });
export const keyId = z
  .string()
  .regex(/^[0-9A-Za-z]{10}$/u, "expected the 10 letters and digits in the middle of a key: qc_live_<these>_…")
  .describe("Of a key: stands in the key itself")
  .openapi({ example: "Q7hX2mPz4K" });

/** Of a list. */
export const searchText = z.string().max(200).optional().describe("Part of the name or the id; A to Z in either case");

/** A moment to the second, as all answers show them. */
export const instant = z.iso
  .datetime({ error: "expected an ISO 8601 time in UTC, such as 2025-12-30T23:59:58Z" })
  // What is no time at all was complained of above.
  .refine((text) => !(Math.abs(Date.parse(text) % 1_000) > 0), "expected whole seconds");

export const billingAnchor = instant.refine((text) => !(Date.parse(text) < 0), "expected a time from 1970 on");

export const capValue = z
  .int(`expected a whole number from 0 to ${MAX_CAP}, or null`)
  .min(0)
  .max(MAX_CAP)
  .nullable()
  .describe("null: unlimited. 0: refuses every use");

const capShape = Object.fromEntries(CAP_TYPES.map((type) => [type, capValue.optional()])) as {
  [Type in (typeof CAP_TYPES)[number]]: z.ZodOptional<typeof capValue>;
};

export const capsBody = z.strictObject(capShape);

export const callsPerDay = z
  .int()
  .min(0)
  .max(MAX_CALLS)
  .nullable()
  .describe("Its share of the provider's limit, in calls a day; null: as `share_mode` says");

export const shareMode = z
  .enum(SHARE_MODES)
  .describe("default: a tenth of the limit. fixed: `calls_per_day`. unlimited: only the overall limit applies");

/** The share that a body asks for. Throws `invalid_request` where its two fields contradict each other. */
export function shareIn(body: { calls_per_day?: number | null | undefined; share_mode?: ShareMode | undefined }): ProjectShare {
  if (body.calls_per_day === undefined && body.share_mode === undefined) {
    throw invalidField("calls_per_day", "expected a number of calls, null, or share_mode");
  }
  const calls_per_day = body.calls_per_day ?? null;
  const share_mode = body.share_mode ?? (calls_per_day === null ? "default" : "fixed");
  if ((share_mode === "fixed") === (calls_per_day !== null)) return { calls_per_day, share_mode };
  const expected =
    share_mode === "fixed"
      ? "expected a number of calls, because share_mode is fixed"
      : `expected null, because share_mode is ${share_mode}`;
  throw invalidField("calls_per_day", `${expected} (got ${calls_per_day})`);
}

export const monthlyApiCalls = z
  .int()
  .min(0)
  .max(MAX_CAP)
  .nullable()
  .describe("Calls of all its projects in one billing period; null: unlimited");

export const organization = z
  .object({
    id: z.string(),
    name: z.string(),
    status: z.enum(["ACTIVE", "ARCHIVED"]),
    billing_anchor: time.describe("Billing periods begin whole months after it: anchored on the 31st, in February on its last day"),
    quotas: z.object({ api_calls: monthlyApiCalls }),
    period: z.object({
      index: z.int().describe("Counted from the anchor"),
      starts_at: time,
      ends_at: time.describe("Not part of the period any more"),
      api_calls: z.int().describe("Used so far"),
    }),
    created_at: time,
    updated_at: time,
  })
  .openapi("Organization");

export const suspensionReason = z
  .string()
  .regex(/^(admin|abuse:[A-Z_]{1,64}|quota:[a-z_]{1,64})$/u, "expected admin, abuse:<PATTERN> or quota:<cap>")
  .openapi({ example: "admin" });

export const reason = z.object({
  reason: z.string().describe("`quota:<cap>`, `abuse:<pattern>` or `admin`"),
  cap_type: z.string().optional(),
  detail: z.string().optional(),
  since: time,
  until: time.optional().describe("When it ends by itself"),
});

export const project = z
  .object({
    id: z.string(),
    organization_id: z.string(),
    name: z.string(),
    owner_id: z.string().nullable(),
    region: z.string().nullable(),
    status: z.enum(PROJECT_STATUSES).describe("SUSPENDED while a reason holds"),
    reasons: z.array(reason),
    caps: z.record(z.string(), capValue),
    upstream_share: z.object({ calls_per_day: callsPerDay, share_mode: shareMode }),
    provisioning: z
      .object({
        status: z
          .enum(PROVISIONING_STATUSES)
          .describe("done: its keys work. failed: it is being undone, and then gone; the job tells why, also afterwards"),
        job_id: z.string().nullable().describe("null: it is older than provisioning"),
        steps: z.array(
          z.object({
            step: z.string(),
            status: z.enum(STEP_STATUSES).describe("local: no service is configured, so that only our own row was written"),
            at: time.nullable(),
          }),
        ),
        error: z.string().nullable(),
      })
      .describe("How far its creation has come"),
    created_at: time,
    updated_at: time,
  })
  .openapi("Project");

export const scopes = z
  .array(z.enum(SCOPES))
  .min(1)
  .refine((given) => new Set(given).size === given.length, "expected each scope once")
  .describe(
    "`read`: the catalogue and its own usage. `enrich`: enrichment and reservations. `database`: its own database. `admin`: its own keys and webhooks",
  );

/** What every key may until somebody says otherwise. */
export const DEFAULT_SCOPES = ["read", "enrich", "database"] as const;

export const keyBody = z.strictObject({
  name: name.default("default").describe("For people"),
  mode: z.enum(KEY_MODES).default("live").describe("Stands in the key, so that those in tests and examples can be told apart"),
  scopes: scopes.default([...DEFAULT_SCOPES]),
  expires_at: instant.nullable().default(null).describe("null: never"),
});

export const apiKey = z
  .object({
    id: z.string(),
    name: z.string(),
    mode: z.enum(KEY_MODES),
    scopes: z.array(z.enum(SCOPES)).readonly(),
    expires_at: time.nullable(),
    revoked_at: time.nullable(),
    last_used_at: time.nullable().describe("To the minute"),
    created_at: time,
    versions: z.array(
      z.object({
        version: z.int(),
        created_at: time,
        expires_at: time.nullable().describe("When it stops working, because a newer one exists; null: with the key"),
        last_used_at: time.nullable(),
        uses_in_grace: z.int().nullable().describe("How often it was used since a newer one exists; null: there is none"),
      }),
    ),
  })
  .openapi("ApiKey");

export const newApiKey = apiKey
  .extend({ key: z.string().describe("The key itself: only in this answer, and never again") })
  .openapi("NewApiKey");

/** A key whose secret may be somebody else's to know. */
export const shownApiKey = apiKey
  .extend({
    key: z.string().nullable().describe("The key itself, on its one appearance; null: it was shown before, or you made it yourself"),
  })
  .openapi("ShownApiKey");

export const jobLink = z
  .object({
    id: z.string(),
    status: z.string().nullable().describe("null: the index of jobs does not know it yet, or any more"),
    href: z.string(),
  })
  .openapi("JobLink");

export const linkTo = ({ id, status }: { readonly id: string; readonly status: string | null }) => ({
  id,
  status,
  href: `/api/jobs/${id}`,
});
