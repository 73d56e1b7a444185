/** Shared by the library's tests: the provider's log, and a database that fails on demand. */
import { env } from "cloudflare:workers";
import { CATALOG_TABLES } from "../support/catalog-tables.ts";
import { simulator } from "../support/worker.ts";

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly status: number | null;
  readonly billed: number;
  readonly isbns?: string[];
}

const inCatalog = new Set<string>([...CATALOG_TABLES, "moves"]);

/** The database with this table. The main one has tables of the same names from earlier releases. */
export const databaseOf = (table: string): D1Database => (inCatalog.has(table.split(" ")[0] ?? "") ? env.CATALOG : env.DB);

/** Requests that reached the provider, oldest first, without requests for its count. */
export async function sent(): Promise<Sent[]> {
  const requests = await simulator.control<Sent[]>("GET", "/requests?limit=5000");
  return requests.filter(({ path }) => path !== "/key");
}

/** The pages that reached the provider, as `page` of `pageSize`. */
export async function pagesSent(): Promise<string[]> {
  return (await sent()).map(({ path }) => {
    const query = new URL(path, "http://isbndb.test").searchParams;
    return `${query.get("page") ?? "?"} of ${query.get("pageSize") ?? "?"}`;
  });
}

/** Requests one fault from the simulated provider. */
export async function fault(fault: Record<string, unknown>): Promise<void> {
  await simulator.control("POST", "/faults", fault);
}

/** From now on writes to a table fail, as on a broken disk. */
export async function failWrites(table: string): Promise<void> {
  const refuse = (event: string): string =>
    `CREATE TRIGGER fail_${table}_${event} BEFORE ${event} ON ${table} BEGIN SELECT RAISE(ABORT, 'disk broken'); END`;
  const db = databaseOf(table);
  await db.batch(["INSERT", "UPDATE"].map((event) => db.prepare(refuse(event))));
}

export async function healWrites(table: string): Promise<void> {
  const db = databaseOf(table);
  await db.batch(["INSERT", "UPDATE"].map((event) => db.prepare(`DROP TRIGGER fail_${table}_${event}`)));
}

/** From now on every statement on a table fails. */
export async function failTable(table: string): Promise<void> {
  await databaseOf(table).prepare(`ALTER TABLE ${table} RENAME TO away_${table}`).run();
}

export async function healTable(table: string): Promise<void> {
  await databaseOf(table).prepare(`ALTER TABLE away_${table} RENAME TO ${table}`).run();
}

/** A response without the parts that differ between runs. */
export function stableFields(body: Record<string, unknown>): Record<string, unknown> {
  const { duration_ms: _, quota: __, resume: ___, ...rest } = body;
  return rest;
}

/** Waits until the provider has received this many requests. */
export async function requestsArrived(count: number): Promise<void> {
  while ((await sent()).length < count) await new Promise((resolve) => setTimeout(resolve, 10));
}

export async function countRows(table: string): Promise<number> {
  return (await databaseOf(table).prepare(`SELECT count(*) AS n FROM ${table}`).first<number>("n")) ?? 0;
}

/** The given time, this many days later. */
export function daysAfter(time: string, days: number): string {
  return new Date(Date.parse(time) + days * 24 * 60 * 60 * 1_000).toISOString();
}
