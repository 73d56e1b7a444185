/** How every statement reaches D1: a failure is the problem `storage_unavailable`, never an empty answer. */
import { Problem } from "../errors.ts";
import { errorFields, log } from "../lib/log.ts";

/** Where a list goes on that shows the newest first: after this row. */
export interface After {
  readonly createdAt: number;
  readonly id: string;
}

/** Something that must hold of a row, with the values of its placeholders. */
export interface Condition {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** A list's WHERE from the conditions that are given, and from no others: so each list finds the index that fits what was asked. */
export function where(conditions: readonly (Condition | false)[]): Condition {
  const given = conditions.filter((condition) => condition !== false);
  const sql = given.map((condition) => `(${condition.sql})`).join(" AND ");
  return { sql: given.length === 0 ? "" : `WHERE ${sql}`, values: given.flatMap(({ values }) => values) };
}

/** Of a list by running number, the newest first: where it goes on. */
export const olderThan = (seq: number | null): Condition | false => seq !== null && { sql: "seq < ?", values: [seq] };

/** Of a list by time of creation, the newest first: where it goes on. */
export const createdBefore = (after: After | null, table: string): Condition | false =>
  after !== null && { sql: `(${table}.created_at, ${table}.id) < (?, ?)`, values: [after.createdAt, after.id] };

const RETRY_AFTER_SECONDS = 5;

/** Runs statements on D1. Throws `storage_unavailable` where the database fails. */
export async function stored<Result>(run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    log.error("The database did not answer", errorFields(error));
    throw new Problem("storage_unavailable", "The database did not answer.", { retryAfterSeconds: RETRY_AFTER_SECONDS, cause: error });
  }
}

/** A JSON parameter may hold 2 MB; far below that, so that a statement stays quick. */
const JSON_PARAMETER_CHARACTERS = 400_000;

/** Lists as JSON arrays for `json_each`: D1 binds at most 100 parameters, and limits the size of each. */
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

/** Whether the database and its schema are there. Never throws. */
export async function databaseAnswers(db: D1Database): Promise<boolean> {
  try {
    await db.prepare("SELECT 1 FROM books LIMIT 1").all();
    return true;
  } catch (error) {
    log.error("The database did not answer", errorFields(error));
    return false;
  }
}
