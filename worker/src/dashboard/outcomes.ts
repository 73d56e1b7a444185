/** Texts for results of webhooks, deliveries, backups, abuse checks and signals. No I/O. No clock. */
import type { AbuseDecision } from "../store/abuse/abuse.ts";
import type { BackupRow } from "../store/backups/backups.ts";
import type { SignalOutcome } from "../store/monitoring/signals.ts";
import type { DeliveryReason } from "../store/webhooks/deliveries.ts";
import type { WebhookRow } from "../store/webhooks/webhooks.ts";

/** Why an endpoint is not enabled. */
export const STATUS_REASON_WORDS = {
  by_hand: "disabled manually",
  failures: "too many failed deliveries in a row",
  gone: "endpoint returned 410 Gone",
  test: "test pending",
  test_failed: "test did not return 2xx",
} as const satisfies Record<NonNullable<WebhookRow["status_reason"]>, string>;

/** Why a delivery failed or was not sent. */
export const DELIVERY_REASON_WORDS = {
  webhook_disabled: "webhook disabled",
  webhook_deleted: "webhook deleted",
  project_archived: "project archived",
  tries_used_up: "all attempts failed",
  gone: "endpoint returned 410 Gone",
  address_refused: "address not allowed",
  test_failed: "test did not return 2xx",
  job_ended: "job ended before sending",
  unsendable: "job could not be created",
} as const satisfies Record<DeliveryReason, string>;

export const DECISION_WORDS = {
  suspended: "abuse confirmed, project suspended",
  reported: "abuse confirmed, reported only",
  already_suspended: "abuse confirmed, project was already suspended",
  not_active: "abuse confirmed, project is not active",
  normal: "no abuse found",
  insufficient: "not enough data",
} as const satisfies Record<AbuseDecision, string>;

export const SIGNAL_OUTCOME_WORDS = {
  waiting: "queued, starts within five minutes",
  asked: "checked by a job",
  no_project: "ignored, no project given",
  no_pattern: "ignored, no pattern given",
  unknown_project: "ignored, unknown project",
  resolved: "ignored, already resolved",
} as const satisfies Record<SignalOutcome, string>;

/** Copies of a backup outside R2. */
export const COPIES_WORDS = {
  sent: "Telegram",
  failed: "none, upload to Telegram failed",
} as const satisfies Record<NonNullable<BackupRow["copies"]>, string>;

/** Origin of a webhook URL. Its path and query may hold a secret. */
export function maskedUrl(url: string): string {
  const { origin, pathname, search } = new URL(url);
  return pathname === "/" && search === "" ? origin : `${origin}/…`;
}
