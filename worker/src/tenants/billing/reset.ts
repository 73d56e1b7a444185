/**
 * The monthly reset: closes every billing period that has ended and creates the current one. New periods start at 0 without it. The reset
 * records the totals, one row per period, even after an outage of several months.
 */
import type { Deps } from "../../deps.ts";
import type { PeriodOf } from "../../store/billing/periods.ts";
import { closePeriods, dueOrganizations } from "../../store/billing/reset.ts";
import type { DueOrganization } from "../../store/billing/reset.ts";
import { billingPeriod, billingPeriodAt } from "./periods.ts";

/** 500 organizations fit in one transaction of a few statements. */
const PAGE_SIZE = 500;
/** Anchors and outages span years at most. More periods than this indicate a damaged row. */
const MAX_PERIODS = 1_200;

export interface ResetPage {
  /** Cursor of the next page. */
  readonly last: string;
  readonly organizations: number;
  readonly periods_closed: number;
  readonly suspensions_lifted: number;
  readonly errors: readonly { readonly organization_id: string; readonly error: string }[];
}

/** Resets the next page of organizations (start with ""). Returns null if no period is due. Idempotent. */
export async function resetPage({ db, clock }: Pick<Deps, "db" | "clock">, run: string, after: string): Promise<ResetPage | null> {
  const now = clock();
  const due = await dueOrganizations(db, after, PAGE_SIZE, now);
  const last = due.at(-1)?.id;
  if (last === undefined) return null;
  const planned = due.map((organization) => ({ organization, periods: periodsOf(organization, now) }));
  const sound = planned.flatMap(({ periods }) => periods ?? []);
  const { closed, lifted } = await closePeriods(db, sound, { run, now });
  const damaged = planned.filter(({ periods }) => periods === null);
  return {
    last,
    organizations: due.length - damaged.length,
    periods_closed: closed,
    suspensions_lifted: lifted,
    errors: damaged.map(({ organization }) => ({ organization_id: organization.id, error: "its billing anchor is not a valid time" })),
  };
}

/** Periods from the first open one to the one after the current. Null if the anchor is damaged. */
function periodsOf({ id, billing_anchor, first_open }: DueOrganization, now: number): PeriodOf[] | null {
  if (!Number.isSafeInteger(billing_anchor)) return null;
  const current = billingPeriodAt(billing_anchor, now).index;
  const first = Math.min(first_open ?? current, current);
  if (current - first > MAX_PERIODS) return null;
  return Array.from({ length: current + 2 - first }, (_, offset) => ({
    organization: id,
    ...billingPeriod(billing_anchor, first + offset),
  }));
}
