/** What the ledger remembers between requests: settings, the price of a batch, what was published when, the pace. Decides nothing. */
import type { QuotaConfig } from "../env.ts";
import { effectivePrice } from "./billing.ts";
import type { CheapBatch, KnownPrice } from "./billing.ts";
import type { EnforcementSwitch, Overrides, Settings } from "./types.ts";

const REMEMBERED_KEY = "remembered";
const NEXT_FREE_KEY = "next_free_at";
const CHAIN_KEY = "pace_chain";

/** One small JSON value, read once after a start and written through. */
interface Remembered {
  /** Null until the first count was established: an empty store must not decide anything. */
  readonly initialisedAt: number | null;
  /** The UTC day whose count was taken from elsewhere because the store was empty. */
  readonly recoveredOn: string | null;
  readonly overrides: Overrides;
  readonly enforcement: EnforcementSwitch;
  readonly learnedPrice: KnownPrice | null;
  /** A first lone batch that was cheap: the next one confirms its price. */
  readonly cheapBatch: CheapBatch | null;
  /** Whether KV was unreadable when the ledger began: until it is read, its settings must not be overwritten. */
  readonly mirrorUnread: boolean;
  /** Whether the provider ever gave a count: then its silence is a fault, not a habit. */
  readonly everCounted: boolean;
  /** The last daily limit that the provider named. */
  readonly providerLimit: number | null;
  readonly publishedAt: number;
  /** Counts the changes of the settings; the mirror in KV is behind while it holds an earlier one. */
  readonly settingsRevision: number;
  readonly mirroredRevision: number;
  readonly mirroredAt: number;
}

const EMPTY: Remembered = {
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
  settingsRevision: 0,
  mirroredRevision: 0,
  mirroredAt: 0,
};

export class LedgerState {
  readonly #sql: SqlStorage;
  readonly #config: QuotaConfig;
  #remembered: Remembered = EMPTY;

  constructor(sql: SqlStorage, config: QuotaConfig) {
    this.#sql = sql;
    this.#config = config;
    this.reload();
  }

  /** Back to what is stored: after a start, and after a transaction was rolled back. */
  reload(): void {
    const stored = this.#read(REMEMBERED_KEY);
    const known = stored === null ? {} : (JSON.parse(stored) as Partial<Remembered>);
    // Stores of the first releases do not say whether the provider ever gave a count, but which limit it named when it did.
    this.#remembered = { ...EMPTY, everCounted: (known.providerLimit ?? null) !== null, ...known };
  }

  get value(): Remembered {
    return this.#remembered;
  }

  update(change: Partial<Remembered>): void {
    this.#remembered = { ...this.#remembered, ...change };
    this.#write(REMEMBERED_KEY, JSON.stringify(this.#remembered));
  }

  /** A change that the mirror in KV has to follow. */
  changeSettings(change: Partial<Pick<Remembered, "overrides" | "enforcement">>): void {
    this.update({ ...change, settingsRevision: this.#remembered.settingsRevision + 1 });
  }

  get configured(): Settings {
    const { dailyLimit, safetyBuffer, backgroundFloor, ratePerSecond, enforcement } = this.#config;
    return { dailyLimit, safetyBuffer, backgroundFloor, ratePerSecond, enforcement };
  }

  /** The settings in force: the operator's where there are any, else the configured ones. */
  get settings(): Settings {
    const { overrides, enforcement } = this.#remembered;
    return { ...this.configured, ...overrides, enforcement: enforcement.value ?? this.#config.enforcement };
  }

  get enforcing(): boolean {
    return this.settings.enforcement === "enforce";
  }

  /** The price of a batch, null while unknown. */
  get price(): KnownPrice | null {
    return effectivePrice(this.#config.bulkBilling, this.#remembered.learnedPrice);
  }

  get learnsPrice(): boolean {
    return this.#config.bulkBilling === "auto";
  }

  /** When the next slot of the pace begins. */
  get nextFreeAt(): number {
    return Number(this.#read(NEXT_FREE_KEY) ?? 0);
  }

  set nextFreeAt(at: number) {
    this.#write(NEXT_FREE_KEY, String(at));
  }

  /**
   * The slots since the last pause, change of rate or jump of the clock are a chain: no two of them are closer than the rate allows, so
   * a released one may be handed out again as it is. Slots of an earlier chain may be closer to those of this one.
   */
  get paceChain(): number {
    return Number(this.#read(CHAIN_KEY) ?? 0);
  }

  startPaceChain(nextFreeAt: number): void {
    this.#write(CHAIN_KEY, String(this.paceChain + 1));
    this.nextFreeAt = nextFreeAt;
  }

  #read(key: string): string | null {
    return this.#sql.exec<{ value: string }>("SELECT value FROM state WHERE key = ?", key).toArray()[0]?.value ?? null;
  }

  #write(key: string, value: string): void {
    this.#sql.exec("INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", key, value);
  }
}
