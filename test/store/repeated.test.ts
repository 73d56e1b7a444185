/** Idempotent writes survive a short failure of D1. The platform repeats reads, and never writes. */
import { describe, expect, test, vi } from "vitest";
import { Problem } from "../../worker/src/errors.ts";
import { stored } from "../../worker/src/store/database.ts";

const TRANSIENT = [
  "D1_ERROR: Network connection lost.",
  "D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.",
  "D1_ERROR: Durable Object reset because its code was updated.",
  "D1_ERROR: Cannot resolve D1 DB due to transient issue on remote node.",
  "D1_ERROR: D1 DB is overloaded. Requests queued for too long.",
];
const LASTING = [
  "D1_ERROR: Exceeded maximum DB size: SQLITE_FULL",
  "D1_ERROR: UNIQUE constraint failed: books.isbn13",
  "D1_ERROR: internal error",
];

const failing = (message: string, times: number) => {
  const run = vi.fn<() => Promise<string>>().mockResolvedValue("stored");
  for (let n = 0; n < times; n += 1) run.mockRejectedValueOnce(new Error(message));
  return run;
};

describe("an idempotent statement", () => {
  test.each(TRANSIENT)("is repeated twice after %j", async (message) => {
    const run = failing(message, 2);
    expect(await stored(run, { idempotent: true })).toBe("stored");
    expect(run).toHaveBeenCalledTimes(3);
  });

  test("fails after three failures", async () => {
    const run = failing(TRANSIENT[0] ?? "", 3);
    await expect(stored(run, { idempotent: true })).rejects.toThrow(Problem);
    expect(run).toHaveBeenCalledTimes(3);
  });

  test.each(LASTING)("is not repeated after %j", async (message) => {
    const run = failing(message, 1);
    await expect(stored(run, { idempotent: true })).rejects.toThrow(Problem);
    expect(run).toHaveBeenCalledTimes(1);
  });

  test("is not repeated after a failure that took as long as the database may hang", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const run = vi.fn<() => Promise<string>>().mockImplementation(async () => {
      vi.advanceTimersByTime(30_000);
      throw new Error(TRANSIENT[1]);
    });
    await expect(stored(run, { idempotent: true })).rejects.toThrow(Problem);
    vi.useRealTimers();
    expect(run).toHaveBeenCalledTimes(1);
  });
});

test("another statement is not repeated, because it may have been carried out", async () => {
  const run = failing(TRANSIENT[0] ?? "", 1);
  await expect(stored(run)).rejects.toThrow(Problem);
  expect(run).toHaveBeenCalledTimes(1);
});
