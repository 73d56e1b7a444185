/** Files of authors: text with one name a line, or CSV with a column of names. */
import { readFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { Foreseen } from "../start/foreseen.js";
import { distinct } from "./source.ts";

const COLUMNS = ["author", "author_name", "name"];
const DELIMITERS = [",", ";", "\t"] as const;

/** Throws `Foreseen` where nobody can be read from it. */
export function readAuthorFile(path: string): string[] {
  const text = read(path);
  const names = distinct(/\.csv$/iu.test(path) ? namesInCsv(path, text) : namesInText(text));
  if (names.length === 0) throw new Foreseen(`--authors ${path} names nobody; expected one author a line, or CSV with a header.`);
  return names;
}

function read(path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    if (error instanceof TypeError) throw new Foreseen(`--authors ${path} is not UTF-8 text.`);
    throw new Foreseen(`--authors ${path} could not be read (${error instanceof Error ? error.message : String(error)}).`);
  }
}

function namesInText(text: string): string[] {
  return text.split(/\r\n|\r|\n/u).filter((line) => !line.trimStart().startsWith("#"));
}

function namesInCsv(path: string, text: string): string[] {
  const [header, ...rows] = records(path, text);
  const columns = (header ?? []).map((column) => column.trim().toLowerCase());
  const wanted = COLUMNS.map((name) => columns.indexOf(name)).find((index) => index >= 0);
  if (wanted === undefined) {
    const found = columns.length > 0 ? columns.map((column) => JSON.stringify(column)).join(", ") : "nothing";
    throw new Foreseen(`--authors ${path} has the columns ${found}; expected one named author, author_name or name.`);
  }
  return rows.flatMap((row) => row[wanted] ?? []);
}

function records(path: string, text: string): string[][] {
  // Spreadsheets of half of Europe write semicolons.
  const firstLine = /^[^\r\n]*/u.exec(text)?.[0] ?? "";
  const uses = (delimiter: string): number => firstLine.split(delimiter).length;
  const delimiter = DELIMITERS.reduce((best, next) => (uses(next) > uses(best) ? next : best));
  try {
    return parse(text, { bom: true, delimiter, comment: "#", comment_no_infix: true, relax_column_count: true, skip_empty_lines: true });
  } catch (error) {
    throw new Foreseen(`--authors ${path} is no CSV (${error instanceof Error ? error.message : String(error)}).`);
  }
}
