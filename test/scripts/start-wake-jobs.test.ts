import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { wakeJobs } from "../../scripts/start/wake-jobs.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const RESTARTED_AT = Date.UTC(2025, 11, 30, 14);

async function answering(status: number): Promise<{ url: string; sent: unknown[]; token: string }> {
  const sent: unknown[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const body: unknown = JSON.parse((await request.toArray()).join(""));
      sent.push([request.method, request.url, request.headers.authorization, body]);
      response.writeHead(status).end("no");
    })();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  stops.push(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sent, token: "secret" };
}

test("the Worker is asked once to wake what was under way before it was started", async () => {
  const worker = await answering(202);
  const told: string[] = [];
  await wakeJobs(worker, RESTARTED_AT, (message) => told.push(message));
  const restarted_at = "2025-12-30T14:00:00.000Z";
  const body = { type: "housekeeping", payload: { restarted_at }, idempotency_key: `restart:${restarted_at}` };
  expect({ sent: worker.sent, told }).toEqual({ sent: [["POST", "/api/jobs", "Bearer secret", body]], told: [] });
});

test("a refusal, or a Worker that is not there, is told and stops nothing", async () => {
  const told: string[] = [];
  await wakeJobs(await answering(503), RESTARTED_AT, (message) => told.push(message));
  await wakeJobs({ url: "http://127.0.0.1:1", token: "secret" }, RESTARTED_AT, (message) => told.push(message));
  expect(told).toEqual([
    "Jobs of the last run were not woken: Error: 503 no",
    "Jobs of the last run were not woken: TypeError: fetch failed",
  ]);
});
