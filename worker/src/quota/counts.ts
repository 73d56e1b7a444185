/** The provider's counts of a day, kept as proof for refunds. One SQL operation per function, synchronous. */

export interface KeptCount {
  readonly date: string;
  /** Number of the five-minute part within the day. One count is kept for each. */
  readonly part: number;
  readonly at: number;
  /** Calls that the provider had counted. */
  readonly spent: number;
  /** Calls that the ledger had charged or reserved by then: all that `spent` can contain. */
  readonly taken: number;
}

export class LedgerCounts {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** Keeps only the stronger proof for each part of a day. */
  keep({ date, part, at, spent, taken }: KeptCount): void {
    const sql = `INSERT INTO counts (date, part, at, spent, taken) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
      SET at = excluded.at, spent = excluded.spent, taken = excluded.taken WHERE excluded.spent - excluded.taken > spent - taken`;
    this.#sql.exec(sql, date, part, at, spent, taken);
  }

  /** Spent minus taken calls in a day's part, null if no count is kept. The higher it is, the stronger the proof. */
  proofOf(date: string, part: number): number | null {
    const sql = "SELECT spent - taken AS proof FROM counts WHERE date = ? AND part = ?";
    return this.#sql.exec<{ proof: number }>(sql, date, part).toArray()[0]?.proof ?? null;
  }

  /** The strongest proof up to `until`: after it, the provider can have counted the fewest of the ledger's charges. */
  bestProof(date: string, until: number): KeptCount | null {
    const sql = "SELECT * FROM counts WHERE date = ? AND at <= ? ORDER BY spent - taken DESC, at LIMIT 1";
    return this.#sql.exec<KeptCount & Record<string, SqlStorageValue>>(sql, date, until).toArray()[0] ?? null;
  }

  /** Adds calls that were charged without a reservation: they may have been sent before any of these counts. */
  addTaken(date: string, calls: number): void {
    this.#sql.exec("UPDATE counts SET taken = taken + ? WHERE date = ?", calls, date);
  }

  /** Deletes the counts after an operator's correction: they no longer prove anything. */
  forget(date: string): void {
    this.#sql.exec("DELETE FROM counts WHERE date = ?", date);
  }

  purge(oldestDay: string): void {
    this.#sql.exec("DELETE FROM counts WHERE date < ?", oldestDay);
  }
}
