/** State of the emulated platform: its limits, the conditions that a test sets, and the limits that were exceeded. */
import { LimitError, PLANS } from "./limits.ts";
import type { LimitName, PlatformLimits } from "./limits.ts";

export interface PlatformSettings {
  /** Off: new invocations have no limits. */
  readonly isEnforced: boolean;
  readonly limits: PlatformLimits;
  /** The database has its maximum size. Writes fail. Reads and deletions work. */
  readonly isDatabaseFull: boolean;
  /** Reads of KV may be 60 s old in places other than that of the write. */
  readonly isKvStale: boolean;
  /** Cloudflare queues connections beyond the limit. A test can make them fail instead, to notice them. */
  readonly beyondOpenConnections: "wait" | "fail";
  /** Methods by binding that Durable Objects on the code before a deployment do not have. */
  readonly missingMethods: Readonly<Record<string, readonly string[]>>;
  /** The client of a request disconnects when an operation whose name includes this text has been started. */
  readonly clientLeavesAt: string | null;
}

const INITIAL: PlatformSettings = {
  isEnforced: true,
  limits: PLANS.paid,
  isDatabaseFull: false,
  isKvStale: true,
  beyondOpenConnections: "wait",
  missingMethods: {},
  clientLeavesAt: null,
};

let initial = INITIAL;
let settings = INITIAL;
const resets: (() => void)[] = [];
const exceeded: LimitError[] = [];

export const platform = {
  get settings(): PlatformSettings {
    return settings;
  },
  get limits(): PlatformLimits {
    return settings.limits;
  },
  /** Changes the settings until the next `reset`. */
  set(change: Partial<Omit<PlatformSettings, "limits">> & { readonly limits?: Partial<PlatformLimits> }): void {
    settings = { ...settings, ...change, limits: { ...settings.limits, ...change.limits } };
  },
  /** Restores the initial settings and forgets all state. `change` becomes part of the initial settings. */
  reset(change: Partial<PlatformSettings> = {}): void {
    initial = { ...initial, ...change };
    settings = initial;
    exceeded.length = 0;
    for (const each of resets) each();
  },
  onReset(reset: () => void): void {
    resets.push(reset);
  },
  /** Limits exceeded since the last call, also those whose error the product handled. */
  takeExceeded(): LimitError[] {
    return exceeded.splice(0);
  },
  /** Records that a limit was exceeded. The caller throws the error, unless Cloudflare fails silently. */
  exceeded(limit: LimitName, given: number, reason: string): LimitError {
    const error = new LimitError(limit, settings.limits[limit], given, reason);
    exceeded.push(error);
    return error;
  },
  /** Throws if `given` is more than the limit. */
  check(limit: LimitName, given: number, reason: string): void {
    if (given > settings.limits[limit]) throw platform.exceeded(limit, given, reason);
  },
};
