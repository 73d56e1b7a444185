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
const ask = async (body: object): Promise<string> => (await call<Job>("POST", "/api/jobs", body)).id;
const read = async (id: string): Promise<Job> => call<Job>("GET", `/api/jobs/${id}`);
const until = async (id: string, wanted: (job: Job) => boolean): Promise<Job> => {
  let job = await read(id);
  for (const giveUpAt = performance.now() + 40_000; !wanted(job); job = await read(id)) {
    if (performance.now() > giveUpAt) throw new Error(`never as wanted: ${JSON.stringify(job)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return job;
};
const ended = async (id: string): Promise<Job> => until(id, ({ status }) => status === "completed" || status === "failed");
const tries = ({ attempts }: Job): string[] => attempts.map(({ step, attempt, outcome }) => `${step} ${attempt} ${outcome ?? "open"}`);

/** How often the provider was asked for something that costs. */
const paid = async (path: string): Promise<number> => {
  const log = await simulator<{ path: string }[]>("GET", "/requests?limit=5000");
  return log.filter(({ path: sent }) => decodeURIComponent(sent).startsWith(path)).length;
};

/** Everything at once, as when the machine loses its power, and a new start on what is on its disk. */
async function killAndStart(): Promise<void> {
  const children = command.children().map((child) => Number.parseInt(child, 10));
  const dead = command.stop("SIGKILL");
  for (const id of children) process.kill(id, "SIGKILL");
  await dead;
  await expect.poll(() => liveProcesses().filter(({ id }) => children.includes(id)), { timeout: 10_000 }).toEqual([]);
  command = await coordinator.start("--no-demo");
}

describe("npm start, killed and started again", () => {
  it("wakes a job that slept until its delay was over: what it does is done once", async () => {
    await call("POST", "/api/harvest/targets", { authors: ["Sleeping Writer"] });
    const id = await ask({ type: "harvest", payload: {}, delay_seconds: 5 });
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect((await read(id)).status).toBe("scheduled");
    await killAndStart();
    const job = await ended(id);
    expect({ status: job.status, tries: tries(job) }).toEqual({ status: "completed", tries: ["run 1 succeeded"] });
    expect(await paid("/author/Sleeping Writer")).toBe(1);
  });

  it("wakes a job that waited between two tries: the steps before it are not done again", async () => {
    await simulator("POST", "/faults", { kind: "status", path: "/key", status: 500 });
    const id = await ask({ type: "housekeeping", payload: { provider_count: true } });
    await until(id, ({ attempts }) => attempts.some(({ outcome }) => outcome === "failed"));
    await killAndStart();
    const job = await ended(id);
    const before = ["relay", "signals", "abuse", "resume", "dispatch", "remove jobs"].map((step) => `${step} 1 succeeded`);
    expect(tries(job)).toEqual([...before, "provider count 1 failed", "provider count 2 succeeded"]);
    expect(job).toMatchObject({ status: "completed", result: { provider_count: { upstream_spent: 1 } } });
  });

  it("begins a step anew that was under way, and says what became of the try that died with it", async () => {
    await call("POST", "/api/harvest/targets", { authors: ["Interrupted Writer"] });
    await simulator("POST", "/faults", { kind: "hang_after_billing", path: "/author/", hang_ms: 60_000 });
    const id = await ask({ type: "harvest", payload: {} });
    await expect.poll(async () => paid("/author/Interrupted Writer"), { timeout: 20_000 }).toBe(1);
    await killAndStart();
    const job = await ended(id);
    expect(tries(job)).toEqual(["run 1 interrupted", "run 2 succeeded"]);
    // The target is the dead run's for a quarter of an hour: nobody pays for it twice.
    expect(job.result).toMatchObject({ run: { id: `${id}.2`, stopped: "nothing_due" } });
    expect(await paid("/author/Interrupted Writer")).toBe(1);
  });

  it("does not begin anew what has only one try", async () => {
    await call("POST", "/api/harvest/targets", { authors: ["Only Writer"] });
    await simulator("POST", "/faults", { kind: "hang_after_billing", path: "/author/", hang_ms: 60_000 });
    const id = await ask({ type: "harvest", payload: {}, max_attempts: 1 });
    await expect.poll(async () => paid("/author/Only Writer"), { timeout: 20_000 }).toBe(1);
    await killAndStart();
    const job = await ended(id);
    expect(job).toMatchObject({ status: "failed", error: "The Worker crashed during the last attempt." });
    expect(tries(job)).toEqual(["run 1 interrupted"]);
  });

  it("asks for the wake itself, once a start", async () => {
    const { jobs } = await call<{ jobs: { type: string; status: string; payload: { restarted_at?: string } }[] }>("GET", "/api/jobs");
    const wakes = jobs.filter(({ payload }) => payload.restarted_at !== undefined);
    expect(wakes.map(({ type, status }) => `${type} ${status}`)).toEqual(Array.from({ length: 5 }, () => "housekeeping completed"));
  });
});
