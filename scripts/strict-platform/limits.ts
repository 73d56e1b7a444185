/** The limits that Cloudflare enforces and local workerd does not. No I/O. */

/** Limits of a plan. Sizes are bytes. An invocation is one request, cron tick, call of a Durable Object, or run of a Workflow instance. */
export interface PlatformLimits {
  /** D1 statements in an invocation. Each statement of a batch counts. */
  readonly d1_statements_per_invocation: number;
  readonly d1_statement_bytes: number;
  readonly d1_bound_parameters: number;
  readonly d1_bound_value_bytes: number;
  readonly kv_writes_per_second_and_key: number;
  readonly kv_writes_per_day: number;
  /** Requests to other services and calls of bindings in an invocation. */
  readonly subrequests_per_invocation: number;
  /** Connections of an invocation that wait for headers. */
  readonly open_connections: number;
  readonly workflow_params_bytes: number;
  readonly workflow_step_result_bytes: number;
  readonly workflow_steps: number;
  readonly workflow_creations_per_second: number;
  readonly workflow_batch_instances: number;
  readonly workflow_batch_bytes: number;
}

export type LimitName = keyof PlatformLimits;

const MIB = 1024 * 1024;

const PAID: PlatformLimits = {
  d1_statements_per_invocation: 1_000,
  d1_statement_bytes: 100_000,
  d1_bound_parameters: 100,
  d1_bound_value_bytes: 2_000_000,
  kv_writes_per_second_and_key: 1,
  kv_writes_per_day: Infinity,
  subrequests_per_invocation: 10_000,
  open_connections: 6,
  workflow_params_bytes: MIB,
  workflow_step_result_bytes: MIB,
  workflow_steps: 10_000,
  workflow_creations_per_second: 100,
  workflow_batch_instances: 100,
  workflow_batch_bytes: MIB,
};

export const PLANS = {
  paid: PAID,
  free: { ...PAID, d1_statements_per_invocation: 50, kv_writes_per_day: 1_000, subrequests_per_invocation: 50, workflow_steps: 1_024 },
} as const satisfies Record<string, PlatformLimits>;

/** Thrown when Cloudflare would fail. `reason` is Cloudflare's message, if it is known. */
export class LimitError extends Error {
  override readonly name = "LimitError";
  readonly limit: LimitName;

  constructor(limit: LimitName, most: number, given: number, reason: string) {
    super(`${reason} (platform limit ${limit}: ${most}, got ${given})`);
    this.limit = limit;
  }
}

const encoder = new TextEncoder();

export const textBytes = (text: string): number => encoder.encode(text).byteLength;

/** Approximate size of a value that the platform stores. */
export const jsonBytes = (value: unknown): number => textBytes(JSON.stringify(value) ?? "");
