/** What became of webhooks, messages, backups and questions about abuse, in words. No I/O. No clock. */
import type { AbuseDecision } from "../store/abuse/abuse.ts";
import type { BackupRow } from "../store/backups/backups.ts";
import type { SignalOutcome } from "../store/monitoring/signals.ts";
import type { DeliveryReason } from "../store/webhooks/deliveries.ts";
import type { WebhookRow } from "../store/webhooks/webhooks.ts";

/** Why an endpoint is not enabled. */
export const STATUS_REASON_WORDS = {
  by_hand: "switched off by hand",
  failures: "too many deliveries in a row were given up",
  gone: "it answered 410: it is gone",
  test: "its test is on its way, and decides",
  test_failed: "its test was not answered with 2xx",
} as const satisfies Record<NonNullable<WebhookRow["status_reason"]>, string>;

/** Why a message was given up, or never sent. */
export const DELIVERY_REASON_WORDS = {
  webhook_disabled: "the webhook was disabled",
  webhook_deleted: "the webhook was deleted",
  project_archived: "the project is archived",
  tries_used_up: "every try failed",
  gone: "the receiver answered 410: it is gone",
  address_refused: "nothing is sent to that address",
  test_failed: "the test was not answered with 2xx",
  job_ended: "its job ended before it was sent",
  unsendable: "no job could be asked for",
} as const satisfies Record<DeliveryReason, string>;

export const DECISION_WORDS = {
  suspended: "the project was suspended",
  reported: "the pattern is there; it was only to be reported",
  already_suspended: "the pattern is there; the project stood still already",
  not_active: "the pattern is there; the project is not active",
  normal: "the pattern is not there",
  insufficient: "too little to tell",
} as const satisfies Record<AbuseDecision, string>;

export const SIGNAL_OUTCOME_WORDS = {
  waiting: "its job is asked for within five minutes",
  asked: "judged by a job",
  no_project: "nothing: it names no project",
  no_pattern: "nothing: it names no pattern",
  unknown_project: "nothing: there is no such project",
  resolved: "nothing: it was over already",
} as const satisfies Record<SignalOutcome, string>;

/** Where else a backup is. */
export const COPIES_WORDS = {
  sent: "Telegram",
  failed: "none: Telegram did not take them",
} as const satisfies Record<NonNullable<BackupRow["copies"]>, string>;

/** An endpoint's address as far as it holds nothing that may be a secret of its owner's. */
export function shownAddress(url: string): string {
  const { origin, pathname, search } = new URL(url);
  return pathname === "/" && search === "" ? origin : `${origin}/…`;
}
