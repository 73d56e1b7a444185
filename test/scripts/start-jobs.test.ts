import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
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
  await vi.waitFor(() => expect(liveProcesses().filter(({ id }) => children.includes(id))).toEqual([]), { timeout: 10_000 });
  command = await coordinator.start("--no-demo");
}

/** Authors whose requests hang at the provider when the processes are killed. */
const [RETRIED, ONCE] = ["Interrupted Writer", "Only Writer"];
let sleeping: string;
let betweenAttempts: string;
let interrupted: string;
let lastAttempt: string;

/** Starts a harvest of one author, and waits until the provider received the request. */
async function startHanging(author: string, options: object = {}): Promise<string> {
  await call("POST", "/api/harvest/targets", { authors: [author] });
  await simulator("POST", "/faults", { kind: "hang_after_billing", path: `/author/${encodeURIComponent(author)}`, hang_ms: 60_000 });
  const id = await startJob({ type: "harvest", payload: {}, ...options });
  await vi.waitFor(async () => expect(await requestsFor(`/author/${author}`)).toBe(1), { timeout: 20_000 });
  return id;
}

/** All four jobs are in progress when the processes are killed, because each start takes seconds of CPU time. */
beforeAll(async () => {
  command = await coordinator.start("--no-demo");
  interrupted = await startHanging(RETRIED);
  lastAttempt = await startHanging(ONCE, { max_attempts: 1 });
  await simulator("POST", "/faults", { kind: "status", path: "/key", status: 500 });
  betweenAttempts = await startJob({ type: "housekeeping", payload: { provider_count: true } });
  await call("POST", "/api/harvest/targets", { authors: ["Sleeping Writer"] });
  sleeping = await startJob({ type: "harvest", payload: {}, delay_seconds: 12 });
  await until(betweenAttempts, ({ attempts }) => attempts.some(({ outcome }) => outcome === "failed"));
  if ((await read(sleeping)).status !== "scheduled") throw new Error("The delayed job ran before the kill.");
  await killAndStart();
});

describe("npm start, killed and started again", () => {
  it("runs a delayed job exactly once", async () => {
    const job = await untilEnded(sleeping);
    expect({ status: job.status, attempts: attemptsOf(job) }).toEqual({ status: "completed", attempts: ["run 1 succeeded"] });
    expect(await requestsFor("/author/Sleeping Writer")).toBe(1);
  });

  it("resumes a job between two attempts without repeating earlier steps", async () => {
    const job = await untilEnded(betweenAttempts);
    const before = ["relay", "signals", "abuse", "resume", "dispatch", "remove jobs"].map((step) => `${step} 1 succeeded`);
    const attempts = attemptsOf(job);
    expect(attempts.slice(0, before.length + 1)).toEqual([...before, "provider count 1 failed"]);
    // On a slow machine the second attempt may come before the simulator listens again.
    expect(attempts.slice(before.length + 1).join(", ")).toMatch(
      /^(provider count 2 failed, provider count 3|provider count 2) succeeded, catalog 1 succeeded$/u,
    );
    expect(job).toMatchObject({ status: "completed", result: { provider_count: { upstream_spent: expect.any(Number) } } });
  });

  it("repeats an interrupted step and records the interrupted attempt", async () => {
    const job = await untilEnded(interrupted);
    expect(attemptsOf(job)).toEqual(["run 1 interrupted", "run 2 succeeded"]);
    // The interrupted run leases the target for 15 minutes, so it is not billed twice.
    expect(job.result).toMatchObject({ run: { id: `${interrupted}.2` } });
    expect(await requestsFor(`/author/${RETRIED}`)).toBe(1);
  });

  it("does not repeat a job with one attempt", async () => {
    const job = await untilEnded(lastAttempt);
    expect(job).toMatchObject({ status: "failed", error: "The Worker crashed during the last attempt." });
    expect(attemptsOf(job)).toEqual(["run 1 interrupted"]);
    expect(await requestsFor(`/author/${ONCE}`)).toBe(1);
  });

  it("starts one job that resumes the others at each start", async () => {
    const { jobs } = await call<{ jobs: { type: string; status: string; payload: { restarted_at?: string } }[] }>("GET", "/api/jobs");
    const wakeUps = jobs.filter(({ payload }) => payload.restarted_at !== undefined);
    expect(wakeUps.map(({ type, status }) => `${type} ${status}`)).toEqual(Array.from({ length: 2 }, () => "housekeeping completed"));
  });
});
