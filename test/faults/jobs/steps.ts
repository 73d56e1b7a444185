/** Runs each job's own handler, and stops the Worker in the step that a cell names. */
import { vi } from "vitest";
import { HANDLERS } from "../../../worker/src/handlers/index.ts";
import type { JobContext } from "../../../worker/src/handlers/context.ts";
import { JOBS } from "../../../worker/src/jobs/catalog.ts";
import type { JobType } from "../../../worker/src/jobs/catalog.ts";
import type { JobExecutionResult } from "../../../worker/src/jobs/job-run.ts";
import { FaultInjector } from "../harness/injector.ts";
import type { Operation } from "../harness/injector.ts";
import type { Fault } from "../matrix.ts";
import type { JobTime } from "./time.ts";

export const STEP_TIMEOUT_MS = 5 * 60_000;

/** Attempts of the step that records the end of a job. */
const END_ATTEMPTS = 5;

export class JobFaultInjector extends FaultInjector {
  readonly #time: JobTime;
  fault: Fault | null = null;
  #failedEnds = 0;

  constructor(time: JobTime) {
    super(time);
    this.#time = time;
  }

  override async run<Answer>(operation: Operation<Answer>): Promise<Answer> {
    const isEnd = operation.name.startsWith("UPDATE jobs SET status = ?2");
    // Pauses between attempts of the step that records the end.
    if (isEnd && this.#failedEnds > 0) this.#time.reach(Date.now() + 1_000 * 2 ** this.#failedEnds);
    try {
      // Only the step's time-out ends a read or write of R2 that hangs.
      const isEndless = operation.part === "r2" && this.fault === "hangs";
      const run = async (): Promise<Answer> => super.run(operation);
      const answer = await (isEndless ? run() : this.#time.operation(run));
      if (isEnd) this.#failedEnds = 0;
      return answer;
    } catch (error) {
      if (isEnd) this.#failedEnds = (this.#failedEnds + 1) % END_ATTEMPTS;
      throw error;
    }
  }
}

const DIED = (): Error => new Error("The Worker died");
const STEP = { failure: DIED, overloaded: DIED, lost: DIED };

type Handler = (payload: unknown, job: JobContext) => Promise<JobExecutionResult>;

/** Wraps each job's handler: steps run through the injector, and pauses move the clock. */
export function wrapSteps(time: JobTime, injector: JobFaultInjector): void {
  const handlers = HANDLERS as unknown as Record<JobType, Handler>;
  for (const type of Object.keys(JOBS) as JobType[]) {
    const real = handlers[type];
    vi.spyOn(handlers, type).mockImplementation(async (payload, job) => {
      const step: JobContext["step"] = async (name, work) => {
        let isOver = true;
        const result = job.step(name, async (attempt, deps) => {
          if (attempt > 1) {
            const pauseMs = JOBS[type].delaySeconds * 1_000 * 2 ** (attempt - 2);
            time.reach(Date.now() + pauseMs + (isOver ? 0 : STEP_TIMEOUT_MS));
          }
          isOver = false;
          const pass = async (): Promise<void> =>
            injector.run({
              part: "workflows",
              name: `step ${name}`,
              failures: STEP,
              real: async () => undefined,
              nonsense: () => undefined,
            });
          try {
            if (injector.fault === "before") await pass();
            const result = await work(attempt, deps);
            if (injector.fault !== "before") await pass();
            return result;
          } finally {
            isOver = true;
          }
        });
        return result.finally(() => (isOver ? undefined : time.reach(Date.now() + STEP_TIMEOUT_MS)));
      };
      const sleepUntil: JobContext["sleepUntil"] = async (name, until) => {
        await job.sleepUntil(name, until);
        time.reach(until);
      };
      return real(payload, { ...job, step, sleepUntil });
    });
  }
}
