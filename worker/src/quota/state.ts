/** The ledger's state between requests: settings, the price of a batch, publication times, the pace. Decides nothing. */
import type { QuotaConfig } from "../env.ts";
import { effectivePrice } from "./billing.ts";
import { spacingMs } from "./pace.ts";
import type { CheapBatch, KnownPrice } from "./billing.ts";
import type { EnforcementSwitch, Overrides, Settings } from "./types.ts";

const VALUE_KEY = "remembered";
const NEXT_FREE_KEY = "next_free_at";
const CHAIN_KEY = "pace_chain";
const PAUSE_KEY = "paused_until";

/** One small JSON value, read once after a start and written through. */
interface StateValue {
  /** Null until the store has its first count: an empty store must not decide anything. */
  readonly initialisedAt: number | null;
  /** The UTC day whose count was recovered from KV or the provider because the store was empty. */
  readonly recoveredOn: string | null;
  readonly overrides: Overrides;
  readonly enforcement: EnforcementSwitch;
  readonly learnedPrice: KnownPrice | null;
  /** A first lone batch at the lower price. The next one confirms that price. */
  readonly cheapBatch: CheapBatch | null;
  /** Whether KV was unreadable at the recovery. Until KV is read, its settings must not be overwritten. */
  readonly mirrorUnread: boolean;
  /** Whether the provider ever gave a count. If so, a missing count is a fault. */
  readonly everCounted: boolean;
  /** The last daily limit that the provider named. */
  readonly providerLimit: number | null;
  /** Time of the last attempt to publish a snapshot. */
  readonly publishedAt: number;
  /** Whether something changed since the published snapshot. Stored, so that a start alone publishes nothing. */
  readonly unpublished: boolean;
  /** Number of settings changes. The mirror in KV is outdated while `mirroredRevision` is lower. */
  readonly settingsRevision: number;
  readonly mirroredRevision: number;
  /** Time of the last attempt to write the mirror. */
  readonly mirroredAt: number;
  /** Time of the last answer to a read of KV, and of the last failed read. */
  readonly kvReadAt: number;
  readonly kvFailedAt: number;
  /** Consecutive failures of KV. Stored, because the object sleeps during a long pause. */
  readonly kvFailures: KvFailures;
}

export interface KvFailures {
  readonly read: number;
  readonly snapshot: number;
  readonly settings: number;
}

const EMPTY: StateValue = {
  initialisedAt: null,
  recoveredOn: null,
  overrides: {},
  enforcement: { value: null, changedAt: 0 },
  learnedPrice: null,
  cheapBatch: null,
  mirrorUnread: false,
  everCounted: false,
  providerLimit: null,
  publishedAt: 0,
  unpublished: true,
  settingsRevision: 0,
  mirroredRevision: 0,
  mirroredAt: 0,
  kvReadAt: 0,
  kvFailedAt: 0,
  kvFailures: { read: 0, snapshot: 0, settings: 0 },
};

export class LedgerState {
  readonly #sql: SqlStorage;
  readonly #config: QuotaConfig;
  #value: StateValue = EMPTY;
  /** Numbers of the pace, as stored. */
  readonly #numbers = new Map<string, number>();

  constructor(sql: SqlStorage, config: QuotaConfig) {
    this.#sql = sql;
    this.#config = config;
    this.reload();
  }

  /** Reads the stored values again, after a start or after a rolled-back transaction. */
  reload(): void {
    this.#numbers.clear();
    const stored = this.#read(VALUE_KEY);
    const known = stored === null ? {} : (JSON.parse(stored) as Partial<StateValue>);
    // Stores of the first releases lack `everCounted`. There, a provider's limit proves that the provider gave a count.
    this.#value = { ...EMPTY, everCounted: (known.providerLimit ?? null) !== null, ...known };
  }

  get value(): StateValue {
    return this.#value;
  }

  update(change: Partial<StateValue>): void {
    this.#value = { ...this.#value, ...change };
    this.#write(VALUE_KEY, JSON.stringify(this.#value));
  }

  /** A change that the mirror in KV has to follow. */
  changeSettings(change: Partial<Pick<StateValue, "overrides" | "enforcement">>): void {
    this.update({ ...change, settingsRevision: this.#value.settingsRevision + 1 });
  }

  get configured(): Settings {
    const { dailyLimit, safetyBuffer, backgroundFloor, ratePerSecond, enforcement } = this.#config;
    return { dailyLimit, safetyBuffer, backgroundFloor, ratePerSecond, enforcement };
  }

  /** The settings in force: an operator's values, else the configured ones. */
  get settings(): Settings {
    const { overrides, enforcement } = this.#value;
    return { ...this.configured, ...overrides, enforcement: enforcement.value ?? this.#config.enforcement };
  }

  get enforcing(): boolean {
    return this.settings.enforcement === "enforce";
  }

  /** The price of a batch, null while unknown. */
  get price(): KnownPrice | null {
    return effectivePrice(this.#config.bulkBilling, this.#value.learnedPrice);
  }

  get learnsPrice(): boolean {
    return this.#config.bulkBilling === "auto";
  }

  /** Start of the turn after the latest booked one. */
  get nextFreeAt(): number {
    return this.#number(NEXT_FREE_KEY);
  }

  set nextFreeAt(at: number) {
    if (at !== this.nextFreeAt) this.#setNumber(NEXT_FREE_KEY, at);
  }

  /** End of the provider's pause. No turn begins before it. */
  get pausedUntil(): number {
    return this.#number(PAUSE_KEY);
  }

  /** Also moves the next turn, because the previous release knows no other pause. */
  pauseUntil(at: number): void {
    this.#setNumber(PAUSE_KEY, at);
    this.nextFreeAt = Math.max(this.nextFreeAt, at);
  }

  /** Number of the current chain of turns. A change of the rate starts a new chain, because turns of an earlier one have a different distance. */
  get paceChain(): number {
    return this.#number(CHAIN_KEY);
  }

  /** `lastStart`: the start of the latest turn of the old chain. The first turn of the new chain keeps the new distance to it. */
  startPaceChain(lastStart: number, now: number): void {
    const { ratePerSecond } = this.settings;
    this.#setNumber(CHAIN_KEY, this.paceChain + 1);
    // Without a pace, the next turn of a later rate keeps its distance to this one.
    this.nextFreeAt = lastStart;
    if (ratePerSecond > 0) this.pauseUntil(Math.max(now, lastStart + spacingMs(ratePerSecond), this.pausedUntil));
  }

  #number(key: string): number {
    const known = this.#numbers.get(key) ?? Number(this.#read(key) ?? 0);
    this.#numbers.set(key, known);
    return known;
  }

  #setNumber(key: string, value: number): void {
    this.#write(key, String(value));
    this.#numbers.set(key, value);
  }

  #read(key: string): string | null {
    return this.#sql.exec<{ value: string }>("SELECT value FROM state WHERE key = ?", key).toArray()[0]?.value ?? null;
  }

  #write(key: string, value: string): void {
    this.#sql.exec("INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", key, value);
  }
}
