import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Coordinator } from "../support/node/coordinator.ts";
import type { Command } from "../support/node/process.ts";
import { liveProcesses } from "../support/node/process.ts";

interface Job {
  readonly id: string;
  readonly status: string;
  readonly result: Record<string, unknown> | null;
  readonly attempts: readonly { step: string; attempt: number; outcome: string | null; error: string | null }[];
}

const coordinator = new Coordinator();
let command: Command;
beforeAll(async () => {
  command = await coordinator.start("--no-demo");
});
afterAll(async () => coordinator.stop());

const call = async <Body>(method: string, path: string, body?: object): Promise<Body> => {
  const headers = { authorization: `Bearer ${coordinator.token}`, "content-type": "application/json" };
  const answer = await fetch(`${coordinator.url}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const read = (await answer.json()) as Body;
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(read)}`);
  return read;
};
const simulator = async <Body>(method: string, path: string, body?: object): Promise<Body> => {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  return (await (await fetch(`${coordinator.simulatorUrl}/_simulator${path}`, init)).json()) as Body;
};
const startJob = async (body: object): Promise<string> => (await call<Job>("POST", "/api/jobs", body)).id;
const read = async (id: string): Promise<Job> => call<Job>("GET", `/api/jobs/${id}`);
const until = async (id: string, condition: (job: Job) => boolean): Promise<Job> => {
  let job = await read(id);
  for (const deadline = performance.now() + 40_000; !condition(job); job = await read(id)) {
    if (performance.now() > deadline) throw new Error(`condition not met: ${JSON.stringify(job)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return job;
};
const untilEnded = async (id: string): Promise<Job> => until(id, ({ status }) => status === "completed" || status === "failed");
const attemptsOf = ({ attempts }: Job): string[] => attempts.map(({ step, attempt, outcome }) => `${step} ${attempt} ${outcome ?? "open"}`);

/** Number of requests for a path in the provider's log. */
const requestsFor = async (path: string): Promise<number> => {
  const log = await simulator<{ path: string }[]>("GET", "/requests?limit=5000");
  return log.filter(({ path: sent }) => decodeURIComponent(sent).startsWith(path)).length;
};

/** Kills all processes, as in a power failure, and starts again on the same files. */
async function killAndStart(): Promise<void> {
  const children = command.children().map((child) => Number.parseInt(child, 10));
  const dead = command.stop("SIGKILL");
  for (const id of children) process.kill(id, "SIGKILL");
  await dead;
  await expect.poll(() => liveProcesses().filter(({ id }) => children.includes(id)), { timeout: 10_000 }).toEqual([]);
  command = await coordinator.start("--no-demo");
}

describe("npm start, killed and started again", () => {
  it("runs a delayed job exactly once", async () => {
    await call("POST", "/api/harvest/targets", { authors: ["Sleeping Writer"] });
    const id = await startJob({ type: "harvest", payload: {}, delay_seconds: 5 });
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect((await read(id)).status).toBe("scheduled");
    await killAndStart();
    const job = await untilEnded(id);
    expect({ status: job.status, attempts: attemptsOf(job) }).toEqual({ status: "completed", attempts: ["run 1 succeeded"] });
    expect(await requestsFor("/author/Sleeping Writer")).toBe(1);
  });

  it("resumes a job between two attempts without repeating earlier steps", async () => {
    await simulator("POST", "/faults", { kind: "status", path: "/key", status: 500 });
    const id = await startJob({ type: "housekeeping", payload: { provider_count: true } });
    await until(id, ({ attempts }) => attempts.some(({ outcome }) => outcome === "failed"));
    await killAndStart();
    const job = await untilEnded(id);
    const before = ["relay", "signals", "abuse", "resume", "dispatch", "remove jobs"].map((step) => `${step} 1 succeeded`);
    expect(attemptsOf(job)).toEqual([...before, "provider count 1 failed", "provider count 2 succeeded"]);
    expect(job).toMatchObject({ status: "completed", result: { provider_count: { upstream_spent: 1 } } });
  });

  it("repeats an interrupted step and records the interrupted attempt", async () => {
    await call("POST", "/api/harvest/targets", { authors: ["Interrupted Writer"] });
    await simulator("POST", "/faults", { kind: "hang_after_billing", path: "/author/", hang_ms: 60_000 });
    const id = await startJob({ type: "harvest", payload: {} });
    await expect.poll(async () => requestsFor("/author/Interrupted Writer"), { timeout: 20_000 }).toBe(1);
    await killAndStart();
    const job = await untilEnded(id);
    expect(attemptsOf(job)).toEqual(["run 1 interrupted", "run 2 succeeded"]);
    // The interrupted run leases the target for 15 minutes, so it is not billed twice.
    expect(job.result).toMatchObject({ run: { id: `${id}.2`, stopped: "nothing_due" } });
    expect(await requestsFor("/author/Interrupted Writer")).toBe(1);
  });

  it("does not repeat a job with one attempt", async () => {
    await call("POST", "/api/harvest/targets", { authors: ["Only Writer"] });
    await simulator("POST", "/faults", { kind: "hang_after_billing", path: "/author/", hang_ms: 60_000 });
    const id = await startJob({ type: "harvest", payload: {}, max_attempts: 1 });
    await expect.poll(async () => requestsFor("/author/Only Writer"), { timeout: 20_000 }).toBe(1);
    await killAndStart();
    const job = await untilEnded(id);
    expect(job).toMatchObject({ status: "failed", error: "The Worker crashed during the last attempt." });
    expect(attemptsOf(job)).toEqual(["run 1 interrupted"]);
  });

  it("starts one job that resumes the others at each start", async () => {
    const { jobs } = await call<{ jobs: { type: string; status: string; payload: { restarted_at?: string } }[] }>("GET", "/api/jobs");
    const wakeUps = jobs.filter(({ payload }) => payload.restarted_at !== undefined);
    expect(wakeUps.map(({ type, status }) => `${type} ${status}`)).toEqual(Array.from({ length: 5 }, () => "housekeeping completed"));
  });
});
