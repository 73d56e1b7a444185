/** Commands and links in the documentation work. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { PROBLEMS } from "../../worker/src/errors.ts";
import type { Coordinator } from "../support/node/coordinator.ts";
import { ROOT } from "../support/node/process.ts";
import { sharedCoordinator } from "../support/node/shared-coordinator.ts";

const PAGES = [
  "README.md",
  "SECURITY.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "HARVESTING_TODOS.md",
  ...readdirSync(join(ROOT, "docs")).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : [])),
];
const pages = PAGES.map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));

/** Commands in shell blocks that call the local Worker, in their order. */
function curlsIn(text: string): string[] {
  const blocks = [...text.matchAll(/^```(?:sh|bash)\n([\s\S]*?)^```/gmu)].map(([, block = ""]) => block.replaceAll(/\\\n\s*/gu, ""));
  return blocks.flatMap((block) => block.split("\n").filter((line) => line.startsWith("curl ")));
}

describe("a page", () => {
  let coordinator: Coordinator;
  beforeAll(async () => {
    coordinator = await sharedCoordinator();
  });

  it.each(pages.filter(({ text }) => curlsIn(text).length > 0))("$path has working commands", ({ text }) => {
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

/** Anchors of a page's headings, as GitHub derives them. */
function anchorsOf(path: string): ReadonlySet<string> {
  const text = readFileSync(join(ROOT, path), "utf8").replaceAll(/^```[\s\S]*?^```/gmu, "");
  const headings = [...text.matchAll(/^#{1,6} (.+)$/gmu)].map(([, heading = ""]) => heading.toLowerCase());
  return new Set(headings.map((heading) => heading.replaceAll(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-")));
}

describe("links", () => {
  it.each(pages)("of $path point to existing files", ({ path, text }) => {
    const targets = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/gu)].map(([, target = ""]) => target);
    expect(targets.filter((target) => !existsSync(join(ROOT, dirname(path), target)))).toEqual([]);
  });

  it.each(pages)("of $path point to existing headings", ({ path, text }) => {
    const links = [...text.matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)#([^)\s]+)\)/gu)];
    const broken = links.filter(([, target = "", anchor = ""]) => {
      return !anchorsOf(target === "" ? path : normalize(join(dirname(path), target))).has(anchor);
    });
    expect(broken.map(([link]) => link)).toEqual([]);
  });
});

it("docs/errors.md has a heading for each error code", () => {
  const anchors = anchorsOf("docs/errors.md");
  expect(Object.keys(PROBLEMS).filter((code) => !anchors.has(code))).toEqual([]);
});

it("docs/errors.md has an example with the right type, title and status for each code", () => {
  const text = readFileSync(join(ROOT, "docs/errors.md"), "utf8").replaceAll("{ … }", "{}");
  const examples = [...text.matchAll(/^## (\w+)$[\s\S]*?^```json\n([\s\S]*?)^```/gmu)].map(([, heading = "", json = ""]) => {
    const { type, title, status, code } = JSON.parse(json) as Record<string, unknown>;
    return [heading, { code, type, title, status }];
  });
  const expected = Object.entries<{ status: number; title: string; type?: string }>(PROBLEMS).map(([code, { type, title, status }]) => [
    code,
    { code, type: type ?? `https://quota.example.com/docs/errors#${code}`, title, status },
  ]);
  expect(Object.fromEntries(examples)).toEqual(Object.fromEntries(expected));
});

it("SECURITY.md names existing tests", () => {
  const text = readFileSync(join(ROOT, "SECURITY.md"), "utf8");
  const named = [...text.matchAll(/`(test\/[^`*]*)`/gu)].map(([, path = ""]) => path);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});
