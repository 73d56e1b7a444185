/** Webhooks and their deliveries as the API returns them, without secrets. No I/O. No clock. */
import { isoOrNull, isoSeconds } from "../../lib/time.ts";
import type { AttemptRow, DeliveryRow, Replayable } from "../../store/webhooks/deliveries.ts";
import type { WebhookRow } from "../../store/webhooks/webhooks.ts";

export function webhookJson(row: WebhookRow) {
  return {
    id: row.id,
    project_id: row.project_id,
    url: row.url,
    description: row.description,
    events: row.event_types === null ? null : (JSON.parse(row.event_types) as string[]),
    status: row.status,
    status_reason: row.status_reason,
    status_since: isoSeconds(row.status_at),
    failures: row.failures,
    previous_secret_until: isoOrNull(row.previous_until),
    created_at: isoSeconds(row.created_at),
    updated_at: isoSeconds(row.updated_at),
  };
}

export const replayJson = ({ deliveries, since }: Replayable) => ({ deliveries, since: isoOrNull(since) });

export function deliveryJson(row: DeliveryRow) {
  return {
    id: row.id,
    webhook_id: row.webhook_id,
    message_id: row.message_id,
    event_id: row.event_id,
    type: row.event_type,
    is_test: row.is_test === 1,
    status: row.status,
    reason: row.reason,
    run: row.run,
    tries: row.attempts,
    next_try_at: isoOrNull(row.next_attempt_at),
    job_id: row.job_id,
    created_at: isoSeconds(row.created_at),
    ended_at: isoOrNull(row.ended_at),
  };
}

export function deliveryDetailJson(row: DeliveryRow, attempts: readonly AttemptRow[]) {
  return {
    ...deliveryJson(row),
    payload: JSON.parse(row.payload) as unknown,
    attempts: attempts.map(({ run, attempt, at, duration_ms, status_code, error, response }) => ({
      run,
      attempt,
      at: isoSeconds(at),
      duration_ms,
      status_code,
      error,
      response,
    })),
  };
}
