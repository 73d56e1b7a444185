/** One subscription with its count, settings, faults and log. `/key` and the headers read the same ledger. */
import { matchFault } from "./faults.ts";
import type { Arrival, Fault } from "./faults.ts";
import * as ledger from "./ledger.ts";
import * as log from "./request-log.ts";
import { decide, limitHeaders, priceOfBatch, requestsPerMinute, utcDay } from "./plan.ts";
import type { Usage, Verdict } from "./plan.ts";
import { applyPatch } from "./settings.ts";
import type { Settings, SettingsPatch } from "./settings.ts";

export interface ProviderRequest extends Arrival {
  /** Documented name, for example `GET /book/{isbn}`. */
  endpoint: string;
  /** `batch` is priced by the plan and its number of `isbns`. `stranger` has no valid key and meets neither count nor faults. */
  price: "one" | "batch" | "free" | "stranger";
  isbns?: readonly string[];
}

export interface Admission {
  entry: number;
  now: number;
  settings: Settings;
  verdict: Verdict | "wrong_plan" | "daily_403" | "abandoned";
  fault: Fault | undefined;
  headers: Record<string, string>;
}

export interface State {
  now: string;
  day: string;
  spent: number;
  left: number;
  requests: number;
  billed_requests: number;
  settings: Settings;
  faults: (Fault & { id: number; matched: number })[];
  by_endpoint: Record<string, log.EndpointTotals>;
}

/** Applies faults that change the decision. Other faults only change the response. */
const withFault = (verdict: Verdict, fault: Fault | undefined): Admission["verdict"] => {
  const kind = fault?.kind;
  if (kind === "daily_quota" || kind === "daily_403" || kind === "minute_quota") return kind;
  if (kind === "hang_before_billing") return "abandoned";
  return kind === "wrong_plan" && (verdict === "billed" || verdict === "free") ? "wrong_plan" : verdict;
};

/** Usage for the headers. A refusal by a fault has matching headers. */
const usageInHeaders = (fault: Fault | undefined, usage: Usage, settings: Settings): Usage => {
  const kind = fault?.kind;
  if (kind === "daily_quota" || kind === "daily_403") return { ...usage, spent: settings.daily_limit };
  return kind === "minute_quota" ? { ...usage, recent: requestsPerMinute(settings) } : usage;
};

export class Account {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    ledger.createTables(this.#sql);
    log.createTables(this.#sql);
  }

  /** Decides, bills and logs synchronously, so that requests cannot interleave. */
  admit(request: ProviderRequest): Admission {
    return this.#storage.transactionSync(() => {
      const { settings, now } = this.#current();
      const fault = request.price === "stranger" ? undefined : this.#meetFault(request);
      const calls = this.#callsFor(request, settings);
      const before = ledger.readUsage(this.#sql, utcDay(now), now);
      const verdict = withFault(decide(calls, before, settings), fault);
      const billed = verdict === "billed" || verdict === "wrong_plan" ? calls : 0;
      if (billed > 0) this.#bill(billed, now);
      const entry = log.logRequest(this.#sql, now, request.method, request.path, billed, request.isbns);
      log.trimLog(this.#sql, entry);
      log.countEndpoint(this.#sql, request.endpoint, billed);
      const usage = fault?.kind === "stale_count" ? before : ledger.readUsage(this.#sql, utcDay(now), now);
      return { entry, now, settings, verdict, fault, headers: limitHeaders(usageInHeaders(fault, usage, settings), settings, now) };
    });
  }

  logStatus(entry: number, status: number): void {
    log.logStatus(this.#sql, entry, status);
  }

  /** Usage as in `/key`. Changes nothing. */
  usage(): { total: number; spent: number; left: number } {
    const { settings, now } = this.#current();
    const { spent } = ledger.readUsage(this.#sql, utcDay(now), now);
    return { total: settings.daily_limit, spent, left: Math.max(0, settings.daily_limit - spent) };
  }

  /** Adds calls of another client of the subscription. They count today, without refusals above the limit. */
  spend(calls: number): void {
    ledger.addSpent(this.#sql, utcDay(this.#current().now), calls);
  }

  change(patch: SettingsPatch): void {
    this.#storage.transactionSync(() => {
      const { settings, clockOffsetMs } = ledger.readSettings(this.#sql);
      const { clock } = patch;
      const offset = clock === undefined ? clockOffsetMs : clock === null ? 0 : Date.parse(clock) - Date.now();
      ledger.writeSettings(this.#sql, applyPatch(settings, patch), offset);
      ledger.dropGrantsOutside(this.#sql, Date.now() + offset);
    });
  }

  addFault(fault: Fault): void {
    ledger.addFault(this.#sql, fault);
  }

  clearFaults(): void {
    ledger.removeFaults(this.#sql);
  }

  reset(): void {
    this.#storage.transactionSync(() => {
      ledger.clearTables(this.#sql);
      log.clearTables(this.#sql);
    });
  }

  latestRequests(limit: number): log.LoggedRequest[] {
    return log.latestRequests(this.#sql, limit);
  }

  state(): State {
    const { settings, now } = this.#current();
    const { spent, left } = this.usage();
    const byEndpoint = log.readEndpoints(this.#sql);
    const totals = Object.values(byEndpoint);
    return {
      now: new Date(now).toISOString(),
      day: utcDay(now),
      spent,
      left,
      requests: totals.reduce((sum, { requests }) => sum + requests, 0),
      billed_requests: totals.reduce((sum, each) => sum + each.billed_requests, 0),
      settings,
      faults: ledger.listFaults(this.#sql).map(({ id, fault, matched }) => ({ ...fault, id, matched })),
      by_endpoint: byEndpoint,
    };
  }

  #current(): { settings: Settings; now: number } {
    const { settings, clockOffsetMs } = ledger.readSettings(this.#sql);
    return { settings, now: Date.now() + clockOffsetMs };
  }

  #callsFor({ price, isbns }: ProviderRequest, settings: Settings): number {
    switch (price) {
      case "one":
        return 1;
      case "batch":
        return priceOfBatch(isbns?.length ?? 0, settings);
      case "free":
      case "stranger":
        return 0;
    }
  }

  #meetFault(arrival: Arrival): Fault | undefined {
    const { fault, counted, finished } = matchFault(ledger.listFaults(this.#sql), arrival);
    for (const entry of counted) ledger.countFault(this.#sql, entry);
    for (const id of finished) ledger.removeFault(this.#sql, id);
    return fault;
  }

  #bill(calls: number, now: number): void {
    ledger.dropGrantsOutside(this.#sql, now);
    ledger.addGrant(this.#sql, now);
    ledger.addSpent(this.#sql, utcDay(now), calls);
  }
}
