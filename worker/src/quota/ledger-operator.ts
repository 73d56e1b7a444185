/** What an operator may change: settings, today's count, a reset. Each is audited in the same transaction. Synchronous. */
import type { LedgerCallers } from "./ledger-callers.ts";
import type { LedgerPace } from "./ledger-pace.ts";
import type { LedgerState, Overrides } from "./ledger-state.ts";
import type { SettingsMirror } from "./snapshot.ts";
import type { DayRow, LedgerStore } from "./ledger-store.ts";
import type { EnforcementSwitch, Settings, SettingsChange } from "./types.ts";
import { hourOf, dayOf } from "../lib/time.ts";

export type SettingsOutcome =
  | { readonly result: "changed"; readonly settings: Settings }
  | { readonly result: "impossible"; readonly detail: string };

/** Who did it, and the id that makes it happen once. */
export interface Operation {
  readonly id: string;
  readonly actor: string;
}

export class OperatorBook {
  readonly #store: LedgerStore;
  readonly #state: LedgerState;
  readonly #callers: LedgerCallers;
  readonly #pace: LedgerPace;

  constructor(store: LedgerStore, state: LedgerState, callers: LedgerCallers, pace: LedgerPace) {
    this.#store = store;
    this.#state = state;
    this.#callers = callers;
    this.#pace = pace;
  }

  changeSettings(change: SettingsChange, { id, actor }: Operation, now: number): SettingsOutcome {
    if (this.#happened(id)) return { result: "changed", settings: this.#state.settings };
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
    this.#keepPaceWith(before);
    return this.#audited("settings.change", { id, actor }, before, now);
  }

  /** Back to the configured values. */
  restoreSettings({ id, actor }: Operation, now: number): SettingsOutcome {
    if (this.#happened(id)) return { result: "changed", settings: this.#state.settings };
    const before = this.#state.settings;
    this.#state.changeSettings({ overrides: {} });
    this.#state.update({ mirrorUnread: false });
    this.#turn({ value: null, changedAt: now });
    this.#keepPaceWith(before);
    return this.#audited("settings.restore", { id, actor }, before, now);
  }

  /** Takes over a switch that was set while the ledger could not be reached. The later one wins. */
  adopt(view: EnforcementSwitch | null, now: number): void {
    const own = this.#state.value.enforcement;
    if (!view || view.changedAt <= own.changedAt) return;
    const before = this.#state.settings;
    this.#state.changeSettings({ enforcement: view });
    if (before.enforcement !== this.#state.settings.enforcement) {
      this.#audited("settings.adopt", { id: crypto.randomUUID(), actor: "switch" }, before, now);
    }
  }

  /**
   * What KV holds, read again. A later switch is adopted. Where KV could not be read at the beginning, the operator's limits are taken
   * from it now, unless they were set anew since.
   */
  follow(mirror: SettingsMirror | null | undefined, now: number): void {
    if (mirror === undefined) return;
    if (this.#state.value.mirrorUnread) {
      const before = this.#state.settings;
      const own = this.#state.value.overrides;
      const both = { ...mirror?.overrides, ...own };
      const limits = { ...this.#state.configured, ...both };
      // Limits set anew since may not go together with the older ones: then the newer word stands alone.
      this.#state.changeSettings({ overrides: limits.dailyLimit < limits.safetyBuffer ? own : both });
      this.#state.update({ mirrorUnread: false });
      this.#keepPaceWith(before);
      this.#audited("settings.recover", { id: crypto.randomUUID(), actor: "mirror" }, before, now);
    }
    this.adopt(mirror?.enforcement ?? null, now);
  }

  /** Two changes within a millisecond keep their order. */
  #turn(wanted: EnforcementSwitch): void {
    const changedAt = Math.max(wanted.changedAt, this.#state.value.enforcement.changedAt + 1);
    this.#state.changeSettings({ enforcement: { value: wanted.value, changedAt } });
  }

  #keepPaceWith(before: Settings): void {
    if (before.ratePerSecond !== this.#state.settings.ratePerSecond) this.#pace.restart();
  }

  #audited(action: string, { id, actor }: Operation, before: Settings, now: number): SettingsOutcome {
    const { settings } = this.#state;
    this.#store.audit({ id, at: now, action, actor, before: JSON.stringify(before), after: JSON.stringify(settings) });
    return { result: "changed", settings };
  }

  /** Sets today's count; the difference stands under the caller `operator`. */
  setUsage(used: number, { id, actor }: Operation, now: number): void {
    if (this.#happened(id)) return;
    const day = this.#store.day(dayOf(now));
    const before = day.charged + day.untracked;
    this.#rebase(used, day);
    this.#store.charge(day.date, "operator", hourOf(now), used - before);
    this.#store.shiftObserved(day.date, used - before);
    this.#store.audit({
      id,
      at: now,
      action: "usage.set",
      actor,
      before: JSON.stringify({ used: before }),
      after: JSON.stringify({ used }),
    });
  }

  /** Today starts again from 0. Who had spent what stays readable in the audit log. */
  reset({ id, actor }: Operation, now: number): void {
    if (this.#happened(id)) return;
    const date = dayOf(now);
    const day = this.#store.day(date);
    const before = { used: day.charged + day.untracked, untracked: day.untracked, callers: this.#callers.listed(date) };
    this.#rebase(0, day);
    this.#store.clearDay(date);
    this.#store.audit({ id, at: now, action: "usage.reset", actor, before: JSON.stringify(before), after: JSON.stringify({ used: 0 }) });
  }

  /**
   * What the provider has counted so far, less what stays counted here, becomes the base, so that none of it comes back as untracked:
   * its last word, which was asked for just now. Where it never said a word, what we know must do.
   */
  #rebase(used: number, day: DayRow): void {
    const counted = day.provider_spent ?? day.provider_base + day.charged + day.untracked;
    this.#store.setBase(day.date, Math.max(0, counted - used));
  }

  /** An operation whose answer got lost is asked for again: it must not happen twice. */
  #happened(id: string): boolean {
    return this.#store.wasAudited(id);
  }
}

function defined(change: Omit<SettingsChange, "enforcement">): Overrides {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}
