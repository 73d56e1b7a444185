/** Types and labels of the fault matrix. Plain data: the tests in workerd and the page made in Node read the same. */

export const PARTS = {
  ledger: "Ledger",
  kv: "KV",
  d1: "D1",
  r2: "R2",
  workflows: "Workflows",
  provider: "Provider",
  receiver: "Webhook receiver",
  telegram: "Telegram",
  collector: "Trace collector",
  tenant: "Tenant database",
} as const;

export type Part = keyof typeof PARTS;

/** Unless noted, a fault lasts for the whole use of the flow, retries by the product included. */
export const FAULTS = {
  before: "fails before the effect",
  after: "fails after the effect",
  hangs: "does not answer",
  slow: "answers slowly",
  nonsense: "invalid answer",
  minute: "refuses for a minute",
  restarts: "restarts",
  /** A fault of the Worker, which gets no further than this operation. */
  dies: "the Worker stops",
} as const;

export type Fault = keyof typeof FAULTS;
/** Faults of a part. Every target has a cell for each of them, unless it lists its own. */
export const ALL_FAULTS = (Object.keys(FAULTS) as Fault[]).filter((fault) => fault !== "dies");

/** Delay of a slow answer. */
export const SLOW_SECONDS = 1.5;

/** `Retry-After` of every 503. Results do not repeat it. */
export const RETRY_AFTER_SECONDS = 5;

/** An operation of a part. */
export interface Place {
  readonly part: Part;
  /** Text in the operation's name: a ledger method, a KV key, SQL or a path. `|` separates alternatives. */
  readonly at: string;
}

/** An operation that is made to fail. */
export interface Target extends Place {
  /** Describes the operation to readers of the page. */
  readonly operation: string;
  /** Number of these operations that succeed before the first fault. */
  readonly skips?: number;
}

/** One cell. All of it is asserted. */
export type Row = readonly [
  fault: Fault,
  /** Result of the use, as the flow describes it. */
  result: string,
  /** Seconds until the result. 0 if the caller did not have to wait. */
  seconds: number,
  /** Attempts at the faulty operation. */
  attempts: number,
  /** Calls that the provider counted. */
  sent: number,
  /** Calls that the ledger charged during the use. */
  charged: number,
  /** Calls that stay reserved. They are charged when the reservation expires. */
  reserved: number,
  /** Result of the same use without the fault, and the calls it is charged. */
  again: string,
  againCharged: number,
];

export interface TargetCells extends Target {
  readonly faults?: readonly Fault[];
  readonly cells: readonly Row[];
}

export interface FlowTable {
  /** Identifies the flow: lower case, with hyphens. */
  readonly name: string;
  readonly title: string;
  /** The request of each cell, in short Markdown sentences. */
  readonly use: string;
  /** Result of a use without a fault, and the calls it is charged. */
  readonly clean: string;
  readonly cleanCharged: number;
  /** Operations of a use without a fault. Together with `covered` they must be complete. */
  readonly targets: readonly TargetCells[];
  /** False: traces are off, so no collector is called. All requests send traces by the same code, and some flows test it. */
  readonly traced?: false;
  /** Operations whose faults another flow's table shows. */
  readonly covered?: readonly (Place & { readonly flow: string })[];
}
