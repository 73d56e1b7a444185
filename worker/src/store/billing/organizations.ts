/** Organizations and their billing periods. Times are epoch milliseconds. */
import type { AuditNote, Operation } from "../changes.ts";
import { applyChange, auditStatement, claimed, ifClaimed } from "../changes.ts";
import { createdBefore, stored, where } from "../database.ts";
import type { After } from "../database.ts";
import { MAKE_PERIODS } from "./periods.ts";
import type { BillingPeriod } from "./periods.ts";

export type OrganizationStatus = "ACTIVE" | "ARCHIVED";

export interface OrganizationRow {
  readonly id: string;
  readonly name: string;
  readonly status: OrganizationStatus;
  readonly billing_anchor: number;
  /** null: unlimited. */
  readonly monthly_api_calls: number | null;
  readonly changed_by: string;
  readonly created_at: number;
  readonly updated_at: number;
}

/** An organization with the usage of its current billing period. Null if that period has no row yet. */
export interface OrganizationView extends OrganizationRow {
  readonly api_calls: number | null;
}

const VIEW = `SELECT o.*, b.api_calls FROM organizations o
  LEFT JOIN billing_periods b ON b.organization_id = o.id AND b.starts_at <= ?1 AND b.ends_at > ?1`;

export interface PeriodRow {
  readonly organization_id: string;
  readonly period_index: number;
  readonly starts_at: number;
  readonly ends_at: number;
  readonly api_calls: number;
  readonly adjustments: number;
  readonly closed_at: number | null;
}

export type NewOrganization = Pick<OrganizationRow, "id" | "name" | "billing_anchor" | "monthly_api_calls">;

/** Adds an organization with its first billing periods and returns it. Returns null, and writes nothing, if the id is taken. */
export async function addOrganization(
  db: D1Database,
  row: NewOrganization,
  periods: readonly BillingPeriod[],
  operation: Operation,
  note: AuditNote,
): Promise<OrganizationView | null> {
  const sql = `INSERT INTO organizations (id, name, billing_anchor, monthly_api_calls, changed_by, created_at, updated_at)
    VALUES (?1, ?3, ?4, ?5, ?2, ?6, ?6) ON CONFLICT DO NOTHING`;
  const values = [row.name, row.billing_anchor, row.monthly_api_calls, operation.now];
  const begin = `INSERT INTO billing_periods (organization_id, period_index, starts_at, ends_at)
    SELECT ?1, value ->> 'index', value ->> 'startsAt', value ->> 'endsAt' FROM json_each(?3) WHERE ${claimed("organizations")}`;
  const statements = [
    ifClaimed(db, row.id, operation, sql, ...values),
    ifClaimed(db, row.id, operation, begin, JSON.stringify(periods)),
    auditStatement(db, "organizations", row.id, operation, note),
    db.prepare(`${VIEW} WHERE o.id = ?2`).bind(operation.now, row.id),
  ];
  const results = await stored(async () => db.batch<OrganizationView>(statements));
  const written = results.at(-1)?.results[0];
  return written?.changed_by === operation.id ? written : null;
}

export async function findOrganization(db: D1Database, id: string, now: number): Promise<OrganizationView | null> {
  return stored(async () => db.prepare(`${VIEW} WHERE o.id = ?2`).bind(now, id).first<OrganizationView>());
}

export interface OrganizationFilter {
  readonly status: OrganizationStatus | null;
  /** Part of the name or the id. Only the letters A to Z match in either case, because SQLite knows no others. */
  readonly text: string | null;
  readonly after: After | null;
  readonly limit: number;
}

/** Newest first. */
export async function listOrganizations(db: D1Database, filter: OrganizationFilter, now: number): Promise<OrganizationView[]> {
  const { status, text, after, limit } = filter;
  const { sql, values } = where([
    // A literal, because a partial index does not match a bound value.
    status !== null && { sql: `o.status = '${status}'`, values: [] },
    text !== null && { sql: "instr(lower(o.name), lower(?)) > 0 OR instr(lower(o.id), lower(?)) > 0", values: [text, text] },
    createdBefore(after, "o"),
  ]);
  const query = db.prepare(`${VIEW} ${sql} ORDER BY o.created_at DESC, o.id DESC LIMIT ?`).bind(now, ...values, limit);
  const { results } = await stored(async () => query.all<OrganizationView>());
  return results;
}

export type OrganizationChange = Pick<OrganizationRow, "name" | "status" | "monthly_api_calls">;

/** Returns false, and writes nothing, if the organization was changed meanwhile, or if it was to be archived and has active projects. */
export async function changeOrganization(
  db: D1Database,
  seen: OrganizationRow,
  change: OrganizationChange,
  operation: Operation,
  note: AuditNote,
): Promise<boolean> {
  const sql = `UPDATE organizations SET name = ?3, status = ?4, monthly_api_calls = ?5 WHERE id = ?1 AND ${claimed("organizations")}`;
  const statement = ifClaimed(db, seen.id, operation, sql, change.name, change.status, change.monthly_api_calls);
  const empty = "NOT EXISTS (SELECT 1 FROM projects p WHERE p.organization_id = organizations.id AND p.lifecycle = 'ACTIVE')";
  const condition = { sql: change.status === "ARCHIVED" ? empty : "true", values: [] };
  return applyChange(db, { owner: "organizations", seen, operation, note, condition }, [statement]);
}

/** Projects of an organization that are neither archived nor deleted. */
export async function countActiveProjects(db: D1Database, organizationId: string): Promise<number> {
  const sql = "SELECT count(*) AS projects FROM projects WHERE organization_id = ? AND lifecycle = 'ACTIVE'";
  return (await stored(async () => db.prepare(sql).bind(organizationId).first<number>("projects"))) ?? 0;
}

/** Adds rows for periods that have none. The others do not change. */
export async function ensurePeriods(db: D1Database, organizationId: string, periods: readonly BillingPeriod[]): Promise<void> {
  const rows = periods.map((period) => ({ organization: organizationId, ...period }));
  await stored(async () => db.prepare(MAKE_PERIODS).bind(JSON.stringify(rows)).run(), { idempotent: true });
}

/** The latest `limit` periods that have begun, newest first. */
export async function listPeriods(db: D1Database, organizationId: string, now: number, limit: number): Promise<PeriodRow[]> {
  const sql = "SELECT * FROM billing_periods WHERE organization_id = ? AND starts_at <= ? ORDER BY period_index DESC LIMIT ?";
  const { results } = await stored(async () => db.prepare(sql).bind(organizationId, now, limit).all<PeriodRow>());
  return results;
}
