/** What the ledger writes to KV, and when. KV failing never fails a call: what could not be written is written later. */
import { errorFields, log } from "../lib/log.ts";
import type { LedgerReader } from "./ledger-reader.ts";
import type { LedgerState } from "./ledger-state.ts";
import { MIRROR_EVERY_MS, SNAPSHOT_EVERY_MS } from "./snapshot.ts";
import type { QuotaKv } from "./snapshot.ts";
import type { EnforcementSwitch } from "./types.ts";

export class LedgerPublisher {
  readonly #kv: QuotaKv;
  readonly #state: LedgerState;
  readonly #reader: LedgerReader;
  /** Whether the published snapshot is behind. Unknown after a start, so assumed. */
  #behind = true;
  #seenSwitch: EnforcementSwitch | null = null;

  constructor(kv: QuotaKv, state: LedgerState, reader: LedgerReader) {
    this.#kv = kv;
    this.#state = state;
    this.#reader = reader;
  }

  changed(): void {
    this.#behind = true;
  }

  /** The switch as KV held it at the last publication. */
  get seenSwitch(): EnforcementSwitch | null {
    return this.#seenSwitch;
  }

  get #mirrorBehind(): boolean {
    const { settingsRevision, mirroredRevision } = this.#state.value;
    return settingsRevision > mirroredRevision;
  }

  /** When something is to be written next; null while KV is up to date. */
  dueAt(now: number): number | null {
    const { publishedAt, mirroredAt } = this.#state.value;
    if (this.#mirrorBehind) return Math.max(now, mirroredAt + MIRROR_EVERY_MS);
    return this.#behind ? Math.max(now, publishedAt + SNAPSHOT_EVERY_MS) : null;
  }

  async publish(now: number): Promise<void> {
    await this.#look();
    const { publishedAt, mirroredAt } = this.#state.value;
    if (this.#behind && now - publishedAt >= SNAPSHOT_EVERY_MS) {
      this.#state.update({ publishedAt: now });
      this.#behind = false;
      this.#behind = !(await this.#written("snapshot", this.#kv.putSnapshot(this.#reader.snapshot(now)))) || this.#behind;
    }
    if (this.#mirrorBehind && now - mirroredAt >= MIRROR_EVERY_MS) await this.#mirror(now);
  }

  /** A switch that was turned while this ledger was away is later than ours: it is adopted, never overwritten. */
  async #mirror(now: number): Promise<void> {
    const { settingsRevision, enforcement } = this.#state.value;
    if (this.#seenSwitch && this.#seenSwitch.changedAt > enforcement.changedAt) return;
    this.#state.update({ mirroredAt: now });
    const written = await this.#written("settings", this.#kv.putMirror(this.#reader.mirror()));
    if (written) this.#state.update({ mirroredRevision: settingsRevision });
  }

  async #look(): Promise<void> {
    try {
      this.#seenSwitch = (await this.#kv.mirror())?.enforcement ?? null;
    } catch (error) {
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
