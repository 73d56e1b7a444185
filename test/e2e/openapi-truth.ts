/** Sends the example request of every operation, and compares the answer with the OpenAPI document. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { beforeAll, describe, expect, test } from "vitest";
import { complaints, exampleOf, readDocument, requestOf } from "../support/node/document.ts";
import type { Endpoint } from "../support/node/document.ts";
import { sharedProduct } from "../support/node/product.ts";
import type { Product } from "../support/node/product.ts";

let product: Product;
let endpoints: readonly Endpoint[];

beforeAll(async () => {
  product = await sharedProduct();
  ({ endpoints } = await readDocument(product));
});

const endpoint = (name: string): Endpoint => {
  const found = endpoints.find((each) => each.name === name);
  if (!found) throw new Error(`${name} is not in the document`);
  return found;
};

describe("the examples of the document", () => {
  const called = new Set<string>();

  /** Sends the example. Returns the differences between answer and document. */
  const differencesOf = async (name: string, status: number, names: Record<string, string> = {}): Promise<string[]> => {
    called.add(name);
    const { operation } = endpoint(name);
    const [method = "", template = ""] = name.split(" ");
    const path = template.replaceAll(/\{(\w+)\}/gu, (_, parameter: string) => {
      const { schema, example } = operation.parameters?.find((each) => each.name === parameter) ?? {};
      return names[parameter] ?? String(example ?? schema?.["example"]);
    });
    const answer = await product.call(method, path, exampleOf(requestOf(endpoint(name))));
    if (answer.status !== status) return [`${name}: ${answer.status} ${JSON.stringify(answer.body)}`];
    const { content, headers = {} } = operation.responses[String(status)] ?? {};
    const missing = Object.keys(headers).filter((header) => !answer.headers.has(header));
    return [...complaints(content?.["application/json"]?.schema, answer.body), ...missing].map((difference) => `${name}: ${difference}`);
  };

  /** Status and type of an answer that is not JSON. */
  const raw = async (name: string, path: string): Promise<(number | string | null)[]> => {
    called.add(name);
    const headers = { authorization: `Bearer ${product.token}` };
    const answer = await fetch(new URL(path, product.url), { headers });
    await answer.arrayBuffer();
    return [answer.status, answer.headers.get("content-type")];
  };

  const untilEnded = async (path: string): Promise<void> => {
    await expect.poll(async () => (await product.call("GET", path)).body["status"], { timeout: 20_000 }).not.toBe("running");
  };

  const createReservation = async (id: string): Promise<string> => {
    await product.call("POST", "/api/quota/reservations", { calls: 10, id });
    return id;
  };

  test("enrichment and the catalog", async () => {
    expect(await differencesOf("POST /api/enrich/batch-direct", 200)).toEqual([]);
    expect(await differencesOf("POST /api/authors/enrich-bibliography", 200)).toEqual([]);
    expect(await differencesOf("POST /api/books/enrich-new-releases", 200)).toEqual([]);
    expect(await differencesOf("GET /api/books/{isbn}", 200)).toEqual([]);
    expect(await differencesOf("GET /api/authors/top", 200)).toEqual([]);
  });

  test("reservations", async () => {
    expect(await differencesOf("POST /api/quota/reservations", 201)).toEqual([]);
    expect(await differencesOf("POST /api/quota/reservations/{id}/commit", 200, { id: await createReservation("to-commit") })).toEqual([]);
    expect(await differencesOf("GET /api/quota/reservations/{id}", 200, { id: await createReservation("to-read") })).toEqual([]);
    expect(await differencesOf("DELETE /api/quota/reservations/{id}", 200, { id: await createReservation("to-release") })).toEqual([]);
  });

  test("the quota and its operations", async () => {
    expect(await differencesOf("GET /api/quota/status", 200)).toEqual([]);
    expect(await differencesOf("PUT /api/quota/usage", 200)).toEqual([]);
    expect(await differencesOf("POST /api/quota/reset", 200)).toEqual([]);
    expect(await differencesOf("PUT /api/quota/settings", 200)).toEqual([]);
    expect(await differencesOf("GET /api/quota/settings", 200)).toEqual([]);
    expect(await differencesOf("DELETE /api/quota/settings", 200)).toEqual([]);
    expect(await differencesOf("GET /api/quota/history", 200)).toEqual([]);
  });

  test("the harvest", async () => {
    expect(await differencesOf("POST /api/harvest/targets", 200)).toEqual([]);
    expect(await differencesOf("POST /api/harvest/run", 200)).toEqual([]);
    expect(await differencesOf("GET /api/harvest/status", 200)).toEqual([]);
  });

  test("jobs", async () => {
    expect(await differencesOf("POST /api/jobs", 202)).toEqual([]);
    expect(await differencesOf("GET /api/jobs", 200)).toEqual([]);
    expect(await differencesOf("GET /api/jobs/schedules", 200)).toEqual([]);
    const body = { type: "housekeeping", payload: {}, delay_seconds: 600 };
    const { id } = (await product.call<{ id: string }>("POST", "/api/jobs", body)).body;
    expect(await differencesOf("GET /api/jobs/{id}", 200, { id })).toEqual([]);
    expect(await differencesOf("POST /api/jobs/{id}/cancel", 200, { id })).toEqual([]);
    expect(await differencesOf("POST /api/jobs/{id}/retry", 202, { id })).toEqual([]);
  });

  test("reported usage", async () => {
    expect(await differencesOf("POST /api/usage/events", 200)).toEqual([]);
  });

  test("organizations and projects, in the order of the examples", async () => {
    expect(await differencesOf("POST /api/organizations", 201)).toEqual([]);
    expect(await differencesOf("GET /api/organizations", 200)).toEqual([]);
    expect(await differencesOf("GET /api/organizations/{id}", 200)).toEqual([]);
    expect(await differencesOf("PATCH /api/organizations/{id}", 200)).toEqual([]);
    expect(await differencesOf("POST /api/projects", 201)).toEqual([]);
    expect(await differencesOf("GET /api/projects", 200)).toEqual([]);
    expect(await differencesOf("GET /api/projects/{id}", 200)).toEqual([]);
    expect(await differencesOf("PATCH /api/projects/{id}", 200)).toEqual([]);
    expect(await differencesOf("PUT /api/projects/{id}/caps", 200)).toEqual([]);
    expect(await differencesOf("PUT /api/projects/{id}/upstream-share", 200)).toEqual([]);
    expect(await differencesOf("POST /api/projects/{id}/suspend", 200)).toEqual([]);
    expect(await differencesOf("GET /api/projects/{id}/suspensions", 200)).toEqual([]);
    expect(await differencesOf("POST /api/projects/{id}/reactivate", 200)).toEqual([]);
  });

  test("keys", async () => {
    expect(await differencesOf("POST /api/projects/{id}/keys", 201)).toEqual([]);
    expect(await differencesOf("GET /api/projects/{id}/keys", 200)).toEqual([]);
    const { body } = await product.call<{ keys: { id: string }[] }>("GET", "/api/projects/proj_reading_list/keys");
    const key = { key_id: body.keys[0]?.id ?? "none" };
    expect(await differencesOf("GET /api/projects/{id}/keys/{key_id}", 200, key)).toEqual([]);
    expect(await differencesOf("POST /api/projects/{id}/keys/{key_id}/rotate", 200, key)).toEqual([]);
    expect(await differencesOf("POST /api/projects/{id}/keys/{key_id}/end-grace", 200, key)).toEqual([]);
    expect(await differencesOf("DELETE /api/projects/{id}/keys/{key_id}", 200, key)).toEqual([]);
  });

  test("monitoring", async () => {
    expect(await differencesOf("POST /api/monitoring/alertmanager", 200)).toEqual([]);
    expect(await differencesOf("POST /api/monitoring/grafana", 200)).toEqual([]);
    expect(await differencesOf("POST /api/monitoring/datadog", 200)).toEqual([]);
    expect(await differencesOf("POST /api/monitoring/signal", 200)).toEqual([]);
    expect(await differencesOf("GET /api/monitoring/signals", 200)).toEqual([]);
    expect(await differencesOf("GET /api/projects/{id}/detections", 200)).toEqual([]);
  });

  test("backups, up to a restored project", async () => {
    const project = "/api/projects/proj_reading_list";
    expect(await differencesOf("POST /api/projects/{id}/backups", 202)).toEqual([]);
    const { body } = await product.call<{ backups: { id: string }[] }>("GET", `${project}/backups`);
    const backup_id = body.backups[0]?.id ?? "none";
    await untilEnded(`${project}/backups/${backup_id}`);
    expect(await differencesOf("GET /api/projects/{id}/backups", 200)).toEqual([]);
    expect(await differencesOf("GET /api/projects/{id}/backups/{backup_id}", 200, { backup_id })).toEqual([]);
    expect(await differencesOf("GET /api/projects/{id}/backups/{backup_id}/manifest", 200, { backup_id })).toEqual([]);
    expect(await raw("GET /api/projects/{id}/backups/{backup_id}/download", `${project}/backups/${backup_id}/download`)).toEqual([
      200,
      "application/gzip",
    ]);
    expect(await differencesOf("POST /api/projects/{id}/backups/{backup_id}/restore", 202, { backup_id })).toEqual([]);
    const copy = { id: "proj_reading_list_copy" };
    await untilEnded(`/api/projects/${copy.id}/restore`);
    expect(await differencesOf("GET /api/projects/{id}/restore", 200, copy)).toEqual([]);
    expect(await differencesOf("DELETE /api/projects/{id}/backups/{backup_id}", 200, { backup_id })).toEqual([]);
    await product.call("DELETE", `/api/projects/${copy.id}?permanent=true`);
  });

  test("webhooks, with a receiver that verifies the messages", async () => {
    const received: { readonly headers: Record<string, string>; readonly body: string }[] = [];
    const receiver = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        received.push({ headers: request.headers as Record<string, string>, body });
        response.end("thanks");
      });
    });
    await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
    const { port } = receiver.address() as AddressInfo;
    const at = "/api/projects/proj_reading_list/webhooks";
    try {
      expect(await differencesOf("POST /api/projects/{id}/webhooks", 201)).toEqual([]);
      expect(await differencesOf("GET /api/projects/{id}/webhooks", 200)).toEqual([]);
      const { body } = await product.call<{ webhooks: { id: string }[] }>("GET", at);
      const webhook = { webhook_id: body.webhooks[0]?.id ?? "none" };
      expect(await differencesOf("GET /api/projects/{id}/webhooks/{webhook_id}", 200, webhook)).toEqual([]);
      expect(await differencesOf("PATCH /api/projects/{id}/webhooks/{webhook_id}", 200, webhook)).toEqual([]);
      expect(await differencesOf("POST /api/projects/{id}/webhooks/{webhook_id}/rotate-secret", 200, webhook)).toEqual([]);
      const rotated = await product.call<{ secret: string }>("POST", `${at}/${webhook.webhook_id}/rotate-secret`, { immediate: true });
      await product.call("PATCH", `${at}/${webhook.webhook_id}`, { url: `http://127.0.0.1:${port}/` });
      expect(await differencesOf("POST /api/projects/{id}/webhooks/{webhook_id}/test", 200, webhook)).toEqual([]);
      await product.call("POST", "/api/projects/proj_reading_list/suspend", { reason: "Test" });
      await product.call("POST", "/api/projects/proj_reading_list/reactivate", { reason: "Test" });
      await expect.poll(() => received.length, { timeout: 20_000 }).toBe(3);
      const types = received.map(
        ({ headers, body: sent }) => (new Webhook(rotated.body.secret).verify(sent, headers) as { type: string }).type,
      );
      expect(types.toSorted()).toEqual(["project.reactivated", "project.suspended", "webhook.test"]);

      expect(await differencesOf("GET /api/projects/{id}/webhooks/deliveries", 200)).toEqual([]);
      const list = await product.call<{ deliveries: { id: string }[] }>("GET", `${at}/deliveries`);
      const delivery = { delivery_id: list.body.deliveries[0]?.id ?? "none" };
      expect(await differencesOf("GET /api/projects/{id}/webhooks/deliveries/{delivery_id}", 200, delivery)).toEqual([]);
      expect(await differencesOf("POST /api/projects/{id}/webhooks/deliveries/{delivery_id}/replay", 202, delivery)).toEqual([]);
      expect(await differencesOf("POST /api/projects/{id}/webhooks/{webhook_id}/replay", 202, webhook)).toEqual([]);
      expect(await differencesOf("DELETE /api/projects/{id}/webhooks/{webhook_id}", 200, webhook)).toEqual([]);
    } finally {
      receiver.close();
    }
  });

  test("usage, the audit log and deletion", async () => {
    expect(await differencesOf("POST /api/usage/events", 200)).toEqual([]);
    expect(await differencesOf("GET /api/projects/{id}/usage", 200)).toEqual([]);
    expect(await differencesOf("GET /api/projects/{id}/evaluations", 200)).toEqual([]);
    expect(await differencesOf("GET /api/projects/{id}/events", 200)).toEqual([]);
    expect(await differencesOf("GET /api/audit", 200)).toEqual([]);
    expect(await differencesOf("POST /api/projects/{id}/database/query", 200)).toEqual([]);
    expect(await differencesOf("DELETE /api/projects/{id}", 200)).toEqual([]);
    expect(await differencesOf("DELETE /api/organizations/{id}", 200)).toEqual([]);
  });

  test("the service", async () => {
    expect(await differencesOf("GET /health", 200)).toEqual([]);
    expect(await differencesOf("GET /openapi.json", 200)).toEqual([]);
    for (const [path, type] of [
      ["/", "text/html"],
      ["/docs", "text/html"],
      ["/docs/errors", "text/html"],
      ["/metrics", "text/plain"],
    ]) {
      const answer = await fetch(new URL(path ?? "", product.url), { headers: { authorization: `Bearer ${product.token}` } });
      expect([path, answer.status, answer.headers.get("content-type")?.split(";")[0]]).toEqual([path, 200, type]);
    }
  });

  test("no operation is left out, except those without JSON", () => {
    expect(endpoints.map(({ name }) => name).filter((name) => !called.has(name))).toEqual([
      "GET /",
      "GET /docs",
      "GET /docs/errors",
      "GET /metrics",
    ]);
  });
});
