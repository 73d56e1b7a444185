/** Traces and log lines of a whole request, sent through the public entry point with the simulated provider. */
import { createScheduledController } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import worker from "../../worker/src/index.ts";
import { payFor } from "../../worker/src/library/provider-call.ts";
import { callWith, postWith } from "../routes/support.ts";
import { ADMIN_TOKEN, AFTERNOON, freshLedger, get, isbnNumber, settings, simulator } from "../support/worker.ts";
import { organization, tenant } from "../support/tenants/keys.ts";
import { GIVEN, ON, PARENT, TRACE, collector, logged, named, treeOf } from "./support.ts";
import type { Received } from "./support.ts";

beforeEach(async () => freshLedger());
afterEach(() => void vi.restoreAllMocks());

const admin = { authorization: `Bearer ${ADMIN_TOKEN}` };
const json = { ...admin, "content-type": "application/json" };

describe("a request", () => {
  test("is one trace down to the provider, continues the caller's trace, and sends the provider nothing of it", async () => {
    const { spans, others } = collector();
    const headers = { ...json, traceparent: GIVEN, "x-request-id": "find-me" };
    const body = JSON.stringify({ isbns: [isbnNumber(1)], caller: "nightly" });
    const answer = await callWith(ON, "/api/enrich/batch-direct", { method: "POST", headers, body });
    expect(answer.status).toBe(200);

    const received = await spans(5);
    expect(treeOf(received)).toEqual([
      "POST /api/enrich/batch-direct",
      "  provider.call",
      "    quota.reserve",
      "    isbndb.request",
      "    quota.settle",
    ]);
    expect(new Set(received.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]));
    expect(named(received, "POST /api/enrich/batch-direct")).toMatchObject({
      kind: 2,
      parentSpanId: PARENT,
      status: { code: 0 },
      attributes: {
        "http.request.method": "POST",
        "http.route": "/api/enrich/batch-direct",
        "http.response.status_code": 200,
        "caller.kind": "admin",
        request_id: "find-me",
      },
    });
    expect(named(received, "quota.reserve").attributes).toEqual({
      "quota.caller": "nightly",
      "quota.priority": "interactive",
      "quota.batch_of": 1,
      "quota.decision": "granted",
      "quota.calls_granted": 1,
      "quota.wait_ms": 0,
    });
    expect(named(received, "isbndb.request")).toMatchObject({
      kind: 3,
      status: { code: 0 },
      attributes: {
        "isbndb.endpoint": "books",
        "isbndb.outcome": "ok",
        "isbndb.charged": true,
        "http.request.method": "POST",
        "http.response.status_code": 200,
      },
    });
    expect(named(received, "quota.settle").attributes).toEqual({ "quota.charged": 1 });
    const toProvider = others.filter(({ url }) => url.startsWith("http://isbndb.test"));
    expect(toProvider.map(({ headers }) => [headers.has("traceparent"), headers.has("tracestate")])).toEqual([[false, false]]);
  });

  test("that finds out the price shows the free looks at the count around it", async () => {
    const { spans } = collector();
    await postWith(ON, "/api/enrich/batch-direct", { isbns: [isbnNumber(1), isbnNumber(2)] });
    const received = await spans(7);
    const free = received.filter(({ attributes }) => attributes["isbndb.endpoint"] === "key");
    expect(free.map(({ attributes }) => [attributes["isbndb.charged"], attributes["isbndb.outcome"]])).toEqual([
      [false, "count"],
      [false, "count"],
    ]);
  });

  test("that is refused has the reason, and is not an error", async () => {
    await settings({ daily_limit: 0, safety_buffer: 0, rate_per_second: 0 });
    const { spans } = collector();
    expect((await postWith(ON, "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] })).status).toBe(429);
    const received = await spans(3);
    expect(received.map(({ name, status }) => [name, status.code])).toEqual([
      ["quota.reserve", 0],
      ["provider.call", 0],
      ["POST /api/enrich/batch-direct", 0],
    ]);
    expect(named(received, "quota.reserve").attributes).toMatchObject({ "quota.decision": "refused", "quota.refused_by": "daily" });
    expect(named(received, "provider.call").attributes).toMatchObject({ "provider.result": "refused", "quota.charged": 0 });
  });

  test("whose provider fails has the outcome and the cost", async () => {
    await simulator.control("POST", "/faults", { kind: "status", status: 500 });
    const { spans } = collector();
    expect((await postWith(ON, "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] })).status).toBe(502);
    const received = await spans(5);
    expect(named(received, "isbndb.request")).toMatchObject({
      status: { code: 2 },
      attributes: {
        "isbndb.outcome": "provider_failed",
        "isbndb.charged": true,
        "http.response.status_code": 500,
        "error.type": "provider_failed",
      },
    });
    expect(named(received, "POST /api/enrich/batch-direct")).toMatchObject({ status: { code: 2 }, attributes: { "error.type": "502" } });
  });

  test("whose ledger is unavailable says so", async () => {
    logged();
    const away = {
      getByName: () => {
        throw new Error("the ledger is unavailable");
      },
    };
    const { spans } = collector();
    expect((await postWith({ ...ON, QUOTA_LEDGER: away }, "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] })).status).toBe(503);
    expect(named(await spans(3), "quota.reserve")).toMatchObject({
      status: { code: 2 },
      attributes: { "error.type": "quota_unavailable" },
    });
  });

  test("of a service that reserves for itself shows the decision and the charge", async () => {
    const { spans } = collector();
    await postWith(ON, "/api/quota/reservations", { calls: 10, id: "mine" });
    await postWith(ON, "/api/quota/reservations/mine/commit", { calls: 7 });
    await postWith(ON, "/api/quota/reservations", { calls: 5, id: "back" });
    await callWith(ON, "/api/quota/reservations/back", { method: "DELETE", headers: admin });
    const received = await spans(8);
    expect(treeOf(received)).toEqual([
      "POST /api/quota/reservations",
      "  quota.reserve",
      "POST /api/quota/reservations/:id/commit",
      "  quota.settle",
      "POST /api/quota/reservations",
      "  quota.reserve",
      "DELETE /api/quota/reservations/:id",
      "  quota.settle",
    ]);
    const settled = received.filter(({ name }) => name === "quota.settle");
    expect(settled.map(({ attributes }) => attributes)).toEqual([
      { "quota.result": "committed", "quota.charged": 7 },
      { "quota.result": "released", "quota.charged": 0 },
    ]);
  });

  test("of a project has the class of projects, and names the project in an attribute", async () => {
    await organization("acme");
    const { key } = await tenant("p1", "acme");
    const { spans } = collector();
    const headers = { ...json, authorization: `Bearer ${key}` };
    await callWith(ON, "/api/enrich/batch-direct", { method: "POST", headers, body: JSON.stringify({ isbns: [isbnNumber(1)] }) });
    const received = await spans(5);
    expect(named(received, "quota.reserve").attributes).toMatchObject({ "quota.caller": "project", "project.id": "p1" });
    expect(named(received, "POST /api/enrich/batch-direct").attributes).toMatchObject({ "caller.kind": "project", "project.id": "p1" });
  });

  test.each([
    ["GET", "/api/nowhere/secret-in-a-path", "GET", undefined],
    ["GET", "/api/books/9780140328721", "GET /api/books/:isbn", "/api/books/:isbn"],
    ["DELETE", "/health", "DELETE", undefined],
    ["PROPFIND", "/health", "_OTHER", undefined],
  ])("%s %s is %s: names come from routes, never from paths", async (method, path, name, route) => {
    const { spans, bodies } = collector();
    await callWith(ON, path, { method, headers: admin });
    const [span] = await spans(1);
    expect([span?.name, span?.attributes["http.route"]]).toEqual([name, route]);
    expect(bodies.join()).not.toContain("secret-in-a-path");
  });
});

describe("calls at the same time", () => {
  test("keep their own parts, each below its own call", async () => {
    const { spans } = collector();
    const deps = createDeps({ ...env, ...ON }, () => Date.now());
    await deps.trace.span("root", {}, async (trace) => {
      await Promise.all(
        Array.from({ length: 6 }, async (_, index) =>
          payFor(
            { ...deps, trace },
            {
              spending: { cost: { calls: 1 }, caller: `caller-${index}`, priority: "interactive" },
              records: 1,
              send: async (options) => deps.isbndb.books([isbnNumber(index)], options),
              keep: async (paid) => paid,
            },
          ),
        ),
      );
    });
    const received = await spans(25);
    const byId = new Map(received.map((span) => [span.spanId, span]));
    const parentOf = ({ parentSpanId = "" }: Received) => byId.get(parentSpanId);
    const calls = received.filter(({ name }) => name === "provider.call");
    expect(calls.map((call) => parentOf(call)?.name)).toEqual(Array.from({ length: 6 }, () => "root"));
    for (const call of calls) {
      const parts = received.filter(({ parentSpanId }) => parentSpanId === call.spanId);
      expect(parts.map(({ name }) => name).toSorted()).toEqual(["isbndb.request", "quota.reserve", "quota.settle"]);
      expect(named(parts, "quota.reserve").attributes["quota.caller"]).toBe(call.attributes["quota.caller"]);
    }
  });
});

describe("a cron tick", () => {
  test("begins the trace that its job continues", async () => {
    const { spans } = collector();
    await worker.scheduled(createScheduledController({ cron: "*/30 * * * *", scheduledTime: new Date(AFTERNOON) }), { ...env, ...ON });
    const received = await spans(1);
    expect(treeOf(received)).toEqual(["cron"]);
    expect(named(received, "cron").attributes).toEqual({
      "cron.expression": "*/30 * * * *",
      "cron.scheduled_time": "2031-05-14T14:03:11.000Z",
    });
    const { body } = await get<{ jobs: { trace_id: string }[] }>("/api/jobs?type=harvest");
    expect(body.jobs.map(({ trace_id }) => trace_id)).toEqual(received.map(({ traceId }) => traceId));
  });
});
