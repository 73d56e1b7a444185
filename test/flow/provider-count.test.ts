/** Untracked calls from the provider's count, with corrections by operators and open reservations. */
import { beforeEach, describe, expect, test } from "vitest";
import type { ProviderReport } from "../../worker/src/quota/index.ts";
import { AFTERNOON, call, freshStart, isbnNumber, ledger, post, put, quotaStatus, simulator } from "../support/worker.ts";

const one = async (n: number) => post("/api/enrich/batch-direct", { isbns: [isbnNumber(n)] });
const othersSpend = async (calls: number) => simulator.control("POST", "/spend", { calls });

/** Resets the provider's account to zero. */
async function newAccount(): Promise<void> {
  await simulator.control("POST", "/reset");
  await simulator.control("PUT", "/settings", { rate_per_second: 0, clock: AFTERNOON });
}

const count = (spent: number, secondsAgo = 0): ProviderReport => {
  const at = Date.now() - secondsAgo * 1_000;
  return { requestedAt: at, receivedAt: Date.now(), daily: { left: 15_000 - spent, limit: 15_000 }, rate: null };
};

beforeEach(async () => freshStart());

describe("after the provider's count fell", () => {
  beforeEach(async () => {
    await othersSpend(9_000);
    await one(1);
    await newAccount();
  });

  test.each([
    ["a reset", async () => post("/api/quota/reset"), 0, 0],
    ["a correction to the count of the new account", async () => put("/api/quota/usage", { used: 0 }), 0, 9_000],
    ["a correction above the count of the new account", async () => put("/api/quota/usage", { used: 700 }), 700, 9_000],
  ])("and %s, the fresh count is the base for later untracked calls", async (_, correct, used, before) => {
    // A correction keeps earlier untracked calls and charges the difference to the operator.
    await correct();
    expect(await quotaStatus()).toMatchObject({ used });
    await othersSpend(5_000);
    await one(2);
    expect(await quotaStatus()).toMatchObject({ used: used + 5_001, upstream: { spent: 5_001, untracked: before + 5_000 } });
    await othersSpend(3_900);
    await one(3);
    expect(await quotaStatus()).toMatchObject({ used: used + 8_902, upstream: { spent: 8_902, untracked: before + 8_900 } });
  });

  test("an answer of the old account that arrives late changes nothing", async () => {
    await post("/api/quota/reset");
    await ledger().observe(count(9_002, 3));
    expect(await quotaStatus()).toMatchObject({ used: 0, upstream: { spent: 0, untracked: 0 } });
  });

  test("without an operator, the usage does not fall, because an answer may be late", async () => {
    await one(2);
    expect(await quotaStatus()).toMatchObject({ used: 9_002, upstream: { spent: 9_001 } });
  });
});

describe("while our own reservations could explain the provider's count", () => {
  beforeEach(async () => {
    await post("/api/quota/reservations", { calls: 5_000, id: "open" });
    await othersSpend(4_000);
    await ledger().observe(count(4_000));
  });

  test("it is not counted", async () => {
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 5_000, remaining: 8_000 });
  });

  test.each([
    ["released", async () => call("DELETE", "/api/quota/reservations/open"), 4_000, 4_000],
    ["committed for less", async () => post("/api/quota/reservations/open/commit", { calls: 1_500 }), 4_000, 2_500],
    ["committed for all", async () => post("/api/quota/reservations/open/commit"), 5_000, 0],
    ["abandoned", async () => ledger().abandon("open"), 4_000, 4_000],
  ])("it is counted as untracked as soon as they are %s", async (_, settle, used, untracked) => {
    await settle();
    expect(await quotaStatus()).toMatchObject({ used, reserved: 0, upstream: { untracked } });
  });
});
