/** Reads deliveries and resends them under the same `webhook-id`. */
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import { listDeliveryAttempts, findDelivery, replayDeliveries } from "../../store/webhooks/deliveries.ts";
import type { AttemptRow, DeliveryRow } from "../../store/webhooks/deliveries.ts";
import { findWebhook } from "../../store/webhooks/webhooks.ts";
import type { WebhookRow } from "../../store/webhooks/webhooks.ts";
import { DELIVERY_ATTEMPTS, KEPT_RUNS } from "../../webhooks/retry.ts";
import { newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";
import { assertNotAbusive } from "../keys/keys.ts";
import type { ReadProject } from "../keys/keys.ts";
import { getWebhook, assertProjectActive } from "./webhooks.ts";

type Store = Pick<Deps, "db" | "clock">;

/** Maximum per request. The next request resends more. */
const MAX_REPLAYED = 1_000;
/** All stored attempts of one delivery. */
const MAX_LISTED_ATTEMPTS = KEPT_RUNS * DELIVERY_ATTEMPTS;

/** Throws `not_found`, also for a delivery of another project. */
export async function getDelivery({ db }: Pick<Deps, "db">, projectId: string, id: string): Promise<DeliveryRow> {
  const delivery = await findDelivery(db, projectId, id);
  if (!delivery) throw new Problem("not_found", `The project has no delivery ${JSON.stringify(id)}.`);
  return delivery;
}

export async function deliveryWithAttempts(
  { db }: Pick<Deps, "db">,
  projectId: string,
  id: string,
): Promise<{ readonly row: DeliveryRow; readonly attempts: readonly AttemptRow[] }> {
  const row = await getDelivery({ db }, projectId, id);
  return { row, attempts: await listDeliveryAttempts(db, id, MAX_LISTED_ATTEMPTS) };
}

/**
 * Resends a delivery regardless of its result. One in flight does not change. Throws `conflict` if its endpoint cannot receive anything.
 */
export async function replayDelivery(store: Store, readProject: ReadProject, id: string, actor: Actor): Promise<DeliveryRow> {
  const project = await readProject();
  const delivery = await getDelivery(store, project.id, id);
  if (delivery.is_test === 1)
    throw new Problem("conflict", "A test cannot be resent. Send a new test with POST …/webhooks/{webhook_id}/test.");
  if (delivery.status === "pending") return delivery;
  assertNotAbusive(project, actor);
  assertProjectActive(project);
  assertWebhookEnabled(await requireWebhook(store, delivery));
  const replay = { projectId: project.id, webhookId: delivery.webhook_id, deliveryId: id, since: 0, limit: 1 };
  const replayed = await replayDeliveries(store.db, replay, newOperation(actor, store.clock()));
  // Another request resent the delivery or deleted its endpoint.
  if (replayed === 0) await requireWebhook(store, delivery);
  return getDelivery(store, project.id, id);
}

async function requireWebhook({ db }: Store, { project_id, webhook_id }: DeliveryRow): Promise<WebhookRow> {
  const webhook = await findWebhook(db, project_id, webhook_id);
  if (!webhook) throw new Problem("conflict", `The webhook ${webhook_id} was deleted.`);
  return webhook;
}

/** Resends all undelivered messages created since `since`, oldest first. Throws `conflict` if the endpoint cannot receive anything. */
export async function replaySince(
  store: Store,
  readProject: ReadProject,
  webhookId: string,
  since: number,
  actor: Actor,
): Promise<{ readonly replayed: number; readonly more: boolean }> {
  const project = await readProject();
  const webhook = await getWebhook(store, project.id, webhookId);
  assertNotAbusive(project, actor);
  assertProjectActive(project);
  assertWebhookEnabled(webhook);
  const replay = { projectId: project.id, webhookId, deliveryId: null, since, limit: MAX_REPLAYED };
  const replayed = await replayDeliveries(store.db, replay, newOperation(actor, store.clock()));
  return { replayed, more: replayed === MAX_REPLAYED };
}

function assertWebhookEnabled({ id, status }: WebhookRow): void {
  if (status === "enabled") return;
  throw new Problem("conflict", `The webhook is ${status}. Enable it first with PATCH …/webhooks/${id} {"enabled": true}.`);
}
