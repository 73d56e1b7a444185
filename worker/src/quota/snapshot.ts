/**
 * What KV holds: the ledger's published snapshot, and the enforcement switch with the mirror of the settings. KV never decides a
 * grant: it is read everywhere and written rarely. A key takes one write a second, so only the ledger writes, at most so often.
 */
import { z } from "zod";
import { ENFORCEMENTS } from "../env.ts";
import type { Enforcement } from "../env.ts";
import type { KnownPrice } from "./billing.ts";
import type { Overrides } from "./ledger-state.ts";
import type { EnforcementSwitch, QuotaStatus } from "./types.ts";

/** The snapshot is published when it changed, at most this often. */
export const SNAPSHOT_EVERY_MS = 5_000;
/** One write a second and key is KV's limit; a little more keeps clear of it. */
export const MIRROR_EVERY_MS = 1_100;

export interface LedgerSnapshot {
  readonly status: QuotaStatus;
  /** What the provider had counted when an operator last set today's count. */
  readonly providerBase: number;
  readonly learnedPrice: KnownPrice | null;
}

export interface SettingsMirror {
  readonly enforcement: EnforcementSwitch;
  readonly overrides: Overrides;
}

const calls = z.number().int();
const price = z.object({ price: z.enum(["per_request", "per_isbn"]), source: z.enum(["configured", "observed", "assumed"]) });

const snapshotSchema = z.object({
  status: z.looseObject({
    provider: z.string(),
    date: z.iso.date(),
    daily_limit: calls,
    safety_limit: calls,
    used: calls,
    reserved: calls,
    remaining: calls,
    percentage_used: calls,
    reset_at: z.string(),
    can_make_calls: z.boolean(),
    safety_remaining: calls,
    enforcement: z.enum(ENFORCEMENTS),
    source: z.enum(["ledger", "snapshot"]),
    as_of: z.string(),
    callers: z.array(z.object({ caller: z.string(), used: calls })),
    forecast: z.object({ calls_per_hour: calls, exhausted_at: z.string().nullable() }),
    background: z.object({ floor: calls, remaining: calls }),
    upstream: z.looseObject({ limit: calls, spent: calls, untracked: calls, observed_at: z.string() }).nullable(),
  }),
  providerBase: calls,
  learnedPrice: price.nullable(),
});

const mirrorSchema = z.object({
  enforcement: z.object({ value: z.enum(ENFORCEMENTS).nullable(), changedAt: z.number() }),
  overrides: z.object({
    dailyLimit: calls.optional(),
    safetyBuffer: calls.optional(),
    backgroundFloor: calls.optional(),
    ratePerSecond: z.number().optional(),
  }),
});

/** Reads and writes one provider's keys. Reads throw when KV fails; null means that nothing (readable) is stored. */
export class QuotaKv {
  readonly #kv: KVNamespace;
  readonly #provider: string;

  constructor(kv: KVNamespace, provider: string) {
    this.#kv = kv;
    this.#provider = provider;
  }

  async snapshot(): Promise<LedgerSnapshot | null> {
    const stored = snapshotSchema.safeParse(await this.#kv.get(`snapshot:${this.#provider}`, "json"));
    return stored.success ? (stored.data as LedgerSnapshot) : null;
  }

  async putSnapshot(snapshot: LedgerSnapshot): Promise<void> {
    await this.#kv.put(`snapshot:${this.#provider}`, JSON.stringify(snapshot));
  }

  async mirror(): Promise<SettingsMirror | null> {
    const stored = mirrorSchema.safeParse(await this.#kv.get(`settings:${this.#provider}`, "json"));
    return stored.success ? (stored.data as SettingsMirror) : null;
  }

  async putMirror(mirror: SettingsMirror): Promise<void> {
    await this.#kv.put(`settings:${this.#provider}`, JSON.stringify(mirror));
  }
}

interface Remembered {
  readonly mirror: SettingsMirror | null;
  readonly readAt: number;
}

/** How long an instance believes what it read: other instances follow a change within 10 s. */
const SWITCH_BELIEVED_MS = 10_000;

/**
 * The enforcement switch as this instance knows it. It is consulted only when the ledger is away (the ledger knows its own), so a
 * grant never waits for KV.
 */
export class EnforcementSwitchReader {
  readonly #kv: QuotaKv;
  #remembered: Remembered | null = null;

  constructor(kv: QuotaKv) {
    this.#kv = kv;
  }

  /** What was read or set here last; null if nothing yet. */
  get known(): EnforcementSwitch | null {
    return this.#remembered?.mirror?.enforcement ?? null;
  }

  /** The operator's choice, null where there is none or KV fails and nothing was read before. */
  async current(now: number): Promise<Enforcement | null> {
    if (!this.#remembered || Math.abs(now - this.#remembered.readAt) >= SWITCH_BELIEVED_MS) {
      try {
        this.#remembered = { mirror: await this.#kv.mirror(), readAt: now };
      } catch {
        // KV failing changes nothing: what was believed before is still the best there is.
      }
    }
    return this.known?.value ?? null;
  }

  /** Takes effect here at once. */
  set(mirror: SettingsMirror, now: number): void {
    this.#remembered = { mirror, readAt: now };
  }
}
