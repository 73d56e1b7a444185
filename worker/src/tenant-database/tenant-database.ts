/**
 * TenantDatabase: a project's own SQLite database. One Durable Object a project; its entry methods are the only way in. Each does its work
 * in one synchronous stretch, so that nothing comes between a look and a write, and answers leave only when writes are durable.
 */
import { DurableObject } from "cloudflare:workers";
import { isEmpty } from "./catalog.ts";
import { dumpPart, expectDumpable } from "./dump.ts";
import { orphansIn } from "./foreign-keys.ts";
import { Refused, importPiece, runStatements } from "./import.ts";
import { quoteName } from "./literals.ts";
import { isComplaint, runQuery, sqliteMessage } from "./query.ts";
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
/** Calls between objects carry 32 MiB, and a part may overshoot by a row. */
const MAX_PART_BYTES = 8 * 1024 * 1024;

export class TenantDatabase extends DurableObject {
  readonly #state = new TenantState(this.ctx.storage);

  /** Once or many times: the database is there. */
  async create(): Promise<{ readonly created: boolean; readonly schemaVersion: number }> {
    const created = this.#state.createdAt === null;
    if (created) this.#state.createdAt = Date.now();
    return { created, schemaVersion: this.#state.schemaVersion };
  }

  async state(): Promise<DatabaseState> {
    return this.#state.shown(Date.now());
  }

  /** Everything is gone, as if it had never been. */
  async destroy(): Promise<void> {
    await this.ctx.storage.deleteAll();
  }

  /** One statement, which is one transaction. */
  async query(request: QueryRequest): Promise<QueryAnswer> {
    await this.#enforceForeignKeys(true);
    if (this.#state.importing !== null) return IMPORTING;
    const freeze = { standing: this.#state.standing(Date.now()), end: () => this.#state.endFreeze() };
    const outcome = runQuery(this.ctx.storage, request, freeze);
    if (outcome.result === "frozen") return FROZEN;
    return outcome.result === "rows" ? { ...outcome, schemaVersion: this.#state.schemaVersion } : outcome;
  }

  /** Takes the schema from the version before to this one, once: all of its statements, or none. */
  async migrate(version: number, statements: readonly string[]): Promise<MigrateAnswer> {
    await this.#enforceForeignKeys(true);
    const { schemaVersion, importing } = this.#state;
    if (importing !== null) return IMPORTING;
    if (version <= schemaVersion) return { result: "already", schemaVersion };
    if (version !== schemaVersion + 1) return { result: "out_of_order", schemaVersion };
    if (this.#state.standing(Date.now()) === "held") return FROZEN;
    const failure = this.#attempt(() => {
      this.#state.endFreeze();
      for (const statement of statements) runStatements(this.ctx.storage.sql, statement);
      this.#state.schemaVersion = version;
    });
    return failure === null ? { result: "migrated", schemaVersion: version } : { result: "failed", message: failure };
  }

  /**
   * Stops writes for whoever dumps it. The same id again renews the lease; every part that is read does so too. With a `mode`, what no dump
   * of it could hold is told instead, and nothing is stopped.
   */
  async freeze(id: string, mode: DumpPartRequest["mode"] | null = null): Promise<FreezeAnswer> {
    if (this.#state.importing !== null) return IMPORTING;
    const impossible = mode === null ? undefined : possible(() => expectDumpable(readerOf(this.ctx.storage.sql), mode));
    if (impossible !== undefined) return impossible;
    const freeze = this.#state.freeze(id, Date.now());
    return freeze === null ? FROZEN : { result: "frozen", until: freeze.until };
  }

  /** Lets writes through again. Twice, or after another reader's freeze began, it changes nothing. */
  async thaw(id: string): Promise<void> {
    this.#state.thaw(id);
  }

  /** The next part of a dump. The same cursor gives the same part as long as the freeze holds. */
  async dumpPart({ freeze, mode, cursor, maxBytes = DEFAULT_PART_BYTES }: DumpPartRequest): Promise<DumpAnswer> {
    return this.#readFrozen(freeze, (read, schemaVersion) => {
      const part = dumpPart(read, { mode, cursor, maxBytes: Math.min(maxBytes, MAX_PART_BYTES) });
      return { result: "part", ...part, schemaVersion };
    });
  }

  /** The next page of what it holds, read by other code than the dump's. */
  async survey({ freeze, mode, cursor, maxBytes = DEFAULT_PART_BYTES }: DumpPartRequest): Promise<SurveyAnswer> {
    return this.#readFrozen(freeze, (read, schemaVersion) => {
      const page = rolledBack(this.ctx.storage, () => surveyPage(read, { cursor, maxBytes, rows: mode === "full" }));
      return { result: "page", ...page, schemaVersion };
    });
  }

  /** Reads for whoever froze it, and renews the lease. */
  #readFrozen<Answer>(
    freeze: string,
    reading: (read: ReadRows, schemaVersion: number) => Answer,
  ): Answer | { readonly result: "thawed" } | Impossible | Busy {
    if (this.#state.importing !== null) return IMPORTING;
    if (!this.#state.renew(freeze, Date.now())) return { result: "thawed" };
    return possible(() => reading(readerOf(this.ctx.storage.sql), this.#state.schemaVersion));
  }

  /** Whether nothing was written since it was frozen under this id. */
  async isFrozenBy(id: string): Promise<boolean> {
    return this.#state.importing === null && this.#state.renew(id, Date.now());
  }

  /** Opens an empty database for a dump; the same id again tells how many parts are in. */
  async beginImport(id: string): Promise<ImportAnswer> {
    // An earlier release cut dumps elsewhere: what it began is begun again.
    if (this.#state.importing?.id === id && !this.#state.importsParts) await this.destroy();
    const { importing } = this.#state;
    if (importing?.id === id) return { result: "ready", pieces: importing.pieces };
    if (importing !== null) return { result: "conflict", detail: `Another import is under way: ${importing.id}.` };
    // A schema version alone is nothing: the dump brings its own.
    if (!isEmpty(readerOf(this.ctx.storage.sql))) return { result: "conflict", detail: "The database is not empty." };
    await this.create();
    this.#state.importing = { id, pieces: 0 };
    return { result: "ready", pieces: 0 };
  }

  /** A part of a dump, numbered from 0. One that is in already is not taken again. */
  async importPart(id: string, piece: number, sql: string, isLines = false): Promise<ImportAnswer> {
    // Parents may come after their children, in another piece. The whole is checked at the end.
    await this.#enforceForeignKeys(false);
    const { importing } = this.#state;
    if (importing?.id !== id) return { result: "conflict", detail: "No import of this id is under way." };
    if (piece < importing.pieces) return { result: "ready", pieces: importing.pieces };
    if (piece > importing.pieces) return { result: "conflict", detail: `The next part is ${importing.pieces}, not ${piece}.` };
    const failure = this.#attempt(() => {
      importPiece(this.ctx.storage.sql, sql, isLines);
      this.#state.importing = { id, pieces: piece + 1 };
    });
    return failure === null ? { result: "ready", pieces: piece + 1 } : { result: "failed", message: failure };
  }

  /** Opens the database to everybody, or with `freeze` to readers, until it is thawed. Twice is once. */
  async finishImport(id: string, schemaVersion: number, freeze = false): Promise<ImportAnswer> {
    const { importing } = this.#state;
    if (importing === null) return { result: "ready", pieces: 0 };
    if (importing.id !== id) return { result: "conflict", detail: `Another import is under way: ${importing.id}.` };
    this.ctx.storage.transactionSync(() => {
      this.#state.schemaVersion = schemaVersion;
      this.#state.importing = null;
      if (freeze) this.#state.freeze(id, Date.now());
    });
    return { result: "ready", pieces: importing.pieces };
  }

  /** What SQLite finds wrong with it. (The platform refuses `integrity_check`.) */
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

  /** All of it or nothing. What SQLite complains of, in its words; null where all went well. */
  #attempt(work: () => void): string | null {
    const virtual = this.#virtualTables();
    try {
      this.ctx.storage.transactionSync(() => {
        try {
          work();
        } catch (error) {
          // Rolling back a full-text table that was made and filled in one transaction costs the object: it is removed first.
          const made = this.#virtualTables().filter((name) => !virtual.includes(name));
          for (const name of made) this.ctx.storage.sql.exec(`DROP TABLE ${quoteName(name)}`);
          throw error;
        }
      });
      return null;
    } catch (error) {
      if (error instanceof Refused) return error.message;
      if (isComplaint(error)) return sqliteMessage(error);
      throw error;
    }
  }

  #virtualTables(): string[] {
    const found = this.ctx.storage.sql.exec<{ name: string }>(
      "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'virtual'",
    );
    return found.toArray().map(({ name }) => name);
  }

  /** SQLite hears this only between two transactions, and what was written last may still be in one: then it is waited for. */
  async #enforceForeignKeys(on: boolean): Promise<void> {
    const { sql } = this.ctx.storage;
    const enforced = (): boolean => sql.exec<{ foreign_keys: number }>("PRAGMA foreign_keys").one().foreign_keys === 1;
    for (let tries = 0; enforced() !== on; tries += 1) {
      if (tries > 3) throw new Error("The connection does not leave its transaction");
      if (tries > 0) await this.ctx.storage.sync();
      sql.exec(`PRAGMA foreign_keys = ${on ? "ON" : "OFF"}`);
    }
  }
}

/** What work comes to; also where SQLite complains of it, or there is no SQL for what is there. */
function possible<Result>(work: () => Result): Result | Impossible {
  try {
    return work();
  } catch (error) {
    if (error instanceof Undumpable) return { result: "impossible", detail: error.message };
    if (isComplaint(error)) return { result: "impossible", detail: `SQLite cannot read it: ${sqliteMessage(error)}.` };
    throw error;
  }
}
