/** The ledger caches the sum of reserved calls. The cache must always equal its rows. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { call, freshStart, ledger, post, quotaStatus, setClock } from "../support/worker.ts";

const request = (id: string, calls: number) => ({ id, cost: { calls }, caller: "test", priority: "interactive" }) as const;

it("a rolled-back reservation is not reserved and does not expire", async () => {
  await freshStart();
  await post("/api/quota/reservations", { id: "kept", calls: 3 });
  await post("/api/quota/reservations", { id: "released", calls: 4 });
  await runInDurableObject(ledger(), async (instance, { storage }) => {
    const failing = {
      value: (work: () => unknown) => {
        Reflect.deleteProperty(storage, "transactionSync");
        return storage.transactionSync(() => {
          work();
          throw new Error("disk full");
        });
      },
      configurable: true,
    };
    Object.defineProperty(storage, "transactionSync", failing);
    await expect(instance.reserve(request("lost", 100), null)).rejects.toThrow("disk full");
    Object.defineProperty(storage, "transactionSync", failing);
    await expect(instance.release("released")).rejects.toThrow("disk full");
  });
  expect((await quotaStatus()).reserved).toBe(7);
  await ledger().release("released");
  expect(await quotaStatus()).toMatchObject({ reserved: 3, used: 0 });
});

it("without reservations and with everything published, no alarm is set for a released reservation", async () => {
  await freshStart("2031-05-14T14:03:00Z");
  await post("/api/quota/reservations", { id: "released", calls: 4, ttl_seconds: 60 });
  await call("DELETE", "/api/quota/reservations/released");
  await setClock("2031-05-14T14:04:02Z");
  await runDurableObjectAlarm(ledger());
  const alarm = await runInDurableObject(ledger(), async (_, { storage }) => storage.getAlarm());
  expect(alarm).toBeNull();
});
