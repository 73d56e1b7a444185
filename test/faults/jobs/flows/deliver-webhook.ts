import { expect } from "vitest";
import { deliverWebhook } from "../cells/deliver-webhook.ts";
import { repair } from "../harness.ts";
import type { JobFlow } from "../harness.ts";
import { rowsOf } from "../rows.ts";
import { makeOrganization, readyProject } from "../projects.ts";

const received: { readonly project: string; readonly id: string }[] = [];
const receptions = (count: number): string => (count === 0 ? "not received" : count === 1 ? "received once" : `received ${count} times`);

async function deliveryResult(n: number): Promise<string> {
  const rows = await rowsOf<{ status: string; reason: string | null; attempts: number; run: number }>(
    "SELECT status, reason, attempts, run FROM webhook_deliveries WHERE project_id = ?",
    `shop-${n}`,
  );
  const results = rows.map(({ status, reason, attempts, run }) => {
    const cause = reason === null ? "" : ` (${reason})`;
    return `${status}${cause}${attempts === 0 ? "" : ` on attempt ${attempts}`}${run === 1 ? "" : ` of run ${run}`}`;
  });
  const count = received.filter(({ project }) => project === `shop-${n}`).length;
  return [...(results.length === 0 ? ["no delivery"] : results), receptions(count)].join(", ");
}

export const deliverWebhookFlow: JobFlow = {
  table: deliverWebhook,
  covered: ["AS first_open", "step execute"],
  otherHosts: {
    "receiver.example": {
      part: "receiver",
      answer: async (request) => {
        const { data } = await request.json<{ data: { project_id: string } }>();
        received.push({ project: data.project_id, id: request.headers.get("webhook-id") ?? "" });
        return new Response("thanks");
      },
    },
  },
  prepare: makeOrganization,
  arrange: async (n, { send, settled }) => {
    await readyProject(`shop-${n}`);
    await send("POST", `/api/projects/shop-${n}/webhooks`, { url: "https://receiver.example/hooks" });
    await settled();
    await rowsOf(
      "INSERT INTO events (id, type, project_id, data, created_at) VALUES (?1, 'quota.warning', ?2, json_object('project_id', ?2), ?3)",
      `event ${n}`,
      `shop-${n}`,
      Date.now(),
    );
  },
  use: async (n, { send, settled }) => {
    await send("POST", "/api/jobs", { type: "reset_quotas", payload: {} });
    await settled();
    return deliveryResult(n);
  },
  later: async (n, world) => {
    const repairs = await repair(world, 60);
    return (await deliveryResult(n)) + repairs;
  },
  check: async (n) => {
    const own = received.filter(({ project }) => project === `shop-${n}`);
    expect(new Set(own.map(({ id }) => id)).size, "all attempts have one id").toBeLessThanOrEqual(1);
    expect(await rowsOf("SELECT failures <= 1 AS ok, status FROM webhooks WHERE project_id = ?", `shop-${n}`)).toEqual([
      { ok: 1, status: "enabled" },
    ]);
  },
};
