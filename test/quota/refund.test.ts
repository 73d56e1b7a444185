/** The ledger refunds calls that were charged but never counted by the provider, only with proof. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { ProviderReport } from "../../worker/src/quota/index.ts";
import { AFTERNOON, freshLedger, get, ledger, post, put, quotaStatus, setClock } from "../support/worker.ts";

const MINUTE = 60_000;
let at = 0;

const count = (spent: number): ProviderReport => {
  const now = Date.now();
  return { requestedAt: now, receivedAt: now, daily: { left: 15_000 - spent, limit: 15_000 }, rate: null };
};
const observe = async (spent: number) => ledger().observe(count(spent));

async function pass(minutes: number): Promise<void> {
  at += minutes * MINUTE;
  await setClock(new Date(at).toISOString());
}

async function charge(calls: number, id: string = crypto.randomUUID()): Promise<void> {
  await post("/api/quota/reservations", { calls, id });
  await post(`/api/quota/reservations/${id}/commit`);
}

const used = async () => (await quotaStatus()).used;

beforeEach(async () => {
  await freshLedger();
  at = Date.parse(AFTERNOON);
});

describe("a charge that the provider never counted", () => {
  test("is refunded by a count from before it and one from an hour after it, and audited", async () => {
    await observe(100);
    await pass(1);
    await charge(1_300);
    await pass(62);
    await observe(100);
    expect(await quotaStatus()).toMatchObject({ used: 100, remaining: 12_900 });
    const { body } = await get<{ operations: Record<string, unknown>[] }>("/api/quota/history?days=1");
    expect(body.operations.filter(({ action }) => action === "usage.refund")).toMatchObject([
      {
        action: "usage.refund",
        actor: "ledger",
        before: { used: 1_400 },
        after: {
          used: 100,
          refunded: 1_300,
          counts: [
            { spent: 100, at: "2031-05-14T14:03:11Z" },
            { spent: 100, at: "2031-05-14T15:06:11Z" },
          ],
        },
      },
    ]);
    await pass(10);
    await observe(100);
    expect(await used()).toBe(100);
  });

  test("stays charged before an hour has passed", async () => {
    await observe(0);
    await pass(1);
    await charge(1_300);
    await pass(58);
    await observe(0);
    expect(await used()).toBe(1_300);
  });

  test("is refunded minus the rise of the count", async () => {
    await observe(0);
    await pass(1);
    await charge(1_000);
    await pass(62);
    await observe(700);
    expect(await used()).toBe(1_000 - 300);
  });

  test("that may have been sent before the first count stays charged", async () => {
    await post("/api/quota/reservations", { calls: 500, id: "open" });
    await observe(500);
    await pass(1);
    await post("/api/quota/reservations/open/commit");
    await ledger().add("late", "direct", 40);
    await pass(70);
    await observe(500);
    expect(await used()).toBe(540);
  });

  test("stays charged after an operator's correction, because earlier counts prove nothing", async () => {
    await observe(0);
    await pass(1);
    await charge(1_000);
    await put("/api/quota/usage", { used: 900 });
    vi.restoreAllMocks();
    await pass(70);
    await observe(0);
    expect(await used()).toBe(900);
  });
});

test("usage never falls below the provider's count, for any charges, sent calls and refunds", async () => {
  let [sent, spentByOthers] = [0, 0];
  for (let step = 0; step < 40; step += 1) {
    await charge(10);
    if (step % 3 === 0) sent += 10;
    if (step % 7 === 0) spentByOthers += 4;
    await pass(7);
    await observe(sent + spentByOthers);
    expect(await used()).toBeGreaterThanOrEqual(sent + spentByOthers);
  }
  expect(await used()).toBeLessThan(sent + spentByOthers + 110);
});
