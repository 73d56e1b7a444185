/** One subscription: its count, its settings, its faults, its log. `/key` and the headers read the same ledger. */
import { meet } from "./faults.ts";
import type { Arrival, Fault } from "./faults.ts";
import * as ledger from "./ledger.ts";
import * as log from "./request-log.ts";
import { decide, limitHeaders, priceOfBatch, requestsPerMinute, utcDay } from "./plan.ts";
import type { Standing, Verdict } from "./plan.ts";
import { applyPatch } from "./settings.ts";
import type { Settings, SettingsPatch } from "./settings.ts";

export interface Arriving extends Arrival {
  /** As documented, for example `GET /book/{isbn}`. */
  endpoint: string;
  /** A batch is priced by the plan and the number of its `isbns`; a stranger, without a valid key, meets neither count nor faults. */
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

/** What a fault makes of the decision; the other faults spoil the answer, not the decision. */
const overruled = (verdict: Verdict, fault: Fault | undefined): Admission["verdict"] => {
  const kind = fault?.kind;
  if (kind === "daily_quota" || kind === "daily_403" || kind === "minute_quota") return kind;
  if (kind === "hang_before_billing") return "abandoned";
  return kind === "wrong_plan" && (verdict === "billed" || verdict === "free") ? "wrong_plan" : verdict;
};

/** A refusal that a fault ordered comes with headers that agree with it. */
const shown = (fault: Fault | undefined, standing: Standing, settings: Settings): Standing => {
  const kind = fault?.kind;
  if (kind === "daily_quota" || kind === "daily_403") return { ...standing, spent: settings.daily_limit };
  return kind === "minute_quota" ? { ...standing, recent: requestsPerMinute(settings) } : standing;
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

  /** Decides, bills and logs in one synchronous stretch: no other request can come between. */
  admit(arriving: Arriving): Admission {
    return this.#storage.transactionSync(() => {
      const { settings, now } = this.#present();
      const fault = arriving.price === "stranger" ? undefined : this.#meetFault(arriving);
      const calls = this.#callsFor(arriving, settings);
      const before = ledger.readStanding(this.#sql, utcDay(now), now);
      const verdict = overruled(decide(calls, before, settings), fault);
      const billed = verdict === "billed" || verdict === "wrong_plan" ? calls : 0;
      if (billed > 0) this.#bill(billed, now);
      const entry = log.logRequest(this.#sql, now, arriving.method, arriving.path, billed, arriving.isbns);
      log.trimLog(this.#sql, entry);
      log.countEndpoint(this.#sql, arriving.endpoint, billed);
      const standing = fault?.kind === "stale_count" ? before : ledger.readStanding(this.#sql, utcDay(now), now);
      return { entry, now, settings, verdict, fault, headers: limitHeaders(shown(fault, standing, settings), settings, now) };
    });
  }

  answered(entry: number, status: number): void {
    log.logStatus(this.#sql, entry, status);
  }

  /** What `/key` tells; reading it changes nothing. */
  standing(): { total: number; spent: number; left: number } {
    const { settings, now } = this.#present();
    const { spent } = ledger.readStanding(this.#sql, utcDay(now), now);
    return { total: settings.daily_limit, spent, left: Math.max(0, settings.daily_limit - spent) };
  }

  /** Somebody else on the same subscription; only the day notices, and beyond its limit nothing is refused. */
  spend(calls: number): void {
    ledger.addSpent(this.#sql, utcDay(this.#present().now), calls);
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
    const { settings, now } = this.#present();
    const { spent, left } = this.standing();
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

  #present(): { settings: Settings; now: number } {
    const { settings, clockOffsetMs } = ledger.readSettings(this.#sql);
    return { settings, now: Date.now() + clockOffsetMs };
  }

  #callsFor({ price, isbns }: Arriving, settings: Settings): number {
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
    const { fault, counted, finished } = meet(ledger.listFaults(this.#sql), arrival);
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
