/**
 * Admission of every route for projects: key, active project, monthly allowance, metered cap. Nothing is cached, so that a suspension takes
 * effect with the next request. The rules exist twice. The SQL (store/limits/admissions.ts) checks and counts in one statement. This file
 * explains a refusal.
 */
import type { Deps } from "../../deps.ts";
import type { Config } from "../../env.ts";
import { sameHash } from "../../lib/same-secret.ts";
import { defaultShare } from "../../quota/index.ts";
import { isoSeconds, endOfDay, dayOf } from "../../lib/time.ts";
import { admissionIdsFrom, admit, returnAdmission } from "../../store/limits/admissions.ts";
import type { AdmissionAnswer, Demand, KeyFacts, AdmissionQuery, Use } from "../../store/limits/admissions.ts";
import { touchKey } from "../../store/keys/api-keys.ts";
import type { Scope } from "../../store/keys/api-keys.ts";
import type { CapType } from "../../store/limits/meters.ts";
import { ensurePeriods } from "../../store/billing/organizations.ts";
import { shareModeOf } from "../../store/projects/projects.ts";
import type { ShareMode } from "../../store/projects/projects.ts";
import type { OpenSuspension } from "../../store/suspension/reasons.ts";
import { storedHash } from "../keys/api-key.ts";
import type { PresentedKey } from "../keys/api-key.ts";
import { billingPeriod, billingPeriodAt } from "../billing/periods.ts";

/** The calling project as it was at admission. */
export interface ProjectCaller {
  readonly projectId: string;
  readonly organizationId: string;
  readonly keyId: string;
  readonly keyVersion: number;
  readonly scopes: readonly Scope[];
  /** Epoch milliseconds. null: never. */
  readonly keyExpiresAt: number | null;
  /** Its share of the provider's limit in calls. null: unlimited. The default share follows from the configured limit. */
  readonly share: number | null;
  readonly shareMode: ShareMode;
  /** Last use of this version of the key. null: never. */
  readonly lastUsedAt: number | null;
  /** When this version expires because a newer one exists. Null if no end is set. */
  readonly versionEndsAt: number | null;
  /** Id of the counted use, to be returned if no work was done. Null if nothing was counted. */
  readonly admissionId: string | null;
}

export type AdmissionRefusal =
  | { readonly why: "unknown_key" }
  | { readonly why: "revoked" | "expired" | "replaced"; readonly at: number }
  | { readonly why: "scope"; readonly needed: Scope; readonly scopes: readonly Scope[] }
  | { readonly why: "deleted" | "archived" | "organization_archived"; readonly projectId: string }
  | { readonly why: "not_ready"; readonly projectId: string; readonly failed: boolean }
  | { readonly why: "suspended"; readonly suspensions: readonly OpenSuspension[] }
  | { readonly why: "monthly"; readonly used: number; readonly limit: number; readonly resetAt: number; readonly now: number }
  | {
      readonly why: "cap";
      readonly type: CapType;
      readonly used: number;
      readonly cap: number;
      readonly resetAt: number;
      readonly now: number;
    };

export type Admission =
  | { readonly result: "admitted"; readonly caller: ProjectCaller }
  | { readonly result: "refused"; readonly refusal: AdmissionRefusal };

/** `last_used_at` is for people. A minute is exact enough, and saves a write per request. */
const TOUCH_EVERY_MS = 60_000;

/**
 * Identifies a presented key and checks its permissions. Throws `storage_unavailable` if the database fails. It is then unknown
 * whether the use was counted, so `abandon` receives the id of the admission and refunds the use.
 */
export async function admitKey(
  { db, config, clock }: Pick<Deps, "db" | "config" | "clock">,
  presented: PresentedKey,
  demand: Demand,
  abandon: (admissionId: string) => void,
): Promise<Admission> {
  const now = clock();
  const hash = await storedHash(presented.digest, config.keyPepper);
  const query = { keyId: presented.id, hash, now, day: dayOf(now), meter: demand.meter };
  const use = demand.meter === null ? null : { id: admissionId(now), scope: demand.scope };
  const verifiedFacts = ({ facts }: AdmissionAnswer) => (facts && sameHash(facts.hash, hash) ? facts : null);
  let answer = await admitOnce({ db, clock }, query, use, abandon);
  const holder = verifiedFacts(answer);
  if (use && !answer.admitted && holder?.period_ends_at === null) {
    // A new month has begun before the monthly reset ran. The first request creates its row.
    await ensureCurrentPeriods(db, holder, now);
    answer = await admitOnce({ db, clock }, query, use, abandon);
  }
  const facts = verifiedFacts(answer);
  const refusal = facts ? refusalFor(facts, demand, now) : ({ why: "unknown_key" } as const);
  if (facts && (answer.admitted || (refusal === null && use === null))) {
    return { result: "admitted", caller: callerOf(facts, presented.id, answer.admitted ? (use?.id ?? null) : null, config) };
  }
  // The statement and the explanation use the same facts. If they differ, one of them is wrong.
  if (refusal === null) throw new Error(`Project ${facts?.project_id ?? "?"} was not admitted, and no rule explains it`);
  return { result: "refused", refusal };
}

/** After this time, a failure means that the database hung until the platform ended the query. A retry would make the caller wait twice. */
const MAX_RETRIED_FAILURE_MS = 5_000;

/** The row's id makes a retry safe: the use counts once, whether the first attempt succeeded or not. */
async function admitOnce(
  { db, clock }: Pick<Deps, "db" | "clock">,
  query: AdmissionQuery,
  use: Use | null,
  abandon: (admissionId: string) => void,
): Promise<AdmissionAnswer> {
  const began = clock();
  return admit(db, query, use)
    .catch(async (error: unknown) => {
      if (clock() - began >= MAX_RETRIED_FAILURE_MS) throw error;
      return admit(db, query, use);
    })
    .catch((error: unknown) => {
      if (use) abandon(use.id);
      throw error;
    });
}

const admissionId = (now: number): string => `${admissionIdsFrom(now)}-${crypto.randomUUID()}`;

/** Creates the rows of the current period and the next one. */
export async function ensureCurrentPeriods(
  db: D1Database,
  { organization_id, billing_anchor }: Pick<KeyFacts, "organization_id" | "billing_anchor">,
  now: number,
): Promise<void> {
  const current = billingPeriodAt(billing_anchor, now);
  await ensurePeriods(db, organization_id, [current, billingPeriod(billing_anchor, current.index + 1)]);
}

/** The first rule that refuses, in the order of the contract. Null if none does. */
export function refusalFor(facts: KeyFacts, { scope, kind, meter }: Demand, now: number): AdmissionRefusal | null {
  if (facts.revoked_at !== null) return { why: "revoked", at: facts.revoked_at };
  if (facts.key_expires_at !== null && facts.key_expires_at <= now) return { why: "expired", at: facts.key_expires_at };
  if (facts.version_expires_at !== null && facts.version_expires_at <= now) return { why: "replaced", at: facts.version_expires_at };
  if (scope !== null && !facts.scopes.includes(scope)) return { why: "scope", needed: scope, scopes: facts.scopes };
  const projectId = facts.project_id;
  if (facts.lifecycle === "DELETED") return { why: "deleted", projectId };
  if (kind === "own") return null;
  if (kind === "use" && facts.provisioning !== "done") return { why: "not_ready", projectId, failed: facts.provisioning === "failed" };
  if (facts.lifecycle === "ARCHIVED") return { why: "archived", projectId };
  if (facts.organization_status === "ARCHIVED") return { why: "organization_archived", projectId };
  if (kind === "own-change") return null;
  if (facts.suspensions.length > 0) return { why: "suspended", suspensions: facts.suspensions };
  const used = facts.period_api_calls ?? 0;
  if (facts.monthly_api_calls !== null && used >= facts.monthly_api_calls) {
    const { endsAt } = billingPeriodAt(facts.billing_anchor, now);
    return { why: "monthly", used, limit: facts.monthly_api_calls, resetAt: endsAt, now };
  }
  if (meter !== null && facts.has_cap === 1 && facts.cap !== null && facts.used >= facts.cap) {
    return { why: "cap", type: meter, used: facts.used, cap: facts.cap, resetAt: endOfDay(now), now };
  }
  return null;
}

function callerOf(facts: KeyFacts, keyId: string, admitted: string | null, config: Pick<Config, "quota">): ProjectCaller {
  const shareMode = shareModeOf(facts);
  return {
    projectId: facts.project_id,
    organizationId: facts.organization_id,
    keyId,
    keyVersion: facts.version,
    scopes: facts.scopes,
    keyExpiresAt: facts.key_expires_at,
    share: shareMode === "default" ? defaultShare(config.quota.dailyLimit - config.quota.safetyBuffer) : facts.calls_per_day,
    shareMode,
    lastUsedAt: facts.last_used_at,
    versionEndsAt: facts.version < facts.newest_version ? facts.version_expires_at : null,
    admissionId: admitted,
  };
}

/** Returns the counted use, because no work was done for it. Idempotent, and therefore retried once. */
export async function returnUse({ db, clock }: Pick<Deps, "db" | "clock">, admission: string): Promise<void> {
  const now = clock();
  await returnAdmission(db, admission, now).catch(async () => returnAdmission(db, admission, now));
}

/** Records the last use of a key, and the uses of an earlier version. Writes nothing if the last use was recorded within a minute. */
export async function recordKeyUse(
  { db, clock }: Pick<Deps, "db" | "clock">,
  { keyId, keyVersion, lastUsedAt, versionEndsAt }: ProjectCaller,
): Promise<void> {
  const now = clock();
  const inGrace = versionEndsAt !== null;
  if (!inGrace && lastUsedAt !== null && lastUsedAt > now - TOUCH_EVERY_MS) return;
  await touchKey(db, { keyId, version: keyVersion, inGrace }, now, TOUCH_EVERY_MS);
}

/** A reason as the API returns it. */
export function reasonJson({ reason, cap_type, detail, since, until }: OpenSuspension) {
  return {
    reason,
    ...(cap_type === null ? {} : { cap_type }),
    ...(detail === null ? {} : { detail }),
    since: isoSeconds(since),
    ...(until === null ? {} : { until: isoSeconds(until) }),
  };
}
