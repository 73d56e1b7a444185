/** Operator actions on the quota: settings, today's count, history. The ledger audits every change. */
import { errorFields, log } from "../lib/log.ts";
import { sleep } from "../lib/sleep.ts";
import { LedgerClient, reportOf } from "./client.ts";
import type { QuotaManagerOptions } from "./manager.ts";
import { MIRROR_EVERY_MS } from "./snapshot.ts";
import type { Operation, ProviderReport, QuotaStatus, SettingsAnswer, SettingsChange, SettingsMirror } from "./types.ts";
import type { History, SettingsView } from "./views.ts";

/** Days per read of the ledger. A longer read would delay decisions. */
const DAYS_PER_PART = 31;

type QuotaAdminOptions = Omit<QuotaManagerOptions, "configuredEnforcement">;

type SettingsResult =
  | SettingsAnswer
  /** The ledger is unavailable: only the switch in KV was changed. The ledger adopts it when it is available again. */
  | { readonly result: "switched"; readonly mirror: SettingsMirror };

export class QuotaAdmin {
  readonly #options: QuotaAdminOptions;
  readonly #ledger: LedgerClient;

  constructor(options: QuotaAdminOptions) {
    this.#options = options;
    this.#ledger = new LedgerClient(options);
  }

  /** Sets today's count. */
  async setUsage(used: number, operation: Operation): Promise<QuotaStatus> {
    const report = reportOf(await this.#options.readProviderCount());
    return this.#clearingRefusals(async () => this.#ledger.call("setUsage", used, operation, report));
  }

  /** Sets today's count to 0. Open reservations stay reserved. */
  async reset(operation: Operation): Promise<QuotaStatus> {
    const report = reportOf(await this.#options.readProviderCount());
    return this.#clearingRefusals(async () => this.#ledger.call("reset", operation, report));
  }

  /** The latest `days` UTC days and the operators' changes in them. With a caller: only the calls of that caller. */
  async history(days: number, caller: string | null = null): Promise<History> {
    const newest = Math.min(days, DAYS_PER_PART);
    const history = await this.#ledger.call("history", newest, caller, { skip: 0, of: days });
    const rows = new Map(history.days.map((day) => [day.date, day]));
    for (let skip = newest; skip < days; skip += DAYS_PER_PART) {
      const part = await this.#ledger.call("history", Math.min(DAYS_PER_PART, days - skip), caller, { skip, of: days });
      // A ledger of the previous release repeats the newest days.
      for (const day of part.days) rows.set(day.date, rows.get(day.date) ?? day);
    }
    return { ...history, days: [...rows.values()] };
  }

  /** The settings in force and the configured ones. */
  async settings(): Promise<SettingsView> {
    return this.#ledger.call("settings");
  }

  /** Reports the provider's count (`GET /key`, free) to the ledger. */
  async observe(report: ProviderReport): Promise<QuotaStatus> {
    return this.#ledger.call("observe", report);
  }

  /**
   * Changes settings. Null restores the configured values. While the ledger is unavailable, only the enforcement can be changed: the
   * switch lets work continue without the ledger.
   */
  async changeSettings(change: SettingsChange | null, operation: Operation): Promise<SettingsResult> {
    return this.#clearingRefusals(async () => this.#changeSettings(change, operation));
  }

  /** Clears the remembered refusals, after a failure too: the ledger may have made the change although the request failed. */
  async #clearingRefusals<Result>(change: () => Promise<Result>): Promise<Result> {
    try {
      return await change();
    } finally {
      this.#options.refusals.forget();
    }
  }

  async #changeSettings(change: SettingsChange | null, operation: Operation): Promise<SettingsResult> {
    try {
      const answer = await this.#ledger.call("changeSettings", change, operation, this.#options.enforcementSwitch.known);
      if (answer.result === "changed") this.#options.enforcementSwitch.set(answer.mirror, this.#options.clock());
      return answer;
    } catch (error) {
      const onlySwitch = change?.enforcement !== undefined && Object.values(change).filter((value) => value !== undefined).length === 1;
      if (!onlySwitch) throw error;
      return this.#setSwitchInKv(change.enforcement ?? null, operation.actor).catch((failure: unknown) => {
        log.error("Enforcement switch not stored: ledger and KV failed", errorFields(failure));
        throw error;
      });
    }
  }

  async #setSwitchInKv(value: SettingsMirror["enforcement"]["value"], actor: string): Promise<SettingsResult> {
    const { kv, enforcementSwitch, clock } = this.#options;
    const stored = await kv.mirror();
    const newest = Math.max(stored?.enforcement.changedAt ?? 0, enforcementSwitch.known?.changedAt ?? 0);
    const mirror = { overrides: stored?.overrides ?? {}, enforcement: { value, changedAt: Math.max(clock(), newest + 1) } };
    await this.#put(mirror);
    enforcementSwitch.set(mirror, clock());
    log.warn("Enforcement switch changed in KV: ledger unavailable", { enforcement: value, actor });
    return { result: "switched", mirror };
  }

  /** KV accepts one write per second and key. A refused write is repeated once. */
  async #put(mirror: SettingsMirror): Promise<void> {
    try {
      await this.#options.kv.putMirror(mirror);
    } catch (error) {
      log.warn("KV refused the enforcement switch, retrying", errorFields(error));
      await sleep(MIRROR_EVERY_MS);
      await this.#options.kv.putMirror(mirror);
    }
  }
}
