/** The prose of a file: Markdown text, comments, visible strings and names of tests, each with its line. No I/O. */
import { gfmTableFromMarkdown } from "mdast-util-gfm-table";
import { fromMarkdown } from "mdast-util-from-markdown";
import { gfmTable } from "micromark-extension-gfm-table";
import type { Root, RootContent } from "mdast";
import { Visitor, parseSync } from "oxc-parser";

export interface Passage {
  readonly kind: "text" | "heading" | "cell" | "comment" | "string";
  readonly line: number;
  /** Code is replaced by the letter X. */
  readonly text: string;
}

type MarkdownNode = Root | RootContent;

const KINDS: Readonly<Record<string, Passage["kind"]>> = { paragraph: "text", heading: "heading", tableCell: "cell" };

export function passagesOfMarkdown(source: string): Passage[] {
  const found: Passage[] = [];
  const visit = (node: MarkdownNode): void => {
    const kind = KINDS[node.type];
    if (kind === undefined) for (const child of childrenOf(node)) visit(child);
    else found.push({ kind, line: node.position?.start.line ?? 1, text: plain(node) });
  };
  visit(fromMarkdown(source, { extensions: [gfmTable()], mdastExtensions: [gfmTableFromMarkdown()] }));
  return found;
}

function plain(node: MarkdownNode): string {
  if (node.type === "inlineCode") return "X";
  if (node.type === "break") return " ";
  if (node.type === "html") return "";
  if (node.type === "text") return node.value;
  return node.type === "image" ? (node.alt ?? "") : childrenOf(node).map(plain).join("");
}

const childrenOf = (node: MarkdownNode): readonly MarkdownNode[] => ("children" in node ? node.children : []);

/** Strings of at least so many words are read by people; shorter ones may be identifiers. */
const MIN_WORDS = 3;
const SQL =
  /\b(?:SELECT|INSERT INTO|UPDATE \w+|DELETE FROM|(?:CREATE|DROP) (?:TABLE|INDEX|TRIGGER)|WHERE|FROM \w+|JOIN|ORDER BY|EXISTS|PRAGMA|AND|OR|IS (?:NOT )?NULL)\b/u;
/** Code, styles, HTML pages, media types with parameters, and content security policies. */
const CODE = /[{}]|=>|\bpx\b|^\s*(?:[\w-]+:\s*[^;]+;)|^<!doctype |^(?:text|application)\/[\w.+-]+;|^default-src /u;
/** Braces in the path of a route. Prose may name such a path. */
const PATH_PARAMETER = /(?<=\/)\{\w+\}/gu;
/** Step names that earlier releases recorded. Running jobs depend on them. */
const RECORDED_NAMES = new Set(["undo: write down why"]);

export function passagesOfCode(file: string, source: string): Passage[] {
  const starts = lineStarts(source);
  const lineAt = (offset: number): number => starts.findLastIndex((start) => start <= offset) + 1;
  const { comments, program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message ?? "cannot be parsed"}`);
  const passages: Passage[] = [];
  const add = (kind: Passage["kind"], offset: number, text: string): void => {
    passages.push({
      kind,
      line: lineAt(offset),
      text: text
        .replaceAll(/`[^`]*`/gu, "X")
        .replaceAll(/\s+/gu, " ")
        .trim(),
    });
  };
  for (const { text, start } of joined(comments, source)) {
    for (const paragraph of text.split(/\n\s*\n|\n(?=\s*(?:- |@))/u)) add("comment", start, paragraph);
  }
  const addString = (offset: number, text: string): void => {
    if (
      text
        .trim()
        .split(/\s+/u)
        .filter((word) => /\p{L}{2}/u.test(word)).length < MIN_WORDS ||
      SQL.test(text) ||
      CODE.test(text.replaceAll(PATH_PARAMETER, "")) ||
      RECORDED_NAMES.has(text)
    )
      return;
    add("string", offset, text);
  };
  new Visitor({
    Literal: ({ value, start }) => typeof value === "string" && addString(start, value),
    TemplateLiteral: ({ quasis, start }) => addString(start, quasis.map(({ value }) => value.cooked ?? "").join("X")),
    JSXText: ({ value, start }) => addString(start, value),
  }).visit(program);
  return passages.filter(({ text }) => text !== "");
}

/** Comments without their marks; line comments that follow one another are one. */
function joined(comments: readonly { type: "Line" | "Block"; value: string; start: number; end: number }[], source: string) {
  const found: { type: "Line" | "Block"; text: string; start: number; end: number }[] = [];
  for (const { type, value, start, end } of comments) {
    if (value.startsWith("/")) continue;
    const last = found.at(-1);
    const follows = type === "Line" && last?.type === "Line" && /^\n[ \t]*$/u.test(source.slice(last.end, start));
    if (follows) {
      last.text += `\n${value}`;
      last.end = end;
      continue;
    }
    found.push({ type, text: type === "Block" ? value.replaceAll(/^[ \t]*\*+ ?/gmu, "") : value, start, end });
  }
  return found;
}

function lineStarts(source: string): number[] {
  return [0, ...[...source.matchAll(/\n/gu)].map(({ index }) => index + 1)];
}
