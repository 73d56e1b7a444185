import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { catchUp } from "../../../worker/src/tenants/webhooks/dispatch.ts";
import { attemptDelivery } from "../../../worker/src/tenants/webhooks/delivery.ts";
import { logged } from "../../telemetry/support.ts";
import { freshStart, get, post, setClock } from "../../support/worker.ts";
import { makeOrganization, makeProject, patch, remove, right, rows } from "../../support/tenants/http.ts";
import {
  RECEIVER,
  deliver,
  deliveries,
  deps,
  dispatchOnly,
  happened,
  makeWebhook,
  outcomes,
  quiet,
  readDelivery,
  readWebhook,
  receiver,
  deliverEvent,
} from "./support.ts";
import type { WebhookWithSecret } from "./support.ts";

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
});
afterEach(async () => {
  await quiet();
  vi.restoreAllMocks();
});

const at = "/api/projects/shop/webhooks";
const dead = () => new Response("", { status: 500 });

async function failFive(): Promise<void> {
  for (const event of ["w1", "w2", "w3", "w4", "w5"]) await deliverEvent(event);
}

const events = async () => right(await get<{ events: { id: string; type: string; data: unknown }[] }>("/api/projects/shop/events")).events;

describe("an endpoint with five consecutive failed deliveries", () => {
  test("is disabled, the sixth event is not attempted, and its owner is notified by other means", async () => {
    let answer = dead;
    const received = receiver(({ url }) => (url === RECEIVER ? answer() : new Response("")));
    const { id } = await makeWebhook("shop", { url: RECEIVER });
    await failFive();
    expect(received).toHaveLength(25);
    expect(await readWebhook(id)).toMatchObject({ status: "disabled", status_reason: "failures", failures: 5 });
    expect(await deliverEvent("w6")).toEqual({ is: "skipped", reason: "webhook_disabled", error: null });
    expect(received).toHaveLength(25);
    expect((await events()).map(({ type }) => type).slice(0, 3)).toEqual(["quota.warning", "webhook.disabled", "quota.warning"]);
    const disabledEvent = (await events()).find(({ type }) => type === "webhook.disabled");
    expect(disabledEvent?.data).toEqual({
      project_id: "shop",
      webhook_id: id,
      address: "https://receiver.example",
      reason: "failures",
      failures: 5,
      delivery_id: expect.stringMatching(/^dlv_/u),
      status_code: 500,
      error: "Answered 500.",
    });
    // The event is never sent to the disabled endpoint, regardless of its subscriptions.
    expect(await outcomes()).toEqual([
      ...Array.from({ length: 5 }, () => "quota.warning failed tries_used_up"),
      "quota.warning skipped webhook_disabled",
    ]);
    answer = () => new Response("");
    expect(right(await patch<WebhookWithSecret>(`${at}/${id}`, { enabled: true }))).toMatchObject({
      status: "enabled",
      status_reason: null,
      failures: 0,
      replayable: { deliveries: 6, since: "2031-05-14T14:03:11Z" },
    });
  });

  test("is reported to the project's other endpoints, and to operators once", async () => {
    const received = receiver(({ url }) => (url === RECEIVER ? dead() : new Response("")));
    const { id } = await makeWebhook();
    await makeWebhook("shop", { url: "https://other.example/", events: ["webhook.disabled"] });
    const lines = logged();
    for (const event of ["w1", "w2", "w3", "w4"]) {
      await happened(event);
      await dispatchOnly();
      await deliver((await deliveries(`webhook_id=${id}`))[0]?.id ?? "");
    }
    expect(await dispatchOnly()).toMatchObject({ operators_told: 0 });
    await happened("w5");
    await dispatchOnly();
    await deliver((await deliveries(`webhook_id=${id}`))[0]?.id ?? "");
    expect(await dispatchOnly()).toMatchObject({ events: 1, deliveries: 1, operators_told: 1 });
    expect(await dispatchOnly()).toMatchObject({ operators_told: 0 });
    const [notice] = await deliveries("status=pending");
    expect(await deliver(notice?.id ?? "")).toMatchObject({ is: "delivered" });
    expect(received.at(-1)?.url).toBe("https://other.example/");
    expect(JSON.parse(received.at(-1)?.body ?? "")).toMatchObject({ type: "webhook.disabled", data: { webhook_id: id } });
    expect(lines.filter(({ message }) => message === "Operator notice")).toMatchObject([
      { level: "error", event_type: "webhook.disabled", project_id: "shop", event: { webhook_id: id, reason: "failures" } },
    ]);
  });

  test("is not disabled if one of them succeeded, which resets the count", async () => {
    let status = 500;
    receiver(() => new Response(null, { status }));
    const { id } = await makeWebhook();
    for (const event of ["w1", "w2", "w3", "w4"]) await deliverEvent(event);
    status = 204;
    await deliverEvent("w5");
    expect(await readWebhook(id)).toMatchObject({ failures: 0 });
    status = 500;
    for (const event of ["w6", "w7", "w8", "w9"]) await deliverEvent(event);
    expect(await readWebhook(id)).toMatchObject({ status: "enabled", failures: 4 });
  });

  test("ends deliveries that are still retried, and counts nothing twice", async () => {
    const received = receiver(dead);
    const { id } = await makeWebhook();
    for (const event of ["w0", "w1", "w2", "w3", "w4", "w5"]) await happened(event);
    await dispatchOnly();
    const [slow = { id: "" }, ...others] = (await deliveries()).toReversed();
    await attemptDelivery(deps(), slow.id, 1, 1);
    // The deliveries fail concurrently. Each counts as one failure.
    await Promise.all(others.map(async (each) => deliver(each.id)));
    expect(await readWebhook(id)).toMatchObject({ status: "disabled", failures: 5 });
    expect(await attemptDelivery(deps(), slow.id, 1, 2)).toEqual({ is: "skipped", reason: "webhook_disabled", error: null });
    expect(received).toHaveLength(26);
    expect((await events()).filter(({ type }) => type === "webhook.disabled")).toHaveLength(1);
  });
});

describe("an endpoint that answers 410", () => {
  test("is disabled immediately, with an event", async () => {
    const received = receiver(() => new Response("", { status: 410 }));
    const { id } = await makeWebhook();
    expect(await deliverEvent("w1")).toEqual({ is: "failed", reason: "gone", error: "Answered 410: the receiver no longer exists." });
    expect(received).toHaveLength(1);
    expect(await readWebhook(id)).toMatchObject({ status: "disabled", status_reason: "gone", failures: 1 });
    expect((await events())[0]).toMatchObject({ type: "webhook.disabled", data: { reason: "gone", status_code: 410 } });
  });

  test("to a test, too", async () => {
    receiver(() => new Response("", { status: 410 }));
    const { id } = await makeWebhook();
    right(await post(`${at}/${id}/test`));
    expect(await readWebhook(id)).toMatchObject({ status: "disabled", status_reason: "gone", failures: 0 });
    expect((await events())[0]).toMatchObject({ type: "webhook.disabled" });
  });
});

describe("enabling again", () => {
  test("sends a signed test first, and a single failure leaves it disabled, with the rest of the change", async () => {
    const received = receiver(dead);
    const { id } = await makeWebhook();
    right(await patch(`${at}/${id}`, { enabled: false }));
    expect(await readWebhook(id)).toMatchObject({ status: "disabled", status_reason: "by_hand" });
    const refused = await patch(`${at}/${id}`, { enabled: true, url: "https://moved.example/" });
    expect(refused).toMatchObject({
      status: 422,
      body: {
        code: "unprocessable",
        detail: "The webhook stays disabled, because the receiver did not answer its test with 2xx. Answered 500.",
        webhook: { id, status: "disabled", status_reason: "test_failed", url: "https://moved.example/" },
      },
    });
    expect(received.map(({ url, body }) => [url, (JSON.parse(body) as { type: string }).type])).toEqual([
      ["https://moved.example/", "webhook.test"],
    ]);
    expect(await readDelivery(String(refused.body["delivery_id"]))).toMatchObject({
      is_test: true,
      status: "failed",
      reason: "test_failed",
    });
    expect(await events()).toEqual([]);
  });

  test("that is interrupted is completed by a job, whose test decides", async () => {
    receiver(dead);
    const { id } = await makeWebhook();
    right(await patch(`${at}/${id}`, { enabled: false }));
    await patch(`${at}/${id}`, { enabled: true });
    const [test] = await deliveries();
    // The state if the Worker dies before it sent the test.
    await rows("DELETE FROM webhook_attempts");
    await rows("UPDATE webhook_deliveries SET status = 'pending', reason = NULL, attempts = 0, ended_at = NULL");
    await rows("UPDATE webhooks SET status = 'probation', status_reason = 'test'");
    await happened("w1");
    expect(await dispatchOnly()).toMatchObject({ deliveries: 1, jobs: 0 });
    await setClock("2031-05-14T14:04:11Z");
    expect(await dispatchOnly()).toMatchObject({ jobs: 1 });
    vi.restoreAllMocks();
    receiver();
    expect(await deliver(test?.id ?? "")).toMatchObject({ is: "delivered" });
    expect(await readWebhook(id)).toMatchObject({ status: "enabled", replayable: { deliveries: 1 } });
  });

  test("is decided by its test, and by no other message in flight", async () => {
    receiver(async () => {
      // The state if the endpoint is disabled and enabled meanwhile.
      await rows("UPDATE webhooks SET status = 'probation', status_reason = 'test'");
      return dead();
    });
    const { id } = await makeWebhook();
    await happened("w1");
    await dispatchOnly();
    await rows("UPDATE webhook_deliveries SET attempts = 4");
    expect(await attemptDelivery(deps(), (await deliveries())[0]?.id ?? "", 1, 5)).toMatchObject({ is: "failed", reason: "tries_used_up" });
    expect(await readWebhook(id)).toMatchObject({ status: "probation", status_reason: "test" });
  });

  test("a test sent to an old address enables no endpoint", async () => {
    const elsewhere = "https://other.example/";
    const received = receiver(async (_, nth) => {
      if (nth === 1) right(await patch(`${at}/${id}`, { url: elsewhere }));
      return new Response("");
    });
    const { id } = await makeWebhook();
    right(await patch(`${at}/${id}`, { enabled: false }));
    expect(await patch(`${at}/${id}`, { enabled: true })).toMatchObject({
      status: 422,
      body: {
        detail: expect.stringContaining("The webhook was changed meanwhile."),
        webhook: { status: "disabled", status_reason: "test_failed" },
      },
    });
    expect(right(await patch(`${at}/${id}`, { enabled: true }))).toMatchObject({ status: "enabled", url: elsewhere });
    expect(received.map(({ url }) => url)).toEqual([RECEIVER, elsewhere]);
  });

  describe("without a sent test", () => {
    /** The state if the Worker dies before it sent the test. Returns the webhook and its test, which is assigned to the job j. */
    const interrupted = async () => {
      receiver(dead);
      const { id } = await makeWebhook();
      right(await patch(`${at}/${id}`, { enabled: false }));
      await patch(`${at}/${id}`, { enabled: true });
      await rows("DELETE FROM webhook_attempts");
      await rows(`UPDATE webhook_deliveries
        SET status = 'pending', reason = NULL, attempts = 0, ended_at = NULL, job_id = 'j', enqueued_at = 1`);
      await rows("UPDATE webhooks SET status = 'probation', status_reason = 'test', status_at = 1");
      return { id, delivery: (await deliveries())[0]?.id ?? "" };
    };
    const disabled = { status: "disabled", status_reason: "test_failed", status_since: "2031-05-14T14:03:11Z" };

    test("because its job was cancelled, is disabled", async () => {
      const { id, delivery } = await interrupted();
      await rows(`INSERT INTO jobs (id, type, status, payload, requested_by, root_id, run, max_tries, created_at, ended_at, updated_at)
        VALUES ('j', 'deliver_webhook', 'cancelled', '{}', 'dispatch', 'j', 1, 5, 0, 1, 0)`);
      expect(await catchUp(deps())).toMatchObject({ recovered: 1 });
      expect(await readDelivery(delivery)).toMatchObject({ status: "failed", reason: "job_ended" });
      expect(await readWebhook(id)).toMatchObject(disabled);
    });

    test("because the project was archived, is disabled", async () => {
      const { id, delivery } = await interrupted();
      right(await remove("/api/projects/shop"));
      expect(await deliver(delivery)).toMatchObject({ is: "skipped", reason: "project_archived" });
      expect(await readWebhook(id)).toMatchObject(disabled);
    });
  });

  test("enabling an enabled endpoint sends nothing, and disabling is idempotent", async () => {
    const received = receiver();
    const { id } = await makeWebhook();
    right(await patch(`${at}/${id}`, { enabled: true }));
    right(await patch(`${at}/${id}`, { enabled: false }));
    right(await patch(`${at}/${id}`, { enabled: false }));
    expect(received).toEqual([]);
    expect(await rows("SELECT count(*) AS n FROM audit_log WHERE action = 'webhook.change'")).toEqual([{ n: 1 }]);
  });
});
