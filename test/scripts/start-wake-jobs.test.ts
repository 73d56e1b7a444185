import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { wakeJobs } from "../../scripts/start/wake-jobs.ts";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const RESTARTED_AT = Date.UTC(2025, 11, 30, 14);

async function startServer(status: number): Promise<{ url: string; sent: unknown[]; token: string }> {
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

test("starts one job that resumes jobs from before the restart", async () => {
  const worker = await startServer(202);
  const failures: string[] = [];
  await wakeJobs(worker, RESTARTED_AT, (message) => failures.push(message));
  const restarted_at = "2025-12-30T14:00:00.000Z";
  const body = { type: "housekeeping", payload: { restarted_at }, idempotency_key: `restart:${restarted_at}` };
  expect({ sent: worker.sent, failures }).toEqual({ sent: [["POST", "/api/jobs", "Bearer secret", body]], failures: [] });
});

test("reports a refusal and an unavailable Worker without failing", async () => {
  const failures: string[] = [];
  await wakeJobs(await startServer(503), RESTARTED_AT, (message) => failures.push(message));
  await wakeJobs({ url: "http://127.0.0.1:1", token: "secret" }, RESTARTED_AT, (message) => failures.push(message));
  expect(failures).toEqual([
    "Jobs of the last run were not resumed: Error: 503 no",
    "Jobs of the last run were not resumed: TypeError: fetch failed",
  ]);
});
