/** Runs a dump's statements on an empty database. */
import { eachStatement, leadingWords, refusalOf } from "./lexer.ts";

/** The first and last statements of a dump. They are skipped, because the caller has its own transaction. */
const FRAME = new Set(["PRAGMA", "BEGIN", "COMMIT"]);
/** A statement with values only. It needs no check, and these statements are most of a dump. */
const ROWS = /^INSERT INTO ".*VALUES/u;

/** A statement that would end the import's transaction, or that is not valid SQL. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** Imports a part of a dump. `isLines`: each line is a statement. Older dumps have line breaks in statements. */
export function importPiece(sql: SqlStorage, text: string, isLines: boolean): void {
  for (const piece of isLines ? text.split("\n") : [text]) {
    if (isLines && ROWS.test(piece)) sql.exec(piece).toArray();
    else runStatements(sql, piece);
  }
}

/** Throws `Refused` for a statement that would end the transaction. */
export function runStatements(sql: SqlStorage, text: string): void {
  for (const statement of eachStatement(text)) {
    const refusal = refusalOf(statement);
    if (refusal !== null) throw new Refused(refusal);
    if (!FRAME.has(leadingWords(statement, 1)[0] ?? "")) sql.exec(statement.text).toArray();
  }
}
