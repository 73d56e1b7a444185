/** Calls the ledger from another isolate, with a time limit. Retries if the platform says it is safe. Recovers an empty ledger. */
import type { DurableObject } from "cloudflare:workers";
import { Problem } from "../errors.ts";
import { inTime } from "../lib/in-time.ts";
import { errorFields, log } from "../lib/log.ts";
import { jittered, sleep as realSleep } from "../lib/sleep.ts";
import type { Sleep } from "../lib/sleep.ts";
import type { EmptyLedger, QuotaLedger } from "./ledger.ts";
import { isTodays } from "./period.ts";
import { validAnswer } from "./protocol.ts";
import type { QuotaKv } from "./snapshot.ts";
import type { ProviderCount, ProviderReport } from "./types.ts";

/** Longest wait for the ledger. Then it counts as unavailable. */
const LEDGER_TIMEOUT_MS = 5_000;
/**
 * Pauses before the retries of a `.retryable` error, each on a new stub. While an object moves, it fails for some milliseconds. Every
 * operation carries an id, so a retry cannot charge twice. An overloaded object must not get more requests.
 */
const RETRY_PAUSES_MS = [50, 200] as const;
const RETRY_AFTER_SECONDS = 5;

/** The ledger's entry methods with their declared types: the platform's stub type cannot infer union results. */
export type LedgerMethods = Omit<QuotaLedger, keyof DurableObject>;

type Method = Exclude<keyof LedgerMethods, "alarm">;
type Answer<Name extends Method> = Exclude<Awaited<ReturnType<LedgerMethods[Name]>>, EmptyLedger>;

export interface LedgerClientOptions {
  readonly namespace: DurableObjectNamespace<QuotaLedger>;
  readonly provider: string;
  readonly kv: QuotaKv;
  /** Reads the provider's count without spending a call. Never throws. */
  readonly readProviderCount: () => Promise<ProviderCount>;
  /** Epoch milliseconds. */
  readonly clock: () => number;
  readonly sleep?: Sleep;
}

/** The count as a report, null if the provider gave none. */
export function reportOf(count: ProviderCount): ProviderReport | null {
  return count.kind === "count" ? count.report : null;
}

function hasFlag(error: unknown, flag: "retryable" | "overloaded"): boolean {
  return typeof error === "object" && error !== null && flag in error && (error as Record<string, unknown>)[flag] === true;
}

function isEmpty(answer: unknown): answer is EmptyLedger {
  return typeof answer === "object" && answer !== null && "empty" in answer;
}

export class LedgerClient {
  readonly #options: LedgerClientOptions;

  constructor(options: LedgerClientOptions) {
    this.#options = options;
  }

  /** One operation of the ledger. Throws the problem `quota_unavailable` when the ledger fails. */
  async call<Name extends Method>(name: Name, ...args: Parameters<LedgerMethods[Name]>): Promise<Answer<Name>> {
    try {
      let answer = await this.#attempt(name, args);
      if (isEmpty(answer)) {
        await this.#recover();
        answer = await this.#attempt(name, args);
      }
      if (isEmpty(answer)) throw new Error("The ledger is still empty after its recovery");
      return answer as Answer<Name>;
    } catch (error) {
      log.error("The quota ledger did not answer", errorFields(error));
      // The client learns no internal details.
      const detail = "The quota ledger did not answer, so no request was sent to the provider.";
      throw new Problem("quota_unavailable", detail, { retryAfterSeconds: RETRY_AFTER_SECONDS, cause: error });
    }
  }

  async #attempt<Name extends Method>(name: Name, args: Parameters<LedgerMethods[Name]>): Promise<unknown> {
    const { namespace, provider } = this.#options;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const ledger = namespace.getByName(provider) as unknown as Record<Method, (...values: typeof args) => Promise<unknown>>;
        const answer = await inTime("The ledger", LEDGER_TIMEOUT_MS, ledger[name](...args));
        return isEmpty(answer) ? answer : validAnswer(name, answer);
      } catch (error) {
        const pauseMs = RETRY_PAUSES_MS[attempt];
        if (pauseMs === undefined || !hasFlag(error, "retryable") || hasFlag(error, "overloaded")) throw error;
        await (this.#options.sleep ?? realSleep)(jittered(pauseMs));
      }
    }
  }

  /**
   * Recovers an empty store, which is new or was lost. A missing snapshot in KV means that nothing was counted. If KV fails, only the
   * provider can give the count.
   */
  async #recover(): Promise<void> {
    const { kv, readProviderCount, clock } = this.#options;
    const [[snapshot, mirror], count] = await Promise.all([Promise.allSettled([kv.snapshot(), kv.mirror()]), readProviderCount()]);
    const report = reportOf(count);
    const counted = report !== null && isTodays(report, clock());
    if (snapshot.status === "rejected" && !counted)
      throw new Error("The ledger is empty, and neither KV nor the provider has today's count");
    if (snapshot.status === "fulfilled" && mirror.status === "rejected")
      throw new Error("The ledger is empty, and its settings in KV cannot be read");
    const evidence = {
      snapshot: snapshot.status === "fulfilled" ? snapshot.value : null,
      mirror: mirror.status === "fulfilled" ? mirror.value : undefined,
      report,
    };
    await this.#attempt("initialise", [evidence]);
  }
}
