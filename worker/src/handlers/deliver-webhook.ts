/**
 * `deliver_webhook`: one message to one endpoint. Each attempt is a step and the pauses are sleeps, so that the receiver may choose the
 * pause. The result of an attempt is recorded before the next one.
 */
import type { Deps } from "../deps.ts";
import type { JobPayload } from "../jobs/catalog.ts";
import type { JobExecutionResult } from "../jobs/job-run.ts";
import { takeDelivery } from "../store/webhooks/attempts.ts";
import { addDelivery } from "../store/webhooks/deliveries.ts";
import { messageId } from "../tenants/webhooks/dispatch.ts";
import { attemptDelivery } from "../tenants/webhooks/delivery.ts";
import type { AttemptOutcome } from "../tenants/webhooks/delivery.ts";
import type { JobContext, JobHandler } from "./context.ts";

type Payload = JobPayload<"deliver_webhook">;

export const deliverWebhookHandler: JobHandler<"deliver_webhook"> = async (payload, job) => {
  const { webhook_id, project_id } = payload;
  const taken = await job.step("take", async (_attempt, deps) => take(payload, job, deps));
  if (taken === null)
    return { success: false, error: `The project ${project_id} does not have the webhook ${webhook_id} or its delivery.` };
  const { id, run } = taken;
  if (taken.job_id !== job.id) return { success: true, data: { delivery_id: id, delivered: false, reason: "another job is at it" } };
  job.log.info("Webhook delivery started", { webhook_id, project_id, delivery_id: id, run });
  // The loop ends because the last allowed attempt never returns "again".
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await job.step(`try ${attempt}`, async (_attempt, deps) => attemptDelivery(deps, id, run, attempt));
    if (outcome.is !== "again") return resultOf(outcome, id, attempt);
    job.log.warn("Webhook delivery failed", { attempt, delivery_id: id, error: outcome.error });
    await job.sleepUntil(`before try ${attempt + 1}`, outcome.at);
  }
};

/** Deliveries of events are already recorded. A manual one is recorded now, under an id derived from the job and its retries. */
async function take(payload: Payload, job: JobContext, { db, clock }: Deps) {
  const { webhook_id, project_id, delivery_id, payload: message } = payload;
  const message_id = await messageId(`job ${job.id.replace(/-r\d+$/u, "")}`);
  const id = delivery_id ?? message_id.replace(/^msg/u, "dlv");
  const now = clock();
  if (delivery_id === undefined) {
    const { type, timestamp, data } = message;
    const own = { id, webhook_id, project_id, message_id, event_type: type, payload: JSON.stringify({ type, timestamp, data }) };
    await addDelivery(db, { ...own, isTest: false, dueAt: now, jobId: job.id }, { id: job.id, actor: `job:${job.id}`, now });
  }
  const taken = await takeDelivery(db, { id, webhookId: webhook_id, projectId: project_id }, job.id, now);
  return taken && { id, run: taken.run, job_id: taken.job_id };
}

function resultOf(outcome: Exclude<AttemptOutcome, { is: "again" }>, id: string, tries: number): JobExecutionResult {
  const data = { delivery_id: id, delivered: outcome.is === "delivered", tries };
  switch (outcome.is) {
    case "delivered":
      return { success: true, data };
    case "skipped":
      return { success: true, data: { ...data, reason: outcome.reason } };
    case "elsewhere":
      return { success: true, data: { ...data, reason: "it was sent again, or was deleted" } };
    case "failed":
      return {
        success: false,
        data: { ...data, reason: outcome.reason },
        error: `Not delivered: ${outcome.error ?? outcome.reason ?? "it failed"}`,
      };
  }
}
