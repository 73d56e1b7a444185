/** How an empty ledger gets its beginning. Synchronous. */
import { log } from "../lib/log.ts";
import type { ProviderBook } from "./ledger-provider.ts";
import type { LedgerState } from "./ledger-state.ts";
import type { LedgerStore } from "./ledger-store.ts";
import { MAX_TTL_SECONDS } from "./policy.ts";
import type { LedgerSnapshot, SettingsMirror } from "./snapshot.ts";
import type { CallerStanding, ProviderReport } from "./types.ts";
import { SECOND_MS, hourOf, dayOf, startOfDay } from "../lib/time.ts";

/** Where an empty ledger may take today's count from. */
export interface RecoveryEvidence {
  readonly snapshot: LedgerSnapshot | null;
  /** Undefined where KV could not be read. */
  readonly mirror: SettingsMirror | null | undefined;
  readonly report: ProviderReport | null;
}

interface Ledger {
  readonly store: LedgerStore;
  readonly state: LedgerState;
  readonly provider: ProviderBook;
}

/**
 * The published snapshot, settings included, then the provider's own count on top. What was reserved when the snapshot was published
 * may have been sent, and counts as spent by who held it, so that no share is given out twice. Only of projects beyond those that a
 * snapshot names is nothing known but their sum: the day stays exact, and each of them may be given again what it had, which is at
 * most what the smallest named one had.
 */
export function recover({ snapshot, mirror, report }: RecoveryEvidence, { store, state, provider }: Ledger, now: number): void {
  const upstream = snapshot?.status.upstream ?? null;
  state.update({
    initialisedAt: now,
    learnedPrice: snapshot?.learnedPrice ?? null,
    everCounted: upstream !== null,
    providerLimit: upstream?.limit ?? null,
  });
  if (mirror === undefined) state.update({ mirrorUnread: true });
  else if (mirror) state.update({ overrides: mirror.overrides, enforcement: mirror.enforcement });
  const today = dayOf(now);
  const published = snapshot?.status.date === today ? snapshot : null;
  const charge = (callsOf: (standing: CallerStanding) => number): void => {
    for (const standing of snapshot?.callers ?? []) {
      const calls = callsOf(standing);
      if (calls !== 0) store.charge(today, standing.caller, hourOf(now), calls);
    }
  };
  if (published) {
    charge(({ used, reserved }) => used + reserved);
    const untracked = published.status.callers.find(({ caller }) => caller === "untracked");
    if (untracked) store.setUntracked(today, untracked.used);
    store.setBase(today, published.providerBase);
  }
  // What was held when yesterday ended is held in both days.
  const heldOver = snapshot?.status.date === dayOf(startOfDay(now) - 1) && now - startOfDay(now) < MAX_TTL_SECONDS * SECOND_MS;
  if (heldOver) charge(({ reserved }) => reserved);
  provider.observe(report, 0, now);
  const { charged, untracked } = store.day(today);
  if (charged + untracked !== 0) state.update({ recoveredOn: today });
  log.warn("The ledger's store was empty: today's count begins here", {
    used: charged + untracked,
    from_snapshot: published !== null,
    from_provider: report !== null,
  });
}
