/** Projects, their caps and the reasons that stop them. Times are epoch milliseconds. */
import { addKeyStatements } from "./api-keys.ts";
import type { NewApiKey } from "./api-keys.ts";
import { applyChange, auditStatement, claimed, ifClaimed } from "./changes.ts";
import type { AuditNote, Operation } from "./changes.ts";
import { stored } from "./database.ts";
import type { CapType } from "./meters.ts";
import type { After } from "./database.ts";

export type Lifecycle = "ACTIVE" | "ARCHIVED" | "DELETED";
/** SUSPENDED: an ACTIVE project that is stopped by at least one reason that holds now. */
export const PROJECT_STATUSES = ["ACTIVE", "SUSPENDED", "ARCHIVED", "DELETED"] as const;
export type ProjectStatus = (typeof PROJECT_STATUSES)[number];

export interface ProjectRow {
  readonly id: string;
  readonly organization_id: string;
  readonly name: string;
  readonly owner_id: string | null;
  readonly region: string | null;
  readonly lifecycle: Lifecycle;
  /** Its part of the provider's day; null: unlimited. */
  readonly calls_per_day: number | null;
  readonly changed_by: string;
  readonly created_at: number;
  readonly updated_at: number;
}

export interface CapRow {
  readonly cap_type: CapType;
  readonly value: number | null;
  readonly revision: number;
}

/** A project as it is at one moment. */
export interface ProjectView extends ProjectRow {
  readonly status: ProjectStatus;
  readonly caps: readonly CapRow[];
  readonly suspensions: readonly OpenSuspension[];
}

export interface OpenSuspension {
  readonly reason: string;
  readonly cap_type: CapType | null;
  readonly detail: string | null;
  readonly since: number;
  readonly until: number | null;
}

/** Whether a reason holds at `?now`, in SQL: a reason with an end needs nobody to lift it. */
export const holds = (suspensions: string, now: string): string =>
  `${suspensions}.lifted_at IS NULL AND (${suspensions}.until IS NULL OR ${suspensions}.until > ${now})`;

/** The reasons that stop a project at `now`, as a JSON array. */
export const reasonsJson = (project: string, now: string): string =>
  `(SELECT json_group_array(json_object('reason', s.reason, 'cap_type', s.cap_type, 'detail', s.detail, 'since', s.since, 'until', s.until)
      ORDER BY s.since, s.reason) FROM suspensions s WHERE s.project_id = ${project} AND ${holds("s", now)})`;

const VIEW = `SELECT p.*, ${reasonsJson("p.id", "?1")} AS suspensions,
  (SELECT json_group_array(json_object('cap_type', c.cap_type, 'value', c.value, 'revision', c.revision)) FROM caps c
    WHERE c.project_id = p.id) AS caps
  FROM projects p`;

type ViewRow = ProjectRow & { readonly suspensions: string; readonly caps: string };

export function statusOf(lifecycle: Lifecycle, suspensions: readonly unknown[]): ProjectStatus {
  return lifecycle === "ACTIVE" && suspensions.length > 0 ? "SUSPENDED" : lifecycle;
}

function asView(row: ViewRow): ProjectView {
  const suspensions = JSON.parse(row.suspensions) as OpenSuspension[];
  return { ...row, suspensions, caps: JSON.parse(row.caps) as CapRow[], status: statusOf(row.lifecycle, suspensions) };
}

export async function findProject(db: D1Database, id: string, now: number): Promise<ProjectView | null> {
  const row = await stored(async () => db.prepare(`${VIEW} WHERE p.id = ?2`).bind(now, id).first<ViewRow>());
  return row ? asView(row) : null;
}

export interface ProjectFilter {
  readonly organizationId: string | null;
  readonly status: ProjectStatus | null;
  /** Part of the name or the id; the letters A to Z in either case, which is all that SQLite knows of. */
  readonly text: string | null;
  readonly after: After | null;
  readonly limit: number;
}

/** The newest first; deleted ones only where they are asked for. */
export async function listProjects(db: D1Database, filter: ProjectFilter, now: number): Promise<ProjectView[]> {
  const { organizationId, status, text, after, limit } = filter;
  const stopped = `EXISTS (SELECT 1 FROM suspensions s WHERE s.project_id = p.id AND ${holds("s", "?1")})`;
  const sql = `${VIEW}
    WHERE (?2 IS NULL OR p.organization_id = ?2)
      AND CASE ?3 WHEN 'ACTIVE' THEN p.lifecycle = 'ACTIVE' AND NOT ${stopped} WHEN 'SUSPENDED' THEN p.lifecycle = 'ACTIVE' AND ${stopped}
        WHEN 'ARCHIVED' THEN p.lifecycle = 'ARCHIVED' WHEN 'DELETED' THEN p.lifecycle = 'DELETED' ELSE p.lifecycle <> 'DELETED' END
      AND (?4 IS NULL OR instr(lower(p.name), lower(?4)) > 0 OR instr(lower(p.id), lower(?4)) > 0)
      AND (?5 IS NULL OR (p.created_at, p.id) < (?5, ?6))
    ORDER BY p.created_at DESC, p.id DESC LIMIT ?7`;
  const values = [organizationId, status, text, after?.createdAt ?? null, after?.id ?? null, limit];
  const { results } = await stored(async () =>
    db
      .prepare(sql)
      .bind(now, ...values)
      .all<ViewRow>(),
  );
  return results.map(asView);
}

export interface NewProject extends Pick<ProjectRow, "id" | "organization_id" | "name" | "owner_id" | "region" | "calls_per_day"> {
  readonly caps: Readonly<Record<CapType, number | null>>;
}

/**
 * Adds a project with its caps and first key, as it is then. null where the id is taken or the organisation is not active: nothing was
 * written.
 */
export async function addProject(
  db: D1Database,
  row: NewProject,
  key: NewApiKey,
  operation: Operation,
  note: AuditNote,
): Promise<ProjectView | null> {
  const add = `INSERT INTO projects (id, organization_id, name, owner_id, region, calls_per_day, changed_by, created_at, updated_at)
    SELECT ?1, id, ?4, ?5, ?6, ?7, ?2, ?8, ?8 FROM organizations WHERE id = ?3 AND status = 'ACTIVE' ON CONFLICT DO NOTHING`;
  const caps = `INSERT INTO caps (project_id, cap_type, value, updated_at)
    SELECT ?1, key, value, ?4 FROM json_each(?3) WHERE ${claimed("projects")}`;
  const { id, organization_id, name, owner_id, region, calls_per_day } = row;
  const statements = [
    ifClaimed(db, id, operation, add, organization_id, name, owner_id, region, calls_per_day, operation.now),
    ifClaimed(db, id, operation, caps, JSON.stringify(row.caps), operation.now),
    ...addKeyStatements(db, id, key, operation),
    auditStatement(db, "projects", id, operation, note),
    db.prepare(`${VIEW} WHERE p.id = ?2`).bind(operation.now, id),
  ];
  // Read with what was written: the key is shown once, and a second statement that failed would take it away.
  const results = await stored(async () => db.batch<ViewRow>(statements));
  const written = results.at(-1)?.results[0];
  return written?.changed_by === operation.id ? asView(written) : null;
}

export type ProjectChange = Pick<ProjectRow, "name" | "owner_id" | "region" | "lifecycle" | "calls_per_day">;

/** False where the project was changed meanwhile, or was to be active in an organisation that is not: nothing was written. */
export async function changeProject(
  db: D1Database,
  seen: ProjectRow,
  change: ProjectChange,
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const sql = `UPDATE projects SET name = ?3, owner_id = ?4, region = ?5, lifecycle = ?6, calls_per_day = ?7
    WHERE id = ?1 AND ${claimed("projects")}`;
  const values = [change.name, change.owner_id, change.region, change.lifecycle, change.calls_per_day];
  const statement = ifClaimed(db, seen.id, operation, sql, ...values);
  const paid = "EXISTS (SELECT 1 FROM organizations o WHERE o.id = projects.organization_id AND o.status = 'ACTIVE')";
  const condition = change.lifecycle === "ACTIVE" && seen.lifecycle !== "ACTIVE" ? paid : "true";
  return applyChange(db, { owner: "projects", id: seen.id, seen: seen.changed_by, operation, note, condition }, [statement]);
}
