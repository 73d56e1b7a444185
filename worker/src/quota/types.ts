/**
 * What the quota coordinator promises, in types. Times are epoch milliseconds unless a name says otherwise; counts are provider calls.
 * Requests and answers go between Workers and ledgers of two releases: before changing one, read the rule in protocol.ts.
 */
import type { BulkBilling, Enforcement } from "../env.ts";

export type Priority = "interactive" | "background";

/** What asking for the provider's count brought: it may give none, or not answer, and these are different things. */
export type ProviderCount =
  | { readonly kind: "count"; readonly report: ProviderReport }
  | { readonly kind: "none" }
  | { readonly kind: "failed" };

export interface CountsAround {
  readonly before: ProviderCount;
  readonly after: ProviderCount;
}

/** How a batch of ISBNs is billed, once we know. */
export type BulkPrice = Exclude<BulkBilling, "auto">;

/** What a provider's answer said about our account. Absent numbers are null, never 0. */
export interface ProviderReport {
  readonly requestedAt: number;
  readonly receivedAt: number;
  readonly daily: { readonly left: number; readonly limit: number | null } | null;
  readonly rate: { readonly left: number; readonly resetSeconds: number | null } | null;
}

/** The price of one provider request: a number of calls, or a batch whose price the ledger knows or finds out. */
export type Cost = { readonly calls: number } | { readonly batchOf: number };

/** Who spends, and how much of a day. */
export interface Spender {
  readonly caller: string;
  readonly priority: Priority;
  /**
   * The most this caller may spend in a UTC day; null or absent: no limit of its own. Whoever admits the caller knows it and passes it
   * with every request; the ledger stores none, so a change holds from the next request on.
   */
  readonly share?: number | null;
  /** `default`: a tenth of the limit in force, whatever `share` says, which is for a ledger that does not know this field. */
  readonly shareMode?: "default" | "fixed" | "unlimited";
}

export interface ReserveRequest extends Spender {
  /** Ours or the caller's; makes the reservation idempotent for two days. */
  readonly id: string;
  readonly cost: Cost;
  /** Grants what is left if at least this much; without it, all or nothing. */
  readonly minCalls?: number;
  readonly ttlSeconds?: number;
}

/** One permission to send one request to the provider. */
export interface Reservation {
  readonly id: string;
  readonly calls: number;
  readonly expiresAt: number;
  /** When the pace allows the request. */
  readonly startAt: number;
  /** By the ledger's clock, so that another clock can wait relative to it. */
  readonly decidedAt: number;
  /** The batch price is unknown and this lone batch is to reveal it. */
  readonly probe: boolean;
}

/**
 * Which rule refused. `daily`, `share` and `floor`: the day has too little left (for this caller, this priority), for good or, where
 * it is only held, for now; the others: wait a moment.
 */
export type RefusedBy = "daily" | "share" | "floor" | "hold" | "projects-hold" | "pace" | "price";

/** Charged and reserved calls of one caller today. */
export type CallerToday = Pick<CallerTotals, "used" | "reserved">;

/** A caller's share of the day, and what it has of it. */
export interface ShareUse extends CallerToday {
  readonly calls_per_day: number;
}

/** Who refused; a share says how much of it is gone. */
export type Refuser = { readonly refusedBy: Exclude<RefusedBy, "share"> } | { readonly refusedBy: "share"; readonly share: ShareUse };

export type Refusal = Refuser & {
  readonly callsNeeded: number;
  /** What could be granted now; 0 when `pace` or `price` refuses. */
  readonly available: number;
  /** Enough is not spent yet, only held by open reservations: they may give it back, so the day is not over. */
  readonly held?: true;
  /** Said by an instance that remembers the day as over. It tells the log, once a second, how often. */
  readonly remembered?: true;
  /** Milliseconds after which it is worth asking again. */
  readonly waitMs: number;
  /** From when on the wait counts. Absent: of a ledger of the release before. */
  readonly decidedAt?: number;
};

export type ReserveAnswer =
  | { readonly result: "granted"; readonly reservation: Reservation; readonly status: QuotaStatus }
  | { readonly result: "refused"; readonly refusal: Refusal; readonly status: QuotaStatus }
  /** The same id was used for something else, or its reservation is over. */
  | { readonly result: "conflict"; readonly detail: string }
  /** The request can never be granted as it stands. */
  | { readonly result: "impossible"; readonly detail: string };

/** Between sending and the last word. A clock that is off by seconds is allowed for where it matters: at midnight. */
export interface UnderWay {
  readonly from: number;
  readonly to: number;
}

/** How a provider request ended. "maybe" is charged like "yes": ambiguity is never given back. */
export interface Settlement {
  readonly sent: "no" | "yes" | "maybe";
  /** From when to when the provider may have counted it; null where nobody knows. */
  readonly underWay: UnderWay | null;
  /** A 2xx came back: its cost is evidence for the price of a batch. */
  readonly delivered: boolean;
  readonly report: ProviderReport | null;
  /** What the provider refused with, if it refused. */
  readonly signal: "none" | "wait" | "day_over";
  readonly retryAfterSeconds: number | null;
  /** The provider's client's word for how it ended, one of a few: for the counters of monitoring. Absent: nobody knows. */
  readonly outcome?: string;
}

export interface CommitRequest {
  readonly id: string;
  /** What was really spent; default: all that was reserved, or the batch's price. */
  readonly calls?: number;
  readonly sentAt?: number;
  /**
   * Of a project, which is not believed beyond what it was granted: at most what was reserved is charged, and after a release only
   * what the day and its share still have.
   */
  readonly within?: Pick<Spender, "share" | "shareMode">;
  readonly settlement?: Settlement;
  /** For a probe: what the provider counted just before it was sent and just after its answer, by asking for it. */
  readonly counts?: CountsAround;
}

export type CommitAnswer =
  | { readonly result: "committed"; readonly charged: number; readonly late: boolean; readonly status: QuotaStatus }
  | { readonly result: "unknown" }
  | Impossible;

/** It can't be as it stands, and changes nothing. `field`: which part of what was given is wrong. */
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
  /** What one batch of so many ISBNs costs at most, at the price known now. */
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

/** Settings that an operator changed; the enforcement is kept apart, as a switch with the time it was set. */
export type Overrides = Partial<Omit<Settings, "enforcement">>;

/** The enforcement an operator chose, with when: the later of two views wins. `value` null means "as configured". */
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

/** Who changes the quota, and the id that makes the change happen once. */
export interface Operation {
  readonly id: string;
  readonly actor: string;
}

/** Which projects a status names: the largest, or none but `own`. The others are summed up as `projects`. */
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
  /** Only where the source is a snapshot. */
  readonly age_seconds?: number;
  /** Present when the ledger's storage was empty and today's count was taken from elsewhere. */
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

/** Charged and reserved calls of one caller; of `projects`, of all that have no line of their own. */
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

/** How often something happened since the ledger's store exists, by a label of a few values. */
export type Tally = { readonly name: "refusals" | "would_refuse" | "requests"; readonly label: string; readonly count: number };

/** A day's total. */
export interface DayTotal {
  readonly date: string;
  readonly used: number;
  readonly untracked: number;
  readonly refused: number;
}

/** The day in one look, at a cost that grows with neither projects nor callers, unless `status` is asked for by project. */
export interface QuotaOverview {
  readonly status: QuotaStatus;
  /** What only the ledger knows; null while it does not answer, and the status is its last snapshot. */
  readonly ledger: {
    /** What background work leaves alone at 00:00 UTC. */
    readonly backgroundFloor: number;
    /** The newest first; days on which nothing happened are left out. */
    readonly days: readonly DayTotal[];
    /** Today's charges by UTC hour; without what is untracked, whose hour nobody knows. */
    readonly hours: readonly { readonly hour: number; readonly used: number }[];
    readonly tallies: readonly Tally[];
  } | null;
}

/** Callers that only the ledger itself may charge under. */
export const LEDGER_CALLERS = ["untracked", "operator", "recovered", "refunded", "projects"] as const;
export const PROJECT_CALLER_PREFIX = "project:";
export const isProject = (caller: string): boolean => caller.startsWith(PROJECT_CALLER_PREFIX);
/** Projects that are summed up. */
export const PROJECTS_CALLER = "projects" satisfies (typeof LEDGER_CALLERS)[number];
