/** Creates and reads jobs through the API. The real engine runs them, with replaced handlers. */
import { vi } from "vitest";
import { HANDLERS } from "../../worker/src/handlers/index.ts";
import type { JobHandler } from "../../worker/src/handlers/context.ts";
import { get, post } from "../support/worker.ts";
import type { Answer } from "../support/worker.ts";

export interface Attempt {
  readonly step: string;
  readonly nth: number;
  readonly attempt: number;
  readonly outcome: string | null;
  readonly error: string | null;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly duration_ms: number | null;
}

export interface Job {
  readonly id: string;
  readonly type: string;
  readonly status: string;
  readonly payload: Record<string, unknown>;
  readonly tries: number;
  readonly run: number;
  readonly retry_of: string | null;
  readonly error: string | null;
  readonly result: unknown;
  readonly attempts: readonly Attempt[];
  readonly errors: readonly { at: string; step: string; attempt: number; message: string }[];
  readonly timeline: readonly { at: string; event: string }[];
  readonly scheduled_for: string | null;
  readonly created_at: string;
  readonly [name: string]: unknown;
}

type Work = (...given: [...Parameters<JobHandler<"housekeeping">>, attempt: number]) => ReturnType<JobHandler<"housekeeping">>;

/** A handler with one step. */
export const oneStep =
  (name: string, work: Work): JobHandler<"housekeeping"> =>
  async (payload, job) =>
    job.step(name, async (attempt) => work(payload, job, attempt));

/** Replaces the handler of `housekeeping` until the mocks are restored. Its retry policy stays. */
export function handledBy(handler: JobHandler<"housekeeping">): void {
  vi.spyOn(HANDLERS, "housekeeping").mockImplementation(handler);
}

export const ask = async (body: Record<string, unknown> = {}, headers: Record<string, string> = {}): Promise<Answer<Job>> =>
  post<Job>("/api/jobs", { type: "housekeeping", payload: {}, ...body }, { headers });

export const read = async (id: string): Promise<Job> => (await get<Job>(`/api/jobs/${id}`)).body;

/** Waits until a job meets the condition. */
export async function until(id: string, condition: (job: Job) => boolean): Promise<Job> {
  const deadline = performance.now() + 40_000;
  for (;;) {
    const job = await read(id);
    if (condition(job)) return job;
    if (performance.now() > deadline) throw new Error(`condition not met: ${JSON.stringify(job, null, 1)}`);
    await pause(20);
  }
}

export const ended = async (id: string): Promise<Job> => until(id, ({ status }) => ["completed", "failed", "cancelled"].includes(status));

export async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Relevant parts of each attempt: step, number, outcome and reason. */
export const triesOf = ({ attempts }: Job): string[] =>
  attempts.map(({ step, attempt, outcome, error }) => `${step} ${attempt} ${outcome ?? "open"}${error === null ? "" : `: ${error}`}`);
