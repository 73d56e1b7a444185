/** Reads the prose of the repository's files and prints what is hard to read: `node test/words/check.ts [PATH...]`. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { passagesOfCode, passagesOfMarkdown } from "./passages.ts";
import type { Passage } from "./passages.ts";
import { remarksOn } from "./rules.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Generated text, and the rules themselves, which name the words they forbid. */
const UNREAD = ["docs/reliability-matrix.md", "test/words/", "worker/worker-configuration.d.ts"];

export function filesToRead(paths: readonly string[] = []): string[] {
  const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard", ...paths], { cwd: ROOT, encoding: "utf8" })
    .trim()
    .split("\n");
  return files.filter(
    (file) => /\.(?:md|ts|tsx|js|jsonc)$/u.test(file) && existsSync(`${ROOT}${file}`) && !UNREAD.some((path) => file.startsWith(path)),
  );
}

function passagesOf(file: string, source: string): Passage[] {
  if (file.endsWith(".md")) return passagesOfMarkdown(source);
  // In parentheses, a configuration file is an expression.
  return file.endsWith(".jsonc") ? passagesOfCode(`${file}.ts`, `(${source})`) : passagesOfCode(file, source);
}

export function readFile(file: string): string[] {
  const source = readFileSync(`${ROOT}${file}`, "utf8");
  return passagesOf(file, source).flatMap((passage) => remarksOn(passage).map(({ line, message }) => `${file}:${line} ${message}`));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const remarks = filesToRead(process.argv.slice(2)).flatMap(readFile);
  for (const remark of remarks) console.log(remark);
  console.log(remarks.length === 0 ? "Nothing to change" : `${remarks.length} passages to change`);
  process.exitCode = remarks.length === 0 ? 0 : 1;
}
