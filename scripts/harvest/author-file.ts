/** Reads files of authors: text with one name per line, or CSV with a column of names. */
import { readFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { UserError } from "../start/user-error.js";
import { uniqueNames } from "./source.ts";

const COLUMNS = ["author", "author_name", "name"];
const DELIMITERS = [",", ";", "\t"] as const;

/** Throws `UserError` if the file is unreadable or has no names. */
export function readAuthorFile(path: string): string[] {
  const text = read(path);
  const names = uniqueNames(/\.csv$/iu.test(path) ? namesInCsv(path, text) : namesInText(text));
  if (names.length === 0) throw new UserError(`--authors ${path} has no names. Expected one author per line, or CSV with a header.`);
  return names;
}

function read(path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    if (error instanceof TypeError) throw new UserError(`--authors ${path} is not UTF-8 text.`);
    throw new UserError(`Cannot read --authors ${path} (${error instanceof Error ? error.message : String(error)}).`);
  }
}

function namesInText(text: string): string[] {
  return text.split(/\r\n|\r|\n/u).filter((line) => !line.trimStart().startsWith("#"));
}

function namesInCsv(path: string, text: string): string[] {
  const [header, ...rows] = records(path, text);
  const columns = (header ?? []).map((name) => name.trim().toLowerCase());
  const column = COLUMNS.map((name) => columns.indexOf(name)).find((index) => index >= 0);
  if (column === undefined) {
    const found = columns.length > 0 ? columns.map((name) => JSON.stringify(name)).join(", ") : "none";
    throw new UserError(`--authors ${path} must have a column named author, author_name or name (got ${found}).`);
  }
  return rows.flatMap((row) => row[column] ?? []);
}

function records(path: string, text: string): string[][] {
  // Spreadsheets in many European locales write semicolons.
  const firstLine = /^[^\r\n]*/u.exec(text)?.[0] ?? "";
  const uses = (delimiter: string): number => firstLine.split(delimiter).length;
  const delimiter = DELIMITERS.reduce((best, next) => (uses(next) > uses(best) ? next : best));
  try {
    return parse(text, { bom: true, delimiter, comment: "#", comment_no_infix: true, relax_column_count: true, skip_empty_lines: true });
  } catch (error) {
    throw new UserError(`--authors ${path} is not valid CSV (${error instanceof Error ? error.message : String(error)}).`);
  }
}
