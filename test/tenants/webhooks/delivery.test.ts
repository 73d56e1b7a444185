import { introspectWorkflow } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { dispatchEvents } from "../../../worker/src/tenants/webhooks/dispatch.ts";
import { ended } from "../../jobs/support.ts";
import { freshStart, post, setClock } from "../../support/worker.ts";
import { makeOrganization, makeProject, right } from "../../support/tenants/http.ts";
import {
  RECEIVER,
  deliveries,
  deps,
  happened,
  makeWebhook,
  quiet,
  readDelivery,
  readWebhook,
  receiver,
  untilOutcomes,
  verified,
} from "./support.ts";

let workflows: WorkflowIntrospector;
beforeEach(async () => {
  await freshStart();
  workflows = await introspectWorkflow(env.JOBS);
  await workflows.modifyAll(async (instance) => {
    await instance.disableSleeps();
    await instance.disableRetryDelays();
  });
  await makeOrganization("org");
  await makeProject("shop");
});
afterEach(async () => {
  await quiet();
  await workflows.dispose();
  vi.restoreAllMocks();
});

const dispatch = async () => dispatchEvents(deps());

describe("an event", () => {
  test("of a manual change reaches the receiver soon, signed as Standard Webhooks requires", async () => {
    const received = receiver();
    const { secret } = await makeWebhook();
    right(await post("/api/projects/shop/suspend", { reason: "Invoice 4711" }));
    await untilOutcomes(["project.suspended delivered"]);
    const [message] = received;
    expect(received).toHaveLength(1);
    expect(message).toMatchObject({ url: RECEIVER, method: "POST", redirect: "manual" });
    expect(message?.headers).toEqual({
      "content-type": "application/json",
      "user-agent": "quota-coordinator-webhooks/1.0",
      "webhook-id": expect.stringMatching(/^msg_[0-9a-f]{32}$/u),
      "webhook-timestamp": String(Date.parse("2031-05-14T14:03:11Z") / 1_000),
      "webhook-signature": expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/u),
    });
    expect(message && verified(message, secret)).toEqual({
      type: "project.suspended",
      timestamp: "2031-05-14T14:03:11Z",
      data: { project_id: "shop", reasons: [{ reason: "admin", detail: "Invoice 4711" }] },
    });
    const [delivery] = await deliveries();
    const job = await ended(delivery?.job_id ?? "");
    expect(job).toMatchObject({
      status: "completed",
      project_id: "shop",
      result: { delivery_id: delivery?.id, delivered: true, tries: 1 },
    });
    expect(job.payload).toMatchObject({ webhook_id: delivery?.webhook_id, project_id: "shop", url: "[redacted]" });
    expect(await readDelivery(delivery?.id ?? "")).toMatchObject({
      event_id: expect.stringMatching(/^project\.suspended:shop:/u),
      run: 1,
      tries: 1,
      payload: JSON.parse(message?.body ?? "") as unknown,
      attempts: [{ run: 1, attempt: 1, at: "2031-05-14T14:03:11Z", status_code: 200, error: null, response: "thanks" }],
    });
  });

  test("of a job is dispatched at its end", async () => {
    const received = receiver();
    await makeWebhook("shop", { events: ["project.suspended"] });
    await happened("late", { type: "project.suspended" });
    await ended(right(await post<{ id: string }>("/api/jobs", { type: "check_usage_limits", payload: {} })).id);
    await untilOutcomes(["project.suspended delivered"]);
    expect(received).toHaveLength(1);
  });

  test("goes to each subscribed endpoint of the project that existed then, under one id", async () => {
    await makeProject("other");
    const received = receiver();
    await makeWebhook("shop", { url: "https://all.example/" });
    await makeWebhook("shop", { url: "https://warned.example/", events: ["quota.warning"] });
    await makeWebhook("shop", { url: "https://stopped.example/", events: ["project.suspended", "project.reactivated"] });
    await makeWebhook("other", { url: "https://other.example/" });
    await setClock("2031-05-14T14:03:12Z");
    await makeWebhook("shop", { url: "https://late.example/" });
    await setClock("2031-05-14T14:03:11Z");
    await happened("w1");
    expect(await dispatch()).toEqual({ events: 1, deliveries: 2, jobs: 2, operators_told: 0 });
    await untilOutcomes(["quota.warning delivered", "quota.warning delivered"]);
    expect(received.map(({ url }) => url).toSorted()).toEqual(["https://all.example/", "https://warned.example/"]);
    expect(new Set(received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    expect(await dispatch()).toEqual({ events: 0, deliveries: 0, jobs: 0, operators_told: 0 });
  });
});

describe("a receiver that fails", () => {
  test("four times gets a fifth attempt: the same id and body, each signed separately", async () => {
    const received = receiver((_, nth) => new Response(`no ${nth}`, { status: nth < 5 ? 500 : 200 }));
    const { id, secret } = await makeWebhook();
    await happened("w1");
    await dispatch();
    await untilOutcomes(["quota.warning delivered"]);
    expect(received).toHaveLength(5);
    expect(new Set(received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    expect(new Set(received.map(({ body }) => body)).size).toBe(1);
    for (const message of received) expect(verified(message, secret)).toMatchObject({ type: "quota.warning" });
    const [delivery] = await deliveries();
    expect((await readDelivery(delivery?.id ?? "")).attempts).toMatchObject([
      { attempt: 1, status_code: 500, error: "Answered 500.", response: "no 1" },
      { attempt: 2, status_code: 500 },
      { attempt: 3, status_code: 500 },
      { attempt: 4, status_code: 500, response: "no 4" },
      { attempt: 5, status_code: 200, error: null, response: "no 5" },
    ]);
    expect(await readWebhook(id)).toMatchObject({ failures: 0, status: "enabled" });
    const job = await ended(delivery?.job_id ?? "");
    expect(job.attempts.map(({ step, outcome }) => `${step} ${String(outcome)}`)).toEqual([
      "take succeeded",
      ...[1, 2, 3, 4, 5].map((attempt) => `try ${attempt} succeeded`),
    ]);
  });

  test("five times fails the delivery, and counts as one failure, and the job has the reason", async () => {
    const received = receiver(() => new Response("", { status: 302, headers: { location: "https://elsewhere.example/" } }));
    const { id } = await makeWebhook();
    await happened("w1");
    await dispatch();
    await untilOutcomes(["quota.warning failed tries_used_up"]);
    expect(received.map(({ url }) => url)).toEqual(Array.from({ length: 5 }, () => RECEIVER));
    expect(await readWebhook(id)).toMatchObject({ failures: 1, status: "enabled", replayable: { deliveries: 1 } });
    const [delivery] = await deliveries();
    expect(await ended(delivery?.job_id ?? "")).toMatchObject({
      status: "failed",
      error: "Not delivered: Answered 302: redirects are not followed. Use the final address.",
    });
  });
});

describe("a job requested manually", () => {
  const message = { type: "shop.opened", timestamp: "2031-05-14T09:00:00Z", data: { hello: "Bücher" } };

  test("sends its own message, and a retry sends it under the same id", async () => {
    const received = receiver((_, nth) => new Response("", { status: nth <= 5 ? 500 : 200 }));
    const { id, secret } = await makeWebhook();
    const request = { webhookId: id, projectId: "shop", url: RECEIVER, payload: message };
    const job = (await deps().jobs.enqueueDeliverWebhookJob(request, { requestedBy: "admin" })).id;
    expect(await ended(job)).toMatchObject({ status: "failed", project_id: "shop" });
    const again = right(await post<{ id: string }>(`/api/jobs/${job}/retry`)).id;
    expect(await ended(again)).toMatchObject({ status: "completed", result: { delivered: true, tries: 1 } });
    expect(received.map((each) => verified(each, secret))).toEqual(Array.from({ length: 6 }, () => message));
    expect(new Set(received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    const [delivery, ...others] = await deliveries();
    expect(others).toEqual([]);
    expect(await readDelivery(delivery?.id ?? "")).toMatchObject({ event_id: null, run: 2, tries: 1, status: "delivered", job_id: again });
  });

  test("does nothing if the project has no such endpoint, or no such delivery of it", async () => {
    const received = receiver();
    await makeProject("other");
    const { id } = await makeWebhook();
    const delivery_id = `dlv_${"0".repeat(32)}`;
    for (const more of [{ project_id: "other" }, { project_id: "shop", delivery_id }]) {
      const payload = { webhook_id: id, url: RECEIVER, payload: message, ...more };
      const job = right(await post<{ id: string }>("/api/jobs", { type: "deliver_webhook", payload })).id;
      expect(await ended(job)).toMatchObject({
        status: "failed",
        error: expect.stringMatching(/does not have the webhook wh_.* or its delivery/u),
      });
    }
    expect(received).toEqual([]);
  });
});
