/** Operators' changes: settings, today's count, a reset. Each is audited in the same transaction. Synchronous. No clock. */
import { hourOf } from "../lib/time.ts";
import { spacingMs } from "./pace.ts";
import { rebase } from "./provider-count.ts";
import type { LedgerStore } from "./store.ts";
import { KEPT_CALLERS } from "./totals.ts";
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

/** Changes settings. Null restores the configured values. */
export function changeSettings(store: LedgerStore, change: SettingsChange | null, operation: Operation, now: number): SettingsAnswer {
  const { state } = store;
  // A client repeats an operation whose answer was lost. It must not happen twice.
  if (!store.wasAudited(operation.id)) {
    const before = state.settings;
    const overrides = change === null ? {} : { ...state.value.overrides, ...limitsIn(change) };
    const { dailyLimit, safetyBuffer } = { ...state.configured, ...overrides };
    if (change !== null && dailyLimit < safetyBuffer) {
      return {
        result: "impossible",
        detail: `\`daily_limit\` must be at least \`safety_buffer\`, which is ${safetyBuffer} (got ${dailyLimit})`,
      };
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

/** Adopts a switch that was set while the ledger was unreachable. The later of the two wins. */
export function adoptSwitch(store: LedgerStore, view: EnforcementSwitch | null, now: number): void {
  const { state } = store;
  if (!view || view.changedAt <= state.value.enforcement.changedAt) return;
  const before = state.settings;
  state.changeSettings({ enforcement: view });
  if (before.enforcement === state.settings.enforcement) return;
  auditSettings(store, "settings.adopt", { id: crypto.randomUUID(), actor: "switch" }, before, now);
}

/**
 * Applies the settings stored in KV (`undefined`: unreadable). Adopts a later switch. If KV was unreadable when the ledger was
 * initialized, this applies the operator's limits from KV, unless an operator has set them again since.
 */
export function applyMirror(store: LedgerStore, mirrored: SettingsMirror | null | undefined, now: number): void {
  if (mirrored === undefined) return;
  const { state } = store;
  if (state.value.mirrorUnread) {
    const before = state.settings;
    const newer = state.value.overrides;
    const merged = { ...mirrored?.overrides, ...newer };
    const limits = { ...state.configured, ...merged };
    // The newer limits may contradict the older ones. Then only the newer ones apply.
    state.changeSettings({ overrides: limits.dailyLimit < limits.safetyBuffer ? newer : merged });
    state.update({ mirrorUnread: false });
    auditSettings(store, "settings.recover", { id: crypto.randomUUID(), actor: "mirror" }, before, now);
  }
  adoptSwitch(store, mirrored?.enforcement ?? null, now);
}

function auditSettings(store: LedgerStore, action: string, operation: Operation, before: Settings, now: number): void {
  const after = store.state.settings;
  // Turns booked at a different rate have a different distance, so the new ones begin after them.
  if (before.ratePerSecond !== after.ratePerSecond) {
    const spacing = before.ratePerSecond === 0 ? 0 : spacingMs(before.ratePerSecond);
    // A deploy may have changed the rate since the latest turn was booked.
    store.state.startPaceChain(Math.max(store.lastTurn(), store.state.nextFreeAt - spacing), now);
  }
  audit(store, action, operation, before, after, now);
}

/** Sets today's count. The difference is charged to the caller `operator`. `report`: the provider's fresh count. */
export function setUsage(store: LedgerStore, used: number, operation: Operation, report: ProviderReport | null, now: number): void {
  if (store.wasAudited(operation.id)) return;
  const day = store.today(now);
  const before = day.charged + day.untracked;
  rebase(store, report, used, now);
  store.charge(day.date, "operator", hourOf(now), used - before);
  // A correction is not a call, so the provider cannot count it.
  store.updateDay(day.date, { charged_when_observed: day.charged_when_observed + used - before });
  audit(store, "usage.set", operation, { used: before }, { used }, now);
}

/** Sets today's count to 0. The audit log keeps the callers' charges. */
export function resetDay(store: LedgerStore, operation: Operation, report: ProviderReport | null, now: number): void {
  if (store.wasAudited(operation.id)) return;
  const day = store.today(now);
  const before = { used: day.charged + day.untracked, untracked: day.untracked, callers: store.totals.listed(day, KEPT_CALLERS) };
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
