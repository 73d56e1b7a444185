/** What an operator may change: settings, today's count, a reset. Each is audited in the same transaction. Synchronous. */
import type { LedgerState, Overrides } from "./ledger-state.ts";
import type { DayRow, LedgerStore } from "./ledger-store.ts";
import type { EnforcementSwitch, Settings, SettingsChange } from "./types.ts";
import { hourOf, windowOf } from "./window.ts";

export type SettingsOutcome =
  | { readonly result: "changed"; readonly settings: Settings }
  | { readonly result: "impossible"; readonly detail: string };

export class OperatorBook {
  readonly #store: LedgerStore;
  readonly #state: LedgerState;

  constructor(store: LedgerStore, state: LedgerState) {
    this.#store = store;
    this.#state = state;
  }

  changeSettings(change: SettingsChange, actor: string, now: number): SettingsOutcome {
    const { enforcement, ...limits } = change;
    const before = this.#state.settings;
    const overrides = { ...this.#state.value.overrides, ...defined(limits) };
    const wanted = { ...this.#state.configured, ...overrides };
    if (wanted.dailyLimit < wanted.safetyBuffer) {
      return {
        result: "impossible",
        detail: `daily_limit is ${wanted.dailyLimit}; expected at least safety_buffer (${wanted.safetyBuffer})`,
      };
    }
    this.#state.changeSettings({ overrides });
    if (enforcement !== undefined) this.#turn({ value: enforcement, changedAt: now });
    return this.#audited("settings.change", actor, before, now);
  }

  /** Back to the configured values. */
  restoreSettings(actor: string, now: number): SettingsOutcome {
    const before = this.#state.settings;
    this.#state.changeSettings({ overrides: {} });
    this.#turn({ value: null, changedAt: now });
    return this.#audited("settings.restore", actor, before, now);
  }

  /** Takes over a switch that was set while the ledger could not be reached. The later one wins. */
  adopt(view: EnforcementSwitch | null, now: number): void {
    const own = this.#state.value.enforcement;
    if (!view || view.changedAt <= own.changedAt) return;
    const before = this.#state.settings;
    this.#state.changeSettings({ enforcement: view });
    if (before.enforcement !== this.#state.settings.enforcement) this.#audited("settings.adopt", "switch", before, now);
  }

  /** Two changes within a millisecond keep their order. */
  #turn(wanted: EnforcementSwitch): void {
    const changedAt = Math.max(wanted.changedAt, this.#state.value.enforcement.changedAt + 1);
    this.#state.changeSettings({ enforcement: { value: wanted.value, changedAt } });
  }

  #audited(action: string, actor: string, before: Settings, now: number): SettingsOutcome {
    const { settings } = this.#state;
    this.#store.audit({ at: now, action, actor, before: JSON.stringify(before), after: JSON.stringify(settings) });
    return { result: "changed", settings };
  }

  /** Sets today's count; the difference stands under the caller `operator`. */
  setUsage(used: number, actor: string, now: number): void {
    const day = this.#store.day(windowOf(now));
    const before = day.charged + day.untracked;
    this.#rebase(used, day);
    this.#store.charge(day.date, "operator", hourOf(now), used - before);
    this.#store.shiftObserved(day.date, used - before);
    this.#store.audit({ at: now, action: "usage.set", actor, before: JSON.stringify({ used: before }), after: JSON.stringify({ used }) });
  }

  /** Today starts again from 0. Who had spent what stays readable in the audit log. */
  reset(actor: string, now: number): void {
    const date = windowOf(now);
    const day = this.#store.day(date);
    const before = { used: day.charged + day.untracked, untracked: day.untracked, callers: this.#store.callers(date) };
    this.#rebase(0, day);
    this.#store.clearDay(date);
    this.#store.audit({ at: now, action: "usage.reset", actor, before: JSON.stringify(before), after: JSON.stringify({ used: 0 }) });
  }

  /**
   * What the provider has counted so far, less what stays counted here, becomes the base, so that none of it comes back as untracked.
   * It has counted at least what it told us, and what we have charged.
   */
  #rebase(used: number, day: DayRow): void {
    const counted = Math.max(day.provider_spent ?? 0, day.provider_base + day.charged + day.untracked);
    this.#store.setBase(day.date, Math.max(0, counted - used));
  }
}

function defined(change: Omit<SettingsChange, "enforcement">): Overrides {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}
