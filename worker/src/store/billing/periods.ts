/** Billing periods, created by the first request or reset that needs them: table `billing_periods`. Times are epoch milliseconds. */

export interface BillingPeriod {
  /** Counted from the anchor. Period 0 begins at the anchor, and period -1 ends there. */
  readonly index: number;
  readonly startsAt: number;
  /** Exclusive. */
  readonly endsAt: number;
}

export interface PeriodOf extends BillingPeriod {
  readonly organization: string;
}

/** Adds rows for those periods in ?1, a JSON list, that have none. The others do not change. */
export const MAKE_PERIODS = `INSERT INTO billing_periods (organization_id, period_index, starts_at, ends_at)
  SELECT value ->> 'organization', value ->> 'index', value ->> 'startsAt', value ->> 'endsAt' FROM json_each(?1) WHERE true
  ON CONFLICT DO NOTHING`;
