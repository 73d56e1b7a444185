/** What an operator does with the quota: settings, today's count, history. Every change is audited by the ledger. */
import { errorFields, log } from "../lib/log.ts";
import { LedgerClient, reportOf } from "./client.ts";
import type { QuotaManagerOptions } from "./manager.ts";
import { MIRROR_EVERY_MS } from "./snapshot.ts";
import type { Operation, ProviderReport, QuotaStatus, SettingsAnswer, SettingsChange, SettingsMirror } from "./types.ts";
import type { History } from "./views.ts";

type QuotaAdminOptions = Omit<QuotaManagerOptions, "configuredEnforcement">;

type SettingsResult =
  | SettingsAnswer
  /** The ledger is away: only the switch in KV was turned, and the ledger follows when it is back. */
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
    return this.#changing(async () => this.#ledger.call("setUsage", used, operation, report));
  }

  /** Sets today's count to 0; open reservations stay held. */
  async reset(operation: Operation): Promise<QuotaStatus> {
    const report = reportOf(await this.#options.readProviderCount());
    return this.#changing(async () => this.#ledger.call("reset", operation, report));
  }

  /** The latest `days` UTC days and what operators did in them; with a caller, what it spent in them. */
  async history(days: number, caller: string | null = null): Promise<History> {
    return this.#ledger.call("history", days, caller);
  }

  /** Feeds the provider's free count (`GET /key`) to the ledger. */
  async observe(report: ProviderReport): Promise<QuotaStatus> {
    return this.#ledger.call("observe", report);
  }

  /**
   * Changes settings; null returns to the configured values. While the ledger is away only the enforcement can be changed: the
   * switch is what lets work go on without it.
   */
  async changeSettings(change: SettingsChange | null, operation: Operation): Promise<SettingsResult> {
    return this.#changing(async () => this.#changeSettings(change, operation));
  }

  /** What was refused before is no longer true afterwards, and nobody knows whether a change that failed was made. */
  async #changing<Result>(change: () => Promise<Result>): Promise<Result> {
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
      return this.#turnSwitch(change.enforcement ?? null, operation.actor).catch((failure: unknown) => {
        log.error("Neither the ledger nor KV takes the enforcement switch", errorFields(failure));
        throw error;
      });
    }
  }

  async #turnSwitch(value: SettingsMirror["enforcement"]["value"], actor: string): Promise<SettingsResult> {
    const { kv, enforcementSwitch, clock } = this.#options;
    const stored = await kv.mirror();
    const newest = Math.max(stored?.enforcement.changedAt ?? 0, enforcementSwitch.known?.changedAt ?? 0);
    const mirror = { overrides: stored?.overrides ?? {}, enforcement: { value, changedAt: Math.max(clock(), newest + 1) } };
    await this.#put(mirror);
    enforcementSwitch.set(mirror, clock());
    log.warn("The enforcement switch was turned while the ledger is away", { enforcement: value, actor });
    return { result: "switched", mirror };
  }

  /** KV takes one write a second and key: after a refusal, once more. */
  async #put(mirror: SettingsMirror): Promise<void> {
    try {
      await this.#options.kv.putMirror(mirror);
    } catch (error) {
      log.warn("KV refused the switch; trying once more", errorFields(error));
      await new Promise((resolve) => setTimeout(resolve, MIRROR_EVERY_MS));
      await this.#options.kv.putMirror(mirror);
    }
  }
}
