/** Runs every D1 statement. A failure is the problem `storage_unavailable`, never an empty result. */
import { Problem } from "../errors.ts";
import { errorFields, log } from "../lib/log.ts";
import { jittered, sleep } from "../lib/sleep.ts";

/** Cursor of a list that shows the newest first: the last row of the page before. */
export interface After {
  readonly createdAt: number;
  readonly id: string;
}

/** A condition on a row, with the values of its placeholders. */
export interface Condition {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** A list's WHERE clause from the given conditions only, so that each list uses the index that fits its filters. */
export function where(conditions: readonly (Condition | false)[]): Condition {
  const given = conditions.filter((condition) => condition !== false);
  const sql = given.map((condition) => `(${condition.sql})`).join(" AND ");
  return { sql: given.length === 0 ? "" : `WHERE ${sql}`, values: given.flatMap(({ values }) => values) };
}

/** Cursor condition of a list by sequence number, newest first. */
export const olderThan = (seq: number | null): Condition | false => seq !== null && { sql: "seq < ?", values: [seq] };

/** Cursor condition of a list by time of creation, newest first. */
export const createdBefore = (after: After | null, table: string): Condition | false =>
  after !== null && { sql: `(${table}.created_at, ${table}.id) < (?, ?)`, values: [after.createdAt, after.id] };

const RETRY_AFTER_SECONDS = 5;

interface Repeatable {
  /** Running the statements again changes nothing more, and the result is the same. */
  readonly idempotent?: boolean;
}

/** The database has its maximum size. It reads and deletes, but stores nothing new. */
export class DatabaseFull extends Problem {
  constructor(cause: unknown) {
    super("storage_unavailable", "The database is full.", { retryAfterSeconds: RETRY_AFTER_SECONDS, cause });
  }
}

/** D1's message, and SQLite's. */
const FULL = /exceeded maximum db size|SQLITE_FULL|database or disk is full/iu;

/** Runs statements on D1. Throws `storage_unavailable` if the database fails. Idempotent ones survive a short failure. */
export async function stored<Result>(run: () => Promise<Result>, { idempotent = false }: Repeatable = {}): Promise<Result> {
  try {
    return await (idempotent ? repeated(run) : run());
  } catch (error) {
    if (FULL.test(String(error))) {
      log.error("The database is full", errorFields(error));
      throw new DatabaseFull(error);
    }
    log.error("The database did not answer", errorFields(error));
    throw new Problem("storage_unavailable", "The database did not answer.", { retryAfterSeconds: RETRY_AFTER_SECONDS, cause: error });
  }
}

/** Failures that pass within a second, by D1's messages. The platform repeats reads after them, and never writes. */
const TRANSIENT =
  /network connection lost|caused object to be reset|reset because its code was updated|transient issue on remote node|D1 DB is overloaded/iu;
const REPEAT_PAUSES_MS = [100, 200] as const;
/** A failure after this time means that the database hung. A repetition would make the caller wait twice. */
const REPEAT_WITHIN_MS = 5_000;

async function repeated<Result>(run: () => Promise<Result>): Promise<Result> {
  let inTime = true;
  const timer = setTimeout(() => void (inTime = false), REPEAT_WITHIN_MS);
  try {
    for (const pauseMs of REPEAT_PAUSES_MS) {
      try {
        return await run();
      } catch (error) {
        if (!inTime || !TRANSIENT.test(String(error))) throw error;
        log.warn("The database failed for a moment, retrying", errorFields(error));
      }
      await sleep(jittered(pauseMs));
    }
    return await run();
  } finally {
    clearTimeout(timer);
  }
}

/** A JSON parameter may have 2 MB. This is far below, which keeps statements quick. */
const JSON_PARAMETER_CHARACTERS = 400_000;

/** Splits rows into JSON arrays for `json_each`. D1 binds at most 100 parameters and limits the size of each. */
export function jsonChunks(rows: readonly unknown[]): string[] {
  const chunks: string[] = [];
  let members: string[] = [];
  let size = 0;
  for (const row of rows) {
    const member = JSON.stringify(row);
    if (size > 0 && size + member.length > JSON_PARAMETER_CHARACTERS) {
      chunks.push(`[${members.join(",")}]`);
      members = [];
      size = 0;
    }
    members.push(member);
    size += member.length;
  }
  if (members.length > 0) chunks.push(`[${members.join(",")}]`);
  return chunks;
}

/** Whether a database and its schema are available. Never throws. */
export async function databaseAnswers(db: D1Database, table: "projects" | "moves"): Promise<boolean> {
  try {
    await db.prepare(`SELECT 1 FROM ${table} LIMIT 1`).all();
    return true;
  } catch (error) {
    log.error("The database did not answer", errorFields(error));
    return false;
  }
}

/** Size in bytes, without the space of removed rows. */
export async function databaseSize(db: D1Database): Promise<number> {
  const { meta } = await stored(async () => db.prepare("SELECT 1").run());
  return meta.size_after;
}
