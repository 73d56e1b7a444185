/** Writes the ledger's snapshot and settings to KV, and recovers an empty ledger from them. A failing KV never fails a call. */
import { errorFields, log } from "../lib/log.ts";
import { MINUTE_MS, SECOND_MS, dayOf, earliest, hourOf, startOfDay } from "../lib/time.ts";
import { MAX_TTL_SECONDS } from "./policy.ts";
import { countUntracked, observe } from "./provider-count.ts";
import { KV_STALE_MS, MIRROR_EVERY_MS, SNAPSHOT_EVERY_MS } from "./snapshot.ts";
import type { LedgerSnapshot, QuotaKv } from "./snapshot.ts";
import type { KvFailures } from "./state.ts";
import type { LedgerStore } from "./store.ts";
import type { CallerTotals, ProviderReport, SettingsMirror } from "./types.ts";
import { mirror, snapshot } from "./views.ts";

/** The longest pause after failures of KV. A recovery from an older snapshot would miss more calls. */
const MAX_PAUSE_MS = 2 * MINUTE_MS;

/** Doubles with each failure, so that an outage of KV causes few requests. */
const pauseMs = (shortest: number, failures: number): number => Math.min(MAX_PAUSE_MS, shortest * 2 ** failures);

/** A time in the future means that the clock stepped back. Then it is due. */
const after = (last: number, pause: number, now: number): number => (last > now ? now : last + pause);

export class LedgerPublisher {
  readonly #kv: QuotaKv;
  readonly #store: LedgerStore;
  /** Number of changes since the start. */
  #changes = 0;

  constructor(kv: QuotaKv, store: LedgerStore) {
    this.#kv = kv;
    this.#store = store;
  }

  changed(): void {
    const { state } = this.#store;
    this.#changes += 1;
    if (!state.value.unpublished) state.update({ unpublished: true });
  }

  /** The first query of a new day publishes a snapshot: pollers cannot use one of another day. */
  wasRead(now: number): void {
    if (dayOf(this.#store.state.value.publishedAt) !== dayOf(now)) this.changed();
  }

  /** Time of the next write or read, null while KV is up to date. */
  dueAt(now: number): number | null {
    const due = earliest(this.#snapshotDueAt(now), this.#settingsDueAt(now));
    return due === null ? null : Math.max(now, due);
  }

  #snapshotDueAt(now: number): number | null {
    const { unpublished, publishedAt, kvFailures } = this.#store.state.value;
    return unpublished ? after(publishedAt, pauseMs(SNAPSHOT_EVERY_MS, kvFailures.snapshot), now) : null;
  }

  /**
   * Every write of the settings follows a read, so that a switch that was turned in KV is adopted instead of overwritten. KV repeats an
   * earlier answer for a minute, so the read waits until the previous answer is too old.
   */
  #settingsDueAt(now: number): number | null {
    const { mirrorUnread, mirroredAt, kvFailures } = this.#store.state.value;
    if (mirrorUnread) return this.#readDueAt(now);
    if (!this.#mirrorOutdated) return null;
    return Math.max(this.#readDueAt(now), after(mirroredAt, pauseMs(MIRROR_EVERY_MS, kvFailures.settings), now));
  }

  #readDueAt(now: number): number {
    const { kvReadAt, kvFailedAt, kvFailures } = this.#store.state.value;
    const fresh = after(kvReadAt, KV_STALE_MS, now);
    return kvFailures.read === 0 ? fresh : Math.max(fresh, after(kvFailedAt, pauseMs(SNAPSHOT_EVERY_MS, kvFailures.read), now));
  }

  get #mirrorOutdated(): boolean {
    const { settingsRevision, mirroredRevision } = this.#store.state.value;
    return settingsRevision > mirroredRevision;
  }

  /** Returns the settings that KV held before, `undefined` if they were not read. */
  async publish(now: number): Promise<SettingsMirror | null | undefined> {
    const isDue = (at: number | null): boolean => at !== null && at <= now;
    const [snapshotIsDue, settingsAreDue] = [isDue(this.#snapshotDueAt(now)), isDue(this.#settingsDueAt(now))];
    const stored = settingsAreDue || (snapshotIsDue && isDue(this.#readDueAt(now))) ? await this.#read(now) : undefined;
    if (snapshotIsDue) await this.#publishSnapshot(now);
    if (settingsAreDue && stored !== undefined && !this.#store.state.value.mirrorUnread) await this.#mirror(stored, now);
    return stored;
  }

  async #publishSnapshot(now: number): Promise<void> {
    const { state } = this.#store;
    const changes = this.#changes;
    state.update({ publishedAt: now });
    const written = await this.#attempt("snapshot", async () => this.#kv.putSnapshot(snapshot(this.#store, now)));
    // A change during the write is in the next snapshot.
    if (written && this.#changes === changes) state.update({ unpublished: false });
  }

  /** Does not overwrite a switch that was changed while this ledger was unavailable. The ledger adopts it instead. */
  async #mirror(stored: SettingsMirror | null, now: number): Promise<void> {
    const { state } = this.#store;
    const { settingsRevision, enforcement } = state.value;
    if (stored && stored.enforcement.changedAt > enforcement.changedAt) return;
    state.update({ mirroredAt: now });
    const written = await this.#attempt("settings", async () => this.#kv.putMirror(mirror(this.#store)));
    if (written) state.update({ mirroredRevision: settingsRevision });
  }

  async #read(now: number): Promise<SettingsMirror | null | undefined> {
    const { state } = this.#store;
    let stored: SettingsMirror | null | undefined;
    const answered = await this.#attempt("read", async () => {
      stored = await this.#kv.mirror();
    });
    state.update(answered ? { kvReadAt: now } : { kvFailedAt: now });
    return stored;
  }

  /** Counts the failures of each operation separately: KV may answer reads while it refuses writes. */
  async #attempt(operation: keyof KvFailures, work: () => Promise<void>): Promise<boolean> {
    const { state } = this.#store;
    const count = (failures: number): void => {
      if (state.value.kvFailures[operation] !== failures)
        state.update({ kvFailures: { ...state.value.kvFailures, [operation]: failures } });
    };
    try {
      await work();
      count(0);
      return true;
    } catch (error) {
      count(state.value.kvFailures[operation] + 1);
      log.warn("KV failed, retrying later", { operation, failures: state.value.kvFailures[operation], ...errorFields(error) });
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
    kvReadAt: mirror === undefined ? 0 : now,
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
