import { expect } from "vitest";
import { deliverWebhook } from "../cells/deliver-webhook.ts";
import { repaired } from "../harness.ts";
import type { JobFlow } from "../harness.ts";
import { rowsOf } from "../raw.ts";
import { makeOrganization, readyProject } from "../projects.ts";

const received: { readonly project: string; readonly id: string }[] = [];
const times = (count: number): string => (count === 1 ? "once" : `${count} times`);

async function delivered(n: number): Promise<string> {
  const rows = await rowsOf<{ status: string; reason: string | null; attempts: number; run: number }>(
    "SELECT status, reason, attempts, run FROM webhook_deliveries WHERE project_id = ?",
    `shop-${n}`,
  );
  const told = rows.map(({ status, reason, attempts, run }) => {
    const why = reason === null ? "" : ` (${reason})`;
    return `${status}${why}${attempts === 0 ? "" : ` by try ${attempts}`}${run === 1 ? "" : ` of run ${run}`}`;
  });
  const count = received.filter(({ project }) => project === `shop-${n}`).length;
  return [...(told.length === 0 ? ["no delivery"] : told), `received ${times(count)}`].join("; ");
}

export const deliverWebhookFlow: JobFlow = {
  table: deliverWebhook,
  elsewhere: ["AS first_open", "step execute"],
  others: {
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
  arrange: async (n, { ask, settled }) => {
    await readyProject(`shop-${n}`);
    await ask("POST", `/api/projects/shop-${n}/webhooks`, { url: "https://receiver.example/hooks" });
    await settled();
    await rowsOf(
      "INSERT INTO events (id, type, project_id, data, created_at) VALUES (?1, 'quota.warning', ?2, json_object('project_id', ?2), ?3)",
      `event ${n}`,
      `shop-${n}`,
      Date.now(),
    );
  },
  use: async (n, { ask, settled }) => {
    await ask("POST", "/api/jobs", { type: "reset_quotas", payload: {} });
    await settled();
    return delivered(n);
  },
  later: async (n, world) => {
    const repairs = await repaired(world, 60);
    return (await delivered(n)) + repairs;
  },
  check: async (n) => {
    const own = received.filter(({ project }) => project === `shop-${n}`);
    expect(new Set(own.map(({ id }) => id)).size, "every time under one id").toBeLessThanOrEqual(1);
    expect(await rowsOf("SELECT failures <= 1 AS ok, status FROM webhooks WHERE project_id = ?", `shop-${n}`)).toEqual([
      { ok: 1, status: "enabled" },
    ]);
  },
};
