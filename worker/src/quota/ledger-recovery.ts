/** How an empty ledger gets its beginning. Synchronous. */
import { log } from "../lib/log.ts";
import type { ProviderBook } from "./ledger-provider.ts";
import type { LedgerState } from "./ledger-state.ts";
import type { LedgerStore } from "./ledger-store.ts";
import { MAX_TTL_SECONDS } from "./policy.ts";
import type { LedgerSnapshot, SettingsMirror } from "./snapshot.ts";
import type { ProviderReport } from "./types.ts";
import { SECOND_MS, hourOf, windowOf, windowStart } from "./window.ts";

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
 * may have been sent, and counts as spent.
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
  const today = windowOf(now);
  const published = snapshot?.status.date === today ? snapshot : null;
  if (published) {
    const { callers, reserved } = published.status;
    for (const { caller, used } of [...callers, { caller: "recovered", used: reserved }]) {
      if (caller === "untracked") store.setUntracked(today, used);
      else if (used !== 0) store.charge(today, caller, hourOf(now), used);
    }
    store.setBase(today, published.providerBase);
  }
  // What was held when yesterday ended is held in both days.
  const heldOver = snapshot?.status.date === windowOf(windowStart(now) - 1) && now - windowStart(now) < MAX_TTL_SECONDS * SECOND_MS;
  if (heldOver && snapshot.status.reserved > 0) store.charge(today, "recovered", hourOf(now), snapshot.status.reserved);
  provider.observe(report, 0, now);
  const { charged, untracked } = store.day(today);
  if (charged + untracked !== 0) state.update({ recoveredOn: today });
  log.warn("The ledger's store was empty: today's count begins here", {
    used: charged + untracked,
    from_snapshot: published !== null,
    from_provider: report !== null,
  });
}
