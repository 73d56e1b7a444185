/**
 * Admission: whether a key may make this request now. One batch on the primary reads the facts and writes a row for a metered use if every
 * rule permits it. Triggers update the counters with the row, so that an id counts once and is returned once.
 */
import type { Scope } from "../keys/api-keys.ts";
import { stored } from "../database.ts";
import type { CapType } from "./meters.ts";
import type { Lifecycle, ShareMode } from "../projects/projects.ts";
import type { ProvisioningStatus } from "../provisioning/provisionings.ts";
import { activeReasons, reasonsJson } from "../suspension/reasons.ts";
import type { OpenSuspension } from "../suspension/reasons.ts";

/** Ids begin with the time, so that old ones are one range: those from `now` on are not below this. */
export const admissionIdsFrom = (now: number): string => now.toString(16).padStart(12, "0");

/** Requirements of a route for a key. */
export type Demand =
  /**
   * The project must be active and have allowance left. One request counts as `meter` and as one of the organization's calls. A null meter
   * counts nothing.
   */
  | { readonly kind: "use"; readonly scope: Scope; readonly meter: CapType | null }
  /** Information about the key's own project, also while it is suspended. A null scope accepts every valid key. */
  | { readonly kind: "own"; readonly scope: Scope | null; readonly meter: null }
  /** A change of the key's own project, also while it is suspended. Not after it was archived. */
  | { readonly kind: "own-change"; readonly scope: Scope; readonly meter: null };

/** Facts about a key whose id and secret match, and about the version that has this secret. */
export interface KeyFacts {
  readonly hash: string;
  readonly version: number;
  readonly newest_version: number;
  readonly version_expires_at: number | null;
  readonly key_expires_at: number | null;
  readonly revoked_at: number | null;
  /** Last use of this version of the key. */
  readonly last_used_at: number | null;
  readonly scopes: readonly Scope[];
  readonly project_id: string;
  readonly lifecycle: Lifecycle;
  readonly provisioning: ProvisioningStatus;
  readonly calls_per_day: number | null;
  readonly share_mode: ShareMode;
  readonly organization_id: string;
  readonly organization_status: "ACTIVE" | "ARCHIVED";
  readonly billing_anchor: number;
  readonly monthly_api_calls: number | null;
  /** End of the current billing period, and its calls. Null if it has no row yet. */
  readonly period_ends_at: number | null;
  readonly period_api_calls: number | null;
  readonly suspensions: readonly OpenSuspension[];
  /** Cap of the requested meter. Null if there is none. */
  readonly cap: number | null;
  readonly has_cap: number;
  readonly used: number;
}

type FactsRow = Omit<KeyFacts, "scopes" | "suspensions"> & { readonly scopes: string; readonly suspensions: string };

/** Input of an admission. */
export interface AdmissionQuery {
  readonly keyId: string;
  /** Hash of the whole key including its secret. */
  readonly hash: string;
  readonly now: number;
  /** UTC, YYYY-MM-DD. */
  readonly day: string;
  /** The meter that the use counts for. Null: it is not metered. */
  readonly meter: CapType | null;
}

/** A metered use, written if every rule permits it. */
export interface Use {
  readonly id: string;
  readonly scope: Scope;
}

/** Everything that the rules need, found by keys only, so that long histories cost nothing. ?1 key, ?2 now, ?3 meter, ?4 day, ?5 hash. */
const FROM = `FROM api_key_versions v JOIN api_keys k ON k.id = v.key_id JOIN projects p ON p.id = k.project_id
  JOIN organizations o ON o.id = p.organization_id
  LEFT JOIN billing_periods b ON b.organization_id = o.id AND b.starts_at <= ?2 AND b.ends_at > ?2
  LEFT JOIN caps c ON c.project_id = p.id AND c.cap_type = ?3
  LEFT JOIN counters n ON n.project_id = p.id AND n.meter = ?3 AND n.day = ?4
  WHERE v.key_id = ?1 AND v.hash = ?5`;

const FACTS = `SELECT v.hash, v.version, (SELECT max(version) FROM api_key_versions WHERE key_id = ?1) AS newest_version, v.expires_at AS version_expires_at,
    k.expires_at AS key_expires_at, k.revoked_at, v.last_used_at, k.scopes, p.id AS project_id, p.lifecycle, p.provisioning, p.calls_per_day,
    p.share_mode,
    o.id AS organization_id, o.status AS organization_status, o.billing_anchor, o.monthly_api_calls,
    b.ends_at AS period_ends_at, b.api_calls AS period_api_calls, ${reasonsJson("p.id", "?2")} AS suspensions,
    c.value AS cap, c.cap_type IS NOT NULL AS has_cap, coalesce(n.used, 0) AS used
  ${FROM}`;

/** The rules that tenants/limits/admission.ts explains. One statement, so that nothing can happen between the check and the count. */
const ADMIT = `INSERT INTO admissions (id, project_id, organization_id, period_index, meter, day)
  SELECT ?6, p.id, o.id, b.period_index, ?3, ?4
  ${FROM}
    AND (v.expires_at IS NULL OR v.expires_at > ?2) AND (k.expires_at IS NULL OR k.expires_at > ?2) AND k.revoked_at IS NULL
    AND EXISTS (SELECT 1 FROM json_each(k.scopes) WHERE value = ?7)
    AND p.lifecycle = 'ACTIVE' AND p.provisioning = 'done' AND o.status = 'ACTIVE'
    AND NOT EXISTS (SELECT 1 ${activeReasons("p.id", "?2")})
    AND b.period_index IS NOT NULL AND (o.monthly_api_calls IS NULL OR b.api_calls < o.monthly_api_calls)
    AND c.cap_type IS NOT NULL AND (c.value IS NULL OR coalesce(n.used, 0) < c.value)
  ON CONFLICT DO NOTHING`;

export interface AdmissionAnswer {
  readonly admitted: boolean;
  /** As they were at the decision. Null if no key has this id and secret. */
  readonly facts: KeyFacts | null;
}

/** One round trip. With `use` null it only reads the facts. */
export async function admit(db: D1Database, { keyId, hash, now, day, meter }: AdmissionQuery, use: Use | null): Promise<AdmissionAnswer> {
  const facts = db.prepare(FACTS).bind(keyId, now, meter, day, hash);
  const write = use
    ? [
        db.prepare(ADMIT).bind(keyId, now, meter, day, hash, use.id, use.scope),
        db.prepare("SELECT 1 AS admitted FROM admissions WHERE id = ?").bind(use.id),
      ]
    : [];
  const [rows, , written] = await stored(async () => db.batch<FactsRow & { admitted?: number }>([facts, ...write]));
  const row = rows?.results[0];
  return { admitted: (written?.results ?? []).length > 0, facts: row ? asFacts(row) : null };
}

const asFacts = (row: FactsRow): KeyFacts => ({
  ...row,
  scopes: JSON.parse(row.scopes) as Scope[],
  suspensions: JSON.parse(row.suspensions) as OpenSuspension[],
});

/** Returns the counted use of an admission, once. */
export async function returnAdmission(db: D1Database, id: string, now: number): Promise<void> {
  const sql = "UPDATE admissions SET returned_at = ?2 WHERE id = ?1 AND returned_at IS NULL";
  await stored(async () => db.prepare(sql).bind(id, now).run(), { idempotent: true });
}
