/**
 * Dispatches events to webhooks, soon after manual changes and jobs. Housekeeping dispatches the rest. Concurrent calls are safe: an event
 * has one delivery per endpoint, and a delivery has one job.
 */
import { sha256Hex } from "../../lib/bytes.ts";
import type { Deps } from "../../deps.ts";
import { JOBS } from "../../jobs/catalog.ts";
import type { JobQueue } from "../../jobs/enqueue.ts";
import { errorFields, log } from "../../lib/log.ts";
import { isoSeconds } from "../../lib/time.ts";
import {
  listDueDeliveries,
  endUnsendable,
  createDeliveries,
  markEnqueued,
  recoverDeliveries,
  listUndispatchedEvents,
} from "../../store/webhooks/dispatch.ts";
import type { DueDelivery, EventMessage, WaitingEvent } from "../../store/webhooks/dispatch.ts";
import { sendOperatorNotices } from "./operator-notices.ts";

type DispatchDeps = Pick<Deps, "db" | "clock" | "trace" | "telegram"> & { readonly jobs: Pick<JobQueue, "enqueueMany"> };

/** Events and deliveries per round. Such a transaction takes a fraction of a second. */
const ROUND = 200;
/** A sweep may suspend hundreds of projects. Housekeeping dispatches the rest. */
const MAX_ROUNDS = 10;
/** Maximum per pass of housekeeping. */
const MAX_RECOVERED = 500;

export interface Dispatched {
  readonly events: number;
  readonly deliveries: number;
  readonly jobs: number;
  readonly operators_told: number;
}

/** The requester of the jobs. Their ids are derived from the delivery and its run, so that a repeated request adds no job. */
const REQUESTED_BY = "dispatch";

export async function dispatchEvents(deps: DispatchDeps): Promise<Dispatched> {
  const total = { events: 0, deliveries: 0, jobs: 0 };
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const events = await listUndispatchedEvents(deps.db, ROUND);
    if (events.length > 0) total.deliveries += await createDeliveries(deps.db, events, await messagesOf(events), deps.clock());
    total.events += events.length;
    const { due, jobs } = await requestJobs(deps);
    total.jobs += jobs;
    if (events.length < ROUND && due < ROUND) break;
  }
  return { ...total, operators_told: await sendOperatorNotices(deps) };
}

/** For background work. Housekeeping repeats it after a failure. */
export async function dispatchInBackground(deps: DispatchDeps): Promise<void> {
  try {
    await dispatchEvents(deps);
  } catch (error) {
    log.warn("Event dispatch failed", errorFields(error));
  }
}

/** Resumes all unfinished work: events, deliveries without a job, and deliveries whose job ended without a result. */
export async function catchUp(deps: DispatchDeps): Promise<Dispatched & { readonly recovered: number }> {
  const { restarted, ended } = await recoverDeliveries(deps.db, deps.clock(), MAX_RECOVERED);
  return { ...(await dispatchEvents(deps)), recovered: restarted + ended };
}

async function messagesOf(events: readonly WaitingEvent[]): Promise<EventMessage[]> {
  const subscribed = events.filter((event) => event.has_endpoints === 1);
  return Promise.all(
    subscribed.map(async ({ id, type, data, created_at }) => ({
      event: id,
      message: await messageId(id),
      payload: JSON.stringify({ type, timestamp: isoSeconds(created_at), data: JSON.parse(data) as unknown }),
    })),
  );
}

const MESSAGE_HEX_DIGITS = 32;

/** Id of a message, equal for all its endpoints. A hash, because it must not contain a full stop. */
export async function messageId(about: string): Promise<string> {
  return `msg_${(await sha256Hex(about)).slice(0, MESSAGE_HEX_DIGITS)}`;
}

async function requestJobs({ db, clock, jobs, trace }: DispatchDeps): Promise<{ readonly due: number; readonly jobs: number }> {
  const due = await listDueDeliveries(db, clock(), ROUND);
  if (due.length === 0) return { due: 0, jobs: 0 };
  const sendable = due.filter(isSendable);
  const unsendable = due.filter((delivery) => !isSendable(delivery)).map(({ id }) => id);
  if (unsendable.length > 0) {
    log.error("Unsendable webhook deliveries found", { deliveries: unsendable });
    await endUnsendable(db, unsendable, clock());
  }
  if (sendable.length === 0) return { due: due.length, jobs: 0 };
  const ids = await jobs.enqueueMany("deliver_webhook", sendable.map(jobRequest), {
    requestedBy: REQUESTED_BY,
    traceparent: trace.traceparent,
  });
  await markEnqueued(
    db,
    sendable.map(({ id, run }, index) => ({ delivery: id, run, job: ids[index] ?? "" })),
    clock(),
  );
  return { due: due.length, jobs: sendable.length };
}

/** Jobs refuse larger payloads. */
const MAX_PAYLOAD_CHARACTERS = 250_000;

/** Whether a job accepts the delivery. An unacceptable one must not block the others. */
const isSendable = (delivery: DueDelivery): boolean =>
  delivery.payload.length <= MAX_PAYLOAD_CHARACTERS && JOBS.deliver_webhook.payload.safeParse(jobRequest(delivery).payload).success;

const jobRequest = ({ id, run, webhook_id, project_id, url, payload }: DueDelivery) => ({
  payload: { webhook_id, project_id, url, payload: JSON.parse(payload) as Message, delivery_id: id },
  idempotencyKey: `${id}:${run}`,
  projectId: project_id,
});

interface Message {
  readonly type: string;
  readonly timestamp: string;
  readonly data: Record<string, unknown>;
}
