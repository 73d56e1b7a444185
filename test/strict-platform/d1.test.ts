import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { freshStart } from "../support/worker.ts";
import { platform } from "../../scripts/strict-platform/index.ts";
import { exceeding, inInvocation } from "./support.ts";

const one = (): D1PreparedStatement => env.DB.prepare("SELECT 1");
const batchOf = async (count: number): Promise<unknown> => env.DB.batch(Array.from({ length: count }, one));

beforeEach(async () => freshStart());

describe("an invocation has at most 1,000 D1 statements", () => {
  const TOO_MANY =
    "LimitError: D1_ERROR: too many API requests by single worker invocation (platform limit d1_statements_per_invocation: 1000, got 1001)";

  test("in one batch, of which each statement counts", async () => {
    await inInvocation(async () => batchOf(1_000));
    expect(await exceeding(async () => batchOf(1_001))).toBe(TOO_MANY);
  });

  test("one after the other", async () => {
    const error = await exceeding(async () => {
      await batchOf(999);
      await one().run();
      await one().first();
    });
    expect(error).toBe(TOO_MANY);
  });

  test("50 on the free plan", async () => {
    platform.set({ limits: { d1_statements_per_invocation: 50 } });
    expect(await exceeding(async () => batchOf(51))).toContain("d1_statements_per_invocation: 50, got 51");
  });
});

test("a statement has at most 100,000 bytes", async () => {
  const sql = (bytes: number): string => `SELECT '${"x".repeat(bytes - 9)}'`;
  expect(sql(100_000)).toHaveLength(100_000);
  await inInvocation(async () => env.DB.prepare(sql(100_000)).run());
  expect(await exceeding(async () => env.DB.prepare(sql(100_001)).run())).toContain("d1_statement_bytes: 100000, got 100001");
});

test("a statement has at most 100 bound parameters", async () => {
  const select = (count: number): D1PreparedStatement =>
    env.DB.prepare(`SELECT ${Array.from({ length: count }, () => "?").join(", ")}`).bind(...Array.from({ length: count }, () => 1));
  await inInvocation(async () => select(100).run());
  expect(await exceeding(async () => select(101).run())).toContain("d1_bound_parameters: 100, got 101");
  expect(await exceeding(async () => env.DB.batch([one(), select(101)]))).toContain("d1_bound_parameters: 100, got 101");
});

test("a bound value has at most 2,000,000 bytes, counted in UTF-8", async () => {
  const length = async (value: unknown): Promise<unknown> => env.DB.prepare("SELECT length(?) AS n").bind(value).first("n");
  expect(await inInvocation(async () => length("é".repeat(900_000)))).toBe(900_000);
  expect(await exceeding(async () => length("é".repeat(1_000_001)))).toContain("d1_bound_value_bytes: 2000000, got 2000002");
  expect(await exceeding(async () => length(new Uint8Array(2_000_001)))).toContain("d1_bound_value_bytes: 2000000, got 2000001");
});

describe("a full database", () => {
  const insert = (): D1PreparedStatement => env.DB.prepare("INSERT INTO missing_isbns (isbn13, missed_at) VALUES ('9780132350884', 1)");
  const count = async (): Promise<unknown> => env.DB.prepare("SELECT count(*) AS n FROM missing_isbns").first("n");

  beforeEach(async () => {
    await insert().run();
    platform.set({ isDatabaseFull: true });
  });

  test.each([
    "INSERT INTO missing_isbns (isbn13, missed_at) VALUES ('1', 1)",
    "  -- a comment\n  REPLACE INTO missing_isbns (isbn13, missed_at) VALUES ('1', 1)",
    "WITH given AS (SELECT '1' AS isbn13) INSERT INTO missing_isbns (isbn13, missed_at) SELECT isbn13, 1 FROM given",
    "UPDATE missing_isbns SET missed_at = 2",
  ])("refuses a write: %s", async (sql) => {
    await expect(inInvocation(async () => env.DB.prepare(sql).run())).rejects.toThrow("D1_ERROR: Exceeded maximum DB size");
  });

  test("refuses a batch with a write, and keeps nothing of it", async () => {
    const removal = env.DB.prepare("DELETE FROM missing_isbns");
    await expect(inInvocation(async () => env.DB.batch([removal, insert()]))).rejects.toThrow("Exceeded maximum DB size");
    expect(await count()).toBe(1);
  });

  test("is read, and rows are deleted", async () => {
    expect(await inInvocation(count)).toBe(1);
    await inInvocation(async () => env.DB.prepare("DELETE FROM missing_isbns WHERE missed_at < ?").bind(2).run());
    expect(await count()).toBe(0);
  });
});
