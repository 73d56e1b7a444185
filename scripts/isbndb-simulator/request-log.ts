/** Log of requests and their cost in SQLite, with one SQL operation per function. Synchronous. */
import { z } from "zod";

const isbnsSchema = z.array(z.string());

/** Number of requests in the log. Totals also count older ones. */
export const LOG_LENGTH = 5_000;

export interface LoggedRequest {
  at: string;
  method: string;
  path: string;
  /** null until a response is sent. Stays null after a client's timeout. */
  status: number | null;
  billed: number;
  isbns?: string[];
}

export const createTables = (sql: SqlStorage): void => {
  sql.exec(`
    CREATE TABLE IF NOT EXISTS requests (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
      status INTEGER, billed INTEGER NOT NULL, isbns TEXT);
    CREATE TABLE IF NOT EXISTS endpoints (endpoint TEXT PRIMARY KEY, requests INTEGER NOT NULL, billed_requests INTEGER NOT NULL, calls INTEGER NOT NULL);
  `);
};

/** Ids are not reused, so that a late response never changes a newer entry. */
export const clearTables = (sql: SqlStorage): void => {
  sql.exec("DELETE FROM requests; DELETE FROM endpoints;");
};

export const logRequest = (
  sql: SqlStorage,
  now: number,
  method: string,
  path: string,
  billed: number,
  isbns: readonly string[] | undefined,
): number =>
  sql
    .exec<{ id: number }>(
      "INSERT INTO requests (at_ms, method, path, billed, isbns) VALUES (?, ?, ?, ?, ?) RETURNING id",
      now,
      method,
      path,
      billed,
      isbns === undefined ? null : JSON.stringify(isbns),
    )
    .one().id;

export const logStatus = (sql: SqlStorage, id: number, status: number): void => {
  sql.exec("UPDATE requests SET status = ? WHERE id = ?", status, id);
};

export const trimLog = (sql: SqlStorage, newestId: number): void => {
  sql.exec("DELETE FROM requests WHERE id <= ?", newestId - LOG_LENGTH);
};

/** Latest requests, newest last. */
export const latestRequests = (sql: SqlStorage, limit: number): LoggedRequest[] =>
  sql
    .exec<{ at_ms: number; method: string; path: string; status: number | null; billed: number; isbns: string | null }>(
      "SELECT at_ms, method, path, status, billed, isbns FROM requests ORDER BY id DESC LIMIT ?",
      limit,
    )
    .toArray()
    .toReversed()
    .map(({ at_ms, isbns, ...request }) => ({
      at: new Date(at_ms).toISOString(),
      ...request,
      ...(isbns === null ? {} : { isbns: isbnsSchema.parse(JSON.parse(isbns)) }),
    }));

export interface EndpointTotals {
  requests: number;
  billed_requests: number;
  calls: number;
}

export const countEndpoint = (sql: SqlStorage, endpoint: string, calls: number): void => {
  sql.exec(
    `INSERT INTO endpoints VALUES (?, 1, ?, ?) ON CONFLICT (endpoint) DO UPDATE
     SET requests = requests + 1, billed_requests = billed_requests + excluded.billed_requests, calls = calls + excluded.calls`,
    endpoint,
    calls > 0 ? 1 : 0,
    calls,
  );
};

export const readEndpoints = (sql: SqlStorage): Record<string, EndpointTotals> =>
  Object.fromEntries(
    sql
      .exec<{ endpoint: string; requests: number; billed_requests: number; calls: number }>("SELECT * FROM endpoints ORDER BY endpoint")
      .toArray()
      .map(({ endpoint, ...totals }) => [endpoint, totals]),
  );
