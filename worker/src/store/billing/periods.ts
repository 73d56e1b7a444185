/** Billing periods, as whoever needs them first makes their rows: table `billing_periods`. Times are epoch milliseconds. */

export interface BillingPeriod {
  /** Counted from the anchor: 0 begins with it, -1 ends with it. */
  readonly index: number;
  readonly startsAt: number;
  /** Not part of the period any more. */
  readonly endsAt: number;
}

export interface PeriodOf extends BillingPeriod {
  readonly organization: string;
}

/** Rows for the periods, ?1 as a JSON list, that have none yet; the others stay as they are. */
export const MAKE_PERIODS = `INSERT INTO billing_periods (organization_id, period_index, starts_at, ends_at)
  SELECT value ->> 'organization', value ->> 'index', value ->> 'startsAt', value ->> 'endsAt' FROM json_each(?1) WHERE true
  ON CONFLICT DO NOTHING`;
