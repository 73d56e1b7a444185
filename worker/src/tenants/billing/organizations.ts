/** Organizations: the owners of projects, with their monthly allowance. */
import { Problem, invalidField } from "../../errors.ts";
import type { Deps } from "../../deps.ts";
import { randomBase62 } from "../../lib/base62.ts";
import { isoSeconds } from "../../lib/time.ts";
import {
  addOrganization,
  changeOrganization,
  countActiveProjects,
  findOrganization,
  listPeriods,
} from "../../store/billing/organizations.ts";
import type { OrganizationStatus, OrganizationView, PeriodRow } from "../../store/billing/organizations.ts";
import { changing, newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";
import { billingPeriod, billingPeriodAt } from "./periods.ts";

type Store = Pick<Deps, "db" | "clock">;

export interface OrganizationInput {
  readonly id?: string | undefined;
  readonly name: string;
  /** Epoch milliseconds. Default: now, in whole seconds. */
  readonly billingAnchor?: number | undefined;
  /** null: unlimited. */
  readonly monthlyApiCalls: number | null;
}

const ID_LENGTH = 12;
const PERIODS_SHOWN = 12;

/** Fields for the audit log. */
const facts = ({ name, status, monthly_api_calls }: Pick<OrganizationView, "name" | "status" | "monthly_api_calls">) => ({
  name,
  status,
  api_calls: monthly_api_calls,
});

const subject = (id: string): string => `organization:${id}`;

const notFound = (id: string): Problem => new Problem("not_found", `Organization ${JSON.stringify(id)} not found.`);

/** Throws `conflict` if the id is taken, and `unprocessable` if the first period is in the future. */
export async function createOrganization({ db, clock }: Store, input: OrganizationInput, actor: Actor): Promise<OrganizationView> {
  const now = clock();
  if (input.billingAnchor !== undefined && input.billingAnchor > now) throw futureAnchor(input.billingAnchor, now);
  const row = {
    id: input.id ?? `org_${randomBase62(ID_LENGTH)}`,
    name: input.name,
    billing_anchor: input.billingAnchor ?? Math.floor(now / 1_000) * 1_000,
    monthly_api_calls: input.monthlyApiCalls,
  };
  const after = { ...facts({ ...row, status: "ACTIVE" }), billing_anchor: isoSeconds(row.billing_anchor) };
  const note = { action: "organization.create", subject: subject(row.id), projectId: null, before: null, after };
  const current = billingPeriodAt(row.billing_anchor, now);
  const periods = [current, billingPeriod(row.billing_anchor, current.index + 1)];
  const added = await addOrganization(db, row, periods, newOperation(actor, now), note);
  if (!added) throw new Problem("conflict", `Organization ${JSON.stringify(row.id)} already exists.`);
  return added;
}

/** A future period cannot be sold, and usage reported for a time before the first period is refused. */
function futureAnchor(anchor: number, now: number): Problem {
  const message = `must not be later than now, ${isoSeconds(now)}. The first billing period begins at \`billing_anchor\``;
  return invalidField("billing_anchor", message, isoSeconds(anchor), "unprocessable");
}

/** Throws `not_found`. */
export async function getOrganization({ db, clock }: Store, id: string): Promise<OrganizationView> {
  const found = await findOrganization(db, id, clock());
  if (!found) throw notFound(id);
  return found;
}

/** Its latest billing periods, newest first. */
export async function organizationPeriods({ db, clock }: Store, id: string): Promise<PeriodRow[]> {
  return listPeriods(db, id, clock(), PERIODS_SHOWN);
}

export interface OrganizationPatch {
  readonly name?: string | undefined;
  readonly status?: OrganizationStatus | undefined;
  readonly monthlyApiCalls?: number | null | undefined;
}

/** Requires that all its projects are archived or deleted first, so that no caller loses access by surprise. */
export async function patchOrganization(store: Store, id: string, patch: OrganizationPatch, actor: Actor): Promise<OrganizationView> {
  const { db, clock } = store;
  await changing(async () => {
    const now = clock();
    const seen = await findOrganization(db, id, now);
    if (!seen) throw notFound(id);
    const change = {
      name: patch.name ?? seen.name,
      status: patch.status ?? seen.status,
      monthly_api_calls: patch.monthlyApiCalls === undefined ? seen.monthly_api_calls : patch.monthlyApiCalls,
    };
    const [before, after] = [facts(seen), facts(change)];
    if (JSON.stringify(before) === JSON.stringify(after)) return true;
    if (change.status === "ARCHIVED" && seen.status !== "ARCHIVED") await assertNoActiveProjects(db, id);
    const action =
      change.status === seen.status ? "organization.change" : `organization.${change.status === "ARCHIVED" ? "archive" : "restore"}`;
    const note = { action, subject: subject(id), projectId: null, before, after };
    return (await changeOrganization(db, seen, change, newOperation(actor, now), note)) || null;
  });
  return getOrganization(store, id);
}

async function assertNoActiveProjects(db: D1Database, id: string): Promise<void> {
  const active = await countActiveProjects(db, id);
  if (active === 0) return;
  const what = active === 1 ? "project. Archive it first." : "projects. Archive them first.";
  throw new Problem("conflict", `The organization has ${active} active ${what}`);
}

/** An organization as the API returns it. */
export function organizationJson(row: OrganizationView, now: number) {
  const period = billingPeriodAt(row.billing_anchor, now);
  return {
    id: row.id,
    name: row.name,
    status: row.status,
    billing_anchor: isoSeconds(row.billing_anchor),
    quotas: { api_calls: row.monthly_api_calls },
    period: {
      index: period.index,
      starts_at: isoSeconds(period.startsAt),
      ends_at: isoSeconds(period.endsAt),
      // A period without a row has not been used yet.
      api_calls: row.api_calls ?? 0,
    },
    created_at: isoSeconds(row.created_at),
    updated_at: isoSeconds(row.updated_at),
  };
}
