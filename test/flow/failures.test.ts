import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { QuotaLedger } from "../../worker/src/index.ts";
import { LedgerClient } from "../../worker/src/quota/client.ts";
import { QuotaKv } from "../../worker/src/quota/snapshot.ts";
import { freshLedger, get, isbnNumber, ledger, post, put, quotaStatus, simulator } from "../support/worker.ts";
import { enrichOne, publish, passSeconds, failLedger, callWith } from "./support.ts";

beforeEach(async () => {
  vi.restoreAllMocks();
  await freshLedger();
  return () => vi.restoreAllMocks();
});

/** The real ledger, with the first answer of one method lost. */
function losingAnswers(method: "reserve" | "commit", flags: object = { retryable: true }) {
  let calls = 0;
  const lossy = (stub: object) =>
    new Proxy(stub, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (name !== method || typeof member !== "function") return member;
        return async (...args: unknown[]) => {
          calls += 1;
          const answer: unknown = await Reflect.apply(member, target, args);
          if (calls === 1) throw Object.assign(new Error("Network connection lost."), flags);
          return answer;
        };
      },
    });
  const namespace = { getByName: (name: string) => lossy(env.QUOTA_LEDGER.getByName(name)) };
  return { namespace: namespace as unknown as typeof env.QUOTA_LEDGER, calls: () => calls };
}

describe("with the ledger failing", () => {
  test("enrichment answers 503, the provider gets no request, and status comes from the snapshot", async () => {
    await enrichOne(1);
    passSeconds(6);
    await publish();
    passSeconds(30);
    const before = await simulator.state();
    failLedger();
    const { status, headers, body } = await enrichOne(2);
    expect({ status, wait: headers.get("retry-after"), body }).toMatchObject({
      status: 503,
      wait: "5",
      body: { code: "quota_unavailable" },
    });
    expect(await simulator.state()).toMatchObject({ requests: before.requests });
    expect(await quotaStatus()).toMatchObject({ source: "snapshot", used: 1, age_seconds: 30, can_make_calls: false });
    for (const path of ["/api/authors/enrich-bibliography", "/api/books/enrich-new-releases", "/api/quota/reservations"]) {
      const bodies = { author_name: "A", start_month: "2031-01", end_month: "2031-01", calls: 1 };
      const request = path.includes("author")
        ? { author_name: bodies.author_name }
        : path.includes("books")
          ? { start_month: "2031-01", end_month: "2031-01" }
          : { calls: 1 };
      expect(await post(path, request)).toMatchObject({ status: 503, body: { code: "quota_unavailable" } });
    }
    expect((await get("/health")).status).toBe(503);
  });

  test("status answers 503 without a snapshot", async () => {
    failLedger();
    expect(await get("/api/quota/status")).toMatchObject({ status: 503, body: { code: "quota_unavailable" } });
  });

  test("books in the catalog are still served", async () => {
    await enrichOne(1);
    failLedger();
    expect(await enrichOne(1)).toMatchObject({ status: 200, body: { cached: 1, api_calls: 0 } });
  });

  test("a failed commit leaves the reservation, which is charged when it expires", async () => {
    const commit = vi.spyOn(QuotaLedger.prototype, "commit").mockRejectedValue(new Error("ledger is unavailable"));
    expect(await enrichOne(1)).toMatchObject({ status: 200, body: { api_calls: 1 } });
    commit.mockRestore();
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 1 });
    passSeconds(121);
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0 });
  });

  test.each(["reserve", "commit"] as const)("a lost answer to %s is retried with the same id and counted once", async (method) => {
    const { namespace, calls } = losingAnswers(method);
    const answer = await callWith({ QUOTA_LEDGER: namespace }, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] });
    expect(answer).toMatchObject({ status: 200, body: { api_calls: 1 } });
    expect(calls()).toBe(2);
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0 });
  });

  test("a ledger that moves is retried after 50 and 200 ms with jitter, and then reported", async () => {
    const pauses: number[] = [];
    const attempts = vi.fn<() => Promise<never>>(async () => Promise.reject(Object.assign(new Error("moved"), { retryable: true })));
    const client = new LedgerClient({
      namespace: { getByName: () => ({ status: attempts }) } as unknown as typeof env.QUOTA_LEDGER,
      provider: "isbndb",
      kv: new QuotaKv(env.QUOTA_KV, "isbndb"),
      readProviderCount: async () => ({ kind: "failed" }),
      clock: () => Date.now(),
      sleep: async (ms) => void pauses.push(ms),
    });
    for (let n = 0; n < 10; n += 1) await expect(client.call("status", "by_project")).rejects.toMatchObject({ code: "quota_unavailable" });
    expect(attempts).toHaveBeenCalledTimes(30);
    const [first, second] = [0, 1].map((nth) => pauses.filter((_, index) => index % 2 === nth));
    expect({ first: first?.every((ms) => ms >= 50 && ms <= 100), second: second?.every((ms) => ms >= 200 && ms <= 400) }).toEqual({
      first: true,
      second: true,
    });
    expect(new Set(pauses).size).toBeGreaterThan(10);
  });

  test("an overloaded ledger is not retried", async () => {
    const { namespace, calls } = losingAnswers("reserve", { overloaded: true, retryable: true });
    expect(await callWith({ QUOTA_LEDGER: namespace }, "POST", "/api/quota/reservations", { calls: 1 })).toMatchObject({ status: 503 });
    expect(calls()).toBe(1);
  });

  test("an error inside a decision rolls it back", async () => {
    await quotaStatus();
    await runInDurableObject(ledger(), async (instance, state) => {
      state.storage.sql.exec("CREATE TRIGGER broken BEFORE INSERT ON reservations BEGIN SELECT RAISE(ABORT, 'disk'); END");
      await expect(instance.reserve({ id: "a", cost: { calls: 5 }, caller: "x", priority: "interactive" }, null)).rejects.toThrow("disk");
      state.storage.sql.exec("DROP TRIGGER broken");
    });
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 0 });
  });
});

describe("a lost answer", () => {
  test("to a reset is retried, and calls spent since the reset stay counted", async () => {
    await put("/api/quota/usage", { used: 70 });
    const operation = { id: "reset-1", actor: "admin" };
    await ledger().reset(operation, null);
    await enrichOne(1);
    expect(await ledger().reset(operation, null)).toMatchObject({ used: 1 });
    await ledger().setUsage(40, { id: "set-1", actor: "admin" }, null);
    await enrichOne(2);
    expect(await ledger().setUsage(40, { id: "set-1", actor: "admin" }, null)).toMatchObject({ used: 41 });
  });

  test("to a reservation leaves nothing reserved, because nothing was sent", async () => {
    const { namespace } = losingAnswers("reserve", {});
    expect(await callWith({ QUOTA_LEDGER: namespace }, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] })).toMatchObject({
      status: 503,
    });
    await vi.waitFor(async () => expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 0 }));
  });

  test("to an abandoned reservation: the late request grants nothing", async () => {
    await ledger().abandon("late");
    expect(await ledger().reserve({ id: "late", cost: { calls: 1 }, caller: "x", priority: "interactive" }, null)).toMatchObject({
      result: "conflict",
    });
  });
});

describe("a failure inside the ledger", () => {
  test("rolls back settings that could not be audited, in memory too", async () => {
    await quotaStatus();
    await runInDurableObject(ledger(), async (instance, state) => {
      state.storage.sql.exec("CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk'); END");
      const change = instance.changeSettings({ dailyLimit: 50_000 }, { id: "a", actor: "x" }, null);
      await expect(change).rejects.toThrow("disk");
      state.storage.sql.exec("DROP TRIGGER broken");
    });
    expect(await quotaStatus()).toMatchObject({ daily_limit: 15_000 });
  });

  test("lets the next request set an alarm that could not be set", async () => {
    await runInDurableObject(ledger(), async (_, state) => state.storage.deleteAlarm());
    await evictDurableObject(ledger());
    await runInDurableObject(ledger(), async (instance, state) => {
      vi.spyOn(state.storage, "setAlarm").mockRejectedValueOnce(new Error("disk"));
      await instance.reserve({ id: "a", cost: { calls: 1 }, caller: "x", priority: "interactive", ttlSeconds: 1 }, null);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await instance.reserve({ id: "b", cost: { calls: 1 }, caller: "x", priority: "interactive", ttlSeconds: 1 }, null);
      expect(await state.storage.getAlarm()).not.toBeNull();
    });
  });
});
