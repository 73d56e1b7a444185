/** Backups of projects' databases. Restoring makes a project, and is the administrator's, as is removing. */
import { createRoute, z } from "@hono/zod-openapi";
import { Problem } from "../../errors.ts";
import { sendFile } from "../../http/file.ts";
import { adminOnly, ownProject } from "../../http/guards.ts";
import { createRouter } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { nextCursor, page, pageQuery, timeCursor, timeKey } from "../../http/paging.ts";
import { BACKUP_STATUSES, listBackups } from "../../store/backups/backups.ts";
import { backupJson, deleteBackupByHand, getBackup, getVerified, startBackup } from "../../tenants/backups/backups.ts";
import { downloadOf, manifestOf } from "../../tenants/backups/download.ts";
import { getRestore, restoreJson, startRestore } from "../../tenants/backups/restore.ts";
import { BY_ADMIN, byKey } from "../../tenants/changing.ts";
import type { Actor } from "../../tenants/changing.ts";
import { keyJson } from "../../tenants/keys/keys.ts";
import { getProject, projectJson } from "../../tenants/projects/projects.ts";
import { backup, backupBody, backupId, restore, restoreBody, restoring } from "./schemas.ts";
import { ADMIN, ADMIN_OR_KEY, COMMON_PROBLEMS, json, problems } from "../schemas.ts";
import { projectId, shareIn } from "../projects/schemas.ts";

const PROBLEMS = [...COMMON_PROBLEMS, "invalid_request", "not_found", "storage_unavailable"] as const;
const WITH_BODY = ["payload_too_large", "unsupported_media_type", "conflict"] as const;

const tags = ["Backups"];
const byProject = { tags, security: ADMIN_OR_KEY, middleware: [ownProject("admin")] };
const byAdmin = { tags, security: ADMIN, middleware: [adminOnly] };
const ofProject = z.object({ id: projectId });
const ofBackup = z.object({ id: projectId, backup_id: backupId });

const text = (description: string) => ({ schema: { type: "string" as const }, description });
const location = { Location: text("Where it shows how it goes") };
const binary = { schema: { type: "string", format: "binary" } } as const;

const postBackup = createRoute({
  method: "post",
  path: "/projects/{id}/backups",
  ...byProject,
  summary: "Start a backup of the project's database",
  description:
    "A job reads one moment's truth, part by part, and restores what it stored before it calls it verified. Writes to the database get 503 `database_busy` while it is read, and no longer. One backup of a project runs at a time: 409 names it. Of each type the newest 10 verified are kept.",
  request: { params: ofProject, body: { required: true, content: json(backupBody) } },
  responses: {
    202: { description: "Asked for", headers: location, content: json(backup) },
    ...problems(...PROBLEMS, ...WITH_BODY, "project_not_ready"),
  },
});

const getBackups = createRoute({
  method: "get",
  path: "/projects/{id}/backups",
  ...byProject,
  summary: "The project's backups, the newest first",
  request: {
    params: ofProject,
    query: z.object({ status: z.enum(BACKUP_STATUSES).optional().describe("Only those that stand so"), ...pageQuery }),
  },
  responses: {
    200: { description: "One page", content: json(z.object({ backups: z.array(backup), next_cursor: nextCursor })) },
    ...problems(...PROBLEMS),
  },
});

const getOne = createRoute({
  method: "get",
  path: "/projects/{id}/backups/{backup_id}",
  ...byProject,
  summary: "One backup",
  request: { params: ofBackup },
  responses: { 200: { description: "As it is now", content: json(backup) }, ...problems(...PROBLEMS) },
});

const getDownload = createRoute({
  method: "get",
  path: "/projects/{id}/backups/{backup_id}/download",
  ...byProject,
  summary: "The backup as one file",
  description:
    "SQL that any SQLite reads: `gunzip -c FILE | sqlite3 new.db`. Each part is compared with its hash before it is sent; one that is damaged or gone comes from its copy in Telegram, and where there is none: 409, or, once it has begun, the answer breaks off.",
  request: { params: ofBackup },
  responses: {
    200: {
      description: "The file",
      headers: {
        "Content-Disposition": text("What to call it"),
        "Content-Length": text("In bytes"),
        "Repr-Digest": text("SHA-256, as RFC 9530 writes it"),
      },
      content: { "application/gzip": binary },
    },
    ...problems(...PROBLEMS, "conflict"),
  },
});

const getManifest = createRoute({
  method: "get",
  path: "/projects/{id}/backups/{backup_id}/manifest",
  ...byProject,
  summary: "What the backup holds: rows and content hash of each table, hashes of the parts",
  request: { params: ofBackup },
  responses: {
    200: {
      description: "The manifest",
      content: json(z.looseObject({ format: z.string(), sha256: z.string() }).openapi("BackupManifest")),
    },
    ...problems(...PROBLEMS, "conflict"),
  },
});

const deleteOne = createRoute({
  method: "delete",
  path: "/projects/{id}/backups/{backup_id}",
  ...byAdmin,
  summary: "Remove a backup",
  description: "Also the only one. What was copied to Telegram stays there. One that runs is removed after its job was cancelled: 409.",
  request: { params: ofBackup },
  responses: { 200: { description: "As it was", content: json(backup) }, ...problems(...PROBLEMS, "conflict") },
});

const postRestore = createRoute({
  method: "post",
  path: "/projects/{id}/backups/{backup_id}/restore",
  ...byAdmin,
  summary: "Restore a backup into a new project",
  description:
    "Makes the project with its caps and first key, and fills its database by a job; until the content hashes were compared, nobody can write to it. Nothing is ever overwritten: a project that exists already is refused. The same request after a failure tries again.",
  request: { params: ofBackup, body: { required: true, content: json(restoreBody) } },
  responses: {
    202: { description: "The project is there; its database follows", headers: location, content: json(restoring) },
    ...problems(...PROBLEMS, ...WITH_BODY, "unprocessable"),
  },
});

const getRestored = createRoute({
  method: "get",
  path: "/projects/{id}/restore",
  ...byProject,
  summary: "What the project was restored from, and how that goes",
  request: { params: ofProject },
  responses: { 200: { description: "As it is now", content: json(restore) }, ...problems(...PROBLEMS) },
});

export const backupRoutes = createRouter();

/** After the guard. */
function actorOf(c: AppContext): Actor {
  const principal = c.get("principal");
  return principal.kind === "project" ? byKey(principal.keyId) : BY_ADMIN;
}

backupRoutes.openapi(postBackup, async (c) => {
  const { export_type: exportType_, idempotency_key: idempotencyKey } = c.req.valid("json");
  const { id } = c.req.valid("param");
  const asked = { exportType: exportType_, idempotencyKey, requestId: c.get("requestId") };
  const row = await startBackup(c.get("deps"), id, asked, actorOf(c));
  c.header("Location", `/api/projects/${id}/backups/${row.id}`);
  return c.json(backupJson(row), 202);
});

backupRoutes.openapi(getBackups, async (c) => {
  const { id } = c.req.valid("param");
  const { status = null, limit, cursor } = c.req.valid("query");
  const { db } = c.get("deps");
  await getProject(c.get("deps"), id);
  const rows = await listBackups(db, { projectId: id, status, after: timeCursor(cursor), limit: limit + 1 });
  const { rows: shown, next } = page(rows, limit, timeKey);
  return c.json({ backups: shown.map(backupJson), next_cursor: next }, 200);
});

backupRoutes.openapi(getOne, async (c) => {
  const { id, backup_id } = c.req.valid("param");
  return c.json(backupJson(await getBackup(c.get("deps"), id, backup_id)), 200);
});

backupRoutes.openapi(getDownload, async (c) => {
  const { id, backup_id } = c.req.valid("param");
  const deps = c.get("deps");
  return sendFile(c, await downloadOf(deps, await getVerified(deps, id, backup_id)), "application/gzip");
});

backupRoutes.openapi(getManifest, async (c) => {
  const { id, backup_id } = c.req.valid("param");
  const deps = c.get("deps");
  return c.json(await manifestOf(deps, await getVerified(deps, id, backup_id)), 200);
});

backupRoutes.openapi(deleteOne, async (c) => {
  const { id, backup_id } = c.req.valid("param");
  return c.json(backupJson(await deleteBackupByHand(c.get("deps"), id, backup_id, BY_ADMIN)), 200);
});

backupRoutes.openapi(postRestore, async (c) => {
  const { id, backup_id } = c.req.valid("param");
  const body = c.req.valid("json");
  if (body.project_id === id) throw new Problem("conflict", "A backup is restored into another project than its own.");
  const { name: keyName, mode, scopes, expires_at } = body.key;
  const project = {
    organizationId: body.organization_id ?? null,
    name: body.name ?? null,
    ownerId: body.owner_id,
    region: body.region,
    caps: body.caps,
    share: shareIn(body),
    key: { name: keyName, mode, scopes, expiresAt: expires_at === null ? null : Date.parse(expires_at) },
  };
  const asked = { id: body.project_id, project, requestId: c.get("requestId") };
  const made = await startRestore(c.get("deps"), id, backup_id, asked, BY_ADMIN);
  c.header("Location", `/api/projects/${body.project_id}/restore`);
  const key = made.key === null ? {} : { api_key: { ...keyJson(made.key), key: made.key.key } };
  return c.json({ restore: restoreJson(made.restore), project: projectJson(made.project), ...key }, 202);
});

backupRoutes.openapi(getRestored, async (c) => c.json(restoreJson(await getRestore(c.get("deps"), c.req.valid("param").id)), 200));
