import { afterEach, describe, expect, test, vi } from "vitest";
import { Problem } from "../../worker/src/errors.ts";
import type { RootTrace } from "../../worker/src/telemetry/index.ts";
import { COLLECTOR, GIVEN, START, TRACE, collector, named, traced, treeOf } from "./support.ts";

afterEach(() => void vi.restoreAllMocks());

const nothing = async (): Promise<void> => undefined;

describe("a span", () => {
  test("has time, name and place, in the form of OTLP", async () => {
    const { bodies, requests, spans } = collector();
    const { trace, time } = traced(GIVEN);
    const result = await trace.span(
      "work",
      { text: "a", count: 3, ratio: 0.5, yes: true, none: null, gone: undefined, wrong: Number.NaN, huge: 2 ** 60 },
      async (span) => {
        time.now += 1_234.5;
        span.set({ later: 1 });
        return "the result of the work";
      },
    );
    expect(result).toBe("the result of the work");
    const [span] = await spans(1);
    expect(span).toMatchObject({
      name: "work",
      traceId: TRACE,
      spanId: expect.stringMatching(/^[\da-f]{16}$/u) as string,
      parentSpanId: "b7ad6b7169203331",
      kind: 1,
      startTimeUnixNano: `${START}000000`,
      endTimeUnixNano: `${START + 1_234}500000`,
      status: { code: 0 },
      attributes: { text: "a", count: 3, ratio: 0.5, yes: true, later: 1 },
    });
    expect(Object.keys(span?.attributes ?? {})).toHaveLength(5);
    const { resourceSpans } = JSON.parse(bodies[0] ?? "") as { resourceSpans: { resource: { attributes: unknown } }[] };
    expect(resourceSpans.map(({ resource }) => resource.attributes)).toEqual([
      expect.arrayContaining([{ key: "service.name", value: { stringValue: "a test" } }]),
    ]);
    expect(requests).toMatchObject([{ url: `${COLLECTOR}/v1/traces`, method: "POST", redirect: "manual" }]);
    expect(requests[0]?.headers.get("content-type")).toBe("application/json");
  });

  test("hangs below the span that started it under concurrency", async () => {
    const { spans, requests } = collector();
    const { trace } = traced();
    const pause = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
    await trace.span("root", {}, async (root) => {
      await Promise.all(
        Array.from({ length: 8 }, async (_, index) =>
          root.span("branch", { index }, async (branch) => {
            await pause();
            await Promise.all([branch.span("leaf", { index }, pause), branch.span("leaf", { index }, pause)]);
          }),
        ),
      );
    });
    const received = await spans(25);
    const byId = new Map(received.map((span) => [span.spanId, span]));
    const wrong = received.filter(({ name, parentSpanId = "", attributes }) => {
      const parent = byId.get(parentSpanId);
      if (name === "root") return parent !== undefined;
      if (name === "branch") return parent?.name !== "root";
      return parent?.name !== "branch" || parent.attributes["index"] !== attributes["index"];
    });
    expect(wrong).toEqual([]);
    expect(byId.size).toBe(25);
    expect(new Set(received.map(({ traceId }) => traceId))).toEqual(new Set([trace.traceId]));
    expect(requests).toHaveLength(1);
  });

  test("that throws is an error with the message, without the stack, and the throw passes", async () => {
    const { spans, bodies } = collector();
    const { trace } = traced();
    const fault = new TypeError("the disk is full");
    await expect(trace.span("work", {}, async () => Promise.reject(fault))).rejects.toBe(fault);
    expect(named(await spans(1), "work")).toMatchObject({
      status: { code: 2, message: "the disk is full" },
      attributes: { "error.type": "TypeError" },
      events: [{ name: "exception", attributes: { "exception.type": "TypeError", "exception.message": "the disk is full" } }],
    });
    expect(bodies.join()).not.toContain("trace.test.ts");
  });

  test("that ends in a refusal is none: a refusal is an answer", async () => {
    const { spans } = collector();
    const { trace } = traced();
    const refuse = (code: "quota_exhausted" | "quota_unavailable") => async () => Promise.reject(new Problem(code, "no"));
    await trace.span("refused", {}, refuse("quota_exhausted")).catch(nothing);
    await trace.span("failed", {}, refuse("quota_unavailable")).catch(nothing);
    const received = await spans(2);
    expect(named(received, "refused")).toMatchObject({ status: { code: 0 }, attributes: { "error.type": "quota_exhausted" }, events: [] });
    expect(named(received, "failed")).toMatchObject({ status: { code: 2 }, attributes: { "error.type": "quota_unavailable" } });
  });

  test("contains no secret, even if an error does", async () => {
    const { spans, bodies } = collector();
    const key = `qc_live_${"a".repeat(10)}_${"B".repeat(38)}`;
    const { trace } = traced();
    const fault = async (): Promise<void> => Promise.reject(new Error(`refused for a-configured-secret and ${key}`));
    await trace.span("work", { copied: key }, fault).catch(nothing);
    const [span] = await spans(1);
    expect(span?.status.message).toBe("refused for [secret] and qc_live_aaaaaaaaaa_…");
    expect(bodies.join()).not.toMatch(/a-configured-secret|B{38}/u);
  });

  test("whose clock went back has no length, and text that is too long is cut", async () => {
    const { spans } = collector();
    const { trace, time } = traced();
    await trace.span("work", { long: "x".repeat(5_000) }, async () => void (time.now -= 5_000));
    const [span] = await spans(1);
    expect(span?.endTimeUnixNano).toBe(span?.startTimeUnixNano);
    expect(span?.attributes["long"]).toHaveLength(512);
  });

  test("leaves when the work is done and its answer is on its way, not before", async () => {
    const { spans, requests } = collector();
    await traced().trace.span("work", {}, nothing);
    expect(requests).toEqual([]);
    expect(await spans(1)).toHaveLength(1);
  });

  test("that outlives its parent arrives all the same", async () => {
    const { spans } = collector();
    const { trace } = traced();
    let late: Promise<void> = Promise.resolve();
    await trace.span("root", {}, async (root) => {
      late = root.span("late", {}, async () => new Promise((resolve) => setTimeout(resolve, 20)));
    });
    await late;
    expect(treeOf(await spans(2))).toEqual(["root", "  late"]);
  });

  test("that never ends does not block others", async () => {
    const { spans } = collector();
    await traced().trace.span("root", {}, async (root) => {
      await root.span("ends", {}, nothing);
      void root.span("never ends", {}, async () => new Promise(() => undefined));
    });
    expect(treeOf(await spans(2))).toEqual(["root", "  ends"]);
  });

  test("of a long trace leaves before the trace ends, so that none is ever held for long", async () => {
    const { spans, requests } = collector();
    const { trace } = traced();
    await trace.span("root", {}, async (root) => {
      for (let n = 0; n < 300; n += 1) await root.span("page", {}, nothing);
      await spans(256);
    });
    expect(await spans(301)).toHaveLength(301);
    expect(requests).toHaveLength(2);
  });
});

describe("where a trace begins", () => {
  test("has its own ids if none are given, or if they are invalid", async () => {
    const { spans } = collector();
    const roots = [traced(null), traced("00-nonsense")].map(({ trace }) => trace);
    for (const trace of roots) await trace.span("root", {}, nothing);
    const received = await spans(2);
    expect(received.map(({ traceId }) => traceId)).toEqual(roots.map(({ traceId }) => traceId));
    expect(received.map(({ parentSpanId }) => parentSpanId)).toEqual([undefined, undefined]);
  });

  test("a span's traceparent is where the next service or job continues", async () => {
    const { spans } = collector();
    const { trace } = traced();
    let handed = "";
    await trace.span("request", {}, async (span) => {
      handed = span.traceparent;
    });
    await traced(handed).trace.span("elsewhere", {}, nothing);
    const received = await spans(2);
    expect(treeOf(received)).toEqual(["request", "  elsewhere"]);
    expect(new Set(received.map(({ traceId }) => traceId))).toEqual(new Set([trace.traceId]));
  });

  const silent = async (trace: RootTrace): Promise<string[]> => {
    const handed: string[] = [];
    await trace.span("work", {}, async (span) => {
      span.set({ a: 1 });
      span.fail("error");
      span.rename("other");
      await span.span("below", {}, async (below) => void handed.push(below.traceparent));
    });
    trace.past("job", GIVEN, { startedAt: START, endedAt: START, error: null }, {});
    return handed;
  };

  test("a caller can opt out of recording, and the ids are passed on", async () => {
    const { requests } = collector();
    const unsampled = GIVEN.replace(/01$/u, "00");
    const { trace } = traced(unsampled);
    expect({ traceId: trace.traceId, handed: await silent(trace) }).toEqual({ traceId: TRACE, handed: [unsampled] });
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(requests).toEqual([]);
  });

  test("with telemetry off nothing leaves, and the ids stay for the log", async () => {
    const { requests } = collector();
    expect(await silent(traced(GIVEN, false).trace)).toEqual([GIVEN]);
    const { trace } = traced(null, false);
    expect(await silent(trace)).toEqual([expect.stringMatching(new RegExp(`^00-${trace.traceId}-[\\da-f]{16}-00$`, "u"))]);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(requests).toEqual([]);
  });

  test("an error passes through an unrecorded trace", async () => {
    const fault = new Error("as it is");
    await expect(traced(null, false).trace.span("work", {}, async () => Promise.reject(fault))).rejects.toBe(fault);
  });
});
