/** Writes the ledger's snapshot and settings to KV, and recovers an empty ledger from them. A failing KV never fails a call. */
import { errorFields, log } from "../lib/log.ts";
import { MINUTE_MS, SECOND_MS, dayOf, earliest, hourOf, startOfDay } from "../lib/time.ts";
import { MAX_TTL_SECONDS } from "./policy.ts";
import { countUntracked, observe } from "./provider-count.ts";
import { MIRROR_EVERY_MS, SNAPSHOT_EVERY_MS } from "./snapshot.ts";
import type { LedgerSnapshot, QuotaKv } from "./snapshot.ts";
import type { LedgerStore } from "./store.ts";
import type { CallerTotals, ProviderReport, SettingsMirror } from "./types.ts";
import { mirror, snapshot } from "./views.ts";

export class LedgerPublisher {
  readonly #kv: QuotaKv;
  readonly #store: LedgerStore;
  /** Whether the published snapshot is outdated. After a start, it is assumed to be. */
  #outdated = true;
  #lastReadAt = 0;
  /** Consecutive failures of KV. */
  #failures = 0;

  constructor(kv: QuotaKv, store: LedgerStore) {
    this.#kv = kv;
    this.#store = store;
  }

  changed(): void {
    this.#outdated = true;
  }

  /** The first query of a new day publishes a snapshot: pollers cannot use one of another day. */
  wasRead(now: number): void {
    if (dayOf(this.#store.state.value.publishedAt) !== dayOf(now)) this.#outdated = true;
  }

  get #mirrorOutdated(): boolean {
    const { settingsRevision, mirroredRevision, mirrorUnread } = this.#store.state.value;
    return !mirrorUnread && settingsRevision > mirroredRevision;
  }

  /** Time of the next write or read, null while KV is up to date. */
  dueAt(now: number): number | null {
    const { publishedAt, mirroredAt, mirrorUnread } = this.#store.state.value;
    // A time in the future means that the clock stepped back.
    const since = (time: number): number => Math.min(time, now);
    const due = earliest(
      this.#outdated ? since(publishedAt) + SNAPSHOT_EVERY_MS : null,
      this.#mirrorOutdated ? since(mirroredAt) + this.#pauseMs(MIRROR_EVERY_MS) : null,
      mirrorUnread ? since(this.#lastReadAt) + this.#pauseMs(SNAPSHOT_EVERY_MS) : null,
    );
    return due === null ? null : Math.max(now, due);
  }

  /** Doubles after every failure, so that an outage of KV causes few requests. */
  #pauseMs(shortest: number): number {
    return Math.min(MINUTE_MS, shortest * 2 ** this.#failures);
  }

  /** Returns the settings that KV held before, `undefined` if it could not be read. */
  async publish(now: number): Promise<SettingsMirror | null | undefined> {
    const stored = await this.#read(now);
    const { state } = this.#store;
    const { publishedAt, mirroredAt } = state.value;
    if (this.#outdated && Math.abs(now - publishedAt) >= SNAPSHOT_EVERY_MS) {
      state.update({ publishedAt: now });
      this.#outdated = false;
      this.#outdated = !(await this.#write("snapshot", this.#kv.putSnapshot(snapshot(this.#store, now)))) || this.#outdated;
    }
    if (this.#mirrorOutdated && Math.abs(now - mirroredAt) >= this.#pauseMs(MIRROR_EVERY_MS)) await this.#mirror(stored, now);
    return stored;
  }

  /** Does not overwrite a switch that was changed while this ledger was unavailable. The ledger adopts it instead. */
  async #mirror(stored: SettingsMirror | null | undefined, now: number): Promise<void> {
    const { state } = this.#store;
    const { settingsRevision, enforcement } = state.value;
    state.update({ mirroredAt: now });
    // An unreadable switch may be later too.
    if (stored === undefined || (stored && stored.enforcement.changedAt > enforcement.changedAt)) return;
    if (await this.#write("settings", this.#kv.putMirror(mirror(this.#store)))) state.update({ mirroredRevision: settingsRevision });
    else this.#failures += 1;
  }

  async #read(now: number): Promise<SettingsMirror | null | undefined> {
    this.#lastReadAt = now;
    try {
      const stored = await this.#kv.mirror();
      this.#failures = 0;
      return stored;
    } catch (error) {
      this.#failures += 1;
      log.warn("Settings not read from KV", errorFields(error));
      return undefined;
    }
  }

  async #write(key: string, put: Promise<void>): Promise<boolean> {
    try {
      await put;
      return true;
    } catch (error) {
      log.warn("KV write failed, retrying later", { key, ...errorFields(error) });
      return false;
    }
  }
}

/** Sources of today's count for an empty ledger. */
export interface RecoveryEvidence {
  readonly snapshot: LedgerSnapshot | null;
  /** `undefined` if KV could not be read. */
  readonly mirror: SettingsMirror | null | undefined;
  readonly report: ProviderReport | null;
}

/**
 * Initializes an empty store from the published snapshot and settings, then applies the provider's own count. Calls that were reserved
 * when the snapshot was published may have been sent. They count as spent by their caller, so that no share is granted twice. A snapshot
 * names the largest projects and the sum of the others. So the total stays exact, but an unnamed project's share starts again from 0.
 * Its forgotten usage is at most that of the smallest named project.
 */
export function recover(store: LedgerStore, { snapshot, mirror, report }: RecoveryEvidence, now: number): void {
  const { state } = store;
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
  const charge = (callsOf: (totals: CallerTotals) => number): void => {
    for (const totals of snapshot?.callers ?? []) {
      const calls = callsOf(totals);
      if (calls !== 0) store.charge(today, totals.caller, hourOf(now), calls);
    }
  };
  if (published) {
    charge(({ used, reserved }) => used + reserved);
    const untracked = published.status.callers.find(({ caller }) => caller === "untracked");
    store.updateDay(today, { provider_base: published.providerBase, ...(untracked ? { untracked: untracked.used } : {}) });
  }
  // Reservations that were open when yesterday ended count in both days.
  const openAtMidnight = snapshot?.status.date === dayOf(startOfDay(now) - 1) && now - startOfDay(now) < MAX_TTL_SECONDS * SECOND_MS;
  if (openAtMidnight) charge(({ reserved }) => reserved);
  observe(store, report, now);
  countUntracked(store, now);
  const { charged, untracked } = store.day(today);
  if (charged + untracked !== 0) state.update({ recoveredOn: today });
  log.warn("Empty ledger recovered", {
    used: charged + untracked,
    from_snapshot: published !== null,
    from_provider: report !== null,
  });
}
