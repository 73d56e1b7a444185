/** Projects, their caps and their suspensions. Times are epoch milliseconds. */
import { addKeyStatements } from "../keys/api-keys.ts";
import type { NewApiKey } from "../keys/api-keys.ts";
import { applyChange, auditStatement, claimed, ifClaimed } from "../changes.ts";
import type { AuditNote, Operation } from "../changes.ts";
import { createdBefore, stored, where } from "../database.ts";
import type { After, Condition } from "../database.ts";
import type { CapType } from "../limits/meters.ts";
import { PROVISIONING_JSON, addProvisioningStatement } from "../provisioning/provisionings.ts";
import type { NewProvisioning, ProvisioningRow, ProvisioningStatus } from "../provisioning/provisionings.ts";
import { OPEN_REASONS, activeReasons, isOpen, reasonsJson } from "../suspension/reasons.ts";
import type { OpenSuspension } from "../suspension/reasons.ts";
import { forgetRestoreStatement } from "../backups/restores.ts";

export type Lifecycle = "ACTIVE" | "ARCHIVED" | "DELETED";
/** SUSPENDED: an ACTIVE project with at least one open reason. */
export const PROJECT_STATUSES = ["ACTIVE", "SUSPENDED", "ARCHIVED", "DELETED"] as const;
export type ProjectStatus = (typeof PROJECT_STATUSES)[number];

/** How a project's share of the provider's limit is set. */
export const SHARE_MODES = ["default", "fixed", "unlimited"] as const;
export type ShareMode = (typeof SHARE_MODES)[number];

/** A project with its own number is `fixed`, regardless of the stored mode. The previous release wrote the number without a mode. */
export function shareModeOf({ calls_per_day, share_mode }: Pick<ProjectRow, "calls_per_day" | "share_mode">): ShareMode {
  if (calls_per_day !== null) return "fixed";
  return share_mode === "unlimited" ? "unlimited" : "default";
}

export interface ProjectRow {
  readonly id: string;
  readonly organization_id: string;
  readonly name: string;
  readonly owner_id: string | null;
  readonly region: string | null;
  readonly lifecycle: Lifecycle;
  /** Its share of the provider's limit. Null: `share_mode` decides. */
  readonly calls_per_day: number | null;
  readonly share_mode: ShareMode;
  /** Until this is `done`, the project's keys can only read the project's state. */
  readonly provisioning: ProvisioningStatus;
  readonly changed_by: string;
  readonly created_at: number;
  readonly updated_at: number;
}

export interface CapRow {
  readonly cap_type: CapType;
  readonly value: number | null;
  readonly revision: number;
}

/** A project at one point in time. */
export interface ProjectView extends ProjectRow {
  readonly status: ProjectStatus;
  readonly caps: readonly CapRow[];
  readonly suspensions: readonly OpenSuspension[];
  /** null: the project is older than provisioning. */
  readonly provisioned: ProvisioningRow | null;
}

const VIEW = `SELECT p.*, ${reasonsJson("p.id", "?1")} AS suspensions,
  (SELECT json_group_array(json_object('cap_type', c.cap_type, 'value', c.value, 'revision', c.revision)) FROM caps c
    WHERE c.project_id = p.id) AS caps, ${PROVISIONING_JSON} AS provisioned
  FROM projects p`;

type ViewRow = ProjectRow & { readonly suspensions: string; readonly caps: string; readonly provisioned: string | null };

export function statusOf(lifecycle: Lifecycle, suspensions: readonly unknown[]): ProjectStatus {
  return lifecycle === "ACTIVE" && suspensions.length > 0 ? "SUSPENDED" : lifecycle;
}

function asView(row: ViewRow): ProjectView {
  const suspensions = JSON.parse(row.suspensions) as OpenSuspension[];
  const provisioned = row.provisioned === null ? null : (JSON.parse(row.provisioned) as ProvisioningRow);
  return { ...row, suspensions, provisioned, caps: JSON.parse(row.caps) as CapRow[], status: statusOf(row.lifecycle, suspensions) };
}

export async function findProject(db: D1Database, id: string, now: number): Promise<ProjectView | null> {
  const row = await stored(async () => db.prepare(`${VIEW} WHERE p.id = ?2`).bind(now, id).first<ViewRow>());
  return row ? asView(row) : null;
}

export interface ProjectFilter {
  readonly organizationId: string | null;
  readonly status: ProjectStatus | null;
  /** Part of the name or the id. Only the letters A to Z match in either case, because SQLite knows no others. */
  readonly text: string | null;
  readonly after: After | null;
  readonly limit: number;
}

/** SQL condition, ?1 is now. Open reasons are few, so suspended projects are found from them instead of checking each project. */
function hasStatus(status: ProjectStatus | null, ofOrganization: boolean): string {
  switch (status) {
    case null:
      return "p.lifecycle <> 'DELETED'";
    case "ACTIVE":
      return `p.lifecycle = 'ACTIVE' AND NOT EXISTS (SELECT 1 ${activeReasons("p.id", "?1")})`;
    case "SUSPENDED":
      return `p.lifecycle = 'ACTIVE' AND p.id IN (SELECT s.project_id FROM suspensions s INDEXED BY ${OPEN_REASONS} WHERE ${isOpen("s", "?1")})`;
    case "ARCHIVED":
    case "DELETED":
      // The first condition lets SQLite use the index of inactive projects. Within one organization, the organization's index is better.
      return `${ofOrganization ? "" : "p.lifecycle <> 'ACTIVE' AND "}p.lifecycle = '${status}'`;
  }
}

const inNameOrId = (text: string): Condition => ({
  sql: "instr(lower(p.name), lower(?)) > 0 OR instr(lower(p.id), lower(?)) > 0",
  values: [text, text],
});

/** Newest first. Deleted projects are listed only with a status filter. */
export async function listProjects(db: D1Database, filter: ProjectFilter, now: number): Promise<ProjectView[]> {
  const { organizationId, status, text, after, limit } = filter;
  const { sql, values } = where([
    organizationId !== null && { sql: "p.organization_id = ?", values: [organizationId] },
    { sql: hasStatus(status, organizationId !== null), values: [] },
    text !== null && inNameOrId(text),
    createdBefore(after, "p"),
  ]);
  const query = db.prepare(`${VIEW} ${sql} ORDER BY p.created_at DESC, p.id DESC LIMIT ?`).bind(now, ...values, limit);
  const { results } = await stored(async () => query.all<ViewRow>());
  return results.map(asView);
}

type Given = "id" | "organization_id" | "name" | "owner_id" | "region" | "calls_per_day" | "share_mode";

export interface NewProject extends Pick<ProjectRow, Given> {
  readonly caps: Readonly<Record<CapType, number | null>>;
  readonly provisioning: NewProvisioning;
  /** Its database is filled by the restore of this id. Otherwise that restore is removed. */
  readonly restored: boolean;
}

/**
 * Adds a project with its caps and first key, ready to be provisioned by a job, and returns it. Returns null, and writes nothing, if the id
 * is taken, the organization is not active or the restore is over.
 */
export async function addProject(
  db: D1Database,
  row: NewProject,
  key: NewApiKey,
  operation: Operation,
  notes: readonly AuditNote[],
): Promise<ProjectView | null> {
  const add = `INSERT INTO projects (id, organization_id, name, owner_id, region, calls_per_day, share_mode, provisioning, changed_by, created_at,
      updated_at)
    SELECT ?1, id, ?4, ?5, ?6, ?7, ?10, 'pending', ?2, ?8, ?8 FROM organizations WHERE id = ?3 AND status = 'ACTIVE'
      AND (?9 = 0 OR EXISTS (SELECT 1 FROM restores WHERE project_id = ?1 AND status = 'running')) ON CONFLICT DO NOTHING`;
  const caps = `INSERT INTO caps (project_id, cap_type, value, updated_at)
    SELECT ?1, key, value, ?4 FROM json_each(?3) WHERE ${claimed("projects")}`;
  const { id, organization_id, name, owner_id, region, calls_per_day, share_mode } = row;
  const values = [organization_id, name, owner_id, region, calls_per_day, operation.now, Number(row.restored), share_mode];
  const statements = [
    ifClaimed(db, id, operation, add, ...values),
    ifClaimed(db, id, operation, caps, JSON.stringify(row.caps), operation.now),
    ...addKeyStatements(db, id, key, operation),
    addProvisioningStatement(db, id, key.id, row.provisioning, operation),
    ...(row.restored ? [] : [forgetRestoreStatement(db, id, operation)]),
    ...notes.map((note) => auditStatement(db, "projects", id, operation, note)),
    db.prepare(`${VIEW} WHERE p.id = ?2`).bind(operation.now, id),
  ];
  // Reads the result in the same batch: the key is shown only once, and a failed second statement would lose it.
  const results = await stored(async () => db.batch<ViewRow>(statements));
  const written = results.at(-1)?.results[0];
  return written?.changed_by === operation.id ? asView(written) : null;
}

export type ProjectChange = Pick<ProjectRow, "name" | "owner_id" | "region" | "lifecycle" | "calls_per_day" | "share_mode">;

/** Returns false, and writes nothing, if the project was changed meanwhile or would become active in an inactive organization. */
export async function changeProject(
  db: D1Database,
  seen: ProjectRow,
  change: ProjectChange,
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const sql = `UPDATE projects SET name = ?3, owner_id = ?4, region = ?5, lifecycle = ?6, calls_per_day = ?7, share_mode = ?8
    WHERE id = ?1 AND ${claimed("projects")}`;
  const values = [change.name, change.owner_id, change.region, change.lifecycle, change.calls_per_day, change.share_mode];
  const statement = ifClaimed(db, seen.id, operation, sql, ...values);
  const paid = "EXISTS (SELECT 1 FROM organizations o WHERE o.id = projects.organization_id AND o.status = 'ACTIVE')";
  const condition = { sql: change.lifecycle === "ACTIVE" && seen.lifecycle !== "ACTIVE" ? paid : "true", values: [] };
  return applyChange(db, { owner: "projects", seen, operation, note, condition }, [statement]);
}
