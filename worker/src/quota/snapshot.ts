/**
 * The values in KV: the ledger's published snapshot, and the enforcement switch with the mirror of the settings. KV never decides a
 * grant: it is read everywhere and written rarely. A key accepts one write per second, so the ledger writes. The API writes only while
 * the ledger is unavailable.
 */
import { z } from "zod";
import { ENFORCEMENTS } from "../env.ts";
import type { Enforcement } from "../env.ts";
import { inTime } from "../lib/in-time.ts";
import type { KnownPrice } from "./billing.ts";
import { status } from "./protocol.ts";
import { publicStatus } from "./status.ts";
import type { CallerTotals, EnforcementSwitch, QuotaStatus, SettingsMirror } from "./types.ts";

/**
 * A changed snapshot is published at most this often. Readers see it up to 60 s later anyway, and every snapshot costs a write. A recovery
 * without the provider's count lacks the calls of this time.
 */
export const SNAPSHOT_EVERY_MS = 30_000;
/** KV may return a value up to 60 s after it was replaced, if this location read it before. Plus a margin. */
export const KV_STALE_MS = 61_000;
/** KV accepts one write per second and key. The extra 100 ms are a margin. */
export const MIRROR_EVERY_MS = 1_100;

export interface LedgerSnapshot {
  /** Public status: all projects appear as one total. */
  readonly status: QuotaStatus;
  /** Charged and reserved calls by caller, for a recovery. It names the largest projects and sums up the others. */
  readonly callers: readonly CallerTotals[];
  /** The provider's count at an operator's last correction, minus the corrected count. */
  readonly providerBase: number;
  readonly learnedPrice: KnownPrice | null;
}

const calls = z.number().int();
const price = z.object({ price: z.enum(["per_request", "per_isbn"]), source: z.enum(["configured", "observed", "assumed"]) });

const snapshotSchema = z.object({
  status,
  // Absent in snapshots of the first releases, whose status names every caller.
  callers: z.array(z.object({ caller: z.string(), used: calls, reserved: calls })).optional(),
  providerBase: calls,
  learnedPrice: price.nullable(),
});

/** Totals from a snapshot of the first releases, which gives reserved calls only as a sum. */
function totalsIn({ callers, reserved }: QuotaStatus): CallerTotals[] {
  const used = callers.filter(({ caller }) => caller !== "untracked").map((line) => ({ ...line, reserved: 0 }));
  return reserved === 0 ? used : [...used, { caller: "recovered", used: 0, reserved }];
}

const mirrorSchema = z.object({
  enforcement: z.object({ value: z.enum(ENFORCEMENTS).nullable(), changedAt: z.number() }),
  overrides: z.object({
    dailyLimit: calls.optional(),
    safetyBuffer: calls.optional(),
    backgroundFloor: calls.optional(),
    ratePerSecond: z.number().optional(),
  }),
});

/** Longest wait for KV. Then it counts as failed. */
const KV_TIMEOUT_MS = 2_000;

/** Reads and writes one provider's keys. Reads throw if KV fails. Null means that nothing is stored. */
export class QuotaKv {
  readonly #kv: KVNamespace;
  readonly #provider: string;

  constructor(kv: KVNamespace, provider: string) {
    this.#kv = kv;
    this.#provider = provider;
  }

  /** Throws if the stored snapshot is unreadable, because an unreadable count is not zero. */
  async snapshot(): Promise<LedgerSnapshot | null> {
    const stored = await this.#get("snapshot");
    if (stored === null) return null;
    const parsed = snapshotSchema.safeParse(stored);
    if (!parsed.success) throw new Error("The stored snapshot is unreadable");
    const { callers, ...snapshot } = parsed.data;
    const status = snapshot.status as unknown as QuotaStatus;
    if (callers === undefined) return { ...snapshot, status: publicStatus(status), callers: totalsIn(status) };
    return { ...snapshot, status, callers };
  }

  async putSnapshot(snapshot: LedgerSnapshot): Promise<void> {
    await this.#put("snapshot", snapshot);
  }

  /** Unreadable settings count as missing, because the configured ones can replace them. */
  async mirror(): Promise<SettingsMirror | null> {
    const parsed = mirrorSchema.safeParse(await this.#get("settings"));
    return parsed.success ? (parsed.data as SettingsMirror) : null;
  }

  async putMirror(mirror: SettingsMirror): Promise<void> {
    await this.#put("settings", mirror);
  }

  async #get(key: string): Promise<unknown> {
    return inTime("KV", KV_TIMEOUT_MS, this.#kv.get(`${key}:${this.#provider}`, "json"));
  }

  async #put(key: string, value: object): Promise<void> {
    await inTime("KV", KV_TIMEOUT_MS, this.#kv.put(`${key}:${this.#provider}`, JSON.stringify(value)));
  }
}

interface CachedMirror {
  readonly mirror: SettingsMirror | null;
  readonly readAt: number;
}

/** How long an instance caches the switch. Other instances follow a change within this time plus the minute that KV may be behind. */
const SWITCH_CACHE_MS = 10_000;

/**
 * The enforcement switch, cached in this instance. It is read only while the ledger is unavailable, so a grant never waits for KV. Every
 * reservation carries the cached switch. A ledger that is available again adopts it.
 */
export class EnforcementSwitchReader {
  readonly #kv: QuotaKv;
  #cached: CachedMirror | null = null;

  constructor(kv: QuotaKv) {
    this.#kv = kv;
  }

  /** The switch that this instance last read or set, null if none. */
  get known(): EnforcementSwitch | null {
    return this.#cached?.mirror?.enforcement ?? null;
  }

  /** The operator's choice. Null if there is none, or if KV fails and nothing was read before. */
  async current(now: number): Promise<Enforcement | null> {
    if (!this.#cached || Math.abs(now - this.#cached.readAt) >= SWITCH_CACHE_MS) {
      try {
        this.#cache(await this.#kv.mirror(), now);
      } catch {
        // KV failed, so the cached value stays in force.
      }
    }
    return this.known?.value ?? null;
  }

  /** Takes effect in this instance immediately. */
  set(mirror: SettingsMirror, now: number): void {
    this.#cache(mirror, now);
  }

  /** Keeps the later of two switches: KV may still return the one from before this instance's change. */
  #cache(mirror: SettingsMirror | null, now: number): void {
    const older = this.known !== null && (mirror === null || mirror.enforcement.changedAt < this.known.changedAt);
    this.#cached = { mirror: older ? (this.#cached?.mirror ?? null) : mirror, readAt: now };
  }
}
