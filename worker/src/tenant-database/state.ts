/**
 * What the object remembers beside the project's tables. It stands in the platform's key-value store, whose table SQL can neither read
 * nor write, and takes part in transactions: no name of the project's is taken, and nothing it runs can reach this.
 */
import type { Busy, DatabaseState } from "./types.ts";

/** How long a dump may pause between two parts. A dead reader stops a project's writes no longer than this. */
export const FREEZE_LEASE_MS = 120_000;
/** After which a writer looks again whether the dump is through. */
const RETRY_FROZEN_SECONDS = 5;
const RETRY_IMPORTING_SECONDS = 30;

interface Freeze {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly until: number;
}

interface Import {
  readonly id: string;
  /** Parts that are in. */
  readonly pieces: number;
}

/** What earlier releases left behind has no unit: they cut a dump into pieces of their own. */
type StoredImport = Import & { readonly unit?: "part" };

export class TenantState {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  get schemaVersion(): number {
    return this.#storage.kv.get<number>("schema_version") ?? 0;
  }

  set schemaVersion(version: number) {
    this.#storage.kv.put("schema_version", version);
  }

  get createdAt(): number | null {
    return this.#storage.kv.get<number>("created_at") ?? null;
  }

  set createdAt(at: number) {
    this.#storage.kv.put("created_at", at);
  }

  get importing(): Import | null {
    const { id, pieces } = this.#storage.kv.get<StoredImport>("import") ?? {};
    return id === undefined || pieces === undefined ? null : { id, pieces };
  }

  /** Whether the import that is under way counts parts, or has none yet. */
  get importsParts(): boolean {
    const { pieces, unit } = this.#storage.kv.get<StoredImport>("import") ?? {};
    return unit === "part" || pieces === 0;
  }

  set importing(value: Import | null) {
    if (value === null) this.#storage.kv.delete("import");
    else this.#storage.kv.put("import", { ...value, unit: "part" });
  }

  get frozen(): Freeze | null {
    return this.#storage.kv.get<Freeze>("freeze") ?? null;
  }

  /** Another reader's freeze that holds is left alone. */
  freeze(id: string, now: number): Freeze | null {
    const { frozen } = this;
    if (frozen !== null && frozen.id !== id && frozen.until > now) return null;
    const freeze = { id, until: now + FREEZE_LEASE_MS };
    this.#storage.kv.put("freeze", freeze);
    return freeze;
  }

  /** A lease that ran out still tells the truth if nobody has written since: then it goes on. */
  renew(id: string, now: number): boolean {
    if (this.frozen?.id !== id) return false;
    return this.freeze(id, now) !== null;
  }

  thaw(id: string): void {
    if (this.frozen?.id === id) this.endFreeze();
  }

  /** What a write meets. `expired`: the lease ran out, and whoever writes ends it, so that its reader learns that something was written. */
  standing(now: number): "none" | "held" | "expired" {
    const { frozen } = this;
    if (frozen === null) return "none";
    return frozen.until > now ? "held" : "expired";
  }

  endFreeze(): void {
    this.#storage.kv.delete("freeze");
  }

  shown(now: number): DatabaseState {
    const { createdAt, schemaVersion, frozen, importing } = this;
    return {
      createdAt,
      schemaVersion,
      sizeBytes: this.#storage.sql.databaseSize,
      frozen: frozen !== null && frozen.until > now ? frozen : null,
      importing,
    };
  }
}

export const FROZEN: Busy = { result: "busy", why: "frozen", retryAfterSeconds: RETRY_FROZEN_SECONDS };
export const IMPORTING: Busy = { result: "busy", why: "importing", retryAfterSeconds: RETRY_IMPORTING_SECONDS };
