/**
 * Types of the quota coordinator's interface. Times are epoch milliseconds unless a name says otherwise. Counts are provider calls.
 * Workers and ledgers of two releases exchange these requests and answers. Before you change one, read the rules in protocol.ts.
 */
import type { BulkBilling, Enforcement } from "../env.ts";

export type Priority = "interactive" | "background";

/** Result of a request for the provider's count. `none`: the answer has no count. `failed`: no answer. */
export type ProviderCount =
  | { readonly kind: "count"; readonly report: ProviderReport }
  | { readonly kind: "none" }
  | { readonly kind: "failed" };

export interface CountsAround {
  readonly before: ProviderCount;
  readonly after: ProviderCount;
}

/** The known price of a batch of ISBNs. */
export type BulkPrice = Exclude<BulkBilling, "auto">;

/** The account data in a provider's answer. Absent numbers are null, never 0. */
export interface ProviderReport {
  readonly requestedAt: number;
  readonly receivedAt: number;
  readonly daily: { readonly left: number; readonly limit: number | null } | null;
  readonly rate: { readonly left: number; readonly resetSeconds: number | null } | null;
}

/** The cost of one provider request: a number of calls, or a batch whose price the ledger knows or learns. */
export type Cost = { readonly calls: number } | { readonly batchOf: number };

/** The caller of a request, its priority and its share. */
export interface Spender {
  readonly caller: string;
  readonly priority: Priority;
  /**
   * The most that this caller may spend in a UTC day. Null or absent: see `shareOf`. The code that admits the caller passes it with every
   * request. The ledger does not store it, so a change takes effect with the next request.
   */
  readonly share?: number | null;
  /** `default`: a tenth of the limit in force. It overrides `share`, which then serves only ledgers that do not know this field. */
  readonly shareMode?: "default" | "fixed" | "unlimited";
}

export interface ReserveRequest extends Spender {
  /** Generated here or by the caller. It makes the reservation idempotent for two days. */
  readonly id: string;
  readonly cost: Cost;
  /** The ledger may grant fewer calls, but at least this many. Without it, all or none. */
  readonly minCalls?: number;
  readonly ttlSeconds?: number;
}

/** Permission to send one request to the provider. */
export interface Reservation {
  readonly id: string;
  readonly calls: number;
  readonly expiresAt: number;
  /** The time at which the pace allows the request. */
  readonly startAt: number;
  /** Time of the grant by the ledger's clock, so that another clock can wait relative to it. */
  readonly decidedAt: number;
  /** Whether the batch price is unknown and this lone batch will reveal it. */
  readonly probe: boolean;
}

/**
 * The rule that refused. `daily`, `share` and `floor`: too few calls remain for this caller and priority, until the reset, or if `held`
 * is set, for now. The others mean: wait a moment.
 */
export type RefusedBy = "daily" | "share" | "floor" | "hold" | "projects-hold" | "pace" | "price";

/** Charged and reserved calls of one caller today. */
export type CallerToday = Pick<CallerTotals, "used" | "reserved">;

/** A caller's share, and the caller's charged and reserved calls. */
export interface ShareUse extends CallerToday {
  readonly calls_per_day: number;
}

/** The rule that refused. For a share, with its usage. */
export type Refuser = { readonly refusedBy: Exclude<RefusedBy, "share"> } | { readonly refusedBy: "share"; readonly share: ShareUse };

export type Refusal = Refuser & {
  readonly callsNeeded: number;
  /** Calls that could be granted now. 0 if `pace` or `price` refuses. */
  readonly available: number;
  /** The missing calls are not spent, only reserved. Open reservations may still be released. */
  readonly held?: true;
  /** With `pace`: the project released too many reservations in the last minute. */
  readonly manyReturned?: boolean;
  /** Set if an instance refused from its memory. It logs the number of such refusals once a second. */
  readonly remembered?: true;
  /** Milliseconds to wait before a retry. */
  readonly waitMs: number;
  /** Start of the wait. Absent in answers from a ledger of the previous release. */
  readonly decidedAt?: number;
};

export type ReserveAnswer =
  | { readonly result: "granted"; readonly reservation: Reservation; readonly status: QuotaStatus }
  | { readonly result: "refused"; readonly refusal: Refusal; readonly status: QuotaStatus }
  /** The id was used for a different request, or its reservation has ended. */
  | { readonly result: "conflict"; readonly detail: string }
  /** The request can never be granted. */
  | { readonly result: "impossible"; readonly detail: string };

/** The time in flight, from sending to the end of the answer. Near midnight, code allows for clocks that differ by seconds. */
export interface UnderWay {
  readonly from: number;
  readonly to: number;
}

/** The outcome of a provider request. "maybe" is charged like "yes", because ambiguous calls are never released. */
export interface Settlement {
  readonly sent: "no" | "yes" | "maybe";
  /** The interval in which the provider may have counted it. Null if unknown. */
  readonly underWay: UnderWay | null;
  /** Whether the answer was a 2xx. If so, the cost is evidence for the price of a batch. */
  readonly delivered: boolean;
  readonly report: ProviderReport | null;
  /** The kind of the provider's refusal, if it refused. */
  readonly signal: "none" | "wait" | "day_over";
  readonly retryAfterSeconds: number | null;
  /** The provider client's label of the outcome, for the monitoring counters. It is one of a few values. Absent if unknown. */
  readonly outcome?: string;
}

export interface CommitRequest {
  readonly id: string;
  /** The actual cost. Default: all reserved calls, or the batch's price. */
  readonly calls?: number;
  readonly sentAt?: number;
  /**
   * Set for a project, which is charged at most its grant. After a release, it is charged at most the calls that the limit and its share
   * still have.
   */
  readonly within?: Pick<Spender, "share" | "shareMode">;
  readonly settlement?: Settlement;
  /** For a probe: the provider's counts, requested just before it was sent and just after its answer. */
  readonly counts?: CountsAround;
}

export type CommitAnswer =
  | { readonly result: "committed"; readonly charged: number; readonly late: boolean; readonly status: QuotaStatus }
  | { readonly result: "unknown" }
  | Impossible;

/** The request is invalid and changes nothing. `field`: the invalid field. */
export interface Impossible {
  readonly result: "impossible";
  readonly detail: string;
  readonly field?: "calls" | "sent_at";
}

export type ReleaseAnswer =
  | { readonly result: "released"; readonly calls: number; readonly status: QuotaStatus }
  | { readonly result: "unknown" }
  | { readonly result: "conflict"; readonly detail: string };

export interface CheckAnswer {
  readonly allowed: boolean;
  readonly refusal: Refusal | null;
  readonly available: number;
  /** The highest cost of the request at the currently known price. */
  readonly callsNeeded: number;
  readonly status: QuotaStatus;
}

export interface Settings {
  readonly dailyLimit: number;
  readonly safetyBuffer: number;
  readonly backgroundFloor: number;
  /** 0 switches the pace off. */
  readonly ratePerSecond: number;
  readonly enforcement: Enforcement;
}

export type SettingsChange = { readonly [Name in keyof Settings]?: Settings[Name] | undefined };

/** Settings that an operator changed. The enforcement is stored separately, as a switch with the time of its change. */
export type Overrides = Partial<Omit<Settings, "enforcement">>;

/** An operator's enforcement, with the time of the change. The later of two switches wins. A null `value` means "as configured". */
export interface EnforcementSwitch {
  readonly value: Enforcement | null;
  readonly changedAt: number;
}

/** The settings in KV. */
export interface SettingsMirror {
  readonly enforcement: EnforcementSwitch;
  readonly overrides: Overrides;
}

export type SettingsAnswer =
  | { readonly result: "changed"; readonly mirror: SettingsMirror; readonly settings: Settings; readonly status: QuotaStatus }
  | { readonly result: "impossible"; readonly detail: string };

/** The actor of a quota change, and the id that makes the change idempotent. */
export interface Operation {
  readonly id: string;
  readonly actor: string;
}

/** The callers that a status names: the largest for operators, or only `own`. Null: none. */
export type StatusView = "by_project" | { readonly own: string | null };

/** The status object of the API. */
export interface QuotaStatus {
  readonly provider: string;
  /** UTC day, YYYY-MM-DD. */
  readonly date: string;
  readonly daily_limit: number;
  readonly safety_limit: number;
  readonly used: number;
  readonly reserved: number;
  readonly remaining: number;
  readonly percentage_used: number;
  readonly reset_at: string;
  readonly can_make_calls: boolean;
  readonly safety_remaining: number;
  readonly enforcement: Enforcement;
  readonly source: "ledger" | "snapshot";
  readonly as_of: string;
  /** Present only if the source is a snapshot. */
  readonly age_seconds?: number;
  /** Present if the ledger's storage was empty and today's count was recovered from KV or the provider. */
  readonly recovered?: true;
  readonly callers: readonly CallerUse[];
  readonly forecast: { readonly calls_per_hour: number; readonly exhausted_at: string | null };
  readonly background: { readonly floor: number; readonly remaining: number };
  readonly upstream: UpstreamStatus | null;
}

export interface CallerUse {
  readonly caller: string;
  readonly used: number;
}

/** Charged and reserved calls of one caller. `projects` is the sum of the projects without their own line. */
export interface CallerTotals extends CallerUse {
  readonly reserved: number;
}

export interface UpstreamStatus {
  readonly limit: number;
  readonly spent: number;
  readonly untracked: number;
  readonly bulk_billing: BulkPrice | "unknown";
  readonly bulk_billing_source: "configured" | "observed" | "assumed" | "unknown";
  readonly observed_at: string;
}

/** A monitoring counter since the creation of the ledger's store. `label` has few values. */
export type Counter = { readonly name: "refusals" | "would_refuse" | "requests"; readonly label: string; readonly count: number };

/** A day's total. */
export interface DayTotal {
  readonly date: string;
  readonly used: number;
  readonly untracked: number;
  readonly refused: number;
}

/** Overview of today. Its cost does not depend on the number of projects, unless `status` is requested by project. */
export interface QuotaOverview {
  readonly status: QuotaStatus;
  /** Data that only the ledger has. Null if it does not answer. The status is then its last snapshot. */
  readonly ledger: {
    /** The floor at 00:00 UTC. */
    readonly backgroundFloor: number;
    /** Newest first, without days on which nothing happened. */
    readonly days: readonly DayTotal[];
    /** Today's charges by UTC hour, without untracked calls, whose hours are unknown. */
    readonly hours: readonly { readonly hour: number; readonly used: number }[];
    readonly tallies: readonly Counter[];
  } | null;
}

/** Caller names that only the ledger may use. */
export const LEDGER_CALLERS = ["untracked", "operator", "recovered", "refunded", "projects", "others"] as const;
export const PROJECT_CALLER_PREFIX = "project:";
export const isProject = (caller: string): boolean => caller.startsWith(PROJECT_CALLER_PREFIX);
/** Caller name of the summed-up projects. */
export const PROJECTS_CALLER = "projects" satisfies (typeof LEDGER_CALLERS)[number];
/** Caller name of the summed-up callers in a list that names only the largest. */
export const OTHER_CALLERS = "others" satisfies (typeof LEDGER_CALLERS)[number];
