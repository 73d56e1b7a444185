/** One attempt of a delivery: read, sent, and recorded with its consequences. */
import type { Deps } from "../../deps.ts";
import { readForAttempt, recordAttempt, skipDelivery } from "../../store/webhooks/attempts.ts";
import type { DeliveryWithWebhook } from "../../store/webhooks/attempts.ts";
import type { DeliveryReason, DeliveryRow, DeliveryStatus } from "../../store/webhooks/deliveries.ts";
import { webhookDelivery } from "../../telemetry/index.ts";
import { DELIVERY_ATTEMPTS, KEPT_RUNS, MAX_FAILURES, meaningOf, pauseAfter } from "../../webhooks/retry.ts";
import type { Meaning } from "../../webhooks/retry.ts";
import { signingSecrets } from "../../webhooks/secret.ts";
import { send } from "../../webhooks/send.ts";
import type { Answer } from "../../webhooks/send.ts";

type DeliveryDeps = Pick<Deps, "db" | "clock" | "config" | "trace">;

/** Outcome of an attempt: a retry at a time in epoch milliseconds, or the end. `elsewhere`: another run replaced this one. */
export type AttemptOutcome =
  | { readonly is: "again"; readonly at: number; readonly error: string | null }
  | { readonly is: Exclude<DeliveryStatus, "pending">; readonly reason: DeliveryReason | null; readonly error: string | null }
  | { readonly is: "elsewhere" };

/** A test has one attempt, because its caller waits for it. */
const maxAttempts = ({ is_test }: Pick<DeliveryRow, "is_test">): number => (is_test === 1 ? 1 : DELIVERY_ATTEMPTS);

/** Makes the given attempt of a run, starting at 1. Idempotent: a recorded attempt is not sent again, and returns the same outcome. */
export async function attemptDelivery(deps: DeliveryDeps, id: string, run: number, attempt: number): Promise<AttemptOutcome> {
  const delivery = await readForAttempt(deps.db, id);
  if (delivery === null || delivery.run !== run) return { is: "elsewhere" };
  const { status, reason } = delivery;
  if (status !== "pending") return { is: status, reason, error: null };
  if (delivery.attempts >= attempt) return { is: "again", at: delivery.next_attempt_at ?? deps.clock(), error: null };
  const skip = skipReason(delivery);
  if (skip === null && delivery.webhook !== null) return sendAndRecord(deps, delivery, delivery.webhook, attempt);
  await skipDelivery(deps.db, id, run, skip ?? "webhook_deleted", deps.clock());
  return { is: "skipped", reason: skip, error: null };
}

/** Reason not to send. Null if it may be sent. A test may be sent to a disabled endpoint. */
function skipReason({ webhook, lifecycle, is_test }: DeliveryWithWebhook): DeliveryReason | null {
  if (webhook === null) return "webhook_deleted";
  if (lifecycle !== "ACTIVE") return "project_archived";
  return is_test === 0 && webhook.status !== "enabled" ? "webhook_disabled" : null;
}

async function sendAndRecord(
  { db, clock, config, trace }: DeliveryDeps,
  delivery: DeliveryWithWebhook,
  webhook: NonNullable<DeliveryWithWebhook["webhook"]>,
  attempt: number,
): Promise<AttemptOutcome> {
  const { webhook_id: webhookId, project_id: projectId, message_id: messageId, payload: body } = delivery;
  const secrets = await signingSecrets(config.keyPepper, webhookId, webhook, clock());
  const answer = await webhookDelivery(trace, { webhookId, projectId, attempt }, async () =>
    send({ url: webhook.url, messageId, body, secrets }, { allowPrivate: config.webhooks.allowPrivate, clock }),
  );
  const meaning = meaningOf(answer, attempt, maxAttempts(delivery));
  const nextAttemptAt = meaning === "again" ? answer.endedAt + pauseAfter(attempt, answer, Math.random()) : null;
  const status = STATUS[meaning];
  const reason = reasonOf(meaning, answer, delivery);
  const { startedAt, endedAt, status: statusCode, error, response } = answer;
  await recordAttempt(db, {
    delivery,
    attempt,
    startedAt,
    endedAt,
    statusCode,
    error,
    response,
    status,
    reason,
    nextAttemptAt,
    maxFailures: MAX_FAILURES,
    keptRuns: KEPT_RUNS,
    url: webhook.url,
    address: new URL(webhook.url).origin,
    now: clock(),
  });
  if (status !== "pending") return { is: status, reason, error };
  // If the delivery was ended meanwhile, the next attempt notices it.
  return { is: "again", at: nextAttemptAt ?? endedAt, error };
}

const STATUS = { delivered: "delivered", again: "pending", given_up: "failed", gone: "failed" } as const satisfies Record<
  Meaning,
  DeliveryStatus
>;

function reasonOf(meaning: Meaning, { sent }: Answer, { is_test }: DeliveryWithWebhook) {
  switch (meaning) {
    case "delivered":
    case "again":
      return null;
    case "gone":
      return "gone";
    case "given_up":
      if (!sent) return "address_refused";
      return is_test === 1 ? "test_failed" : "tries_used_up";
  }
}
