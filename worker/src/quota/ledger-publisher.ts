/** What the ledger writes to KV, and when. KV failing never fails a call: what could not be written is written later. */
import { errorFields, log } from "../lib/log.ts";
import type { LedgerReader } from "./ledger-reader.ts";
import type { LedgerState } from "./ledger-state.ts";
import { MIRROR_EVERY_MS, SNAPSHOT_EVERY_MS } from "./snapshot.ts";
import type { QuotaKv, SettingsMirror } from "./snapshot.ts";
import { MINUTE_MS, dayOf } from "../lib/time.ts";

export class LedgerPublisher {
  readonly #kv: QuotaKv;
  readonly #state: LedgerState;
  readonly #reader: LedgerReader;
  /** Whether the published snapshot is behind. Unknown after a start, so assumed. */
  #behind = true;
  /** Undefined until KV was read. */
  #seen: SettingsMirror | null | undefined = undefined;
  #lookedAt = 0;
  /** Of KV, in a row. */
  #failures = 0;

  constructor(kv: QuotaKv, state: LedgerState, reader: LedgerReader) {
    this.#kv = kv;
    this.#state = state;
    this.#reader = reader;
  }

  changed(): void {
    this.#behind = true;
  }

  /** A snapshot of another day tells pollers nothing: the first look at a new day publishes it. */
  lookedAt(now: number): void {
    if (dayOf(this.#state.value.publishedAt) !== dayOf(now)) this.#behind = true;
  }

  /** The settings as KV held them at the last publication; undefined where it was not to be read. */
  get seen(): SettingsMirror | null | undefined {
    return this.#seen;
  }

  get #mirrorBehind(): boolean {
    const { settingsRevision, mirroredRevision, mirrorUnread } = this.#state.value;
    return !mirrorUnread && settingsRevision > mirroredRevision;
  }

  /** When something is to be written or read next; null while KV is up to date. */
  dueAt(now: number): number | null {
    const { publishedAt, mirroredAt, mirrorUnread } = this.#state.value;
    // A time in the future is from before a clock stepped back.
    const since = (time: number): number => Math.min(time, now);
    const due = [
      this.#behind ? since(publishedAt) + SNAPSHOT_EVERY_MS : null,
      this.#mirrorBehind ? since(mirroredAt) + this.#pauseMs(MIRROR_EVERY_MS) : null,
      mirrorUnread ? since(this.#lookedAt) + this.#pauseMs(SNAPSHOT_EVERY_MS) : null,
    ].filter((at) => at !== null);
    return due.length === 0 ? null : Math.max(now, Math.min(...due));
  }

  /** Longer after every failure, so that an outage of KV keeps nobody busy. */
  #pauseMs(shortest: number): number {
    return Math.min(MINUTE_MS, shortest * 2 ** this.#failures);
  }

  async publish(now: number): Promise<void> {
    await this.#look(now);
    const { publishedAt, mirroredAt } = this.#state.value;
    if (this.#behind && Math.abs(now - publishedAt) >= SNAPSHOT_EVERY_MS) {
      this.#state.update({ publishedAt: now });
      this.#behind = false;
      this.#behind = !(await this.#written("snapshot", this.#kv.putSnapshot(this.#reader.snapshot(now)))) || this.#behind;
    }
    if (this.#mirrorBehind && Math.abs(now - mirroredAt) >= this.#pauseMs(MIRROR_EVERY_MS)) await this.#mirror(now);
  }

  /** A switch that was turned while this ledger was away is later than ours: it is adopted, never overwritten. */
  async #mirror(now: number): Promise<void> {
    const { settingsRevision, enforcement } = this.#state.value;
    this.#state.update({ mirroredAt: now });
    // What could not be read may be later too.
    if (this.#seen === undefined || (this.#seen && this.#seen.enforcement.changedAt > enforcement.changedAt)) return;
    const written = await this.#written("settings", this.#kv.putMirror(this.#reader.mirror()));
    if (!written) this.#failures += 1;
    if (written) this.#state.update({ mirroredRevision: settingsRevision });
  }

  async #look(now: number): Promise<void> {
    this.#lookedAt = now;
    try {
      this.#seen = await this.#kv.mirror();
      this.#failures = 0;
    } catch (error) {
      this.#seen = undefined;
      this.#failures += 1;
      log.warn("KV did not give the enforcement switch", errorFields(error));
    }
  }

  async #written(what: string, put: Promise<void>): Promise<boolean> {
    try {
      await put;
      return true;
    } catch (error) {
      log.warn("KV refused a write; it is tried again", { key: what, ...errorFields(error) });
      return false;
    }
  }
}
