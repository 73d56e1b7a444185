/** Calls to the ledger from another isolate: bounded in time, retried where the platform says it is safe, recovered when empty. */
import { Problem } from "../errors.ts";
import { inTime } from "../lib/in-time.ts";
import { errorFields, log } from "../lib/log.ts";
import { answering } from "./ledger-answers.ts";
import type { LedgerMethods } from "./ledger-answers.ts";
import type { EmptyLedger, QuotaLedger } from "./ledger.ts";
import type { QuotaKv } from "./snapshot.ts";
import type { ProviderCount, ProviderReport } from "./types.ts";
import { isTodays } from "./period.ts";

/** A ledger that has not answered by then is as good as away. */
const LEDGER_TIMEOUT_MS = 5_000;
/** `.retryable` errors are retried on a new stub; every operation carries an id, so a retry can't charge twice. */
const ATTEMPTS = 3;
const RETRY_AFTER_SECONDS = 5;

/** Asks the provider for its count without spending a call. Never throws. */
export type ReadProviderCount = () => Promise<ProviderCount>;

/** The count as a report, null where there is none. */
export function reportOf(count: ProviderCount): ProviderReport | null {
  return count.kind === "count" ? count.report : null;
}

interface LedgerClientOptions {
  readonly namespace: DurableObjectNamespace<QuotaLedger>;
  readonly provider: string;
  readonly kv: QuotaKv;
  readonly readProviderCount: ReadProviderCount;
  /** Epoch milliseconds. */
  readonly clock: () => number;
}

/** The ledger did not answer. Carries nothing of the inside. */
function quotaUnavailable(cause: unknown): Problem {
  const detail = "The quota ledger did not answer; without its word nothing is sent to the provider.";
  return new Problem("quota_unavailable", detail, { retryAfterSeconds: RETRY_AFTER_SECONDS, cause });
}

function has(error: unknown, flag: "retryable" | "overloaded"): boolean {
  return typeof error === "object" && error !== null && flag in error && (error as Record<string, unknown>)[flag] === true;
}

function isEmpty(answer: object): answer is EmptyLedger {
  return "empty" in answer;
}

export class LedgerClient {
  readonly #options: LedgerClientOptions;

  constructor(options: LedgerClientOptions) {
    this.#options = options;
  }

  /** One operation. Throws the problem `quota_unavailable` when the ledger fails. */
  async call<Answer extends object>(operation: (ledger: LedgerMethods) => Promise<Answer | EmptyLedger>): Promise<Answer> {
    try {
      const answer = await this.#attempt(operation);
      return isEmpty(answer) ? await this.#afterRecovery(operation) : answer;
    } catch (error) {
      log.error("The quota ledger did not answer", errorFields(error));
      throw quotaUnavailable(error);
    }
  }

  async #afterRecovery<Answer extends object>(operation: (ledger: LedgerMethods) => Promise<Answer | EmptyLedger>): Promise<Answer> {
    await this.#recover();
    const answer = await this.#attempt(operation);
    if (isEmpty(answer)) throw new Error("The ledger is still empty after its recovery");
    return answer;
  }

  async #attempt<Answer>(operation: (ledger: LedgerMethods) => Promise<Answer>): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const stub: unknown = this.#options.namespace.getByName(this.#options.provider);
        return await inTime("The ledger", LEDGER_TIMEOUT_MS, operation(answering(stub as LedgerMethods)));
      } catch (error) {
        if (attempt >= ATTEMPTS || !has(error, "retryable") || has(error, "overloaded")) throw error;
      }
    }
  }

  /**
   * The store is empty: new, or lost. KV saying "absent" means that nothing was counted; KV failing means that we do not know, and
   * then only the provider's own count can tell.
   */
  async #recover(): Promise<void> {
    const { kv, readProviderCount, clock } = this.#options;
    const [stored, count] = await Promise.all([Promise.allSettled([kv.snapshot(), kv.mirror()]), readProviderCount()]);
    const report = reportOf(count);
    const [snapshot, mirror] = stored;
    const counted = report !== null && isTodays(report, clock());
    if (snapshot.status === "rejected" && !counted)
      throw new Error("The ledger is empty, and neither KV nor the provider can say what was spent");
    if (snapshot.status === "fulfilled" && mirror.status === "rejected")
      throw new Error("The ledger is empty, and KV does not give its settings");
    const evidence = {
      snapshot: snapshot.status === "fulfilled" ? snapshot.value : null,
      mirror: mirror.status === "fulfilled" ? mirror.value : undefined,
      report,
    };
    await this.#attempt((ledger) => ledger.initialise(evidence));
  }
}
