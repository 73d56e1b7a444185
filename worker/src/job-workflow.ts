/** The Workflow class. Every job is an instance of it. It connects the catalog to the handlers, and jobs/job-run.ts runs them. */
import { WorkflowEntrypoint } from "cloudflare:workers";
import type { WorkflowEvent, WorkflowStep } from "cloudflare:workers";
import { createDeps } from "./deps.ts";
import { HANDLERS } from "./handlers/index.ts";
import type { JobContext } from "./handlers/context.ts";
import { JOBS, isJobType } from "./jobs/catalog.ts";
import type { JobType } from "./jobs/catalog.ts";
import { jobLog } from "./jobs/job-log.ts";
import { readJobParams } from "./jobs/job-params.ts";
import type { JobParams } from "./jobs/job-params.ts";
import { JobRun } from "./jobs/job-run.ts";
import type { JobExecutionResult, JobRunOptions } from "./jobs/job-run.ts";
import { CountedDatabase } from "./store/statements.ts";
import { dispatchInBackground } from "./tenants/webhooks/dispatch.ts";
import { jobEnded, jobStep, placeOfJob } from "./telemetry/index.ts";

const clock = (): number => Date.now();

export class JobWorkflow extends WorkflowEntrypoint<Env, JobParams> {
  override async run(
    { instanceId: id, payload: given }: Readonly<WorkflowEvent<JobParams>>,
    steps: WorkflowStep,
  ): Promise<JobExecutionResult> {
    const params = readJobParams(given);
    const { type, maxTries, scheduledFor, delayUntil, createdAt, requestId, traceId, traceparent } = params;
    const log = jobLog(type, { job_id: id, job_type: type, request_id: requestId, trace_id: traceId });
    const db = new CountedDatabase(this.env.DB);
    const kind = isJobType(type) ? JOBS[type] : GONE;
    const job = { id, type };
    // The job's position in the requester's trace, the same after every interruption.
    const place = await placeOfJob(traceparent, id);
    const onEnd: JobRunOptions["onEnd"] = ({ status, error: message }) => {
      const { trace } = createDeps(this.env, clock, traceparent, { db });
      const error = message === null ? null : { type: "job_failed", message };
      jobEnded(trace, place, job, { status, error, startedAt: createdAt, endedAt: clock() });
    };
    const run = new JobRun({ id, db, clock, steps, log, onEnd, policy: { ...kind, tries: maxTries } });
    return run.toEnd(async () => {
      if (delayUntil !== null) await run.sleepUntil("delay", delayUntil);
      if (!isJobType(type)) return { success: false, error: `The job type ${type} no longer exists.` };
      const deps = createDeps(this.env, clock, place, { db });
      const result = await handle(type, params.payload, {
        id,
        type,
        deps,
        log,
        createdAt,
        scheduledFor,
        requestId,
        traceparent: place,
        step: async (name, work) =>
          run.step(name, async (attempt) => {
            const stepDeps = createDeps(this.env, clock, place, { db });
            return jobStep(stepDeps.trace, { job, step: name, attempt }, async (span) => work(attempt, { ...stepDeps, trace: span }));
          }),
        sleepUntil: async (name, time) => run.sleepUntil(name, time),
      });
      // Dispatches the events of all jobs. Idempotent, so that it needs no step.
      await dispatchInBackground(deps);
      return result;
    });
  }
}

/** For an instance whose type was removed from the catalog. It runs nothing. */
const GONE = { tries: 1, delaySeconds: 5, backoff: "constant", timeoutMinutes: 5 } as const;

async function handle(type: JobType, given: unknown, job: JobContext): Promise<JobExecutionResult> {
  // The catalog pairs each type's schema and handler, which the compiler cannot follow through a lookup.
  const handler = HANDLERS[type] as (payload: unknown, job: JobContext) => Promise<JobExecutionResult>;
  return handler(JOBS[type].payload.parse(given), job);
}
