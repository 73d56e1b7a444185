/** Error of a failed check, with the expected and the actual value. No I/O. */
import type { Answer } from "./client.ts";

export class Unexpected extends Error {
  readonly expected: string;
  readonly actual: string;

  constructor(expected: string, actual: string) {
    super(`expected ${expected}, got ${actual}`);
    this.expected = expected;
    this.actual = actual;
  }
}

export function expect(isMet: boolean, expected: string, actual: unknown): asserts isMet {
  if (!isMet) throw new Unexpected(expected, typeof actual === "string" ? actual : (JSON.stringify(actual) ?? "nothing"));
}

const MAX_CHARACTERS = 300;

/** Status of a response, with code and detail of a problem. */
export function describeAnswer({ request, status, json, text }: Answer): string {
  const { code, detail } = json;
  const more = typeof code === "string" ? `${code}: ${String(detail)}` : text.slice(0, MAX_CHARACTERS);
  return `${status} to ${request} (${more})`;
}

export function expectStatus(answer: Answer, status: number): void {
  expect(answer.status === status, String(status), describeAnswer(answer));
}

export function expectProblem(answer: Answer, status: number, code: string): void {
  expect(answer.status === status && answer.json["code"] === code, `${status} ${code}`, describeAnswer(answer));
  const type = answer.headers.get("content-type") ?? "no content type";
  expect(type.startsWith("application/problem+json"), "application/problem+json", `${type} from ${answer.request}`);
}

/** A count in an answer. */
export function countIn(answer: Answer, name: string): number {
  const value = answer.json[name];
  expect(typeof value === "number" && Number.isInteger(value), `a whole number as ${name}`, `${String(value)} from ${answer.request}`);
  return value;
}
