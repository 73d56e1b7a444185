import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { catchUp } from "../../../worker/src/tenants/webhooks/dispatch.ts";
import { attemptDelivery } from "../../../worker/src/tenants/webhooks/delivery.ts";
import { ended } from "../../jobs/support.ts";
import { failWrites, healWrites } from "../../library/support.ts";
import { freshStart, post } from "../../support/worker.ts";
import { makeOrganization, makeProject, patch, right, rows } from "../../support/tenants/http.ts";
import {
  RECEIVER,
  deliver,
  deliveries,
  deps,
  dispatchOnly,
  happened,
  makeWebhook,
  quiet,
  readDelivery,
  readWebhook,
  receiver,
} from "./support.ts";

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
});
afterEach(async () => {
  await quiet();
  vi.restoreAllMocks();
});

describe("a delivery whose job ended without a result", () => {
  const lost = async (status: string): Promise<string> => {
    await happened("w1");
    await dispatchOnly();
    const sql = `INSERT INTO jobs (id, type, status, payload, requested_by, root_id, run, max_tries, created_at, ended_at, updated_at)
      VALUES ('none-0', 'deliver_webhook', ?, '{}', 'dispatch', 'none-0', 1, 5, 0, ?, 0)`;
    await rows(sql, status, status === "running" ? null : 1);
    return (await deliveries())[0]?.id ?? "";
  };

  test("gets another job with a new run number", async () => {
    const received = receiver();
    await makeWebhook();
    const id = await lost("failed");
    expect(await catchUp({ ...deps(), jobs: { enqueueMany: async () => ["none-1"] } })).toMatchObject({ recovered: 1, jobs: 1 });
    expect(await readDelivery(id)).toMatchObject({ status: "pending", run: 2, job_id: "none-1" });
    expect(await attemptDelivery(deps(), id, 1, 1)).toEqual({ is: "elsewhere" });
    expect(received).toEqual([]);
    expect(await deliver(id, 2)).toMatchObject({ is: "delivered" });
  });

  test("is taken by another job only after its own job has ended", async () => {
    const received = receiver();
    const { id: webhook_id } = await makeWebhook();
    const delivery_id = await lost("running");
    const message = { type: "quota.warning", timestamp: "2031-05-14T14:03:11Z", data: {} };
    const payload = { webhook_id, project_id: "shop", url: RECEIVER, payload: message, delivery_id };
    const other = async () => ended(right(await post<{ id: string }>("/api/jobs", { type: "deliver_webhook", payload })).id);
    expect((await other()).result).toEqual({ delivery_id, delivered: false, reason: "another job is at it" });
    expect(received).toEqual([]);
    await rows("UPDATE jobs SET status = 'failed', ended_at = 1 WHERE id = 'none-0'");
    expect((await other()).result).toEqual({ delivery_id, delivered: true, tries: 1 });
    expect(await readDelivery(delivery_id)).toMatchObject({ run: 2, status: "delivered" });
  });

  test("does not get new jobs forever", async () => {
    await makeWebhook();
    const id = await lost("failed");
    await rows("UPDATE webhook_deliveries SET run = 10");
    expect(await catchUp(deps())).toMatchObject({ recovered: 1, jobs: 0 });
    expect(await readDelivery(id)).toMatchObject({ status: "failed", reason: "job_ended", run: 10 });
  });

  test("ends with its job if that was cancelled", async () => {
    await makeWebhook();
    const id = await lost("cancelled");
    expect(await catchUp(deps())).toMatchObject({ recovered: 1, jobs: 0 });
    expect(await readDelivery(id)).toMatchObject({ status: "failed", reason: "job_ended" });
  });

  test("is left alone while its job runs", async () => {
    await makeWebhook();
    const id = await lost("running");
    expect(await catchUp(deps())).toMatchObject({ recovered: 0, jobs: 0 });
    expect(await readDelivery(id)).toMatchObject({ status: "pending", run: 1 });
    await rows("DELETE FROM jobs");
  });
});

describe("a repeated attempt", () => {
  test("sends nothing again once it was recorded, and returns the same time", async () => {
    const received = receiver(() => new Response("", { status: 503, headers: { "retry-after": "600" } }));
    const { id: webhook } = await makeWebhook();
    await happened("w1");
    await dispatchOnly();
    const [{ id } = { id: "" }] = await deliveries();
    const first = await attemptDelivery(deps(), id, 1, 1);
    expect(first).toEqual({ is: "again", at: Date.parse("2031-05-14T14:13:11Z"), error: "Answered 503." });
    expect(await attemptDelivery(deps(), id, 1, 1)).toEqual({ ...first, error: null });
    expect(received).toHaveLength(1);
    expect((await readDelivery(id)).attempts).toHaveLength(1);
    await deliver(id);
    expect(await attemptDelivery(deps(), id, 1, 5)).toMatchObject({ is: "failed", reason: "tries_used_up" });
    expect({ requests: received.length, failures: (await readWebhook(webhook)).failures }).toEqual({ requests: 5, failures: 1 });
  });

  test("by two concurrent jobs counts once, and is reported once", async () => {
    const both = Promise.withResolvers<void>();
    const received = receiver(async (_, nth) => {
      if (nth === 2) both.resolve();
      await both.promise;
      return new Response("", { status: 410 });
    });
    const { id: webhook } = await makeWebhook();
    await happened("w1");
    await dispatchOnly();
    const [{ id } = { id: "" }] = await deliveries();
    await Promise.all([attemptDelivery(deps(), id, 1, 1), attemptDelivery(deps(), id, 1, 1)]);
    expect({ requests: received.length, tries: (await readDelivery(id)).attempts.length }).toEqual({ requests: 2, tries: 1 });
    expect(await readWebhook(webhook)).toMatchObject({ status: "disabled", failures: 1 });
  });

  test("after a database failure is sent again under the same id, and counts once", async () => {
    const received = receiver(() => new Response("", { status: 410 }));
    const { id: webhook } = await makeWebhook();
    await happened("w1");
    await dispatchOnly();
    const [{ id } = { id: "" }] = await deliveries();
    await failWrites("webhook_attempts");
    await expect(attemptDelivery(deps(), id, 1, 1)).rejects.toThrow("The database did not answer.");
    await healWrites("webhook_attempts");
    expect(await readWebhook(webhook)).toMatchObject({ status: "enabled", failures: 0 });
    expect(await attemptDelivery(deps(), id, 1, 1)).toMatchObject({ is: "failed", reason: "gone" });
    expect(new Set(received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    expect(await readWebhook(webhook)).toMatchObject({ status: "disabled", failures: 1 });
  });

  test("uses the current address", async () => {
    const received = receiver(({ url }) => new Response("", { status: url === RECEIVER ? 500 : 200 }));
    const { id: webhook } = await makeWebhook();
    await happened("w1");
    await dispatchOnly();
    const [{ id } = { id: "" }] = await deliveries();
    await attemptDelivery(deps(), id, 1, 1);
    right(await patch(`/api/projects/shop/webhooks/${webhook}`, { url: "https://moved.example/" }));
    expect(await attemptDelivery(deps(), id, 1, 2)).toMatchObject({ is: "delivered" });
    expect(received.map(({ url }) => url)).toEqual([RECEIVER, "https://moved.example/"]);
  });

  test("whose address is refused meanwhile fails immediately", async () => {
    const received = receiver();
    await makeWebhook();
    await happened("w1");
    await dispatchOnly();
    const [{ id } = { id: "" }] = await deliveries();
    await rows("UPDATE webhooks SET url = 'https://10.0.0.1/'");
    expect(await attemptDelivery(deps(), id, 1, 1)).toMatchObject({ is: "failed", reason: "address_refused" });
    expect({ received, tries: (await readDelivery(id)).attempts.length }).toEqual({ received: [], tries: 1 });
  });
});
