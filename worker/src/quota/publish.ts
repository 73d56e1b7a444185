/** What the ledger writes to KV, and how an empty ledger begins from it. A failing KV never fails a call: the write is repeated later. */
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
  /** Whether the published snapshot is behind. Unknown after a start, so assumed. */
  #behind = true;
  #triedAt = 0;
  /** Of KV, in a row. */
  #failures = 0;

  constructor(kv: QuotaKv, store: LedgerStore) {
    this.#kv = kv;
    this.#store = store;
  }

  changed(): void {
    this.#behind = true;
  }

  /** A snapshot of another day tells pollers nothing: the first look at a new day publishes it. */
  lookedAt(now: number): void {
    if (dayOf(this.#store.state.value.publishedAt) !== dayOf(now)) this.#behind = true;
  }

  get #mirrorBehind(): boolean {
    const { settingsRevision, mirroredRevision, mirrorUnread } = this.#store.state.value;
    return !mirrorUnread && settingsRevision > mirroredRevision;
  }

  /** When something is to be written or read next; null while KV is up to date. */
  dueAt(now: number): number | null {
    const { publishedAt, mirroredAt, mirrorUnread } = this.#store.state.value;
    // A time in the future is from before a clock stepped back.
    const since = (time: number): number => Math.min(time, now);
    const due = earliest(
      this.#behind ? since(publishedAt) + SNAPSHOT_EVERY_MS : null,
      this.#mirrorBehind ? since(mirroredAt) + this.#pauseMs(MIRROR_EVERY_MS) : null,
      mirrorUnread ? since(this.#triedAt) + this.#pauseMs(SNAPSHOT_EVERY_MS) : null,
    );
    return due === null ? null : Math.max(now, due);
  }

  /** Longer after every failure, so that an outage of KV keeps nobody busy. */
  #pauseMs(shortest: number): number {
    return Math.min(MINUTE_MS, shortest * 2 ** this.#failures);
  }

  /** Returns the settings that KV held before; undefined where it could not be read. */
  async publish(now: number): Promise<SettingsMirror | null | undefined> {
    const stored = await this.#read(now);
    const { state } = this.#store;
    const { publishedAt, mirroredAt } = state.value;
    if (this.#behind && Math.abs(now - publishedAt) >= SNAPSHOT_EVERY_MS) {
      state.update({ publishedAt: now });
      this.#behind = false;
      this.#behind = !(await this.#written("snapshot", this.#kv.putSnapshot(snapshot(this.#store, now)))) || this.#behind;
    }
    if (this.#mirrorBehind && Math.abs(now - mirroredAt) >= this.#pauseMs(MIRROR_EVERY_MS)) await this.#mirror(stored, now);
    return stored;
  }

  /** A switch that was turned while this ledger was away is later than ours: it is adopted, never overwritten. */
  async #mirror(stored: SettingsMirror | null | undefined, now: number): Promise<void> {
    const { state } = this.#store;
    const { settingsRevision, enforcement } = state.value;
    state.update({ mirroredAt: now });
    // An unreadable one may be later too.
    if (stored === undefined || (stored && stored.enforcement.changedAt > enforcement.changedAt)) return;
    if (await this.#written("settings", this.#kv.putMirror(mirror(this.#store)))) state.update({ mirroredRevision: settingsRevision });
    else this.#failures += 1;
  }

  async #read(now: number): Promise<SettingsMirror | null | undefined> {
    this.#triedAt = now;
    try {
      const stored = await this.#kv.mirror();
      this.#failures = 0;
      return stored;
    } catch (error) {
      this.#failures += 1;
      log.warn("KV did not give the enforcement switch", errorFields(error));
      return undefined;
    }
  }

  async #written(key: string, put: Promise<void>): Promise<boolean> {
    try {
      await put;
      return true;
    } catch (error) {
      log.warn("KV refused a write; it is tried again", { key, ...errorFields(error) });
      return false;
    }
  }
}

/** Where an empty ledger may take today's count from. */
export interface RecoveryEvidence {
  readonly snapshot: LedgerSnapshot | null;
  /** Undefined where KV could not be read. */
  readonly mirror: SettingsMirror | null | undefined;
  readonly report: ProviderReport | null;
}

/**
 * Initializes an empty store from the published snapshot and settings, then applies the provider's own count. Calls that were reserved
 * when the snapshot was published may have been sent: they count as spent by their caller, so that no share is given out twice. Of
 * projects beyond those that a snapshot names only the sum is known: the day stays exact, and each of them may be given again what it
 * had, which is at most what the smallest named one had.
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
  log.warn("The ledger's store was empty: today's count begins here", {
    used: charged + untracked,
    from_snapshot: published !== null,
    from_provider: report !== null,
  });
}
