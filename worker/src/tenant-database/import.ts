/** A dump's statements, run on an empty database. */
import { isFrame } from "./catalog.ts";
import { leadingWords, split, statementsIn } from "./lexer.ts";

/** Whole statements. The caller's transaction takes the place of the dump's own. */
export function importPiece(sql: SqlStorage, text: string): void {
  for (const statement of statementsIn(text)) {
    if (!isFrame(leadingWords(statement, 1))) sql.exec(statement.text).toArray();
  }
}

/** A dump that comes in chunks, cut anywhere, as pieces of whole statements. The same dump gives the same pieces. */
export async function* piecesOf(chunks: AsyncIterable<string>, pieceChars: number): AsyncGenerator<string> {
  let rest = "";
  let piece = "";
  for await (const chunk of chunks) {
    const read = split(rest + chunk);
    ({ rest } = read);
    for (const { text } of read.statements) {
      piece += `${text};\n`;
      if (piece.length < pieceChars) continue;
      yield piece;
      piece = "";
    }
  }
  if (rest.trim() !== "") piece += rest;
  if (piece !== "") yield piece;
}
