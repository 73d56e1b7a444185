/** How long a file may be: 300 lines. */
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MAX_LINES = 300;

/** The cells of the fault matrix are data: one entry for each cell. */
const DATA = /^test\/faults\/(?:jobs\/)?cells\//u;

const linesOf = (file: string): number => readFileSync(`${ROOT}${file}`, "utf8").trimEnd().split("\n").length;

test("no file is longer than 300 lines, except data", () => {
  const patterns = ["worker/src/**/*.{ts,tsx}", "scripts/**/*.{ts,tsx,js}", "test/**/*.ts"];
  const files = globSync(patterns, { cwd: ROOT }).filter((file) => !file.includes("/.wrangler/"));
  expect(files.length).toBeGreaterThan(500);
  const long = files.filter((file) => !DATA.test(file) && linesOf(file) > MAX_LINES);
  expect(long).toEqual([]);
});
