/** The provider's counts of a day, as they were taken in: what a refund is proven with. One SQL operation per function, synchronous. */

export interface KeptCount {
  readonly date: string;
  /** Of the day: one count is kept of each. */
  readonly part: number;
  readonly at: number;
  /** Calls that the provider had counted. */
  readonly spent: number;
  /** Calls that we had charged or reserved at that moment: all that may be part of `spent`. */
  readonly taken: number;
}

export class LedgerCounts {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The better proof of two, where this part of the day has one already. */
  keep({ date, part, at, spent, taken }: KeptCount): void {
    const sql = `INSERT INTO counts (date, part, at, spent, taken) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
      SET at = excluded.at, spent = excluded.spent, taken = excluded.taken WHERE excluded.spent - excluded.taken > spent - taken`;
    this.#sql.exec(sql, date, part, at, spent, taken);
  }

  /** The count of a part of the day, as a proof; null where it has none. */
  proofOf(date: string, part: number): number | null {
    const sql = "SELECT spent - taken AS proof FROM counts WHERE date = ? AND part = ?";
    return this.#sql.exec<{ proof: number }>(sql, date, part).toArray()[0]?.proof ?? null;
  }

  /** The one, up to `until`, from which on the fewest of our charges can have been counted. */
  bestProof(date: string, until: number): KeptCount | null {
    const sql = "SELECT * FROM counts WHERE date = ? AND at <= ? ORDER BY spent - taken DESC, at LIMIT 1";
    return this.#sql.exec<KeptCount & Record<string, SqlStorageValue>>(sql, date, until).toArray()[0] ?? null;
  }

  /** Calls that were charged without a reservation may have been sent before any of these counts. */
  take(date: string, calls: number): void {
    this.#sql.exec("UPDATE counts SET taken = taken + ? WHERE date = ?", calls, date);
  }

  /** After an operator's correction: what was counted before proves nothing any more. */
  forget(date: string): void {
    this.#sql.exec("DELETE FROM counts WHERE date = ?", date);
  }

  purge(oldestDay: string): void {
    this.#sql.exec("DELETE FROM counts WHERE date < ?", oldestDay);
  }
}
