/** What monitoring counts, for ever: written in the transaction of what it counts, so that neither is there without the other. */
import type { LedgerStore } from "./ledger-store.ts";
import type { RefusedBy, Tally } from "./types.ts";

export class LedgerTallies {
  readonly #sql: SqlStorage;
  readonly #store: LedgerStore;

  constructor(sql: SqlStorage, store: LedgerStore) {
    this.#sql = sql;
    this.#store = store;
  }

  add(name: Tally["name"], label: string, count = 1): void {
    const sql = "INSERT INTO tallies (name, label, count) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count";
    this.#sql.exec(sql, name, label, count);
  }

  /** Refusals, or what would have been some: in the day's history, too. */
  refused(name: "refusals" | "would_refuse", by: RefusedBy, date: string, count = 1): void {
    this.#store.countInDay(date, name === "refusals" ? "refused" : name, count);
    this.add(name, by, count);
  }

  all(): Tally[] {
    return this.#sql.exec<Tally>("SELECT name, label, count FROM tallies ORDER BY name, label").toArray();
  }
}
