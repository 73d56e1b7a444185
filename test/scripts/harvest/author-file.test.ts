import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { readAuthorFile } from "../../../scripts/harvest/author-file.ts";

const folder = mkdtempSync(join(tmpdir(), "harvest-file-"));
afterAll(() => rmSync(folder, { recursive: true }));

function read(name: string, content: string | Buffer): string[] {
  const path = join(folder, name);
  writeFileSync(path, content);
  return readAuthorFile(path);
}

it.each([
  ["text with comments, empty lines and repetitions", "a.txt", "# who\nLe Guin, Ursula K.\r\n\n  jane   austen\nJane Austen\n", 2],
  ["CSV with quotes and other columns", "a.csv", 'works,author_name\n12,"Le Guin, Ursula K."\n6,jane austen\n', 2],
  ["CSV as spreadsheets write it", "b.CSV", "\uFEFFName;Works\r\nLe Guin, Ursula K.;12\r\njane austen;6\r\n", 2],
  ["CSV with names that begin with #", "c.csv", '# manual list\nauthor\n"Le Guin, Ursula K."\njane austen\n', 2],
])("reads %s", (_, name, content, count) => {
  const names = read(name, content);
  expect(names).toEqual(["Le Guin, Ursula K.", "jane austen"]);
  expect(names).toHaveLength(count);
});

it.each([
  [
    "a CSV without such a column",
    "d.csv",
    "title,year\nDune,1965\n",
    /must have a column named author, author_name or name \(got "title", "year"\)\./u,
  ],
  ["a CSV with an unclosed quote", "e.csv", 'author\n"Jane Austen\n', /is not valid CSV \(/u],
  ["a file without names", "f.txt", "# none\n\n", /has no names/u],
  ["an empty CSV", "g.csv", "", /\(got none\)/u],
  ["a binary file", "h.txt", Buffer.from([0xff, 0xfe, 0x41]), /is not UTF-8 text/u],
])("refuses %s", (_, name, content, sentence) => {
  expect(() => read(name, content)).toThrow(sentence);
});
