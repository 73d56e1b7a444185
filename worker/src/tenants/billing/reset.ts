/**
 * The monthly reset: closes every billing period that has ended, and begins the one that contains now. Requests need no reset for a new
 * period to begin at 0; this turns what is over into a ledger, also after an outage of months, one row for each period.
 */
import type { Deps } from "../../deps.ts";
import type { PeriodOf } from "../../store/billing/periods.ts";
import { closePeriods, dueOrganizations } from "../../store/billing/reset.ts";
import type { DueOrganization } from "../../store/billing/reset.ts";
import { billingPeriod, billingPeriodAt } from "./periods.ts";

/** Some hundred organisations are one transaction of a few statements. */
const PAGE_SIZE = 500;
/** Anchors and outages are a matter of years: more periods than these in one organisation are a damaged row. */
const MAX_PERIODS = 1_200;

export interface ResetPage {
  /** Where to go on. */
  readonly last: string;
  readonly organizations: number;
  readonly periods_closed: number;
  readonly suspensions_lifted: number;
  readonly errors: readonly { readonly organization_id: string; readonly error: string }[];
}

/** The next page, "" at first, done; null where nothing is due any more. Twice does nothing twice. */
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
    errors: damaged.map(({ organization }) => ({ organization_id: organization.id, error: "its billing anchor is no time" })),
  };
}

/** From the first that is not closed to the one after the current, each from the anchor; null where the anchor is damaged. */
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
