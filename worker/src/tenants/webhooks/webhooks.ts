/** A project's endpoints: created, changed, tested, removed. Secrets are returned once and never stored. */
import type { Deps } from "../../deps.ts";
import { Problem, invalidField } from "../../errors.ts";
import { randomBase62 } from "../../lib/base62.ts";
import { DAY_MS, MINUTE_MS, isoSeconds } from "../../lib/time.ts";
import type { EventType } from "../../store/events.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import { addDelivery, findDelivery, isBelowTestLimit } from "../../store/webhooks/deliveries.ts";
import type { DeliveryRow, NewDelivery, TestBound } from "../../store/webhooks/deliveries.ts";
import { addSecretVersion, addWebhook, changeWebhook, countWebhooks, deleteWebhook, findWebhook } from "../../store/webhooks/webhooks.ts";
import type { WebhookChange, WebhookRow } from "../../store/webhooks/webhooks.ts";
import { readAddress } from "../../webhooks/address.ts";
import { webhookSecret } from "../../webhooks/secret.ts";
import { changing, newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";
import { assertNotAbusive } from "../keys/keys.ts";
import type { ReadProject } from "../keys/keys.ts";
import { attemptDelivery } from "./delivery.ts";
import { webhookJson } from "./views.ts";

type WebhookDeps = Pick<Deps, "db" | "clock" | "config" | "trace">;

/** Every event becomes a message for each endpoint. */
const MAX_WEBHOOKS = 20;
/** How long the previous secret signs after a rotation. */
const GRACE_MS = DAY_MS;
/** A request sends its test itself. If it dies, a job sends the test after this time. */
const TEST_TIMEOUT_MS = 60_000;

/** Per endpoint, so that a tenant cannot flood another server with tests. */
const MAX_TESTS_A_MINUTE = 10;
const MAX_DELIVERIES_CHECKED = 100;
const testLimit = (now: number): TestBound => ({ since: now - MINUTE_MS, among: MAX_DELIVERIES_CHECKED, most: MAX_TESTS_A_MINUTE });

const ID_LENGTH = 20;

export interface WebhookInput {
  readonly url: string;
  readonly description: string;
  /** null: all, including future types. */
  readonly events: readonly EventType[] | null;
}

/** An endpoint with its secret, which is returned once. */
export type WebhookWithSecret = WebhookRow & { readonly secret: string };

const subject = (id: string): string => `webhook:${id}`;

/** Fields for the audit log. The address is only the origin, without secret parts. */
const facts = ({ url, description, event_types, status }: Pick<WebhookRow, "url" | "description" | "event_types" | "status">) => ({
  address: new URL(url).origin,
  description,
  events: event_types === null ? null : (JSON.parse(event_types) as unknown),
  status,
});

const typesJson = (events: readonly EventType[] | null): string | null => (events === null ? null : JSON.stringify([...new Set(events)]));

/** `ownHost`: the host of the request. Throws `unprocessable`. */
function validateAddress({ config }: Pick<Deps, "config">, url: string, ownHost: string): string {
  const address = readAddress(url, { allowPrivate: config.webhooks.allowPrivate, ownHost });
  if ("url" in address) return address.url;
  throw invalidField("url", address.refused, undefined, "unprocessable");
}

/**
 * Throws `unprocessable` for a forbidden address, `conflict` if the project has the maximum number of endpoints, and `project_suspended` if
 * it is suspended for abuse.
 */
export async function createWebhook(
  deps: WebhookDeps,
  readProject: ReadProject,
  { url: given, description, events }: WebhookInput,
  ownHost: string,
  actor: Actor,
): Promise<WebhookWithSecret> {
  const { db, clock, config } = deps;
  const url = validateAddress(deps, given, ownHost);
  const id = `wh_${randomBase62(ID_LENGTH)}`;
  const row = { id, url, description, event_types: typesJson(events) };
  const secret = await webhookSecret(config.keyPepper, id, 1);
  return changing(async () => {
    const project = await readProject();
    assertNotAbusive(project, actor);
    // A separate query is safe: an endpoint created meanwhile changes the project, and then nothing is written.
    const count = await countWebhooks(db, project.id);
    if (count >= MAX_WEBHOOKS) {
      const detail = `The project has ${count} webhooks, and the limit is ${MAX_WEBHOOKS}. Delete unused webhooks first.`;
      throw new Problem("conflict", detail, { members: { limit: MAX_WEBHOOKS } });
    }
    const operation = newOperation(actor, clock());
    const after = facts({ ...row, status: "enabled" });
    const note = { action: "webhook.create", subject: subject(id), projectId: project.id, before: null, after };
    if (!(await addWebhook(db, project, row, operation, note))) return null;
    const { now } = operation;
    const fresh = { status: "enabled", status_reason: null, status_at: now, failures: 0, secret_version: 1, previous_until: null } as const;
    return { ...row, ...fresh, project_id: project.id, created_at: now, updated_at: now, secret };
  });
}

/** Throws `not_found`, also for a webhook of another project. */
export async function getWebhook({ db }: Pick<Deps, "db">, projectId: string, id: string): Promise<WebhookRow> {
  const webhook = await findWebhook(db, projectId, id);
  if (!webhook) throw new Problem("not_found", `The project has no webhook ${JSON.stringify(id)}.`);
  return webhook;
}

export interface WebhookPatch {
  readonly url?: string | undefined;
  readonly description?: string | undefined;
  readonly events?: readonly EventType[] | null | undefined;
  readonly enabled?: boolean | undefined;
}

/**
 * A change that changes nothing leaves no audit entry. Enabling an endpoint adds a test with the change and sends it. Only a 2xx response
 * enables the endpoint. Throws `unprocessable` for any other result. The rest of the change is kept.
 */
export async function patchWebhook(
  deps: WebhookDeps,
  readProject: ReadProject,
  webhookId: string,
  patch: WebhookPatch,
  ownHost: string,
  actor: Actor,
): Promise<WebhookRow> {
  const { db, clock } = deps;
  const url = patch.url === undefined ? null : validateAddress(deps, patch.url, ownHost);
  const done = await changing(async () => {
    const project = await readProject();
    const seen = await getWebhook(deps, project.id, webhookId);
    if (url !== null && url !== seen.url) assertNotAbusive(project, actor);
    const now = clock();
    const status = statusOf(seen, patch.enabled);
    if (status?.to === "probation") await assertTestAllowed(db, project, webhookId, now, actor);
    const test = status?.to === "probation" ? newTest(seen, now) : null;
    const event_types = patch.events === undefined ? seen.event_types : typesJson(patch.events);
    const change: WebhookChange = { url: url ?? seen.url, description: patch.description ?? seen.description, event_types, status, test };
    const same = change.url === seen.url && change.description === seen.description && event_types === seen.event_types;
    if (same && status === null) return { projectId: project.id, test: null };
    const after = facts({ ...change, status: status?.to ?? seen.status });
    const note = { action: "webhook.change", subject: subject(webhookId), projectId: project.id, before: facts(seen), after };
    const written = await changeWebhook(db, project, webhookId, change, newOperation(actor, now), note);
    return written ? { projectId: project.id, test } : null;
  });
  if (done.test !== null) await requireSuccessfulTest(deps, done.test);
  return getWebhook(deps, done.projectId, webhookId);
}

function statusOf({ status }: WebhookRow, enabled: boolean | undefined): WebhookChange["status"] {
  if (enabled === true && status !== "enabled") return { to: "probation", reason: "test" };
  return enabled === false && status !== "disabled" ? { to: "disabled", reason: "by_hand" } : null;
}

async function requireSuccessfulTest(deps: WebhookDeps, test: NewDelivery): Promise<void> {
  const outcome = await attemptDelivery(deps, test.id, 1, 1);
  const webhook = await getWebhook(deps, test.project_id, test.webhook_id);
  if (webhook.status === "enabled") return;
  const why = "error" in outcome && outcome.error !== null ? outcome.error : "The webhook was changed meanwhile.";
  throw new Problem("unprocessable", `The webhook stays disabled, because the receiver did not answer its test with 2xx. ${why}`, {
    members: { webhook: webhookJson(webhook), delivery_id: test.id },
  });
}

function newTest({ id, project_id }: Pick<WebhookRow, "id" | "project_id">, now: number): NewDelivery {
  const unique = crypto.randomUUID().replaceAll("-", "");
  const payload = { type: "webhook.test", timestamp: isoSeconds(now), data: { project_id, webhook_id: id } };
  return {
    id: `dlv_${unique}`,
    webhook_id: id,
    project_id,
    message_id: `msg_${unique}`,
    event_type: payload.type,
    payload: JSON.stringify(payload),
    isTest: true,
    dueAt: now + TEST_TIMEOUT_MS,
    jobId: null,
  };
}

/** Archived projects send nothing. */
export function assertProjectActive({ id, lifecycle }: ProjectView): void {
  if (lifecycle !== "ACTIVE") throw new Problem("conflict", `The project ${JSON.stringify(id)} is archived and sends no messages.`);
}

/**
 * Throws `conflict` for an archived project and `pace_exceeded` for too many tests. Throws `project_suspended` if the project calls itself
 * and is suspended for abuse.
 */
async function assertTestAllowed(db: D1Database, project: ProjectView, webhookId: string, now: number, actor: Actor): Promise<void> {
  assertProjectActive(project);
  assertNotAbusive(project, actor);
  if (await isBelowTestLimit(db, webhookId, testLimit(now))) return;
  throw new Problem("pace_exceeded", `A webhook accepts at most ${MAX_TESTS_A_MINUTE} tests per minute.`, {
    retryAfterSeconds: MINUTE_MS / 1_000,
  });
}

/** Sends a test, regardless of the endpoint's status, and waits for its result. Throws the errors of `assertTestAllowed`. */
export async function testWebhook(deps: WebhookDeps, readProject: ReadProject, webhookId: string, actor: Actor): Promise<DeliveryRow> {
  const { db, clock } = deps;
  const project = await readProject();
  const webhook = await getWebhook(deps, project.id, webhookId);
  const now = clock();
  await assertTestAllowed(db, project, webhookId, now, actor);
  const test = newTest(webhook, now);
  // Concurrent requests may all reach this point, so the insert checks again. A deleted endpoint is reported below.
  if (await addDelivery(db, test, newOperation(actor, now), { tests: testLimit(now) })) await attemptDelivery(deps, test.id, 1, 1);
  else await assertTestAllowed(db, project, webhookId, now, actor);
  const delivery = await findDelivery(db, project.id, test.id);
  if (!delivery) throw new Problem("not_found", `The webhook ${JSON.stringify(webhookId)} no longer exists.`);
  return delivery;
}

/**
 * Creates a new secret. The previous one also signs during the grace period, unless `immediate`. At most two secrets are active, and
 * another rotation throws `conflict`. A caller that lost the response learns from the conflict that the rotation happened.
 */
export async function rotateSecret(
  deps: WebhookDeps,
  readProject: ReadProject,
  webhookId: string,
  { immediate }: { readonly immediate: boolean },
  actor: Actor,
): Promise<WebhookWithSecret> {
  const { db, clock, config } = deps;
  return changing(async () => {
    const project = await readProject();
    const seen = await getWebhook(deps, project.id, webhookId);
    const operation = newOperation(actor, clock());
    const { now } = operation;
    if (!immediate && seen.previous_until !== null && seen.previous_until > now) {
      const until = isoSeconds(seen.previous_until);
      const detail = `The secret was rotated, and the previous one signs until ${until}. Send "immediate": true to replace both now.`;
      throw new Problem("conflict", detail, { members: { previous_secret_until: until } });
    }
    const version = seen.secret_version + 1;
    const previousUntil = immediate ? null : now + GRACE_MS;
    const note = {
      action: "webhook.rotate_secret",
      subject: subject(webhookId),
      projectId: project.id,
      before: { version: seen.secret_version },
      after: { version, earlier_end_at: isoSeconds(previousUntil ?? now) },
    };
    if (!(await addSecretVersion(db, project, { webhookId, version, previousUntil }, operation, note))) return null;
    const secret = await webhookSecret(config.keyPepper, webhookId, version);
    return { ...seen, secret_version: version, previous_until: previousUntil, updated_at: now, secret };
  });
}

/** Keeps the deliveries for reading. Throws `not_found`, also when repeated. */
export async function removeWebhook(deps: WebhookDeps, readProject: ReadProject, webhookId: string, actor: Actor): Promise<WebhookRow> {
  const { db, clock } = deps;
  return changing(async () => {
    const project = await readProject();
    const seen = await getWebhook(deps, project.id, webhookId);
    const note = { action: "webhook.delete", subject: subject(webhookId), projectId: project.id, before: facts(seen), after: null };
    return (await deleteWebhook(db, project, webhookId, newOperation(actor, clock()), note)) ? seen : null;
  });
}
