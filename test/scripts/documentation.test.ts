/** What README.md and docs/ tell a reader to type works as it stands, and what they point to is there. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Coordinator } from "../support/node/coordinator.ts";
import { ROOT } from "../support/node/process.ts";

const PAGES = [
  "README.md",
  "SECURITY.md",
  ...readdirSync(join(ROOT, "docs")).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : [])),
];
const pages = PAGES.map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));

/** Commands in shell blocks that call the local Worker, in the order they stand in. */
function curlsIn(text: string): string[] {
  const blocks = [...text.matchAll(/^```(?:sh|bash)\n([\s\S]*?)^```/gmu)].map(([, block = ""]) => block.replaceAll(/\\\n\s*/gu, ""));
  return blocks.flatMap((block) => block.split("\n").filter((line) => line.startsWith("curl ")));
}

describe("a page", () => {
  const coordinator = new Coordinator();
  beforeAll(async () => {
    await coordinator.start();
  });
  afterAll(async () => coordinator.stop());

  it.each(pages.filter(({ text }) => curlsIn(text).length > 0))("$path holds commands that work", ({ text }) => {
    const env = { ...process.env, TOKEN: coordinator.token, KEY: coordinator.key };
    const failed = curlsIn(text).flatMap((command) => {
      const typed = command
        .replaceAll("http://localhost:8787", coordinator.url)
        .replace(/^curl/u, "curl --fail-with-body --silent --show-error");
      const { status, stdout, stderr } = spawnSync("sh", ["-c", typed], { encoding: "utf8", env });
      return status === 0 ? [] : [{ command, status, stdout, stderr }];
    });
    expect(failed).toEqual([]);
  });
});

describe("links", () => {
  it.each(pages)("of $path lead to files that are there", ({ path, text }) => {
    const targets = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/gu)].map(([, target = ""]) => target);
    expect(targets.filter((target) => !existsSync(join(ROOT, dirname(path), target)))).toEqual([]);
  });
});

it("SECURITY.md names tests that are there", () => {
  const text = readFileSync(join(ROOT, "SECURITY.md"), "utf8");
  const named = [...text.matchAll(/`(test\/[^`*]*)`/gu)].map(([, path = ""]) => path);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});
