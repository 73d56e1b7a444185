/** The words check finds prose in Markdown and code, and reports sentences that are hard to read. */
import { describe, expect, it } from "vitest";
import { passagesOfCode, passagesOfMarkdown } from "./passages.ts";
import type { Passage } from "./passages.ts";
import { PHRASES, remarksOn } from "./rules.ts";

const remarks = (text: string, kind: Passage["kind"] = "text"): string[] =>
  remarksOn({ kind, line: 1, text }).map(({ message }) => message);

const words = (count: number): string => `W${Array.from({ length: count }, () => "ord").join(" w")}.`;

describe("the prose of a Markdown page", () => {
  it("is its paragraphs, headings, list items and table cells, with their lines", () => {
    const page = "# Title\n\nOne\nparagraph.\n\n- item\n\n| a | b |\n|---|---|\n| cell | `code` |\n";
    expect(passagesOfMarkdown(page)).toEqual([
      { kind: "heading", line: 1, text: "Title" },
      { kind: "text", line: 3, text: "One\nparagraph." },
      { kind: "text", line: 6, text: "item" },
      { kind: "cell", line: 8, text: "a" },
      { kind: "cell", line: 8, text: "b" },
      { kind: "cell", line: 10, text: "cell" },
      { kind: "cell", line: 10, text: "X" },
    ]);
  });

  it("holds no code and no HTML", () => {
    expect(passagesOfMarkdown("```sh\nnobody told\n```\n\n<!-- nobody -->\n\nUse `nobody` <b>now</b>.\n")).toEqual([
      { kind: "text", line: 7, text: "Use X now." },
    ]);
  });
});

describe("the prose of code", () => {
  it("is comments: block comments without their stars, and line comments that follow one another as one", () => {
    const code = "/**\n * First\n * line.\n */\n// One\n// sentence.\nconst a = 1; // Aside.\n";
    expect(passagesOfCode("a.ts", code)).toEqual([
      { kind: "comment", line: 1, text: "First line." },
      { kind: "comment", line: 5, text: "One sentence." },
      { kind: "comment", line: 7, text: "Aside." },
    ]);
  });

  it("is strings, templates and JSX text of at least three words", () => {
    const code =
      'const a = ["one two three", "no sentence", `All ${b} calls of ${c}`];\nconst d = <p title="Shown as a title">Read by people here</p>;\n';
    expect(passagesOfCode("a.tsx", code)).toEqual([
      { kind: "string", line: 1, text: "one two three" },
      { kind: "string", line: 1, text: "All X calls of X" },
      { kind: "string", line: 2, text: "Shown as a title" },
      { kind: "string", line: 2, text: "Read by people here" },
    ]);
  });

  it("is neither SQL nor styles nor source in strings", () => {
    const code = 'const a = ["SELECT one thing FROM what WHERE told", "color: red; border: 1px solid", "(a, b) => nobody said so"];\n';
    expect(passagesOfCode("a.ts", code)).toEqual([]);
  });

  it("may name the path of a route with parameters", () => {
    const code = 'const a = "Ask for /api/keys/{id}/rotate first";\n';
    expect(passagesOfCode("a.ts", code)).toEqual([{ kind: "string", line: 1, text: "Ask for /api/keys/{id}/rotate first" }]);
  });

  it("must be readable as code", () => {
    expect(() => passagesOfCode("a.ts", "const = ;")).toThrow("a.ts: ");
  });
});

describe("a sentence", () => {
  it.each([
    ["text", 20],
    ["cell", 12],
    ["comment", 25],
    ["string", 20],
    ["heading", 10],
  ] as const)("of a %s has at most %d words", (kind, most) => {
    expect(remarks(words(most), kind)).toEqual([]);
    expect(remarks(words(most + 1), kind)).toEqual([expect.stringContaining(`${most + 1} words`)]);
  });

  it("ends at a full stop or at a colon", () => {
    expect(remarks(`${words(15)} ${words(15)}`)).toEqual([]);
    expect(remarks(`${words(15).replace(".", ":")} ${words(15)}`)).toEqual([]);
  });

  it("has no semicolon and no clause with “what”", () => {
    expect(remarks("It waits; it sends.")).toEqual([expect.stringContaining("a semicolon")]);
    expect(remarks("It shows what is left.")).toEqual([expect.stringContaining("“what”")]);
  });

  it("may separate two facts in a table's cell by a semicolon", () => {
    expect(remarks("Requests; retries.", "cell")).toEqual([]);
  });

  it("may be a question, and may say what to do", () => {
    expect(remarks("What is a call?")).toEqual([]);
    expect(remarks("The error says what to do.")).toEqual([]);
    expect(remarks("What it does", "heading")).toEqual([]);
  });
});

describe("a phrase with a plain substitute", () => {
  it.each([
    "Nobody is told.",
    "It goes on.",
    "It is sent once more.",
    "No report any more.",
    "The job runs beside it.",
    "At this moment it waits.",
    "Null where the provider gives none.",
    "This is no number.",
    "Five tries are made.",
    "The organisation pays.",
    "It was certainly not sent.",
    "The request was given up.",
    "The reason of the failure is in the log.",
    "It can therefore not be read.",
    "The key was used with another payload.",
    "A warning is sent at 80 % of a cap.",
  ])("is found: %s", (text) => {
    expect(remarks(text).length).toBeGreaterThan(0);
  });

  it.each([
    "It continues after the reset.",
    "The job is no longer pending.",
    "Use at most 20 words.",
    "The folder where files are stored.",
    "See https://example.org/what/is;told for more.",
    "No caller was refused.",
    "The client has given up.",
    "Another request stored 100 % 7.",
    "A warning is sent at 80% of a cap.",
  ])("is not seen where there is none: %s", (text) => {
    expect(remarks(text)).toEqual([]);
  });

  it("is found as a whole word, in capitals too", () => {
    for (const { pattern } of PHRASES) expect(pattern.flags).toBe("giu");
    expect(remarks("Retold stories are mended-up.").length).toBe(0);
    expect(remarks("NOBODY KNOWS").length).toBe(1);
  });
});
