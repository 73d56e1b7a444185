/** Deliveries looked at and sent once more, under the same `webhook-id`. */
import type { Deps } from "../../deps.ts";
import { Problem } from "../../errors.ts";
import { attemptsOfDelivery, findDelivery, replayDeliveries } from "../../store/webhooks/deliveries.ts";
import type { AttemptRow, DeliveryRow } from "../../store/webhooks/deliveries.ts";
import { findWebhook } from "../../store/webhooks/webhooks.ts";
import type { WebhookRow } from "../../store/webhooks/webhooks.ts";
import { DELIVERY_TRIES, KEPT_RUNS } from "../../webhooks/retry.ts";
import { newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";
import { needNoAbuse } from "../keys/keys.ts";
import type { ReadProject } from "../keys/keys.ts";
import { getWebhook, needActive } from "./webhooks.ts";

type Store = Pick<Deps, "db" | "clock">;

/** Of one request. What is more is asked for by the next one. */
const MAX_REPLAYED = 1_000;
/** Of one delivery: all that are kept. */
const MAX_SHOWN_TRIES = KEPT_RUNS * DELIVERY_TRIES;

/** Throws `not_found`; one of another project is not found either. */
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
  return { row, attempts: await attemptsOfDelivery(db, id, MAX_SHOWN_TRIES) };
}

/** Whatever became of it; one that is under way already stays so. Throws `conflict` where nothing can be sent to its endpoint. */
export async function replayDelivery(store: Store, readProject: ReadProject, id: string, actor: Actor): Promise<DeliveryRow> {
  const project = await readProject();
  const delivery = await getDelivery(store, project.id, id);
  if (delivery.is_test === 1) throw new Problem("conflict", "This is a test. Send another one with POST …/webhooks/{webhook_id}/test.");
  if (delivery.status === "pending") return delivery;
  needNoAbuse(project, actor);
  needActive(project);
  needEnabled(await needWebhook(store, delivery));
  const replay = { projectId: project.id, webhookId: delivery.webhook_id, deliveryId: id, since: 0, limit: 1 };
  const replayed = await replayDeliveries(store.db, replay, newOperation(actor, store.clock()));
  // Somebody else was faster: with the same, or by deleting it.
  if (replayed === 0) await needWebhook(store, delivery);
  return getDelivery(store, project.id, id);
}

async function needWebhook({ db }: Store, { project_id, webhook_id }: DeliveryRow): Promise<WebhookRow> {
  const webhook = await findWebhook(db, project_id, webhook_id);
  if (!webhook) throw new Problem("conflict", `The webhook ${webhook_id} was deleted.`);
  return webhook;
}

/** All that the endpoint never got and that were to be told since then, the oldest first. Throws `conflict` where nothing can be sent to it. */
export async function replaySince(
  store: Store,
  readProject: ReadProject,
  webhookId: string,
  since: number,
  actor: Actor,
): Promise<{ readonly replayed: number; readonly more: boolean }> {
  const project = await readProject();
  const webhook = await getWebhook(store, project.id, webhookId);
  needNoAbuse(project, actor);
  needActive(project);
  needEnabled(webhook);
  const replay = { projectId: project.id, webhookId, deliveryId: null, since, limit: MAX_REPLAYED };
  const replayed = await replayDeliveries(store.db, replay, newOperation(actor, store.clock()));
  return { replayed, more: replayed === MAX_REPLAYED };
}

function needEnabled({ id, status }: WebhookRow): void {
  if (status === "enabled") return;
  throw new Problem("conflict", `The webhook is ${status}: enable it first, with PATCH …/webhooks/${id} {"enabled": true}.`);
}
