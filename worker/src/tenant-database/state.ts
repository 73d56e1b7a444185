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
  /** Pieces that are in. */
  readonly pieces: number;
}

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
    return this.#storage.kv.get<Import>("import") ?? null;
  }

  set importing(value: Import | null) {
    if (value === null) this.#storage.kv.delete("import");
    else this.#storage.kv.put("import", value);
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
    if (this.frozen?.id === id) this.#storage.kv.delete("freeze");
  }

  /** Asked before every write. A lease that ran out ends here, so that its reader learns that something was written. */
  mayWrite(now: number): boolean {
    const { frozen } = this;
    if (frozen === null) return true;
    if (frozen.until > now) return false;
    this.#storage.kv.delete("freeze");
    return true;
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
