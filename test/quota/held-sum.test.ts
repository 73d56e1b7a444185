/** The ledger keeps the sum of what is held beside its rows: the two must never differ. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { call, freshStart, ledger, post, quotaStatus, setClock } from "../support/worker.ts";

const request = (id: string, calls: number) => ({ id, cost: { calls }, caller: "test", priority: "interactive" }) as const;

it("what was rolled back is not held, and does not expire", async () => {
  await freshStart();
  await post("/api/quota/reservations", { id: "kept", calls: 3 });
  await post("/api/quota/reservations", { id: "given-back", calls: 4 });
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
    await expect(instance.release("given-back")).rejects.toThrow("disk full");
  });
  expect((await quotaStatus()).reserved).toBe(7);
  await ledger().release("given-back");
  expect(await quotaStatus()).toMatchObject({ reserved: 3, used: 0 });
});

it("once nothing is held and all is published, no alarm waits for what was given back", async () => {
  await freshStart("2031-05-14T14:03:00Z");
  await post("/api/quota/reservations", { id: "given-back", calls: 4, ttl_seconds: 60 });
  await call("DELETE", "/api/quota/reservations/given-back");
  await setClock("2031-05-14T14:03:20Z");
  await runDurableObjectAlarm(ledger());
  const alarm = await runInDurableObject(ledger(), async (_, { storage }) => storage.getAlarm());
  expect(alarm).toBeNull();
});
