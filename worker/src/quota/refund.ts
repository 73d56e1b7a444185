/**
 * Refunds calls that were charged but that the provider never counted. A refund needs two provider counts as proof: one from before the
 * charge, and one that was requested at least an hour after it. Synchronous. No I/O except the store. No clock.
 */
import { HOUR_MS, MINUTE_MS, SECOND_MS, hourOf, isoSeconds } from "../lib/time.ts";
import { log } from "../lib/log.ts";
import type { LedgerStore } from "./store.ts";
import type { ProviderReport } from "./types.ts";

/** A count requested this long after a charge is assumed to include it. */
const REFUND_AFTER_MS = HOUR_MS;
/** The length of a day's part. For each part, only the strongest proof is kept. */
const PART_MS = 5 * MINUTE_MS;
const REFUNDED_CALLER = "refunded";

/** Keeps the latest count, and refunds the calls that it proves together with an earlier one. */
export function refundProven(store: LedgerStore, report: ProviderReport, now: number): void {
  const { date } = store.today(now);
  const part = Math.floor(now / PART_MS);
  const known = store.counts.proofOf(date, part);
  if (known === null) refund(store, report, now);
  const { charged, provider_spent } = store.today(now);
  // The provider may already have counted reserved calls. Their later charge must not look like one from after this count.
  const [spent, taken] = [provider_spent ?? 0, charged + store.reserved()];
  if (known === null || spent - taken > known) store.counts.keep({ date, part, at: now, spent, taken });
}

function refund(store: LedgerStore, report: ProviderReport, now: number): void {
  const day = store.today(now);
  const { date, charged, untracked, provider_spent: spent, provider_base: base } = day;
  const until = report.requestedAt - REFUND_AFTER_MS;
  const before = store.counts.bestProof(date, until);
  if (spent === null || before === null) return;
  // The provider may still count calls charged within the last hour. It counted at most `spent - before.spent` of the other calls that
  // were charged since the earlier count.
  const proven = charged - store.totals.chargedSince(until) - before.taken - (spent - before.spent);
  // The ledger's count never falls below the provider's.
  const calls = Math.min(proven, charged + untracked - Math.max(0, spent - base));
  if (calls <= 0) return;
  store.charge(date, REFUNDED_CALLER, hourOf(now), -calls);
  const counts = [before, { at: now, spent }].map(({ at, spent: counted }) => ({ at: isoSeconds(at), spent: counted }));
  const [used, left] = [charged + untracked, charged + untracked - calls];
  const id = `refund:${date}:${Math.floor(now / SECOND_MS)}`;
  const after = JSON.stringify({ used: left, refunded: calls, counts });
  store.audit({ id, at: now, action: "usage.refund", actor: "ledger", before: JSON.stringify({ used }), after });
  log.warn("Calls refunded", { calls, used: left });
}
