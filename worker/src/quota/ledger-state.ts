/** What the ledger remembers beside its tables: one small JSON value, read once after a start and written through. */
import type { QuotaConfig } from "../env.ts";
import { effectivePrice } from "./billing.ts";
import type { KnownPrice } from "./billing.ts";
import type { LedgerStore } from "./ledger-store.ts";
import type { EnforcementSwitch, Settings } from "./types.ts";

/** Settings that an operator changed; the enforcement is kept apart, as a switch with the time it was set. */
export type Overrides = Partial<Omit<Settings, "enforcement">>;

interface Remembered {
  /** Null until the first count was established: an empty store must not decide anything. */
  readonly initialisedAt: number | null;
  /** The UTC day whose count was taken from elsewhere because the store was empty. */
  readonly recoveredOn: string | null;
  readonly overrides: Overrides;
  readonly enforcement: EnforcementSwitch;
  readonly learnedPrice: KnownPrice | null;
  /** Whether KV could not say, at the beginning, what an operator had set: until it does, its copy must not be overwritten. */
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
  mirrorUnread: false,
  everCounted: false,
  providerLimit: null,
  publishedAt: 0,
  settingsRevision: 0,
  mirroredRevision: 0,
  mirroredAt: 0,
};

export class LedgerState {
  readonly #store: LedgerStore;
  readonly #config: QuotaConfig;
  #remembered: Remembered = EMPTY;

  constructor(store: LedgerStore, config: QuotaConfig) {
    this.#store = store;
    this.#config = config;
    this.reload();
  }

  /** Back to what is stored: after a start, and after a transaction was rolled back. */
  reload(): void {
    const stored = this.#store.state("remembered");
    const known = stored === null ? {} : (JSON.parse(stored) as Partial<Remembered>);
    // Stores of the first releases do not say whether the provider ever gave a count, but which limit it named when it did.
    this.#remembered = { ...EMPTY, everCounted: (known.providerLimit ?? null) !== null, ...known };
  }

  get value(): Remembered {
    return this.#remembered;
  }

  update(change: Partial<Remembered>): void {
    this.#remembered = { ...this.#remembered, ...change };
    this.#store.setState("remembered", JSON.stringify(this.#remembered));
  }

  /** A change that the mirror in KV has to follow. */
  changeSettings(change: Partial<Pick<Remembered, "overrides" | "enforcement">>): void {
    this.update({ ...change, settingsRevision: this.#remembered.settingsRevision + 1 });
  }

  get configured(): Settings {
    const { dailyLimit, safetyBuffer, backgroundFloor, ratePerSecond, enforcement } = this.#config;
    return { dailyLimit, safetyBuffer, backgroundFloor, ratePerSecond, enforcement };
  }

  /** The limits in force: what is configured, but for what an operator changed. */
  get settings(): Settings {
    const { overrides, enforcement } = this.#remembered;
    return { ...this.configured, ...overrides, enforcement: enforcement.value ?? this.#config.enforcement };
  }

  /** The price of a batch, null while unknown. */
  get price(): KnownPrice | null {
    return effectivePrice(this.#config.bulkBilling, this.#remembered.learnedPrice);
  }

  get learnsPrice(): boolean {
    return this.#config.bulkBilling === "auto";
  }
}
