/** A dump's statements, run on an empty database. */
import { eachStatement, leadingWords, refusalOf } from "./lexer.ts";

/** The frame of a dump: the caller's transaction takes the place of its own. */
const FRAME = new Set(["PRAGMA", "BEGIN", "COMMIT"]);
/** Values alone, which nothing can be wrong with: the statements of a dump that are many and long. */
const ROWS = /^INSERT INTO ".*VALUES/u;

/** A statement that would end the import's transaction, or that is none. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** A part of a dump. `isLines`: each line is a statement, as today's dumps have it; earlier ones hold line breaks that tenants wrote. */
export function importPiece(sql: SqlStorage, text: string, isLines: boolean): void {
  for (const piece of isLines ? text.split("\n") : [text]) {
    if (isLines && ROWS.test(piece)) sql.exec(piece).toArray();
    else runStatements(sql, piece);
  }
}

/** Throws `Refused` for what would end the transaction. */
export function runStatements(sql: SqlStorage, text: string): void {
  for (const statement of eachStatement(text)) {
    const refusal = refusalOf(statement);
    if (refusal !== null) throw new Refused(refusal);
    if (!FRAME.has(leadingWords(statement, 1)[0] ?? "")) sql.exec(statement.text).toArray();
  }
}
