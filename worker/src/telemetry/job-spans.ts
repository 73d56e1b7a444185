/** Spans of background work, with the names and attributes that dashboards use. */
import { withLogFields } from "../lib/log.ts";
import type { Attributes, RootTrace, Span, Trace } from "./trace.ts";
import { placeOf, readTraceparent, writeTraceparent } from "./traceparent.ts";

export interface Job {
  readonly id: string;
  readonly type: string;
  readonly projectId?: string | null;
}

const ofJob = ({ id, type, projectId }: Job): Attributes => ({ "job.id": id, "job.type": type, "project.id": projectId });

/**
 * The job's place in the trace that enqueued it, before its span is written. It is derived from the job's id, so every step and every replay
 * finds the same place, even days later in another instance.
 */
export async function placeOfJob(enqueuedBy: string | null | undefined, jobId: string): Promise<string> {
  return writeTraceparent(await placeOf(jobId, readTraceparent(enqueuedBy)));
}

/** `job.step`: one attempt of a step. Its log lines carry the job and the trace. */
export async function jobStep<Result>(
  trace: Trace,
  { job, step, attempt }: { readonly job: Job; readonly step: string; readonly attempt: number },
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  const attributes = { ...ofJob(job), "job.step": step, "job.attempt": attempt };
  return withLogFields({ job_id: job.id, job_type: job.type, trace_id: trace.traceId }, async () =>
    trace.span("job.step", attributes, work, "consumer"),
  );
}

/** `job`: written at the end of the job. `trace` continues the requester's trace. `place` comes from `placeOfJob`. Idempotent. */
export function jobEnded(
  trace: RootTrace,
  place: string,
  job: Job,
  { status, ...past }: { readonly status: string } & Parameters<RootTrace["past"]>[2],
): void {
  trace.past("job", place, past, { ...ofJob(job), "job.status": status });
}

/** `quota_reset.execute`: one attempt of the monthly reset. `success` is set even if it throws. */
export async function quotaReset<Result extends { readonly rowsUpdated: number }>(
  trace: Trace,
  attempt: number,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  return trace.span("quota_reset.execute", { "quota_reset.attempt": attempt, "quota_reset.success": false }, async (span) => {
    const result = await work(span);
    span.set({ "quota_reset.rows_updated": result.rowsUpdated, "quota_reset.success": true });
    return result;
  });
}

type Swept = Readonly<Record<"projects_checked" | "projects_suspended" | "warnings_sent", number> & { errors: readonly unknown[] }>;

/** `usage_sweep.page`: one page of the sweep. null: no project remained. */
export async function usageSweepPage<Page extends { readonly swept: Swept }>(
  trace: Trace,
  work: (span: Span) => Promise<Page | null>,
): Promise<Page | null> {
  return trace.span("usage_sweep.page", {}, async (span) => {
    const page = await work(span);
    const { projects_checked = 0, projects_suspended = 0, warnings_sent = 0, errors = [] } = page?.swept ?? {};
    span.set({
      "usage_sweep.projects_checked": projects_checked,
      "usage_sweep.projects_suspended": projects_suspended,
      "usage_sweep.warnings_sent": warnings_sent,
      "usage_sweep.projects_failed": errors.length,
    });
    return page;
  });
}

/** `webhook.deliver`: one attempt. The URL is omitted, because it may contain a secret. */
export async function webhookDelivery<Result extends { readonly status: number | null }>(
  trace: Trace,
  { webhookId, projectId, attempt }: { readonly webhookId: string; readonly projectId: string; readonly attempt: number },
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  const attributes = { "webhook.id": webhookId, "project.id": projectId, "webhook.attempt": attempt, "http.request.method": "POST" };
  return trace.span(
    "webhook.deliver",
    attributes,
    async (span) => {
      const result = await work(span);
      span.set({ "http.response.status_code": result.status });
      if (result.status === null) span.fail("no_answer");
      else if (result.status < 200 || result.status > 299) span.fail(String(result.status));
      return result;
    },
    "client",
  );
}
