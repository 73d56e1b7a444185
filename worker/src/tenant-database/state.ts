/**
 * State of the object outside the project's tables, in the platform's key-value store. SQL can neither read nor write that store, so a
 * project's statements cannot reach the state, and it takes no table name. Writes to it are part of transactions.
 */
import type { Busy, DatabaseState } from "./types.ts";

/** How long a dump may pause between two parts. A reader that died blocks a project's writes for at most this time. */
export const FREEZE_LEASE_MS = 120_000;
/** When a refused writer should try again. */
const RETRY_FROZEN_SECONDS = 5;
const RETRY_IMPORTING_SECONDS = 30;

interface Freeze {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly until: number;
}

interface Import {
  readonly id: string;
  /** Number of imported parts. */
  readonly pieces: number;
}

/** Imports of earlier releases have no unit, because those releases split a dump differently. */
type StoredImport = Import & { readonly unit?: "part" };

export type FreezeStatus = "none" | "active" | "expired";

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

  /** Whether the import in progress counts parts. True before the first part. */
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

  /** Starts or renews a freeze. Null while another reader's freeze is active. */
  freeze(id: string, now: number): Freeze | null {
    const { frozen } = this;
    if (frozen !== null && frozen.id !== id && frozen.until > now) return null;
    const freeze = { id, until: now + FREEZE_LEASE_MS };
    this.#storage.kv.put("freeze", freeze);
    return freeze;
  }

  /** Renews a freeze. An expired lease can be renewed until a write ends it. */
  renew(id: string, now: number): boolean {
    if (this.frozen?.id !== id) return false;
    return this.freeze(id, now) !== null;
  }

  thaw(id: string): void {
    if (this.frozen?.id === id) this.endFreeze();
  }

  /** `expired`: the next write must end the freeze, so that its reader notices the write. */
  freezeStatus(now: number): FreezeStatus {
    const { frozen } = this;
    if (frozen === null) return "none";
    return frozen.until > now ? "active" : "expired";
  }

  endFreeze(): void {
    this.#storage.kv.delete("freeze");
  }

  describe(now: number): DatabaseState {
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
