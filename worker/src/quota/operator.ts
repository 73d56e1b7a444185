/** What an operator may change: settings, today's count, a reset. Each is audited in the same transaction. Synchronous. No clock. */
import { hourOf } from "../lib/time.ts";
import { rebase } from "./provider-count.ts";
import type { LedgerStore } from "./store.ts";
import type {
  EnforcementSwitch,
  Operation,
  Overrides,
  ProviderReport,
  Settings,
  SettingsAnswer,
  SettingsChange,
  SettingsMirror,
} from "./types.ts";
import { mirror, status } from "./views.ts";

/** Changes settings; null returns to the configured values. */
export function changeSettings(store: LedgerStore, change: SettingsChange | null, operation: Operation, now: number): SettingsAnswer {
  const { state } = store;
  // An operation whose answer got lost is repeated: it must not happen twice.
  if (!store.wasAudited(operation.id)) {
    const before = state.settings;
    const overrides = change === null ? {} : { ...state.value.overrides, ...limitsIn(change) };
    const { dailyLimit, safetyBuffer } = { ...state.configured, ...overrides };
    if (change !== null && dailyLimit < safetyBuffer) {
      return { result: "impossible", detail: `\`daily_limit\` must be at least \`safety_buffer\`, ${safetyBuffer} (got ${dailyLimit})` };
    }
    state.changeSettings({ overrides });
    if (change === null) state.update({ mirrorUnread: false });
    if (change === null || change.enforcement !== undefined) {
      // Two changes within a millisecond keep their order.
      const changedAt = Math.max(now, state.value.enforcement.changedAt + 1);
      state.changeSettings({ enforcement: { value: change?.enforcement ?? null, changedAt } });
    }
    auditSettings(store, change === null ? "settings.restore" : "settings.change", operation, before, now);
  }
  return { result: "changed", settings: state.settings, mirror: mirror(store), status: status(store, now) };
}

/** Takes over a switch that was set while the ledger could not be reached. The later one wins. */
export function adoptSwitch(store: LedgerStore, view: EnforcementSwitch | null, now: number): void {
  const { state } = store;
  if (!view || view.changedAt <= state.value.enforcement.changedAt) return;
  const before = state.settings;
  state.changeSettings({ enforcement: view });
  if (before.enforcement === state.settings.enforcement) return;
  auditSettings(store, "settings.adopt", { id: crypto.randomUUID(), actor: "switch" }, before, now);
}

/**
 * What KV holds, read again; undefined where it could not be read. A later switch is adopted. Where KV was unreadable when the ledger
 * began, the operator's limits are taken from it now, unless they were set anew since.
 */
export function followMirror(store: LedgerStore, mirrored: SettingsMirror | null | undefined, now: number): void {
  if (mirrored === undefined) return;
  const { state } = store;
  if (state.value.mirrorUnread) {
    const before = state.settings;
    const own = state.value.overrides;
    const both = { ...mirrored?.overrides, ...own };
    const limits = { ...state.configured, ...both };
    // Limits set anew since may not go together with the older ones: then only the newer ones count.
    state.changeSettings({ overrides: limits.dailyLimit < limits.safetyBuffer ? own : both });
    state.update({ mirrorUnread: false });
    auditSettings(store, "settings.recover", { id: crypto.randomUUID(), actor: "mirror" }, before, now);
  }
  adoptSwitch(store, mirrored?.enforcement ?? null, now);
}

function auditSettings(store: LedgerStore, action: string, operation: Operation, before: Settings, now: number): void {
  const after = store.state.settings;
  // Slots that were booked at another rate say nothing about this one.
  if (before.ratePerSecond !== after.ratePerSecond) store.state.startPaceChain(0);
  audit(store, action, operation, before, after, now);
}

/** Sets today's count; the difference is charged to the caller `operator`. `report`: the provider's own count, fresh. */
export function setUsage(store: LedgerStore, used: number, operation: Operation, report: ProviderReport | null, now: number): void {
  if (store.wasAudited(operation.id)) return;
  const day = store.today(now);
  const before = day.charged + day.untracked;
  rebase(store, report, used, now);
  store.charge(day.date, "operator", hourOf(now), used - before);
  // A correction is no call that the provider could have counted since.
  store.updateDay(day.date, { charged_when_observed: day.charged_when_observed + used - before });
  audit(store, "usage.set", operation, { used: before }, { used }, now);
}

/** Today starts again from 0. The callers' charges stay readable in the audit log. */
export function resetDay(store: LedgerStore, operation: Operation, report: ProviderReport | null, now: number): void {
  if (store.wasAudited(operation.id)) return;
  const day = store.today(now);
  const before = { used: day.charged + day.untracked, untracked: day.untracked, callers: store.totals.listed(day) };
  rebase(store, report, 0, now);
  store.clearDay(day.date);
  audit(store, "usage.reset", operation, before, { used: 0 }, now);
}

function audit(store: LedgerStore, action: string, { id, actor }: Operation, before: object, after: object, now: number): void {
  store.audit({ id, at: now, action, actor, before: JSON.stringify(before), after: JSON.stringify(after) });
}

function limitsIn({ enforcement: _, ...limits }: SettingsChange): Overrides {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}
