/** A collector that replaces the network, and the received spans in a form that tests can compare. */
import { vi } from "vitest";
import { look } from "../support/secret-watch.ts";
import { traceFrom } from "../../worker/src/telemetry/index.ts";

export const COLLECTOR = "http://collector.test:4318";
export const ON = { OTEL_ENABLED: "true", OTEL_ENDPOINT: COLLECTOR };

interface Value {
  readonly stringValue?: string;
  readonly intValue?: number;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
}

export interface Received {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly flags: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code: number; readonly message?: string };
  readonly attributes: Record<string, unknown>;
  readonly events: readonly { readonly name: string; readonly attributes: Record<string, unknown> }[];
}

interface KeyValue {
  readonly key: string;
  readonly value: Value;
}

type RawSpan = Omit<Received, "attributes" | "events"> & { attributes: KeyValue[]; events: { name: string; attributes: KeyValue[] }[] };

const plain = (attributes: readonly KeyValue[]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0] as unknown]));

export function spansIn(body: string): Received[] {
  const { resourceSpans } = JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: RawSpan[] }[] }[] };
  return resourceSpans
    .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
    .map((span) => ({
      ...span,
      attributes: plain(span.attributes),
      events: span.events.map(({ name, attributes }) => ({ name, attributes: plain(attributes) })),
    }));
}

export interface Collector {
  /** Exports in the order of their arrival. */
  readonly bodies: string[];
  readonly requests: {
    readonly url: string;
    readonly headers: Headers;
    readonly method: string | undefined;
    readonly redirect: string | undefined;
  }[];
  /** Requests that went to other addresses, such as the provider's. */
  readonly others: { readonly url: string; readonly headers: Headers }[];
  /** Returns all received spans, once there are at least this many. */
  readonly spans: (count: number) => Promise<Received[]>;
}

/** Changes the collector's response from now on. Other addresses respond as before. */
export function collector(answer: () => Promise<Response> | Response = () => Response.json({})): Collector {
  const real = globalThis.fetch;
  const bodies: string[] = [];
  const requests: Collector["requests"] = [];
  const others: Collector["others"] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const headers = new Headers(init?.headers);
    if (!url.startsWith(COLLECTOR)) {
      others.push({ url, headers });
      return real(input, init);
    }
    requests.push({ url, headers, method: init?.method, redirect: init?.redirect });
    const body = typeof init?.body === "string" ? init.body : "";
    bodies.push(body);
    look("trace", body);
    return answer();
  });
  const received = (): Received[] => bodies.flatMap(spansIn);
  const spans = async (count: number): Promise<Received[]> => {
    await vi.waitFor(() => {
      if (received().length < count)
        throw new Error(
          `${received().length} of ${count} spans: ${received()
            .map(({ name }) => name)
            .join(", ")}`,
        );
    }, 5_000);
    return received();
  };
  return { bodies, requests, others, spans };
}

/** The tree as lines, "  " for each level, siblings in the order in which they ended. A span without a parent in the list is not indented. */
export function treeOf(spans: readonly Received[]): string[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const below = (parent: string | null, depth: number): string[] =>
    spans
      .filter(({ parentSpanId = "" }) => (parent === null ? !ids.has(parentSpanId) : parentSpanId === parent))
      .flatMap(({ name, spanId }) => [`${"  ".repeat(depth)}${name}`, ...below(spanId, depth + 1)]);
  return below(null, 0);
}

export function named(spans: readonly Received[], name: string): Received {
  const found = spans.find((span) => span.name === name);
  if (!found) throw new Error(`no ${name} among ${spans.map((span) => span.name).join(", ")}`);
  return found;
}

export const START = Date.parse("2031-05-14T14:03:11Z");
export const TRACE = "0af7651916cd43dd8448eb211c80319c";
export const PARENT = "b7ad6b7169203331";
export const GIVEN = `00-${TRACE}-${PARENT}-01`;

/** A trace whose clock a test sets. */
export function traced(traceparent: string | null = null, enabled = true) {
  const time = { now: START };
  const config = { enabled, serviceName: "a test", url: `${COLLECTOR}/v1/traces` };
  return { time, trace: traceFrom(traceparent, config, { clock: () => time.now, secrets: ["a-configured-secret"] }) };
}

/** Everything logged from now on, as objects. */
export function logged(): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  for (const level of ["log", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>));
  }
  return lines;
}
