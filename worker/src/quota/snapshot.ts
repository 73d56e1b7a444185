/**
 * What KV holds: the ledger's published snapshot, and the enforcement switch with the mirror of the settings. KV never decides a
 * grant: it is read everywhere and written rarely. A key takes one write a second: the ledger writes, and the API
 * only while the ledger is away.
 */
import { z } from "zod";
import { ENFORCEMENTS } from "../env.ts";
import type { Enforcement } from "../env.ts";
import { inTime } from "../lib/in-time.ts";
import type { KnownPrice } from "./billing.ts";
import { status } from "./protocol.ts";
import { publicStatus } from "./status.ts";
import type { CallerTotals, EnforcementSwitch, QuotaStatus, SettingsMirror } from "./types.ts";

/** The snapshot is published when it changed, at most this often. */
export const SNAPSHOT_EVERY_MS = 5_000;
/** One write a second and key is KV's limit; a little more keeps clear of it. */
export const MIRROR_EVERY_MS = 1_100;

export interface LedgerSnapshot {
  /** With projects summed up: what anybody may see. */
  readonly status: QuotaStatus;
  /** Charged and reserved calls by caller, the largest projects by name and the others in one line: what a recovery begins with. */
  readonly callers: readonly CallerTotals[];
  /** What the provider had counted when an operator last set today's count. */
  readonly providerBase: number;
  readonly learnedPrice: KnownPrice | null;
}

const calls = z.number().int();
const price = z.object({ price: z.enum(["per_request", "per_isbn"]), source: z.enum(["configured", "observed", "assumed"]) });

const snapshotSchema = z.object({
  status,
  // Absent: of the first releases, whose status names every caller.
  callers: z.array(z.object({ caller: z.string(), used: calls, reserved: calls })).optional(),
  providerBase: calls,
  learnedPrice: price.nullable(),
});

/** Who held what is not known of a snapshot of the first releases, only how much. */
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

/** KV that has not answered by then is as good as failing: nothing may wait for it longer. */
const KV_TIMEOUT_MS = 2_000;

/** Reads and writes one provider's keys. Reads throw when KV fails; null means that nothing is stored. */
export class QuotaKv {
  readonly #kv: KVNamespace;
  readonly #provider: string;

  constructor(kv: KVNamespace, provider: string) {
    this.#kv = kv;
    this.#provider = provider;
  }

  /** Throws where something is stored that cannot be read: that is no zero. */
  async snapshot(): Promise<LedgerSnapshot | null> {
    const stored = await this.#get("snapshot");
    if (stored === null) return null;
    const parsed = snapshotSchema.safeParse(stored);
    if (!parsed.success) throw new Error("The stored snapshot is not readable");
    const { callers, ...snapshot } = parsed.data;
    const status = snapshot.status as unknown as QuotaStatus;
    if (callers === undefined) return { ...snapshot, status: publicStatus(status), callers: totalsIn(status) };
    return { ...snapshot, status, callers };
  }

  async putSnapshot(snapshot: LedgerSnapshot): Promise<void> {
    await this.#put("snapshot", snapshot);
  }

  /** Settings that cannot be read are as good as none: the configured ones are a sound beginning. */
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

interface Remembered {
  readonly mirror: SettingsMirror | null;
  readonly readAt: number;
}

/** How long an instance believes what it read: other instances follow a change within 10 s. */
const SWITCH_BELIEVED_MS = 10_000;

/**
 * The enforcement switch as this instance knows it. It is read only when the ledger is away, so a grant never waits for KV; what is
 * known goes with every reservation, so that a ledger that was away follows.
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
        this.#remember(await this.#kv.mirror(), now);
      } catch {
        // KV failing changes nothing: what was believed before is still the best there is.
      }
    }
    return this.known?.value ?? null;
  }

  /** Takes effect here at once. */
  set(mirror: SettingsMirror, now: number): void {
    this.#remember(mirror, now);
  }

  /** KV may still show what was before a change made here: the later of two switches wins. */
  #remember(mirror: SettingsMirror | null, now: number): void {
    const older = this.known !== null && (mirror === null || mirror.enforcement.changedAt < this.known.changedAt);
    this.#remembered = { mirror: older ? (this.#remembered?.mirror ?? null) : mirror, readAt: now };
  }
}
