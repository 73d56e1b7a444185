/** The words of the fault matrix. Plain data: the tests in workerd and the page made in Node read the same. */

export const PARTS = {
  ledger: "Ledger",
  kv: "KV",
  d1: "D1",
  r2: "R2",
  workflows: "Workflows",
  provider: "Provider",
  receiver: "Webhook receiver",
  telegram: "Telegram",
  collector: "Collector",
  tenant: "Tenant database",
} as const;

export type Part = keyof typeof PARTS;

/** Except where it says otherwise, a fault lasts for the whole of a use, tries of the product's own included. */
export const FAULTS = {
  before: "throws before",
  after: "throws after the effect",
  hangs: "hangs",
  slow: "slow",
  nonsense: "returns nonsense",
  minute: "refuses for a minute",
  restarts: "restarts",
  /** Of no part but the Worker, which gets no further than this operation. */
  dies: "the Worker dies",
} as const;

export type Fault = keyof typeof FAULTS;
/** Those of a part: every target meets them, unless it names its own. */
export const ALL_FAULTS = (Object.keys(FAULTS) as Fault[]).filter((fault) => fault !== "dies");

/** How much later a slow part answers. */
export const SLOW_SECONDS = 1.5;

/** Where a flow meets a part. */
export interface Place {
  readonly part: Part;
  /** What the operation's name contains: a method of the ledger, a key of KV, words of SQL, a path; with | between, any of them. */
  readonly at: string;
}

/** A place that is spoiled. */
export interface Target extends Place {
  /** For readers: what is being done there. */
  readonly words: string;
  /** So many of these operations go well first. */
  readonly spares?: number;
}

/** What one cell promises. All of it is asserted. */
export type Row = readonly [
  fault: Fault,
  /** What whoever asked is told, as the flow puts it. */
  told: string,
  /** Seconds until then: 0 but where something had to be waited for. */
  waits: number,
  /** How often the faulty operation was asked. */
  tries: number,
  /** Calls that the provider counted. */
  sent: number,
  /** Calls that the ledger charged at once. */
  charged: number,
  /** Calls that stay held, and are charged when the hold ends. */
  held: number,
  /** What the same use is told once the fault is gone, and the calls that it is charged. */
  again: string,
  againCharged: number,
];

export interface TargetCells extends Target {
  readonly faults?: readonly Fault[];
  readonly cells: readonly Row[];
}

export interface FlowTable {
  /** Names the flow in the page's address: lower case, with hyphens. */
  readonly name: string;
  readonly title: string;
  /** What is asked in each cell, in a sentence or two of Markdown. */
  readonly use: string;
  /** What a use without a fault is told, and the calls it is charged. */
  readonly clean: string;
  readonly cleanCharged: number;
  /** The places at which a use without a fault meets a part: all of them, with those of `elsewhere`. */
  readonly targets: readonly TargetCells[];
  /** False: with traces off, and so without a collector. Every request sends them by the same code; some flows show what becomes of them. */
  readonly traced?: false;
  /** Places at which it behaves like another flow, in whose table they stand. */
  readonly elsewhere?: readonly (Place & { readonly flow: string })[];
}
