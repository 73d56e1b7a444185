/** Backups of projects' databases. Only the administrator can delete one. */
import { z } from "@hono/zod-openapi";
import { idempotencyKey, ofProject, projectId, time } from "../../http/fields.ts";
import { sendFile } from "../../http/file.ts";
import { createRouter } from "../../http/index.ts";
import { pageByTime, pageQuery } from "../../http/paging.ts";
import { BACKUP_STATUSES, EXPORT_TYPES, listBackups } from "../../store/backups/backups.ts";
import { backupJson, deleteBackupOnRequest, getBackup, getVerified, startBackup } from "../../tenants/backups/backups.ts";
import { downloadOf, manifestOf } from "../../tenants/backups/download.ts";
import { BY_ADMIN } from "../../tenants/changing.ts";
import { actorOf, existingProject } from "../acting.ts";
import { admin, answer, jsonBody, location, onePage, operations, projectItself } from "../operation.ts";

export const backupRoutes = createRouter();
const byProject = operations(backupRoutes, "Backups", projectItself("admin"));
const byAdmin = operations(backupRoutes, "Backups", admin);
const start = operations(backupRoutes, "Backups", projectItself("admin"), ["storage_unavailable", "project_not_ready"]);

/** The header `Location`. */
export const WHERE = "Address of the progress";

const EXAMPLE_ID = "bak_5f0c0b1a7d1e4a6b8c9d0e1f2a3b4c5d6e7f8091";

const backupId = z
  .string()
  .regex(/^[\w-]{1,64}$/u, "must be 1 to 64 letters, digits, _ or -")
  .describe("Id of a backup")
  .openapi({ example: EXAMPLE_ID });

export const ofBackup = z.object({ id: projectId, backup_id: backupId });

const exportType = z.enum(EXPORT_TYPES).describe("full: schema and rows. schema: no rows");

const unknownYet = "null until it is verified";
const count = (what: string) => z.int().nullable().describe(`${what}, ${unknownYet}`);

const backup = z
  .object({
    id: z.string(),
    project_id: z.string(),
    export_type: exportType,
    status: z
      .enum([...BACKUP_STATUSES, "deleting"])
      .describe(
        "verified: it was restored from the stored parts and compared with its source. Only verified backups can be downloaded. outdated: made by an earlier release, and can only be restored",
      ),
    job_id: z.string().describe("Job of the backup, with all attempts"),
    requested_by: z.string().describe("`admin`, `key:<id>` or `job:<id>`"),
    taken_at: time.nullable().describe("Time of the snapshot. null: the database is not frozen yet"),
    tables: count("Tables with rows, 0 for a schema"),
    rows: count("Rows of all tables"),
    schema_version: count("Version of the applied migrations"),
    schema_hash: z.string().nullable().describe(`SHA-256 of the schema, ${unknownYet}`),
    parts: count("Stored objects"),
    sql_bytes: count("Unpacked"),
    stored_bytes: count("Size of the file in bytes"),
    sha256: z.string().nullable().describe(`SHA-256 of the file in hex, ${unknownYet}`),
    copies: z.enum(["sent", "failed"]).nullable().describe("Copies in Telegram. null: no bot is configured"),
    error: z.string().nullable().describe("Reason for the failure"),
    created_at: time,
    ended_at: time.nullable(),
  })
  .openapi("Backup");

const backupBody = z
  .strictObject({
    export_type: exportType.default("full"),
    idempotency_key: idempotencyKey.describe("The same key returns the same backup"),
  })
  .openapi({ example: { export_type: "full", idempotency_key: "before-migration-12" } });

const text = (description: string) => ({ schema: { type: "string" as const }, description });
const binary = { schema: { type: "string", format: "binary" } } as const;

start("post", "/projects/{id}/backups", {
  summary: "Create a backup of a project's database",
  description:
    "A job dumps one consistent snapshot in parts, restores a copy and compares it. Writes to the database get 503 `database_busy` during the dump. Only one backup of a project runs at a time, otherwise 409. The newest 10 verified backups of each type are kept.",
  request: { params: ofProject, body: jsonBody(backupBody) },
  responses: { 202: answer("Started", backup, location(WHERE)) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { export_type: exportType_, idempotency_key: idempotencyKey } = c.req.valid("json");
  const { id } = c.req.valid("param");
  const request = { exportType: exportType_, idempotencyKey, requestId: c.get("requestId") };
  const row = await startBackup(c.get("deps"), id, request, actorOf(c));
  c.header("Location", `/api/projects/${id}/backups/${row.id}`);
  return c.json(backupJson(row), 202);
});

byProject("get", "/projects/{id}/backups", {
  summary: "List backups of a project",
  request: {
    params: ofProject,
    query: z.object({ status: z.enum(BACKUP_STATUSES).optional().describe("Only backups with this status"), ...pageQuery }),
  },
  responses: { 200: onePage({ backups: z.array(backup) }) },
}).handle(async (c) => {
  const { status = null, ...query } = c.req.valid("query");
  const { id, db } = await existingProject(c, c.req.valid("param"));
  const { items, next_cursor } = await pageByTime(query, async (slice) => listBackups(db, { projectId: id, status, ...slice }), backupJson);
  return c.json({ backups: items, next_cursor }, 200);
});

byProject("get", "/projects/{id}/backups/{backup_id}", {
  summary: "Get a backup",
  request: { params: ofBackup },
  responses: { 200: answer("The backup", backup) },
}).handle(async (c) => {
  const { id, backup_id } = c.req.valid("param");
  return c.json(backupJson(await getBackup(c.get("deps"), id, backup_id)), 200);
});

const fileHeaders = {
  "Accept-Ranges": text("bytes"),
  "Content-Disposition": text("File name"),
  "Content-Length": text("In bytes"),
  ETag: text("SHA-256 of the whole file in hex"),
  "Repr-Digest": text("SHA-256 of the whole file, as RFC 9530 writes it"),
};

byProject("get", "/projects/{id}/backups/{backup_id}/download", {
  summary: "Download a backup as one file",
  description:
    "SQL for any SQLite: `gunzip -c FILE | sqlite3 -safe -bail new.db`. Each statement is one line. To resume a download, send `Range` and `If-Range`. A backup of an earlier release is `outdated`. It gets 409, because its file may make the sqlite3 shell run commands. Each part is compared with its hash before it is sent. A damaged or missing part is replaced by its copy in Telegram. Without a copy the response is 409. If the download has already begun, the connection is closed early.",
  request: { params: ofBackup },
  responses: {
    200: { description: "The file", headers: fileHeaders, content: { "application/gzip": binary } },
    206: {
      description: "The bytes that `Range` selects",
      headers: { ...fileHeaders, "Content-Range": text("First and last byte, and size of the file") },
      content: { "application/gzip": binary },
    },
    304: { description: "The file has the ETag that `If-None-Match` names" },
  },
  problems: ["conflict", "range_not_satisfiable"],
}).handle(async (c) => {
  const { id, backup_id } = c.req.valid("param");
  const deps = c.get("deps");
  return sendFile(c, await downloadOf(deps, await getVerified(deps, id, backup_id)), "application/gzip");
});

byProject("get", "/projects/{id}/backups/{backup_id}/manifest", {
  summary: "Get the manifest of a backup: rows and content hash of each table, hashes of the parts",
  request: { params: ofBackup },
  responses: { 200: answer("The manifest", z.looseObject({ format: z.string(), sha256: z.string() }).openapi("BackupManifest")) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { id, backup_id } = c.req.valid("param");
  const deps = c.get("deps");
  return c.json(await manifestOf(deps, await getVerified(deps, id, backup_id)), 200);
});

byAdmin("delete", "/projects/{id}/backups/{backup_id}", {
  summary: "Delete a backup",
  description: "Works for the last backup, too. Copies in Telegram remain. A running backup gets 409. Cancel its job first.",
  request: { params: ofBackup },
  responses: { 200: answer("The deleted backup", backup) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { id, backup_id } = c.req.valid("param");
  return c.json(backupJson(await deleteBackupOnRequest(c.get("deps"), id, backup_id, BY_ADMIN)), 200);
});
