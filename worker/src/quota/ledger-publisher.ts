/** What the ledger writes to KV, and when. KV failing never fails a call: what could not be written is written later. */
import { errorFields, log } from "../lib/log.ts";
import type { LedgerReader } from "./ledger-reader.ts";
import type { LedgerState } from "./ledger-state.ts";
import { MIRROR_EVERY_MS, SNAPSHOT_EVERY_MS } from "./snapshot.ts";
import type { QuotaKv, SettingsMirror } from "./snapshot.ts";
import { MINUTE_MS, windowOf } from "./window.ts";

export class LedgerPublisher {
  readonly #kv: QuotaKv;
  readonly #state: LedgerState;
  readonly #reader: LedgerReader;
  /** Whether the published snapshot is behind. Unknown after a start, so assumed. */
  #behind = true;
  /** Undefined until KV was read. */
  #seen: SettingsMirror | null | undefined = undefined;
  #mirrorFailures = 0;

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
    if (windowOf(this.#state.value.publishedAt) !== windowOf(now)) this.#behind = true;
  }

  /** The settings as KV held them at the last publication; undefined where it was not to be read. */
  get seen(): SettingsMirror | null | undefined {
    return this.#seen;
  }

  get #mirrorBehind(): boolean {
    const { settingsRevision, mirroredRevision, mirrorUnread } = this.#state.value;
    return !mirrorUnread && settingsRevision > mirroredRevision;
  }

  /** When something is to be written next; null while KV is up to date. */
  dueAt(now: number): number | null {
    const { publishedAt, mirroredAt, mirrorUnread } = this.#state.value;
    if (this.#mirrorBehind) return Math.max(now, mirroredAt + this.#mirrorPauseMs);
    return this.#behind || mirrorUnread ? Math.max(now, publishedAt + SNAPSHOT_EVERY_MS) : null;
  }

  /** Longer after every failure, so that an outage of KV keeps nobody busy. */
  get #mirrorPauseMs(): number {
    return Math.min(MINUTE_MS, MIRROR_EVERY_MS * 2 ** this.#mirrorFailures);
  }

  async publish(now: number): Promise<void> {
    await this.#look();
    const { publishedAt, mirroredAt } = this.#state.value;
    if (this.#behind && now - publishedAt >= SNAPSHOT_EVERY_MS) {
      this.#state.update({ publishedAt: now });
      this.#behind = false;
      this.#behind = !(await this.#written("snapshot", this.#kv.putSnapshot(this.#reader.snapshot(now)))) || this.#behind;
    }
    if (this.#mirrorBehind && now - mirroredAt >= this.#mirrorPauseMs) await this.#mirror(now);
  }

  /** A switch that was turned while this ledger was away is later than ours: it is adopted, never overwritten. */
  async #mirror(now: number): Promise<void> {
    const { settingsRevision, enforcement } = this.#state.value;
    if (this.#seen && this.#seen.enforcement.changedAt > enforcement.changedAt) return;
    this.#state.update({ mirroredAt: now });
    const written = await this.#written("settings", this.#kv.putMirror(this.#reader.mirror()));
    this.#mirrorFailures = written ? 0 : this.#mirrorFailures + 1;
    if (written) this.#state.update({ mirroredRevision: settingsRevision });
  }

  async #look(): Promise<void> {
    try {
      this.#seen = await this.#kv.mirror();
    } catch (error) {
      this.#seen = undefined;
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
