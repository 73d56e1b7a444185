/** What was expected and what was seen, as the one error of a failed check. No I/O. */
import type { Answer } from "./client.ts";

export class Unexpected extends Error {
  readonly expected: string;
  readonly seen: string;

  constructor(expected: string, seen: string) {
    super(`expected ${expected}, saw ${seen}`);
    this.expected = expected;
    this.seen = seen;
  }
}

export function expect(met: boolean, expected: string, seen: unknown): asserts met {
  if (!met) throw new Unexpected(expected, typeof seen === "string" ? seen : (JSON.stringify(seen) ?? "nothing"));
}

const SHOWN_CHARACTERS = 300;

/** Status and, of a problem, its code and detail. */
export function seenIn({ request, status, json, text }: Answer): string {
  const { code, detail } = json;
  const more = typeof code === "string" ? `${code}: ${String(detail)}` : text.slice(0, SHOWN_CHARACTERS);
  return `${status} to ${request} (${more})`;
}

export function expectStatus(answer: Answer, status: number): void {
  expect(answer.status === status, String(status), seenIn(answer));
}

export function expectProblem(answer: Answer, status: number, code: string): void {
  expect(answer.status === status && answer.json["code"] === code, `${status} ${code}`, seenIn(answer));
  const type = answer.headers.get("content-type") ?? "no content type";
  expect(type.startsWith("application/problem+json"), "application/problem+json", `${type} from ${answer.request}`);
}

/** A count in an answer. */
export function countIn(answer: Answer, name: string): number {
  const value = answer.json[name];
  expect(typeof value === "number" && Number.isInteger(value), `a whole number as ${name}`, `${String(value)} from ${answer.request}`);
  return value;
}
