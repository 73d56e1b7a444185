import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../../worker/src/deps.ts";
import { attemptDelivery } from "../../../worker/src/tenants/webhooks/delivery.ts";
import { ON, collector, logged, named } from "../../telemetry/support.ts";
import { freshStart, post, setClock } from "../../support/worker.ts";
import { audited, makeOrganization, makeProject, right, rows } from "../../support/tenants/http.ts";
import { RECEIVER, deliverEvent, deliveries, dispatchOnly, happened, makeWebhook, receiver, verified } from "./support.ts";
import type { WebhookWithSecret } from "./support.ts";

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
});
afterEach(() => void vi.restoreAllMocks());

const at = "/api/projects/shop/webhooks";

describe("rotating the secret", () => {
  test("signs with both secrets for 24 hours, the new one first, then with the new one alone", async () => {
    const received = receiver();
    const { id, secret: first } = await makeWebhook();
    const rotated = right(await post<WebhookWithSecret>(`${at}/${id}/rotate-secret`));
    expect(rotated).toMatchObject({ id, previous_secret_until: "2031-05-15T14:03:11Z" });
    expect(rotated.secret).not.toBe(first);
    await deliverEvent("w1");
    await setClock("2031-05-15T14:03:10Z");
    await deliverEvent("w2");
    await setClock("2031-05-15T14:03:11Z");
    await deliverEvent("w3");
    expect(received.map(({ headers }) => String(headers["webhook-signature"]).split(" ").length)).toEqual([2, 2, 1]);
    const [one, two, three] = received;
    if (!one || !two || !three) throw new Error("not received");
    vi.setSystemTime("2031-05-14T14:03:11Z");
    for (const secret of [first, rotated.secret]) expect(verified(one, secret)).toMatchObject({ type: "quota.warning" });
    const [newest = ""] = String(one.headers["webhook-signature"]).split(" ");
    expect(() => verified({ ...one, headers: { ...one.headers, "webhook-signature": newest } }, first)).toThrow(
      "No matching signature found",
    );
    vi.setSystemTime("2031-05-15T14:03:11Z");
    expect(verified(two, first)).toBeDefined();
    expect(verified(three, rotated.secret)).toBeDefined();
    expect(() => verified(three, first)).toThrow("No matching signature found");
  });

  test("twice within the grace is refused, unless the old secret is to be revoked immediately", async () => {
    const received = receiver();
    const { id, secret: first } = await makeWebhook();
    const second = right(await post<WebhookWithSecret>(`${at}/${id}/rotate-secret`)).secret;
    expect(await post(`${at}/${id}/rotate-secret`, {})).toMatchObject({
      status: 409,
      body: { previous_secret_until: "2031-05-15T14:03:11Z" },
    });
    const third = right(await post<WebhookWithSecret>(`${at}/${id}/rotate-secret`, { immediate: true }));
    expect(third.previous_secret_until).toBeNull();
    await deliverEvent("w1");
    const [message] = received;
    expect(message && verified(message, third.secret)).toBeDefined();
    for (const old of [first, second]) expect(() => message && verified(message, old)).toThrow("No matching signature found");
    expect((await audited(`subject=webhook:${id}`)).slice(1)).toEqual([1, 2].map(() => `webhook.rotate_secret webhook:${id}`));
  });
});

test("logs and traces contain no secret", async () => {
  const lines = logged();
  const { bodies, spans } = collector();
  const { id, secret } = await makeWebhook("shop", { url: `${RECEIVER}?token=a-token-of-its-owner` });
  await happened("w1");
  await dispatchOnly();
  const traced = createDeps({ ...env, ...ON }, () => Date.now());
  await traced.trace.span("job", {}, async (trace) => attemptDelivery({ ...traced, trace }, (await deliveries())[0]?.id ?? "", 1, 1));
  expect(named(await spans(2), "webhook.deliver")).toMatchObject({
    attributes: {
      "webhook.id": id,
      "project.id": "shop",
      "webhook.attempt": 1,
      "http.request.method": "POST",
      "http.response.status_code": 401,
    },
  });
  const all = JSON.stringify([lines, bodies]);
  for (const text of [secret.slice("whsec_".length), "a-token-of-its-owner", "receiver.example"]) expect(all).not.toContain(text);
});

test("no table contains a secret", async () => {
  receiver();
  const { id, secret } = await makeWebhook();
  const rotated = right(await post<WebhookWithSecret>(`${at}/${id}/rotate-secret`)).secret;
  right(await post(`${at}/${id}/test`));
  await deliverEvent("w1");
  const tables = (await rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'")).map(
    ({ name }) => String(name),
  );
  const all = JSON.stringify(
    await Promise.all(tables.map(async (table) => (await env.DB.prepare(`SELECT * FROM "${table}"`).all()).results)),
  );
  expect(all).toContain(id);
  for (const text of [secret, rotated]) {
    expect(all).not.toContain(text.slice("whsec_".length));
    expect(all).not.toContain(JSON.stringify(text).slice(7, -1));
  }
});
