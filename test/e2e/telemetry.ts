/** The built Worker with a collector on loopback. The traces are valid OTLP, and a failing collector affects no request. */
import { createServer } from "node:http";
import type { Server, ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { startProduct } from "../support/node/product.ts";
import type { Product } from "../support/node/product.ts";

// opentelemetry-proto's ExportTraceServiceRequest in its JSON mapping: ids in hex, 64 bits as text or a whole number, enums as numbers.
const wholeUint32 = z.int().min(0).max(0xffff_ffff);
const nanos = z.string().regex(/^\d{19}$/u);
const int64 = z.union([z.int(), z.string().regex(/^-?\d+$/u)]);
const anyValue = z.union([
  z.strictObject({ stringValue: z.string() }),
  z.strictObject({ boolValue: z.boolean() }),
  z.strictObject({ intValue: int64 }),
  z.strictObject({ doubleValue: z.number() }),
]);
const attributes = z.array(z.strictObject({ key: z.string().min(1), value: anyValue }));
const dropped = wholeUint32.optional();
const spanSchema = z.strictObject({
  traceId: z.string().regex(/^(?!0{32})[\da-f]{32}$/u),
  spanId: z.string().regex(/^(?!0{16})[\da-f]{16}$/u),
  parentSpanId: z
    .string()
    .regex(/^(?!0{16})[\da-f]{16}$/u)
    .optional(),
  traceState: z.string().optional(),
  flags: wholeUint32,
  name: z.string().min(1),
  kind: z.int().min(1).max(5),
  startTimeUnixNano: nanos,
  endTimeUnixNano: nanos,
  attributes,
  droppedAttributesCount: dropped,
  events: z.array(z.strictObject({ timeUnixNano: nanos, name: z.string(), attributes, droppedAttributesCount: dropped })),
  droppedEventsCount: dropped,
  links: z.array(z.never()),
  droppedLinksCount: dropped,
  status: z.strictObject({ code: z.int().min(0).max(2), message: z.string().optional() }),
});
const requestSchema = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes, droppedAttributesCount: dropped }),
      schemaUrl: z.string().optional(),
      scopeSpans: z.array(
        z.strictObject({
          scope: z.strictObject({ name: z.string(), version: z.string().optional() }),
          schemaUrl: z.string().optional(),
          spans: z.array(spanSchema).min(1),
        }),
      ),
    }),
  ),
});
type Span = z.infer<typeof spanSchema>;

interface Arrived {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly type: string | undefined;
  readonly body: string;
}

const WITHIN_MS = 20_000;

class LocalCollector {
  readonly arrived: Arrived[] = [];
  answer: (response: ServerResponse) => void = (response) => void response.end("{}");
  readonly #server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => void parts.push(part));
    request.on("end", () => {
      const { method, url, headers } = request;
      this.arrived.push({ method, path: url, type: headers["content-type"], body: Buffer.concat(parts).toString() });
      this.answer(response);
    });
  });

  async listen(port = 0): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Spans of one trace, once `count` of them have arrived. */
  async spans(traceId: string, count: number): Promise<Span[]> {
    const deadline = performance.now() + WITHIN_MS;
    for (;;) {
      const found = this.arrived
        .flatMap(({ body }) => requestSchema.parse(JSON.parse(body)).resourceSpans)
        .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
        .filter((span) => span.traceId === traceId);
      if (found.length >= count) return found;
      if (performance.now() > deadline) throw new Error(`${found.length} of ${count} spans: ${found.map(({ name }) => name).join(", ")}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

let collector: LocalCollector;
let product: Product;
let port: number;
let traces = 0;

beforeAll(async () => {
  collector = new LocalCollector();
  port = await collector.listen();
  // The base URL, without /v1/traces.
  product = await startProduct({ OTEL_ENABLED: "true", OTEL_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_SERVICE_NAME: "e2e" });
});
afterAll(async () => {
  await product.stop();
  await collector.close();
});
beforeEach(async () => {
  await product.simulator("POST", "/reset");
  await product.simulator("PUT", "/settings", { rate_per_second: 0 });
  await product.call("PUT", "/api/quota/settings", { rate_per_second: 0 });
});

const PARENT = "b7ad6b7169203331";

/** A request in its own trace. */
async function traced(path: string, body: object): Promise<{ traceId: string; status: number; body: Record<string, unknown> }> {
  traces += 1;
  const traceId = traces.toString(16).padStart(32, "a");
  const answer = await product.call("POST", path, body, { traceparent: `00-${traceId}-${PARENT}-01` });
  return { traceId, status: answer.status, body: answer.body };
}

const bibliography = { author_name: "Ursula K. Le Guin", page_size: 10, max_pages: 3, refresh: true };
const bibliographyTrace = async () => traced("/api/authors/enrich-bibliography", bibliography);

/** Distinct paths of spans in a trace, as "request > call", once `count` spans have arrived. */
async function paths(traceId: string, count: number): Promise<string[]> {
  const spans = await collector.spans(traceId, count);
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const chain = (span: Span): string[] => {
    const parent = byId.get(span.parentSpanId ?? "");
    return parent ? [...chain(parent), span.name] : [span.name];
  };
  return [...new Set(spans.map((span) => chain(span).join(" > ")))].toSorted();
}

describe("a collector", () => {
  test("receives one trace in OTLP/HTTP JSON, from the request to every provider call", async () => {
    const { traceId, status, body } = await bibliographyTrace();
    expect(status).toBe(200);
    const calls = Number(body["api_calls"]);
    expect(calls).toBeGreaterThanOrEqual(1);
    const spans = await collector.spans(traceId, 1 + 4 * calls);
    expect(spans).toHaveLength(1 + 4 * calls);

    const root = "POST /api/authors/enrich-bibliography";
    expect(await paths(traceId, 1 + 4 * calls)).toEqual([
      root,
      `${root} > provider.call`,
      `${root} > provider.call > isbndb.request`,
      `${root} > provider.call > quota.reserve`,
      `${root} > provider.call > quota.settle`,
    ]);
    expect(spans.find(({ name }) => name === root)?.parentSpanId).toBe(PARENT);
    expect(spans.filter((span) => BigInt(span.endTimeUnixNano) < BigInt(span.startTimeUnixNano))).toEqual([]);
    expect(
      collector.arrived.filter(({ method, path, type }) => `${method} ${path} ${type}` !== "POST /v1/traces application/json"),
    ).toEqual([]);
  });

  test("receives one trace from a job request to the job's provider calls", async () => {
    await product.call("POST", "/api/harvest/targets", { isbns: ["9780132350884"] });
    const harvest = await traced("/api/jobs", { type: "harvest", payload: {} });
    const root = "POST /api/jobs";
    expect(await paths(harvest.traceId, 7)).toEqual([
      root,
      `${root} > job`,
      `${root} > job > job.step`,
      `${root} > job > job.step > provider.call`,
      `${root} > job > job.step > provider.call > isbndb.request`,
      `${root} > job > job.step > provider.call > quota.reserve`,
      `${root} > job > job.step > provider.call > quota.settle`,
    ]);
    const reset = await traced("/api/jobs", { type: "reset_quotas", payload: {} });
    expect(await paths(reset.traceId, 4)).toContain(`${root} > job > job.step > quota_reset.execute`);
    const execute = (await collector.spans(reset.traceId, 4)).find(({ name }) => name === "quota_reset.execute");
    expect(Object.fromEntries((execute?.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]]))).toEqual({
      "quota_reset.attempt": 1,
      "quota_reset.rows_updated": 0,
      "quota_reset.success": true,
    });
    const sweep = await traced("/api/jobs", { type: "check_usage_limits", payload: {} });
    expect(await paths(sweep.traceId, 4)).toContain(`${root} > job > job.step > usage_sweep.page`);
  });

  test("receives the names of the service and the SDK", async () => {
    const { traceId } = await bibliographyTrace();
    await collector.spans(traceId, 5);
    const [first] = requestSchema.parse(JSON.parse(collector.arrived.at(-1)?.body ?? "")).resourceSpans;
    const resource = Object.fromEntries((first?.resource.attributes ?? []).map(({ key, value }) => [key, Object.values(value)[0]]));
    expect(resource).toMatchObject({ "service.name": "e2e", "telemetry.sdk.name": "opentelemetry" });
  });

  test("receives separate traces for concurrent requests", async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, bibliographyTrace));
    for (const { traceId, body } of answers) {
      const spans = await collector.spans(traceId, 1 + 4 * Number(body["api_calls"]));
      const ids = new Set(spans.map(({ spanId }) => spanId));
      expect(spans.filter(({ parentSpanId = "" }) => !ids.has(parentSpanId)).map(({ parentSpanId }) => parentSpanId)).toEqual([PARENT]);
    }
  });

  test("receives no secret", async () => {
    await Promise.all(["/health", "/api/quota/history"].map(async (path) => product.call("GET", path)));
    const bodies = collector.arrived.map(({ body }) => body).join("\n");
    expect([product.token, "simulator-key", "test-key-pepper"].filter((secret) => bodies.includes(secret))).toEqual([]);
  });
});

describe("a failing collector", () => {
  const same = ({ duration_ms: _, quota: __, ...rest }: Record<string, unknown>): Record<string, unknown> => rest;

  test("changes no answer if it hangs, fails, answers nonsense or is gone, and traces resume", async () => {
    const expected = same((await bibliographyTrace()).body);
    const hanging: ServerResponse[] = [];
    const failures: ((response: ServerResponse) => void)[] = [
      (response) => void hanging.push(response),
      (response) => void response.writeHead(500).end("oops"),
      (response) => void response.writeHead(200, { "content-type": "text/html" }).end("<html>"),
      (response) => void response.socket?.destroy(),
    ];
    for (const failure of failures) {
      collector.answer = failure;
      const { traceId, status, body } = await bibliographyTrace();
      expect({ status, body: same(body) }).toEqual({ status: 200, body: expected });
      // The collector received the traces, but the answer did not wait for the collector.
      await collector.spans(traceId, 5);
    }
    // An earlier request may have caused one more export.
    expect(hanging.length).toBeGreaterThan(0);
    expect(hanging.filter(({ writableEnded }) => writableEnded)).toEqual([]);

    await collector.close();
    expect(same((await bibliographyTrace()).body)).toEqual(expected);

    collector = new LocalCollector();
    await collector.listen(port);
    const { traceId } = await bibliographyTrace();
    expect((await collector.spans(traceId, 5)).length).toBeGreaterThanOrEqual(5);
  });
});
