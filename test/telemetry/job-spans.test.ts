import { afterEach, describe, expect, test, vi } from "vitest";
import { log } from "../../worker/src/lib/log.ts";
import { jobEnded, jobStep, placeOfJob, quotaReset, usageSweepPage, webhookDelivery } from "../../worker/src/telemetry/index.ts";
import { GIVEN, START, TRACE, collector, named, traced, treeOf } from "./support.ts";

afterEach(() => void vi.restoreAllMocks());

const nothing = async (): Promise<void> => undefined;

describe("a job", () => {
  const JOB = { id: "check_usage_limits-0123", type: "check_usage_limits", projectId: "demo" };

  test("is one trace from the request to the webhook, although no two parts share an instance", async () => {
    const { spans } = collector();
    let enqueuedBy = "";
    await traced().trace.span("request", {}, async (span) => {
      enqueuedBy = span.traceparent;
    });

    const place = await placeOfJob(enqueuedBy, JOB.id);
    for (const step of ["first", "second"]) {
      await jobStep(traced(place).trace, { job: JOB, step, attempt: 1 }, async (span) =>
        webhookDelivery(span, { webhookId: "w1", projectId: "demo", attempt: 2 }, async () => ({ status: step === "first" ? 204 : 500 })),
      );
    }
    const over = { startedAt: START - 60_000, endedAt: START, error: { type: "Error", message: "gave up" } };
    jobEnded(traced(enqueuedBy).trace, place, JOB, { status: "errored", ...over });

    const received = await spans(6);
    expect(treeOf(received)).toEqual([
      "request",
      "  job",
      "    job.step",
      "      webhook.deliver",
      "    job.step",
      "      webhook.deliver",
    ]);
    expect(new Set(received.map(({ traceId }) => traceId)).size).toBe(1);
    expect(named(received, "job")).toMatchObject({
      startTimeUnixNano: `${START - 60_000}000000`,
      status: { code: 2, message: "gave up" },
      attributes: { "job.id": JOB.id, "job.type": JOB.type, "job.status": "errored", "project.id": "demo", "error.type": "Error" },
    });
    expect(named(received, "job.step").attributes).toMatchObject({ "job.step": "first", "job.attempt": 1 });
    const deliveries = received.filter(({ name }) => name === "webhook.deliver");
    expect(deliveries.map(({ kind, status, attributes }) => [kind, status.code, attributes["http.response.status_code"]])).toEqual([
      [3, 0, 204],
      [3, 2, 500],
    ]);
  });

  test("that has ended keeps its place: later work has another one", async () => {
    const { spans } = collector();
    const { trace } = traced();
    const place = await placeOfJob(null, JOB.id);
    jobEnded(trace, place, JOB, { status: "complete", startedAt: START, endedAt: START, error: null });
    await trace.span("after", {}, nothing);
    const received = await spans(2);
    expect(place).toContain(named(received, "job").spanId);
    expect(named(received, "after").spanId).not.toBe(named(received, "job").spanId);
    expect(named(received, "after").traceId).toBe(trace.traceId);
  });

  test("without a requester's trace is its own trace", async () => {
    const { spans } = collector();
    const place = await placeOfJob(null, JOB.id);
    await jobStep(traced(place).trace, { job: JOB, step: "only", attempt: 1 }, nothing);
    jobEnded(traced(null).trace, place, JOB, { status: "complete", startedAt: START, endedAt: START, error: null });
    const received = await spans(2);
    expect(treeOf(received)).toEqual(["job", "  job.step"]);
    expect(new Set(received.map(({ traceId }) => traceId)).size).toBe(1);
  });

  test("writes log lines with the job and its trace, recorded or not", async () => {
    const lines: string[] = [];
    vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
    const place = await placeOfJob(GIVEN, JOB.id);
    await jobStep(traced(place, false).trace, { job: JOB, step: "only", attempt: 1 }, async () => log.info("[CheckUsageLimits] Starting"));
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { level: "info", message: "[CheckUsageLimits] Starting", job_id: JOB.id, job_type: JOB.type, trace_id: TRACE },
    ]);
  });

  test("a delivery without an answer is an error", async () => {
    const { spans } = collector();
    await webhookDelivery(traced().trace, { webhookId: "w1", projectId: "demo", attempt: 1 }, async () => ({ status: null }));
    expect(await spans(1)).toMatchObject([{ status: { code: 2 }, attributes: { "error.type": "no_answer" } }]);
  });
});

describe("the reset and the sweep", () => {
  test("the reset has the attempt, the rows and the success", async () => {
    const { spans } = collector();
    expect(await quotaReset(traced().trace, 2, async () => ({ rowsUpdated: 7 }))).toEqual({ rowsUpdated: 7 });
    expect(named(await spans(1), "quota_reset.execute").attributes).toEqual({
      "quota_reset.attempt": 2,
      "quota_reset.success": true,
      "quota_reset.rows_updated": 7,
    });
  });

  test("a failed reset is recorded, without a number of rows", async () => {
    const { spans } = collector();
    await quotaReset(traced().trace, 1, async () => Promise.reject(new Error("D1 is away"))).catch(nothing);
    const span = named(await spans(1), "quota_reset.execute");
    expect(span.status).toEqual({ code: 2, message: "D1 is away" });
    expect(span.attributes).toEqual({ "quota_reset.attempt": 1, "quota_reset.success": false, "error.type": "Error" });
  });

  test("a page of the sweep has its counts, and no project names", async () => {
    const { spans } = collector();
    const swept = { projects_checked: 3, projects_suspended: 1, warnings_sent: 2, details: [], errors: ["one"] };
    const page = { last: "p3", swept };
    expect(await usageSweepPage(traced().trace, async () => page)).toBe(page);
    expect(await usageSweepPage(traced().trace, async () => null)).toBeNull();
    expect((await spans(2)).map(({ attributes }) => Object.values(attributes))).toEqual([
      [3, 1, 2, 1],
      [0, 0, 0, 0],
    ]);
  });
});
