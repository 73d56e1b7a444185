import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { exportCounts, traceFrom } from "../../worker/src/telemetry/index.ts";
import { COLLECTOR, collector } from "./support.ts";

let now = Date.parse("2031-05-14T14:00:00Z");
let before = exportCounts();
const warned: string[] = [];

/** Each test runs long after the one before, so that its minute has its own log line. */
beforeEach(() => {
  now += 3_600_000;
  before = exportCounts();
  warned.length = 0;
  vi.spyOn(console, "warn").mockImplementation((line: string) => void warned.push(line));
});
afterEach(() => void vi.restoreAllMocks());

const trace = (query = "") =>
  traceFrom(null, { enabled: true, serviceName: "test", url: `${COLLECTOR}/v1/traces${query}` }, { clock: () => now, secrets: [] });

/** One trace of one span. */
const work = async (query = ""): Promise<void> => trace(query).span("work", {}, async () => undefined);

const counted = () => {
  const { spans_exported, spans_lost, exports_failed } = exportCounts();
  return {
    exported: spans_exported - before.spans_exported,
    lost: spans_lost - before.spans_lost,
    failed: exports_failed - before.exports_failed,
  };
};

describe("a collector that works", () => {
  test.each([
    ["{}", { exported: 1, lost: 0, failed: 0 }],
    ["", { exported: 1, lost: 0, failed: 0 }],
    ['{"partialSuccess":{}}', { exported: 1, lost: 0, failed: 0 }],
    ['{"partialSuccess":null}', { exported: 1, lost: 0, failed: 0 }],
    ['{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}', { exported: 0, lost: 1, failed: 0 }],
    ['{"partialSuccess":{"rejectedSpans":99}}', { exported: 0, lost: 1, failed: 0 }],
    ['{"partialSuccess":{"rejectedSpans":-1}}', { exported: 1, lost: 0, failed: 0 }],
  ])("and answers %s", async (body, expected) => {
    collector(() => new Response(body));
    await work();
    await vi.waitFor(() => expect(counted()).toEqual(expected));
  });
});

describe("a collector that does not", () => {
  const endless = (): Response => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) }));

  test.each<[string, () => Promise<Response> | Response, string]>([
    ["is down", async () => Promise.reject(new TypeError("Network connection lost.")), "Network connection lost."],
    ["answers 500", () => new Response("oops", { status: 500 }), "the collector answered 500"],
    ["answers 404", () => new Response("<html>", { status: 404 }), "the collector answered 404"],
    [
      "sends elsewhere",
      () => new Response(null, { status: 302, headers: { location: "http://other.test" } }),
      "the collector answered 302",
    ],
    ["answers a page", () => new Response("<html>Welcome</html>"), "the collector's answer is not OTLP: is the endpoint right?"],
    ["answers a number", () => new Response("42"), "the collector's answer is not OTLP: is the endpoint right?"],
    ["answers null", () => new Response("null"), "the collector's answer is not OTLP: is the endpoint right?"],
    ["answers without end", endless, "the collector's answer was too large or too slow"],
  ])("because it %s: the work is done as ever, a counter goes up, and nothing is tried again", async (_, answer, reason) => {
    const { requests } = collector(answer);
    await work();
    await vi.waitFor(() => expect(counted()).toEqual({ exported: 0, lost: 1, failed: 1 }));
    expect(requests).toHaveLength(1);
    expect(warned.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { level: "warn", message: "Sending traces failed", collector: COLLECTOR, reason },
    ]);
  });

  test("is logged once a minute, however often it fails, without anything after its host", async () => {
    collector(() => new Response(null, { status: 503 }));
    for (let n = 0; n < 5; n += 1) await work("?token=never-show-this");
    await vi.waitFor(() => expect(counted().failed).toBe(5));
    expect(warned).toHaveLength(1);
    now += 60_000;
    await work();
    await vi.waitFor(() => expect(warned).toHaveLength(2));
    expect(warned.join()).not.toContain("never-show-this");
  });

  test("hangs: 64 wait for it, the rest is counted and forgotten, and later others may try again", async () => {
    let stopHanging = (): void => undefined;
    const hanging = new Promise<Response>((resolve) => {
      stopHanging = () => resolve(Response.json({}));
    });
    const { requests } = collector(async () => (await hanging).clone());
    for (let n = 0; n < 70; n += 1) await work();
    await vi.waitFor(() => expect({ ...counted(), asked: requests.length }).toEqual({ exported: 0, lost: 6, failed: 0, asked: 64 }));
    // Exports that the platform cut off never end. After a while, the exporter counts them as ended.
    now += 11_000;
    await work();
    await vi.waitFor(() => expect(requests).toHaveLength(65));
    stopHanging();
    await vi.waitFor(() => expect(counted()).toEqual({ exported: 65, lost: 6, failed: 0 }));
  });

  test("hangs for more than five seconds: then it is abandoned", async () => {
    const given: number[] = [];
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    vi.spyOn(AbortSignal, "timeout").mockImplementation((limit) => {
      given.push(limit);
      return timeout(20);
    });
    collector(async () => new Response(new ReadableStream({ pull: async () => new Promise(() => undefined) })));
    await work();
    await vi.waitFor(() => expect(counted()).toEqual({ exported: 0, lost: 1, failed: 1 }));
    expect(given).toEqual([5_000]);
  });
});
