/**
 * Progress of a project's creation: `projects.provisioning`, tables `provisionings` and `registrations`. Only the job that owns a creation
 * writes here, so that an abandoned job that resumes changes nothing. Times are epoch milliseconds.
 */
import { applyChange, auditStatement, claimed, ifClaimed } from "../changes.ts";
import type { AuditNote, Operation, Seen } from "../changes.ts";
import { stored } from "../database.ts";
import { INSERT_EVENT } from "../events.ts";
import type { Service } from "../../env.ts";

/** `failed`: it is being rolled back, or its rollback failed. */
export const PROVISIONING_STATUSES = ["pending", "running", "done", "failed"] as const;
export type ProvisioningStatus = (typeof PROVISIONING_STATUSES)[number];

export interface RegistrationRow {
  readonly service: Service;
  readonly status: "pending" | "registered" | "local";
  readonly registered_at: number | null;
}

export interface ProvisioningRow {
  readonly job_id: string;
  readonly asked: string;
  readonly key_id: string;
  readonly database_at: number | null;
  readonly ended_at: number | null;
  readonly failed_step: string | null;
  readonly error: string | null;
  readonly registrations: readonly RegistrationRow[];
}

/** Provisioning of the project `p` as JSON. Null for a project older than provisioning. */
export const PROVISIONING_JSON = `(SELECT json_object('job_id', g.job_id, 'asked', g.asked, 'key_id', g.key_id, 'database_at', g.database_at,
    'ended_at', g.ended_at, 'failed_step', g.failed_step, 'error', g.error, 'registrations', json((SELECT json_group_array(
      json_object('service', r.service, 'status', r.status, 'registered_at', r.registered_at)) FROM registrations r WHERE r.project_id = p.id)))
  FROM provisionings g WHERE g.project_id = p.id)`;

export interface NewProvisioning {
  /** The request, as JSON. */
  readonly request: string;
  readonly jobId: string;
}

/** Statement for a project that the operation has claimed. */
export function addProvisioningStatement(
  db: D1Database,
  projectId: string,
  keyId: string,
  { request, jobId }: NewProvisioning,
  operation: Operation,
): D1PreparedStatement {
  const sql = `INSERT INTO provisionings (project_id, asked, key_id, job_id) SELECT ?1, ?3, ?4, ?5 WHERE ${claimed("projects")}`;
  return ifClaimed(db, projectId, operation, sql, request, keyId, jobId);
}

/** A project and the job that owns its creation. Statements bind them as ?1 and ?2. */
export interface ProvisioningOwner {
  readonly projectId: string;
  /** Id of the job's first run. */
  readonly jobId: string;
}

const ownedWith = (status: ProvisioningStatus): string =>
  `EXISTS (SELECT 1 FROM projects p JOIN provisionings g ON g.project_id = p.id WHERE p.id = ?1 AND g.job_id = ?2 AND p.provisioning = '${status}')`;

export type StartResult = "go" | "undo" | "done" | "held" | "missing";

/**
 * Takes ownership of a creation whose job has ended or never started. Idempotent. `held`: another job owns it. `undo`: it failed and must
 * be rolled back.
 */
export async function beginProvisioning(db: D1Database, { projectId, jobId }: ProvisioningOwner): Promise<StartResult> {
  const take = `UPDATE provisionings SET job_id = ?2 WHERE project_id = ?1 AND job_id <> ?2
    AND EXISTS (SELECT 1 FROM projects WHERE id = ?1 AND provisioning <> 'done')
    AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.root_id = provisionings.job_id AND j.ended_at IS NULL)`;
  const begin = `UPDATE projects SET provisioning = 'running' WHERE id = ?1 AND ${ownedWith("pending")}`;
  const read = "SELECT p.provisioning, g.job_id FROM projects p LEFT JOIN provisionings g ON g.project_id = p.id WHERE p.id = ?1";
  const [, , found] = await stored(async () =>
    db.batch<{ provisioning: ProvisioningStatus; job_id: string | null }>([
      db.prepare(take).bind(projectId, jobId),
      db.prepare(begin).bind(projectId, jobId),
      db.prepare(read).bind(projectId),
    ]),
  );
  const row = found?.results[0];
  if (row === undefined) return "missing";
  if (row.provisioning === "done") return "done";
  if (row.job_id !== jobId) return "held";
  return row.provisioning === "failed" ? "undo" : "go";
}

/** Writes if the job owns the project's creation and the creation has this status. Returns false otherwise. */
async function write(
  db: D1Database,
  owner: ProvisioningOwner,
  status: ProvisioningStatus,
  sql: string,
  ...values: unknown[]
): Promise<boolean> {
  const check = `SELECT 1 AS owned WHERE ${ownedWith(status)}`;
  const [, found] = await stored(async () =>
    db.batch([db.prepare(sql).bind(owner.projectId, owner.jobId, ...values), db.prepare(check).bind(owner.projectId, owner.jobId)]),
  );
  return (found?.results ?? []).length > 0;
}

/** Records that the project's database exists. */
export async function recordDatabase(db: D1Database, owner: ProvisioningOwner, now: number): Promise<boolean> {
  const sql = `UPDATE provisionings SET database_at = coalesce(database_at, ?3) WHERE project_id = ?1 AND ${ownedWith("running")}`;
  return write(db, owner, "running", sql, now);
}

/** Call it before calling a service, because from then on the service may know the project. */
export async function beginRegistration(db: D1Database, owner: ProvisioningOwner, service: Service): Promise<boolean> {
  const sql = `INSERT INTO registrations (project_id, service, status) SELECT ?1, ?3, 'pending' WHERE ${ownedWith("running")} ON CONFLICT DO NOTHING`;
  return write(db, owner, "running", sql, service);
}

export async function recordRegistration(
  db: D1Database,
  owner: ProvisioningOwner,
  { service, status, reference }: { readonly service: Service; readonly status: "registered" | "local"; readonly reference: string | null },
  now: number,
): Promise<boolean> {
  const sql = `UPDATE registrations SET status = ?4, reference = coalesce(?5, reference), registered_at = coalesce(registered_at, ?6)
    WHERE project_id = ?1 AND service = ?3 AND ${ownedWith("running")}`;
  return write(db, owner, "running", sql, service, status, reference, now);
}

/**
 * Makes the project ready: its keys work from now on. Returns false if the project was changed meanwhile or the job no longer owns the
 * creation.
 */
export async function finishProvisioning(
  db: D1Database,
  project: Seen,
  jobId: string,
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const condition = {
    sql: "provisioning = 'running' AND EXISTS (SELECT 1 FROM provisionings g WHERE g.project_id = projects.id AND g.job_id = ?5)",
    values: [jobId],
  };
  const event = `${INSERT_EVENT} SELECT 'project.provisioned:' || ?1 || ':' || ?3, 'project.provisioned', ?1,
      json_object('project_id', ?1, 'name', name, 'organization_id', organization_id, 'owner_id', owner_id, 'region', region, 'job_id', ?3), ?4
    FROM projects WHERE id = ?1 AND ${claimed("projects")}`;
  return applyChange(db, { owner: "projects", seen: project, operation, note, condition }, [
    ifClaimed(db, project.id, operation, `UPDATE projects SET provisioning = 'done' WHERE id = ?1 AND ${claimed("projects")}`),
    ifClaimed(
      db,
      project.id,
      operation,
      `UPDATE provisionings SET ended_at = ?3 WHERE project_id = ?1 AND ${claimed("projects")}`,
      operation.now,
    ),
    ifClaimed(db, project.id, operation, event, jobId, operation.now),
  ]);
}

/**
 * Marks the creation as failed, with an event. From then on it can only be rolled back. Returns false if the job no longer owns it. A
 * repeated call keeps the first reason.
 */
export async function failProvisioning(
  db: D1Database,
  owner: ProvisioningOwner,
  { step, error }: { readonly step: string; readonly error: string },
  now: number,
): Promise<boolean> {
  const record = `UPDATE provisionings SET failed_step = coalesce(failed_step, ?3), error = coalesce(error, ?4), ended_at = coalesce(ended_at, ?5)
    WHERE project_id = ?1 AND job_id = ?2 AND EXISTS (SELECT 1 FROM projects WHERE id = ?1 AND provisioning <> 'done')`;
  const fail = `UPDATE projects SET provisioning = 'failed' WHERE id = ?1 AND (${ownedWith("running")} OR ${ownedWith("pending")})`;
  const event = `${INSERT_EVENT} SELECT 'project.provisioning_failed:' || ?1 || ':' || ?2, 'project.provisioning_failed', ?1,
      json_object('project_id', ?1, 'name', p.name, 'organization_id', p.organization_id, 'failed_step', g.failed_step, 'error', g.error, 'job_id', ?2), ?3
    FROM projects p JOIN provisionings g ON g.project_id = p.id
    WHERE p.id = ?1 AND g.job_id = ?2 AND p.provisioning IN ('pending', 'running')`;
  const [, , , found] = await stored(async () =>
    db.batch([
      db.prepare(record).bind(owner.projectId, owner.jobId, step, error, now),
      db.prepare(event).bind(owner.projectId, owner.jobId, now),
      db.prepare(fail).bind(owner.projectId, owner.jobId),
      db.prepare(`SELECT 1 AS owned WHERE ${ownedWith("failed")}`).bind(owner.projectId, owner.jobId),
    ]),
  );
  return (found?.results ?? []).length > 0;
}

/** Services that may know a failed project. None if the job no longer owns its creation. */
export async function listRegistrations(db: D1Database, { projectId, jobId }: ProvisioningOwner): Promise<RegistrationRow[]> {
  const sql = `SELECT service, status, registered_at FROM registrations WHERE project_id = ?1 AND ${ownedWith("failed")}`;
  const { results } = await stored(async () => db.prepare(sql).bind(projectId, jobId).all<RegistrationRow>());
  return results;
}

/** Records that a service deleted the project. */
export async function deleteRegistration(db: D1Database, owner: ProvisioningOwner, service: Service): Promise<boolean> {
  return write(db, owner, "failed", `DELETE FROM registrations WHERE project_id = ?1 AND service = ?3 AND ${ownedWith("failed")}`, service);
}

/** Records that the project's database was destroyed. */
export async function recordDatabaseDestroyed(db: D1Database, owner: ProvisioningOwner): Promise<boolean> {
  return write(db, owner, "failed", `UPDATE provisionings SET database_at = NULL WHERE project_id = ?1 AND ${ownedWith("failed")}`);
}

/** Tables whose rows are deleted when a creation is rolled back, children first. The audit log, events, deliveries and jobs stay. */
export const OWNED_TABLES = ["webhooks", "suspensions", "caps", "api_keys", "registrations", "provisionings"] as const;

/**
 * Removes a failed project with its caps, keys, endpoints and suspensions. Returns false if the project was changed meanwhile or the job no
 * longer owns the creation.
 */
export async function removeFailedProject(
  db: D1Database,
  project: Seen,
  jobId: string,
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const condition = {
    sql: "provisioning = 'failed' AND EXISTS (SELECT 1 FROM provisionings g WHERE g.project_id = projects.id AND g.job_id = ?5)",
    values: [jobId],
  };
  const versions = `DELETE FROM api_key_versions WHERE key_id IN (SELECT id FROM api_keys WHERE project_id = ?1) AND ${claimed("projects")}`;
  const skip = `UPDATE webhook_deliveries SET status = 'skipped', reason = 'webhook_deleted', next_attempt_at = NULL, ended_at = ?3, changed_by = ?2
    WHERE project_id = ?1 AND status = 'pending' AND ${claimed("projects")}`;
  return applyChange(db, { owner: "projects", seen: project, operation, note: null, condition }, [
    ifClaimed(db, project.id, operation, skip, operation.now),
    auditStatement(db, "projects", project.id, operation, note),
    ifClaimed(db, project.id, operation, versions),
    ...OWNED_TABLES.map((table) =>
      ifClaimed(db, project.id, operation, `DELETE FROM ${table} WHERE project_id = ?1 AND ${claimed("projects")}`),
    ),
    ifClaimed(db, project.id, operation, `DELETE FROM projects WHERE id = ?1 AND ${claimed("projects")}`),
  ]);
}

export interface StalledProvisioning {
  readonly project_id: string;
  readonly name: string;
  readonly owner_id: string | null;
  readonly region: string | null;
  readonly job_id: string;
  /** Status of the job's latest run. Null if there is none. */
  readonly job_status: string | null;
}

/** Creations without a running job: it was never requested, or it ended before they did. */
export async function listStalledProvisionings(db: D1Database, before: number, limit: number): Promise<StalledProvisioning[]> {
  const latest = "SELECT max(run) FROM jobs WHERE root_id = g.job_id";
  const sql = `SELECT p.id AS project_id, p.name, p.owner_id, p.region, g.job_id, j.status AS job_status
    FROM projects p JOIN provisionings g ON g.project_id = p.id LEFT JOIN jobs j ON j.root_id = g.job_id AND j.run = (${latest})
    WHERE p.provisioning <> 'done' AND p.created_at < ?1 AND (j.id IS NULL OR j.ended_at < ?1) ORDER BY p.id LIMIT ?2`;
  const { results } = await stored(async () => db.prepare(sql).bind(before, limit).all<StalledProvisioning>());
  return results;
}
