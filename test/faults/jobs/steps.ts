/** Each job's own code, in whose steps the Worker dies where a cell says so. */
import { vi } from "vitest";
import { HANDLERS } from "../../../worker/src/handlers/index.ts";
import type { JobContext } from "../../../worker/src/handlers/context.ts";
import { JOBS } from "../../../worker/src/jobs/catalog.ts";
import type { JobType } from "../../../worker/src/jobs/catalog.ts";
import type { JobExecutionResult } from "../../../worker/src/jobs/job-run.ts";
import { Traps } from "../harness/traps.ts";
import type { Operation } from "../harness/traps.ts";
import type { Fault } from "../matrix.ts";
import type { JobTime } from "./time.ts";

export const STEP_TIMEOUT_MS = 5 * 60_000;

/** Of the step that writes the end down. */
const INDEX_TRIES = 5;

export class JobTraps extends Traps {
  readonly #time: JobTime;
  fault: Fault | null = null;
  #failedEnds = 0;

  constructor(time: JobTime) {
    super(time);
    this.#time = time;
  }

  override async through<Answer>(operation: Operation<Answer>): Promise<Answer> {
    const isEnd = operation.name.startsWith("UPDATE jobs SET status = ?2");
    // Pauses of a step that writes nothing but the index.
    if (isEnd && this.#failedEnds > 0) this.#time.reach(Date.now() + 1_000 * 2 ** this.#failedEnds);
    try {
      // Of a bucket that hangs nothing but the step's own time-out gets rid.
      const isEndless = operation.part === "r2" && this.fault === "hangs";
      const through = async (): Promise<Answer> => super.through(operation);
      const answer = await (isEndless ? through() : this.#time.asked(through));
      if (isEnd) this.#failedEnds = 0;
      return answer;
    } catch (error) {
      if (isEnd) this.#failedEnds = (this.#failedEnds + 1) % INDEX_TRIES;
      throw error;
    }
  }
}

const DIED = (): Error => new Error("The Worker died");
const STEP = { failure: DIED, overloaded: DIED, lost: DIED };

type Handler = (payload: unknown, job: JobContext) => Promise<JobExecutionResult>;

/** Each job's own code, whose steps go through the traps, and whose pauses move the clock. */
export function trapSteps(time: JobTime, traps: JobTraps): void {
  const handlers = HANDLERS as unknown as Record<JobType, Handler>;
  for (const type of Object.keys(JOBS) as JobType[]) {
    const real = handlers[type];
    vi.spyOn(handlers, type).mockImplementation(async (payload, job) => {
      const step: JobContext["step"] = async (name, work) => {
        let isOver = true;
        const tried = job.step(name, async (attempt, deps) => {
          if (attempt > 1) {
            const pauseMs = JOBS[type].delaySeconds * 1_000 * 2 ** (attempt - 2);
            time.reach(Date.now() + pauseMs + (isOver ? 0 : STEP_TIMEOUT_MS));
          }
          isOver = false;
          const pass = async (): Promise<void> =>
            traps.through({
              part: "workflows",
              name: `step ${name}`,
              manner: STEP,
              real: async () => undefined,
              nonsense: () => undefined,
            });
          try {
            if (traps.fault === "before") await pass();
            const result = await work(attempt, deps);
            if (traps.fault !== "before") await pass();
            return result;
          } finally {
            isOver = true;
          }
        });
        return tried.finally(() => (isOver ? undefined : time.reach(Date.now() + STEP_TIMEOUT_MS)));
      };
      const sleepUntil: JobContext["sleepUntil"] = async (name, until) => {
        await job.sleepUntil(name, until);
        time.reach(until);
      };
      return real(payload, { ...job, step, sleepUntil });
    });
  }
}
