/** Many jobs at a time, with a Workflows binding that limits creations as the platform does. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { Instances } from "../../worker/src/jobs/instances.ts";
import type { JobParams } from "../../worker/src/jobs/job-params.ts";
import { strictWorkflows } from "../support/strict-workflows.ts";
import type { StrictWorkflows } from "../support/strict-workflows.ts";
import { freshStart } from "../support/worker.ts";

const clock = () => Date.now();
/** The clock moves instead of waiting. */
const sleep = async (ms: number): Promise<void> => void vi.setSystemTime(Date.now() + ms);

const params = (text = ""): JobParams => ({
  type: "harvest",
  payload: { text },
  maxTries: 1,
  createdAt: 0,
  scheduledFor: null,
  delayUntil: null,
  requestedBy: "test",
  requestId: null,
  traceId: null,
  traceparent: null,
});
const many = (count: number, text = "") => Array.from({ length: count }, (_, n) => ({ id: `job-${n}`, params: params(text) }));

beforeEach(async () => freshStart());

/** The most instances that were created within a second. */
function mostPerSecond({ created }: StrictWorkflows): number {
  const times = [...created.values()];
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 1_000).length));
}

describe("creating many instances", () => {
  test("keeps to 80 a second, so that the platform omits none", async () => {
    const workflows = strictWorkflows(clock);
    const began = Date.now();
    const { created, refused } = await new Instances(workflows.binding, sleep).createMany(many(1_000));
    expect({ created: created.length, refused, requested: workflows.requested() }).toEqual({
      created: 1_000,
      refused: [],
      requested: 1_000,
    });
    expect(mostPerSecond(workflows)).toBeLessThanOrEqual(80);
    expect(Date.now() - began).toBeLessThan(14_000);
  });

  test("repeats omitted ones, reports ones that are refused every time, and skips existing ones", async () => {
    const workflows = strictWorkflows(clock, (id, nth) => id === "job-7" || nth % 10 === 0);
    const instances = new Instances(workflows.binding, sleep);
    const first = await instances.createMany(many(50));
    expect(first.refused).toEqual(["job-7"]);
    expect(first.created.toSorted()).toEqual([...workflows.created.keys()].toSorted());
    expect(await instances.createMany(many(50))).toEqual({ created: [], refused: ["job-7"] });
  });

  test("keeps each request below 1 MiB", async () => {
    const workflows = strictWorkflows(clock);
    const { created } = await new Instances(workflows.binding, sleep).createMany(many(12, "ü".repeat(140_000)));
    expect(created).toHaveLength(12);
  });

  test("repeats a request that failed, and throws if it fails every time", async () => {
    const workflows = strictWorkflows(clock);
    const createBatch = vi.fn<(batch: WorkflowBatchCreateOptions<JobParams>) => Promise<WorkflowBatchCreateResult>>();
    createBatch.mockRejectedValueOnce(new Error("Network connection lost."));
    createBatch.mockImplementation(async (batch) => workflows.binding.createBatch(batch));
    const flaky = new Instances({ createBatch } as unknown as Workflow<JobParams>, sleep);
    expect((await flaky.createMany(many(3))).created).toHaveLength(3);
    createBatch.mockRejectedValue(new Error("internal error"));
    await expect(flaky.createMany(many(3))).rejects.toThrow("internal error");
  });
});
