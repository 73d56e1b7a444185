import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { tickCrons } from "../../scripts/start/crons.ts";

/** With seconds, so that the test does not wait for a minute. */
const EVERY_SECOND = "* * * * * *";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

async function listen(status: number): Promise<{ url: string; seen: URL[]; next: Promise<void> }> {
  const seen: URL[] = [];
  let arrived = (): void => undefined;
  const next = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const server = createServer((request, response) => {
    seen.push(new URL(request.url ?? "/", "http://127.0.0.1"));
    response.writeHead(status).end(status === 200 ? "ok" : "no job found");
    arrived();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  stops.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, seen, next };
}

test("each cron is sent with its expression and its scheduled minute", async () => {
  const { url, seen, next } = await listen(200);
  stops.push(tickCrons(url, [EVERY_SECOND], () => undefined).stop);
  await next;
  const [first] = seen;
  expect(first?.pathname).toBe("/cdn-cgi/local/scheduled");
  expect(first?.searchParams.get("cron")).toBe(EVERY_SECOND);
  expect(Number(first?.searchParams.get("time")) % 60_000).toBe(0);
});

test("a failed tick is reported, and later ticks still fire", async () => {
  const { url, seen } = await listen(500);
  const failures: string[] = [];
  await new Promise<void>((resolve) => {
    const { stop } = tickCrons(url, [EVERY_SECOND], (message) => {
      failures.push(message);
      if (failures.length === 2) resolve();
    });
    stops.push(stop);
  });
  expect(failures[0]).toBe(`The cron ${EVERY_SECOND} failed: Error: 500 no job found`);
  expect(seen.length).toBeGreaterThanOrEqual(2);
});
