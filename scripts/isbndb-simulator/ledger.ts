/** Count, settings and faults in SQLite, with one SQL operation per function. Synchronous. Times are arguments. */
import { faultSchema } from "./faults.ts";
import type { Fault, ListedFault } from "./faults.ts";
import { MINUTE_MS } from "./plan.ts";
import type { Usage } from "./plan.ts";
import { DEFAULT_SETTINGS, parseStored } from "./settings.ts";
import type { Settings } from "./settings.ts";

export const createTables = (sql: SqlStorage): void => {
  sql.exec(`
    CREATE TABLE IF NOT EXISTS settings (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL, clock_offset_ms INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS days (day TEXT PRIMARY KEY, spent INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS grants (at_ms INTEGER NOT NULL);
    CREATE INDEX IF NOT EXISTS grants_by_time ON grants (at_ms);
    CREATE TABLE IF NOT EXISTS faults (id INTEGER PRIMARY KEY AUTOINCREMENT, json TEXT NOT NULL, matched INTEGER NOT NULL);
  `);
};

export const clearTables = (sql: SqlStorage): void => {
  sql.exec("DELETE FROM settings; DELETE FROM days; DELETE FROM grants; DELETE FROM faults;");
};

export const readSettings = (sql: SqlStorage): { settings: Settings; clockOffsetMs: number } => {
  const [row] = sql.exec<{ json: string; clock_offset_ms: number }>("SELECT json, clock_offset_ms FROM settings").toArray();
  if (row === undefined) return { settings: DEFAULT_SETTINGS, clockOffsetMs: 0 };
  return { settings: parseStored(row.json), clockOffsetMs: row.clock_offset_ms };
};

export const writeSettings = (sql: SqlStorage, settings: Settings, clockOffsetMs: number): void => {
  sql.exec("INSERT OR REPLACE INTO settings VALUES (1, ?, ?)", JSON.stringify(settings), clockOffsetMs);
};

export const readUsage = (sql: SqlStorage, day: string, now: number): Usage =>
  sql
    .exec<{ spent: number; recent: number; oldestAt: number | null }>(
      `SELECT coalesce((SELECT spent FROM days WHERE day = ?), 0) AS spent, count(*) AS recent, min(at_ms) AS oldestAt
       FROM grants WHERE at_ms > ? AND at_ms <= ?`,
      day,
      now - MINUTE_MS,
      now,
    )
    .one();

export const addSpent = (sql: SqlStorage, day: string, calls: number): void => {
  sql.exec("INSERT INTO days VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET spent = spent + excluded.spent", day, calls);
};

export const addGrant = (sql: SqlStorage, now: number): void => {
  sql.exec("INSERT INTO grants VALUES (?)", now);
};

/** Deletes grants before the rolling minute, and grants in the future after the clock was set back. */
export const dropGrantsOutside = (sql: SqlStorage, now: number): void => {
  sql.exec("DELETE FROM grants WHERE at_ms <= ? OR at_ms > ?", now - MINUTE_MS, now);
};

export const listFaults = (sql: SqlStorage): ListedFault[] =>
  sql
    .exec<{ id: number; json: string; matched: number }>("SELECT id, json, matched FROM faults ORDER BY id")
    .toArray()
    .map(({ id, json, matched }) => ({ id, fault: faultSchema.parse(JSON.parse(json)), matched }));

export const addFault = (sql: SqlStorage, fault: Fault): void => {
  sql.exec("INSERT INTO faults (json, matched) VALUES (?, 0)", JSON.stringify(fault));
};

export const countFault = (sql: SqlStorage, { id, matched }: ListedFault): void => {
  sql.exec("UPDATE faults SET matched = ? WHERE id = ?", matched, id);
};

export const removeFault = (sql: SqlStorage, id: number): void => {
  sql.exec("DELETE FROM faults WHERE id = ?", id);
};

export const removeFaults = (sql: SqlStorage): void => {
  sql.exec("DELETE FROM faults");
};
