/** A project's endpoints: made, changed, tested, removed. Secrets are shown once; nothing of them is stored. */
import type { Deps } from "../../deps.ts";
import { Problem, invalidField } from "../../errors.ts";
import { randomBase62 } from "../../lib/base62.ts";
import { DAY_MS, MINUTE_MS, isoSeconds } from "../../lib/time.ts";
import type { EventType } from "../../store/events.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import { addDelivery, findDelivery, hasFewTests } from "../../store/webhooks/deliveries.ts";
import type { DeliveryRow, NewDelivery, TestBound } from "../../store/webhooks/deliveries.ts";
import { addSecretVersion, addWebhook, changeWebhook, countWebhooks, deleteWebhook, findWebhook } from "../../store/webhooks/webhooks.ts";
import type { WebhookChange, WebhookRow } from "../../store/webhooks/webhooks.ts";
import { readAddress } from "../../webhooks/address.ts";
import { webhookSecret } from "../../webhooks/secret.ts";
import { changing, newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";
import { needNoAbuse } from "../keys/keys.ts";
import type { ReadProject } from "../keys/keys.ts";
import { tryDelivery } from "./delivery.ts";
import { webhookJson } from "./views.ts";

type WebhookDeps = Pick<Deps, "db" | "clock" | "config" | "trace">;

/** Every event becomes a message for each of them. */
const MAX_WEBHOOKS = 20;
/** The secret before signs so long after a rotation. */
const GRACE_MS = DAY_MS;
/** A test is sent by whoever asked for it. If they die over it, a job does it so long after. */
const TEST_TAKES_MS = 60_000;

/** Of one endpoint, so that nobody makes us knock at somebody's door all day. */
const MAX_TESTS_A_MINUTE = 10;
const TESTS_LOOKED_AT = 100;
const testsUntil = (now: number): TestBound => ({ since: now - MINUTE_MS, among: TESTS_LOOKED_AT, most: MAX_TESTS_A_MINUTE });

const ID_LENGTH = 20;

export interface WebhookInput {
  readonly url: string;
  readonly description: string;
  /** null: all, also those to come. */
  readonly events: readonly EventType[] | null;
}

/** An endpoint with its secret, on its one appearance. */
export type ShownWebhook = WebhookRow & { readonly secret: string };

const subject = (id: string): string => `webhook:${id}`;

/** What the audit log says of it. The address only as far as it holds nothing that may be secret. */
const facts = ({ url, description, event_types, status }: Pick<WebhookRow, "url" | "description" | "event_types" | "status">) => ({
  address: new URL(url).origin,
  description,
  events: event_types === null ? null : (JSON.parse(event_types) as unknown),
  status,
});

const typesJson = (events: readonly EventType[] | null): string | null => (events === null ? null : JSON.stringify([...new Set(events)]));

/** `ownHost`: where the request came to. Throws `unprocessable`. */
function needAddress({ config }: Pick<Deps, "config">, url: string, ownHost: string): string {
  const address = readAddress(url, { allowPrivate: config.webhooks.allowPrivate, ownHost });
  if ("url" in address) return address.url;
  throw invalidField("url", address.refused, undefined, "unprocessable");
}

/**
 * Throws `unprocessable` for an address that nobody may name, `conflict` where the project has as many as it may have,
 * `project_suspended` where it is for abuse: we knock on nobody's door for who abuses us.
 */
export async function createWebhook(
  deps: WebhookDeps,
  readProject: ReadProject,
  { url: given, description, events }: WebhookInput,
  ownHost: string,
  actor: Actor,
): Promise<ShownWebhook> {
  const { db, clock, config } = deps;
  const url = needAddress(deps, given, ownHost);
  const id = `wh_${randomBase62(ID_LENGTH)}`;
  const row = { id, url, description, event_types: typesJson(events) };
  const secret = await webhookSecret(config.keyPepper, id, 1);
  return changing(async () => {
    const project = await readProject();
    needNoAbuse(project, actor);
    // Exact: one that is made meanwhile changes the project, and then nothing is written.
    const count = await countWebhooks(db, project.id);
    if (count >= MAX_WEBHOOKS) {
      const detail = `The project has ${count} webhooks; the limit is ${MAX_WEBHOOKS}. Delete those that nobody needs.`;
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

/** Throws `not_found`; one of another project is not found either. */
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
 * A change to what is already so is none. Enabling one that is not writes down a test with the rest of the change, sends it, and leaves the
 * decision to the receiver: only a 2xx enables. Throws `unprocessable` where it was another answer: the rest of the change stays.
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
  const url = patch.url === undefined ? null : needAddress(deps, patch.url, ownHost);
  const done = await changing(async () => {
    const project = await readProject();
    const seen = await getWebhook(deps, project.id, webhookId);
    if (url !== null && url !== seen.url) needNoAbuse(project, actor);
    const now = clock();
    const status = statusOf(seen, patch.enabled);
    if (status?.to === "probation") await needTestable(db, project, webhookId, now, actor);
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
  if (done.test !== null) await needProof(deps, done.test);
  return getWebhook(deps, done.projectId, webhookId);
}

function statusOf({ status }: WebhookRow, enabled: boolean | undefined): WebhookChange["status"] {
  if (enabled === true && status !== "enabled") return { to: "probation", reason: "test" };
  return enabled === false && status !== "disabled" ? { to: "disabled", reason: "by_hand" } : null;
}

async function needProof(deps: WebhookDeps, test: NewDelivery): Promise<void> {
  const tried = await tryDelivery(deps, test.id, 1, 1);
  const webhook = await getWebhook(deps, test.project_id, test.webhook_id);
  if (webhook.status === "enabled") return;
  const why = "error" in tried && tried.error !== null ? tried.error : "It was changed meanwhile.";
  throw new Problem("unprocessable", `The webhook stays disabled, for its test was not answered with 2xx. ${why}`, {
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
    dueAt: now + TEST_TAKES_MS,
    jobId: null,
  };
}

/** Nothing is sent for a project that is archived. */
export function needActive({ id, lifecycle }: ProjectView): void {
  if (lifecycle !== "ACTIVE") throw new Problem("conflict", `The project ${JSON.stringify(id)} is archived: nothing is sent for it.`);
}

/** Throws `conflict` for an archived project, `project_suspended` for one that asks itself and abuses us, `pace_exceeded` for too many. */
async function needTestable(db: D1Database, project: ProjectView, webhookId: string, now: number, actor: Actor): Promise<void> {
  needActive(project);
  needNoAbuse(project, actor);
  if (await hasFewTests(db, webhookId, testsUntil(now))) return;
  throw new Problem("pace_exceeded", `A webhook is tested at most ${MAX_TESTS_A_MINUTE} times a minute.`, {
    retryAfterSeconds: MINUTE_MS / 1_000,
  });
}

/** Sends a test, whatever the endpoint's status, and waits for what becomes of it. Throws what `needTestable` throws. */
export async function testWebhook(deps: WebhookDeps, readProject: ReadProject, webhookId: string, actor: Actor): Promise<DeliveryRow> {
  const { db, clock } = deps;
  const project = await readProject();
  const webhook = await getWebhook(deps, project.id, webhookId);
  const now = clock();
  await needTestable(db, project, webhookId, now, actor);
  const test = newTest(webhook, now);
  // Many at one moment have all been let through to here. Deleted meanwhile, it is not found below.
  if (await addDelivery(db, test, newOperation(actor, now), { tests: testsUntil(now) })) await tryDelivery(deps, test.id, 1, 1);
  else await needTestable(db, project, webhookId, now, actor);
  const delivery = await findDelivery(db, project.id, test.id);
  if (!delivery) throw new Problem("not_found", `The project has no webhook ${JSON.stringify(webhookId)} any more.`);
  return delivery;
}

/**
 * A new secret; the one before signs too until the grace is over, and with `immediate` no more. While two sign there is no third: whoever
 * lost the answer of a rotation sees by the refusal that it happened. Throws `conflict`.
 */
export async function rotateSecret(
  deps: WebhookDeps,
  readProject: ReadProject,
  webhookId: string,
  { immediate }: { readonly immediate: boolean },
  actor: Actor,
): Promise<ShownWebhook> {
  const { db, clock, config } = deps;
  return changing(async () => {
    const project = await readProject();
    const seen = await getWebhook(deps, project.id, webhookId);
    const operation = newOperation(actor, clock());
    const { now } = operation;
    if (!immediate && seen.previous_until !== null && seen.previous_until > now) {
      const until = isoSeconds(seen.previous_until);
      const detail = `The secret was rotated, and the one before signs until ${until}. Send "immediate": true for one that replaces both now.`;
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

/** Its deliveries stay to be read. Throws `not_found`, also the second time. */
export async function removeWebhook(deps: WebhookDeps, readProject: ReadProject, webhookId: string, actor: Actor): Promise<WebhookRow> {
  const { db, clock } = deps;
  return changing(async () => {
    const project = await readProject();
    const seen = await getWebhook(deps, project.id, webhookId);
    const note = { action: "webhook.delete", subject: subject(webhookId), projectId: project.id, before: facts(seen), after: null };
    return (await deleteWebhook(db, project, webhookId, newOperation(actor, clock()), note)) ? seen : null;
  });
}
