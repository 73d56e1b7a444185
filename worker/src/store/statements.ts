/** Counts the D1 statements of one invocation. The platform allows 1,000, and counts every statement of a batch. */

/**
 * Long work stops after this many statements and continues in another invocation. The rest of the 1,000 is for the step in progress and for
 * the end of the job.
 */
const ENOUGH_STATEMENTS = 800;

/** A database that counts. Each of its statements is run once, so preparing one counts. */
export class CountedDatabase implements D1Database {
  readonly #db: D1Database;
  readonly #count: { statements: number };

  /** The databases of an invocation share one count. */
  constructor(db: D1Database, sharedWith?: CountedDatabase) {
    this.#db = db;
    this.#count = sharedWith === undefined ? { statements: 0 } : sharedWith.#count;
  }

  /** Key for knowledge that outlives an invocation. */
  get binding(): D1Database {
    return this.#db;
  }

  get statements(): number {
    return this.#count.statements;
  }

  /** Whether long work must continue elsewhere. */
  get isUsedUp(): boolean {
    return this.#count.statements >= ENOUGH_STATEMENTS;
  }

  prepare(sql: string): D1PreparedStatement {
    this.#count.statements += 1;
    return this.#db.prepare(sql);
  }

  async batch<Row = unknown>(statements: D1PreparedStatement[]): Promise<D1Result<Row>[]> {
    return this.#db.batch<Row>(statements);
  }

  async exec(sql: string): Promise<D1ExecResult> {
    return this.#db.exec(sql);
  }

  withSession(constraintOrBookmark?: string): D1DatabaseSession {
    return this.#db.withSession(constraintOrBookmark);
  }

  async dump(): Promise<ArrayBuffer> {
    return this.#db.dump();
  }
}
