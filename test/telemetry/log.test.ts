/** Log lines of a request, a cron trigger and a provider call. */
import { createScheduledController } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import worker from "../../worker/src/index.ts";
import { callWith, postWith } from "../routes/support.ts";
import { answersRepeatWhatWasSent } from "../support/secret-watch.ts";
import { ADMIN_TOKEN, AFTERNOON, freshStart, isbnNumber, settings } from "../support/worker.ts";
import { GIVEN, TRACE, logged } from "./support.ts";

beforeEach(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());

const json = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };

describe("log lines", () => {
  test("of a request all carry its id and its trace's id, even with telemetry off", async () => {
    await env.CATALOG.prepare("ALTER TABLE books RENAME TO away_books").run();
    const lines = logged();
    const headers = { ...json, traceparent: GIVEN, "x-request-id": "find-me" };
    const body = JSON.stringify({ isbns: [isbnNumber(1)] });
    await callWith({}, "/api/enrich/batch-direct", { method: "POST", headers, body });
    expect(lines.map(({ message }) => message)).toContain("The database did not answer");
    expect(lines.filter(({ request_id, trace_id }) => request_id !== "find-me" || trace_id !== TRACE)).toEqual([]);
    expect(lines.at(-1)).toMatchObject({ message: "request", status: 503 });
  });

  test("contain no secret, even if a caller pasted one into a URL", async () => {
    const lines = logged();
    const secrets = [ADMIN_TOKEN, env.KEY_PEPPER, env.SESSION_SECRET, env.METRICS_TOKEN, env.GRAFANA_SECRET];
    for (const secret of secrets) await callWith({}, `/api/${secret}/jobs`);
    expect(lines.map(({ message, path }) => ({ message, path }))).toEqual(
      secrets.map(() => ({ message: "request", path: "/api/[secret]/jobs" })),
    );
    answersRepeatWhatWasSent();
  });

  test("of requests at the same time do not get each other's", async () => {
    const lines = logged();
    const ids = Array.from({ length: 8 }, (_, index) => `request-${index}`);
    await Promise.all(
      ids.map(async (id, index) => {
        const body = JSON.stringify({ isbns: [isbnNumber(index)], caller: id });
        await callWith({}, "/api/enrich/batch-direct", { method: "POST", headers: { ...json, "x-request-id": id }, body });
      }),
    );
    const calls = lines.filter(({ message }) => message === "provider call");
    expect(calls.map(({ caller }) => String(caller)).toSorted()).toEqual(ids);
    expect(calls.filter(({ caller, request_id }) => caller !== request_id)).toEqual([]);
    expect(new Set(calls.map(({ trace_id }) => trace_id)).size).toBe(8);
  });

  test("of a provider call have the operation, the caller, the outcome and the cost", async () => {
    const lines = logged();
    await postWith({}, "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] });
    await settings({ daily_limit: 0, safety_buffer: 0 });
    await postWith({}, "/api/enrich/batch-direct", { isbns: [isbnNumber(2)] });
    expect(lines.filter(({ message }) => String(message).startsWith("provider call"))).toMatchObject([
      {
        level: "info",
        message: "provider call",
        endpoint: "books",
        caller: "enrich.batch",
        priority: "interactive",
        result: "answered",
        outcome: "ok",
        status: 200,
        charged: 1,
        duration_ms: expect.any(Number) as number,
      },
      { level: "info", message: "provider call refused", caller: "enrich.batch", refused_by: "daily", calls_needed: 1 },
    ]);
  });

  test("of a cron tick carry the trace's id", async () => {
    const lines = logged();
    const away = { create: async () => Promise.reject(new Error("Workflows are unavailable")) };
    const tick = createScheduledController({ cron: "*/30 * * * *", scheduledTime: new Date(AFTERNOON) });
    await worker.scheduled(tick, { ...env, JOBS: away as unknown as Env["JOBS"] });
    expect(lines).toMatchObject([
      {
        message: "Creating a job's instance failed",
        cron: "*/30 * * * *",
        trace_id: expect.stringMatching(/^[\da-f]{32}$/u) as string,
      },
    ]);
  });
});
