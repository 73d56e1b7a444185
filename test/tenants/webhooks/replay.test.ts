import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { replayDeliveries } from "../../../worker/src/store/webhooks/deliveries.ts";
import { attemptDelivery } from "../../../worker/src/tenants/webhooks/delivery.ts";
import { postWith } from "../../routes/support.ts";
import { freshStart, post, setClock } from "../../support/worker.ts";
import { makeOrganization, makeProject, outrun, patch, remove, right, rows } from "../../support/tenants/http.ts";
import {
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

describe("replay", () => {
  test("sends a delivery again under the same id, after any result, and is idempotent", async () => {
    const received = receiver();
    const { id } = await makeWebhook();
    await deliverEvent("w1");
    const [shown] = await deliveries();
    const path = `${at}/deliveries/${shown?.id ?? ""}/replay`;
    expect(await post(path)).toMatchObject({ status: 202, body: { status: "pending", run: 2, tries: 0 } });
    expect(await post(path)).toMatchObject({ status: 202, body: { run: 2 } });
    await vi.waitFor(async () => expect(await readDelivery(shown?.id ?? "")).toMatchObject({ status: "delivered", run: 2 }), 10_000);
    expect(received).toHaveLength(2);
    expect(new Set(received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    expect(await rows("SELECT action, subject, after FROM audit_log WHERE action = 'webhook.replay'")).toEqual([
      { action: "webhook.replay", subject: `webhook:${id}`, after: JSON.stringify({ deliveries: 1, delivery_id: shown?.id, since: null }) },
    ]);
  });

  test("by two concurrent requests is one replay", async () => {
    receiver();
    const { id: webhookId } = await makeWebhook();
    await deliverEvent("w1");
    const deliveryId = (await deliveries())[0]?.id ?? "";
    const replay = { projectId: "shop", webhookId, deliveryId, since: 0, limit: 1 };
    const ask = async (id: string) => replayDeliveries(env.DB, replay, { id, actor: "admin", now: Date.now() });
    expect([await ask("first"), await ask("second")]).toEqual([1, 0]);
    expect(await readDelivery(deliveryId)).toMatchObject({ run: 2, status: "pending" });
    expect(await rows("SELECT operation FROM audit_log WHERE action = 'webhook.replay'")).toEqual([{ operation: "first" }]);
  });

  test("sends exactly the deliveries that the endpoint has missed since the given time", async () => {
    let status = 500;
    receiver(() => new Response("", { status }));
    const { id } = await makeWebhook();
    await makeWebhook("shop", { url: "https://other.example/", events: ["project.suspended"] });
    await deliverEvent("w1");
    await setClock("2031-05-14T15:00:00Z");
    await deliverEvent("w2");
    await post(`${at}/${id}/test`);
    status = 200;
    await deliverEvent("w3");
    right(await patch(`${at}/${id}`, { enabled: false }));
    await deliverEvent("w4");
    const replay = async () => post(`${at}/${id}/replay`, { since: "2031-05-14T15:00:00Z" });
    expect(await replay()).toMatchObject({ status: 409 });
    right(await patch(`${at}/${id}`, { enabled: true }));
    expect(await replay()).toMatchObject({ status: 202, body: { replayed: 2, more: false } });
    await vi.waitFor(
      async () => expect((await readWebhook(id)).replayable).toEqual({ deliveries: 1, since: "2031-05-14T14:03:11Z" }),
      10_000,
    );
    await vi.waitFor(async () => expect(await deliveries("status=pending")).toEqual([]), 10_000);
    const runs = Object.fromEntries(
      (await deliveries()).filter(({ event_id }) => event_id !== null).map(({ event_id, run, status: is }) => [event_id, `${is} ${run}`]),
    );
    expect(runs).toEqual({ w1: "failed 1", w2: "delivered 2", w3: "delivered 1", w4: "delivered 2" });
    expect(await replay()).toMatchObject({ status: 202, body: { replayed: 0, more: false } });
  });

  test("of a deleted endpoint's delivery is refused, and its deliveries in flight have ended", async () => {
    const received = receiver();
    const { id } = await makeWebhook();
    await happened("w1");
    await dispatchOnly();
    const [shown] = await deliveries();
    right(await remove(`${at}/${id}`));
    expect(await outcomes()).toEqual(["quota.warning skipped webhook_deleted"]);
    expect(await attemptDelivery(deps(), shown?.id ?? "", 1, 1)).toMatchObject({ is: "skipped", reason: "webhook_deleted" });
    expect(await post(`${at}/deliveries/${shown?.id ?? ""}/replay`)).toMatchObject({
      status: 409,
      body: { detail: `The webhook ${id} was deleted.` },
    });
    expect(received).toEqual([]);
  });

  test("while the endpoint is being deleted leaves no delivery pending forever", async () => {
    receiver(dead);
    const replays = { one: (_: string, delivery: string) => `deliveries/${delivery}/replay`, all: (id: string) => `${id}/replay` };
    const answers: unknown[] = [];
    for (const [name, path] of Object.entries(replays)) {
      const { id } = await makeWebhook();
      await deliverEvent(name);
      const [shown] = await deliveries();
      const db = outrun(async () => remove(`${at}/${id}`));
      const body = name === "one" ? {} : { since: "2031-05-14T00:00:00Z" };
      const { status, body: answer } = await postWith({ DB: db }, `${at}/${path(id, shown?.id ?? "")}`, body);
      answers.push([status, answer["replayed"]], (await readDelivery(shown?.id ?? "")).status);
    }
    expect(answers).toEqual([[409, undefined], "failed", [202, 0], "failed"]);
    expect(await rows("SELECT count(*) AS n FROM audit_log WHERE action = 'webhook.replay'")).toEqual([{ n: 0 }]);
  });
});
