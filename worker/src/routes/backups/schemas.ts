/** Backups as the API shows them. */
import { z } from "@hono/zod-openapi";
import { BACKUP_STATUSES, EXPORT_TYPES } from "../../store/backups/backups.ts";
import { RESTORE_STATUSES } from "../../store/backups/restores.ts";
import {
  callsPerDay,
  shareMode,
  capsBody,
  keyBody,
  DEFAULT_SCOPES,
  name,
  newApiKey,
  organizationId,
  ownerId,
  project,
  projectId,
  region,
  time,
} from "../projects/schemas.ts";

const EXAMPLE_ID = "bak_5f0c0b1a7d1e4a6b8c9d0e1f2a3b4c5d6e7f8091";

export const backupId = z
  .string()
  .regex(/^[\w-]{1,64}$/u, "expected 1 to 64 letters, digits, _ or -")
  .describe("Of a backup")
  .openapi({ example: EXAMPLE_ID });

export const exportType = z.enum(EXPORT_TYPES).describe("full: schema and rows. schema: no rows");

const unknownYet = "null until it is verified";
const count = (what: string) => z.int().nullable().describe(`${what}; ${unknownYet}`);

export const backup = z
  .object({
    id: z.string(),
    project_id: z.string(),
    export_type: exportType,
    status: z
      .enum([...BACKUP_STATUSES, "deleting"])
      .describe("verified: it was restored from what is stored, and compared. Nothing else can be downloaded or restored"),
    job_id: z.string().describe("Its job, which tells every try"),
    requested_by: z.string().describe("`admin`, `key:<id>` or `job:<id>`"),
    taken_at: time.nullable().describe("The moment that it shows; null before the database was frozen"),
    tables: count("Tables with their rows in it; 0 for a schema"),
    rows: count("Rows of all tables"),
    schema_version: count("Of the migrations that were applied"),
    schema_hash: z.string().nullable().describe(`SHA-256 of the schema; ${unknownYet}`),
    parts: count("Objects that it is stored in"),
    sql_bytes: count("Unpacked"),
    stored_bytes: count("Of the file"),
    sha256: z.string().nullable().describe(`Of the file, in hex; ${unknownYet}`),
    copies: z.enum(["sent", "failed"]).nullable().describe("In Telegram; null where no bot is configured"),
    error: z.string().nullable().describe("Why it failed"),
    created_at: time,
    ended_at: time.nullable(),
  })
  .openapi("Backup");

export const backupBody = z
  .strictObject({
    export_type: exportType.default("full"),
    idempotency_key: z.string().min(1).max(200).optional().describe("The same key is the same backup, and answers with it"),
  })
  .openapi({ example: { export_type: "full", idempotency_key: "before-migration-12" } });

const restoreFields = {
  project_id: z.string().describe("The new project"),
  backup_id: z.string(),
  source_project_id: z.string(),
  status: z
    .enum(RESTORE_STATUSES)
    .describe(
      "completed: the content hashes agreed. failed: the database is empty again unless `error` says otherwise, and the same request tries again",
    ),
  attempt: z.int(),
  job_id: z.string(),
  requested_by: z.string(),
  error: z.string().nullable(),
  created_at: time,
  ended_at: time.nullable(),
};

export const restore = z.object(restoreFields).openapi("Restore");

export const restoreBody = z
  .strictObject({
    project_id: projectId.describe(
      "Of the new project: yours to choose. The same request again answers with the same restore; another one is 409",
    ),
    organization_id: organizationId.optional().describe("Who owns it; without it, who owns the project that was backed up"),
    name: name.optional().describe("Without it, the name of the project that was backed up"),
    owner_id: ownerId.default(null),
    region: region.default(null),
    caps: capsBody.default({}),
    calls_per_day: callsPerDay.default(null),
    share_mode: shareMode.optional(),
    key: keyBody.default({ name: "default", mode: "live", scopes: [...DEFAULT_SCOPES], expires_at: null }),
  })
  .openapi({ example: { project_id: "proj_reading_list_copy", name: "Reading list, as of yesterday" } });

export const restoring = z
  .object({
    restore,
    project,
    api_key: newApiKey.optional().describe("Only in the answer of the request that made the project, and never again"),
  })
  .openapi("Restoring");
