/** One try of a delivery: read anew, sent, written down with what follows from it. */
import type { Deps } from "../../deps.ts";
import { readForTry, recordTry, skipDelivery } from "../../store/webhooks/attempts.ts";
import type { TriedDelivery } from "../../store/webhooks/attempts.ts";
import type { DeliveryReason, DeliveryRow, DeliveryStatus } from "../../store/webhooks/deliveries.ts";
import { webhookDelivery } from "../../telemetry/index.ts";
import { DELIVERY_TRIES, KEPT_RUNS, MAX_FAILURES, meaningOf, pauseAfter } from "../../webhooks/retry.ts";
import type { Meaning } from "../../webhooks/retry.ts";
import { signingSecrets } from "../../webhooks/secret.ts";
import { send } from "../../webhooks/send.ts";
import type { Answer } from "../../webhooks/send.ts";

type DeliveryDeps = Pick<Deps, "db" | "clock" | "config" | "trace">;

/** What became of a try: another one at a time in epoch milliseconds, or the end. `elsewhere`: it is not this run's any more. */
export type TryResult =
  | { readonly is: "again"; readonly at: number; readonly error: string | null }
  | { readonly is: Exclude<DeliveryStatus, "pending">; readonly reason: DeliveryReason | null; readonly error: string | null }
  | { readonly is: "elsewhere" };

/** A test is sent once: whoever asked for it waits. */
const triesOf = ({ is_test }: Pick<DeliveryRow, "is_test">): number => (is_test === 1 ? 1 : DELIVERY_TRIES);

/** The `attempt`th try of a run, from 1 on. Done again it sends nothing that was sent and written down, and tells the same. */
export async function tryDelivery(deps: DeliveryDeps, id: string, run: number, attempt: number): Promise<TryResult> {
  const delivery = await readForTry(deps.db, id);
  if (delivery === null || delivery.run !== run) return { is: "elsewhere" };
  const { status, reason } = delivery;
  if (status !== "pending") return { is: status, reason, error: null };
  if (delivery.attempts >= attempt) return { is: "again", at: delivery.next_attempt_at ?? deps.clock(), error: null };
  const skip = whyNot(delivery);
  if (skip === null && delivery.webhook !== null) return sendAndRecord(deps, delivery, delivery.webhook, attempt);
  await skipDelivery(deps.db, id, run, skip ?? "webhook_deleted", deps.clock());
  return { is: "skipped", reason: skip, error: null };
}

/** Why nobody is to be asked; null where somebody is. A test asks whether one that is disabled is there. */
function whyNot({ webhook, lifecycle, is_test }: TriedDelivery): DeliveryReason | null {
  if (webhook === null) return "webhook_deleted";
  if (lifecycle !== "ACTIVE") return "project_archived";
  return is_test === 0 && webhook.status !== "enabled" ? "webhook_disabled" : null;
}

async function sendAndRecord(
  { db, clock, config, trace }: DeliveryDeps,
  delivery: TriedDelivery,
  webhook: NonNullable<TriedDelivery["webhook"]>,
  attempt: number,
): Promise<TryResult> {
  const { webhook_id: webhookId, project_id: projectId, message_id: messageId, payload: body } = delivery;
  const secrets = await signingSecrets(config.keyPepper, webhookId, webhook, clock());
  const answer = await webhookDelivery(trace, { webhookId, projectId, attempt }, async () =>
    send({ url: webhook.url, messageId, body, secrets }, { allowPrivate: config.webhooks.allowPrivate, clock }),
  );
  const meaning = meaningOf(answer, attempt, triesOf(delivery));
  const nextAttemptAt = meaning === "again" ? answer.endedAt + pauseAfter(attempt, answer, Math.random()) : null;
  const status = STATUS[meaning];
  const reason = reasonOf(meaning, answer, delivery);
  const { startedAt, endedAt, status: statusCode, error, response } = answer;
  await recordTry(db, {
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
  // Where somebody ended it meanwhile, the next try finds that out.
  return { is: "again", at: nextAttemptAt ?? endedAt, error };
}

const STATUS = { delivered: "delivered", again: "pending", given_up: "failed", gone: "failed" } as const satisfies Record<
  Meaning,
  DeliveryStatus
>;

function reasonOf(meaning: Meaning, { sent }: Answer, { is_test }: TriedDelivery) {
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
