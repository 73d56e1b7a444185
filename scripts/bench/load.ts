/**
 * Generates the load in a separate process, so that it only takes the other core. Receives a load over IPC and returns its result.
 * `{id}` in a body is a new id for each request.
 */
import { Agent, request } from "node:http";
import type { Load, LoadResult } from "./load-process.ts";

async function sendOne(agent: Agent, { url, method, headers, body }: Load, id: string): Promise<number> {
  const payload = body?.replaceAll("{id}", id);
  const length = payload === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(payload) };
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent, method, headers: { ...headers, ...length } }, (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode ?? 0));
      response.once("error", reject);
    });
    sent.once("error", reject);
    sent.end(payload);
  });
}

async function run(load: Load): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: load.connections });
  const statuses: Record<string, number> = {};
  const latencies: number[] = [];
  const began = performance.now();
  const until = began + load.seconds * 1_000;
  let sent = 0;
  const connection = async (): Promise<void> => {
    while (sent < load.requests && performance.now() < until) {
      sent += 1;
      const at = performance.now();
      const status = await sendOne(agent, load, `${load.name}-${sent}`);
      latencies.push(performance.now() - at);
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: load.connections }, connection));
  const seconds = (performance.now() - began) / 1_000;
  agent.destroy();
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { requests: latencies.length, seconds, statuses, p50Ms: at(0.5), p99Ms: at(0.99) };
}

process.on("message", (load: Load) => {
  run(load).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
