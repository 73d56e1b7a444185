/** Copies of databases through the dump, compared with their source. */
import { expect } from "vitest";
import { expectDumpable } from "../../../worker/src/tenant-database/dump.ts";
import { content, dump, open, readerOf, survey } from "./sqlite.ts";

/** Dumps in parts, loads, and compares by the survey and by independent code. Returns both databases. */
export function copied(statements: readonly string[], maxBytes = 3_000) {
  const source = open(statements);
  expectDumpable(readerOf(source), "full");
  const { sql } = dump(source, maxBytes);
  const copy = open([sql]);
  expect(survey(copy)).toEqual(survey(source));
  expect(content(copy)).toEqual(content(source));
  return { source, copy, sql };
}

export const refusal = (statements: readonly string[]): string => {
  try {
    expectDumpable(readerOf(open(statements)), "full");
    return "none";
  } catch (error) {
    return String(error);
  }
};

/** The beginning of a statement with the table `n` of the numbers from 1. */
export const many = (count: number): string => `WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;
