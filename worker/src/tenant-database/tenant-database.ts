/**
 * TenantDatabase: a project's own SQLite database, in one Durable Object for each project. Only its methods reach the database. Each method
 * works synchronously, so no other request runs between a check and a write. Answers are sent only after the writes are durable.
 */
import { DurableObject } from "cloudflare:workers";
import { isEmpty } from "./catalog.ts";
import { dumpPart, expectDumpable } from "./dump.ts";
import { orphansIn } from "./foreign-keys.ts";
import { Refused, importPiece, runStatements } from "./import.ts";
import { quoteName } from "./literals.ts";
import { isSqlError, runQuery, sqliteMessage } from "./query.ts";
import { readerOf, rolledBack } from "./sql-reader.ts";
import { FROZEN, IMPORTING, TenantState } from "./state.ts";
import { surveyPage } from "./survey.ts";
import type { ReadRows } from "./reader.ts";
import type {
  Busy,
  Checks,
  DatabaseState,
  DumpAnswer,
  DumpPartRequest,
  FreezeAnswer,
  Impossible,
  ImportAnswer,
  MigrateAnswer,
  QueryAnswer,
  QueryRequest,
  SurveyAnswer,
} from "./types.ts";
import { Undumpable } from "./undumpable.ts";

const DEFAULT_PART_BYTES = 1024 * 1024;
/** A call between objects can carry 32 MiB, and a part may exceed its limit by one row. */
const MAX_PART_BYTES = 8 * 1024 * 1024;

export class TenantDatabase extends DurableObject {
  readonly #state = new TenantState(this.ctx.storage);

  /** Creates the database. Idempotent. */
  async create(): Promise<{ readonly created: boolean; readonly schemaVersion: number }> {
    const created = this.#state.createdAt === null;
    if (created) this.#state.createdAt = Date.now();
    return { created, schemaVersion: this.#state.schemaVersion };
  }

  async state(): Promise<DatabaseState> {
    return this.#state.describe(Date.now());
  }

  /** Deletes all data, including the object's state. */
  async destroy(): Promise<void> {
    await this.ctx.storage.deleteAll();
  }

  /** Runs one statement in one transaction. */
  async query(request: QueryRequest): Promise<QueryAnswer> {
    await this.#enforceForeignKeys(true);
    if (this.#state.importing !== null) return IMPORTING;
    const freeze = { status: this.#state.freezeStatus(Date.now()), end: () => this.#state.endFreeze() };
    const outcome = runQuery(this.ctx.storage, request, freeze);
    if (outcome.result === "frozen") return FROZEN;
    return outcome.result === "rows" ? { ...outcome, schemaVersion: this.#state.schemaVersion } : outcome;
  }

  /** Applies a schema version once, after the previous version: all of its statements, or none. */
  async migrate(version: number, statements: readonly string[]): Promise<MigrateAnswer> {
    await this.#enforceForeignKeys(true);
    const { schemaVersion, importing } = this.#state;
    if (importing !== null) return IMPORTING;
    if (version <= schemaVersion) return { result: "already", schemaVersion };
    if (version !== schemaVersion + 1) return { result: "out_of_order", schemaVersion };
    if (this.#state.freezeStatus(Date.now()) === "active") return FROZEN;
    const failure = this.#attempt(() => {
      this.#state.endFreeze();
      for (const statement of statements) runStatements(this.ctx.storage.sql, statement);
      this.#state.schemaVersion = version;
    });
    return failure === null ? { result: "migrated", schemaVersion: version } : { result: "failed", message: failure };
  }

  /**
   * Blocks writes for a dump. A call with the same id renews the lease, and so does each part that is read. With a `mode`, it first checks
   * that a dump can hold the content, and does not freeze otherwise.
   */
  async freeze(id: string, mode: DumpPartRequest["mode"] | null = null): Promise<FreezeAnswer> {
    if (this.#state.importing !== null) return IMPORTING;
    const impossible = mode === null ? undefined : orImpossible(() => this.#expectDumpable(mode));
    if (impossible !== undefined) return impossible;
    const freeze = this.#state.freeze(id, Date.now());
    return freeze === null ? FROZEN : { result: "frozen", until: freeze.until };
  }

  #expectDumpable(mode: DumpPartRequest["mode"]): undefined {
    rolledBack(this.ctx.storage, () => expectDumpable(readerOf(this.ctx.storage.sql), mode));
  }

  /** Allows writes again. Idempotent, and without effect on another reader's freeze. */
  async thaw(id: string): Promise<void> {
    this.#state.thaw(id);
  }

  /** Reads the next part of a dump. During a freeze, the same cursor gives the same part. */
  async dumpPart({ freeze, mode, cursor, maxBytes = DEFAULT_PART_BYTES }: DumpPartRequest): Promise<DumpAnswer> {
    return this.#readFrozen(freeze, (read, schemaVersion) => {
      const part = dumpPart(read, { mode, cursor, maxBytes: Math.min(maxBytes, MAX_PART_BYTES) });
      return { result: "part", ...part, schemaVersion };
    });
  }

  /** Reads the next page of a summary, with code that the dump does not use. */
  async survey({ freeze, mode, cursor, maxBytes = DEFAULT_PART_BYTES }: DumpPartRequest): Promise<SurveyAnswer> {
    return this.#readFrozen(freeze, (read, schemaVersion) => {
      const page = rolledBack(this.ctx.storage, () => surveyPage(read, { cursor, maxBytes, rows: mode === "full" }));
      return { result: "page", ...page, schemaVersion };
    });
  }

  /** Renews the freeze, and reads. */
  #readFrozen<Answer>(
    freeze: string,
    reading: (read: ReadRows, schemaVersion: number) => Answer,
  ): Answer | { readonly result: "thawed" } | Impossible | Busy {
    if (this.#state.importing !== null) return IMPORTING;
    if (!this.#state.renew(freeze, Date.now())) return { result: "thawed" };
    return orImpossible(() => reading(readerOf(this.ctx.storage.sql), this.#state.schemaVersion));
  }

  /** Whether no write took place since the freeze with this id. Renews the lease. */
  async isFrozenBy(id: string): Promise<boolean> {
    return this.#state.importing === null && this.#state.renew(id, Date.now());
  }

  /** Starts an import into an empty database. A call with the same id returns the number of imported parts. */
  async beginImport(id: string): Promise<ImportAnswer> {
    // Earlier releases split dumps differently. Such an import starts again.
    if (this.#state.importing?.id === id && !this.#state.importsParts) await this.destroy();
    const { importing } = this.#state;
    if (importing?.id === id) return { result: "ready", pieces: importing.pieces };
    if (importing !== null) return { result: "conflict", detail: `Another import is in progress: ${importing.id}.` };
    // A schema version without tables does not matter, because the dump has its own.
    if (!isEmpty(readerOf(this.ctx.storage.sql))) return { result: "conflict", detail: "The database is not empty." };
    await this.create();
    this.#state.importing = { id, pieces: 0 };
    return { result: "ready", pieces: 0 };
  }

  /** Imports a part of a dump, numbered from 0. An imported part is not imported again. */
  async importPart(id: string, piece: number, sql: string, isLines = false): Promise<ImportAnswer> {
    // A later part may hold the parents. `checks` finds missing parents at the end.
    await this.#enforceForeignKeys(false);
    const { importing } = this.#state;
    if (importing?.id !== id) return { result: "conflict", detail: "No import with this id is in progress." };
    if (piece < importing.pieces) return { result: "ready", pieces: importing.pieces };
    if (piece > importing.pieces) return { result: "conflict", detail: `The next part is ${importing.pieces}, not ${piece}.` };
    const failure = this.#attempt(() => {
      importPiece(this.ctx.storage.sql, sql, isLines);
      this.#state.importing = { id, pieces: piece + 1 };
    });
    return failure === null ? { result: "ready", pieces: piece + 1 } : { result: "failed", message: failure };
  }

  /** Opens the database. With `freeze`, only for reads until `thaw`. Idempotent. */
  async finishImport(id: string, schemaVersion: number, freeze = false): Promise<ImportAnswer> {
    const { importing } = this.#state;
    if (importing === null) return { result: "ready", pieces: 0 };
    if (importing.id !== id) return { result: "conflict", detail: `Another import is in progress: ${importing.id}.` };
    this.ctx.storage.transactionSync(() => {
      this.#state.schemaVersion = schemaVersion;
      this.#state.importing = null;
      if (freeze) this.#state.freeze(id, Date.now());
    });
    return { result: "ready", pieces: importing.pieces };
  }

  /** Runs SQLite's checks. (The platform refuses `integrity_check`.) */
  async checks(): Promise<Checks> {
    const { sql } = this.ctx.storage;
    const read = readerOf(sql);
    const found = sql.exec<{ quick_check: string }>("PRAGMA quick_check").toArray();
    const tables = sql.exec<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table' AND instr(upper(sql), 'REFERENCES')");
    return {
      quickCheck: found.map(({ quick_check }) => quick_check).filter((each) => each !== "ok"),
      foreignKeyViolations: tables.toArray().reduce((sum, { name }) => sum + orphansIn(read, name), 0),
    };
  }

  /** Runs `work` in one transaction. Returns SQLite's message, or null on success. */
  #attempt(work: () => void): string | null {
    const virtual = this.#virtualTables();
    try {
      this.ctx.storage.transactionSync(() => {
        try {
          work();
        } catch (error) {
          // A rollback of a full-text table that was created and filled in the same transaction resets the object. So it is dropped first.
          const created = this.#virtualTables().filter((name) => !virtual.includes(name));
          for (const name of created) this.ctx.storage.sql.exec(`DROP TABLE ${quoteName(name)}`);
          throw error;
        }
      });
      return null;
    } catch (error) {
      if (error instanceof Refused) return error.message;
      if (isSqlError(error)) return sqliteMessage(error);
      throw error;
    }
  }

  /** They have no page of their own. */
  #virtualTables(): string[] {
    const found = this.ctx.storage.sql.exec<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage = 0");
    return found.toArray().map(({ name }) => name);
  }

  /** SQLite ignores this setting within a transaction. `sync` waits for the transaction of the previous write. */
  async #enforceForeignKeys(on: boolean): Promise<void> {
    const { sql } = this.ctx.storage;
    const enforced = (): boolean => sql.exec<{ foreign_keys: number }>("PRAGMA foreign_keys").one().foreign_keys === 1;
    for (let attempt = 0; enforced() !== on; attempt += 1) {
      if (attempt > 3) throw new Error("PRAGMA foreign_keys has no effect because a transaction is open");
      if (attempt > 0) await this.ctx.storage.sync();
      sql.exec(`PRAGMA foreign_keys = ${on ? "ON" : "OFF"}`);
    }
  }
}

/** Runs `work`. An error of SQLite, or content that a dump cannot hold, becomes the result `impossible`. */
function orImpossible<Result>(work: () => Result): Result | Impossible {
  try {
    return work();
  } catch (error) {
    if (error instanceof Undumpable) return { result: "impossible", detail: error.message };
    if (isSqlError(error)) return { result: "impossible", detail: `SQLite cannot read the database: ${sqliteMessage(error)}.` };
    throw error;
  }
}
