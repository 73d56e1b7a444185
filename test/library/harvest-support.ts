/** Targets, runs and their counts, shared by the tests of the harvest. */
import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import worker from "../../worker/src/index.ts";
import { get, post, simulator } from "../support/worker.ts";

export interface Run {
  readonly id: string;
  readonly targets: number;
  readonly calls: number;
  readonly found: number;
  readonly failed: number;
  readonly stopped: string;
  readonly detail: string;
}

interface Overview {
  readonly targets: readonly { kind: string; state: string; targets: number; next_due_at: string | null }[];
  readonly runs: readonly Run[];
  readonly failed: readonly { name: string; tries: number; reason: string }[];
}

export const add = async (body: object) => post("/api/harvest/targets", body);
export const run = async (): Promise<Run> => (await post<Run>("/api/harvest/run", { max_seconds: 60 })).body;
export const overview = async (): Promise<Overview> => (await get<Overview>("/api/harvest/status")).body;
export const counts = async (): Promise<Record<string, number>> =>
  Object.fromEntries((await overview()).targets.map(({ kind, state, targets }) => [`${kind} ${state}`, targets]));
export const authors = (count: number): string[] => Array.from({ length: count }, (_, index) => `Harvest Author ${index}`);
export const providerRequests = async (path: string): Promise<string[]> => {
  const log = await simulator.control<{ path: string }[]>("GET", "/requests?limit=5000");
  return log.map((request) => request.path).filter((sent) => sent.startsWith(path));
};

export async function tick(cron: string, time: string): Promise<void> {
  const controller = createScheduledController({ cron, scheduledTime: new Date(time) });
  const ctx = createExecutionContext();
  await worker.scheduled(controller, env);
  await waitOnExecutionContext(ctx);
}
