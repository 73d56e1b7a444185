/**
 * Hands events on to webhooks: soon after they happened (after a change by hand and after every job), and by housekeeping whatever was left
 * behind. May run any number of times at once: an event makes one delivery for each endpoint, and a delivery one job.
 */
import { sha256Hex } from "../../lib/bytes.ts";
import type { Deps } from "../../deps.ts";
import { JOBS } from "../../jobs/catalog.ts";
import type { JobQueue } from "../../jobs/enqueue.ts";
import { errorFields, log } from "../../lib/log.ts";
import { isoSeconds } from "../../lib/time.ts";
import { dueDeliveries, endUnsendable, handOn, markEnqueued, recoverDeliveries, waitingEvents } from "../../store/webhooks/dispatch.ts";
import type { DueDelivery, EventMessage, WaitingEvent } from "../../store/webhooks/dispatch.ts";
import { tellOperators } from "./operator-notices.ts";

type DispatchDeps = Pick<Deps, "db" | "clock" | "trace" | "telegram"> & { readonly jobs: Pick<JobQueue, "enqueueMany"> };

/** Events, and deliveries, of one round: a transaction of a fraction of a second. */
const ROUND = 200;
/** A sweep may stop hundreds of projects at once. What is more is left to housekeeping. */
const MAX_ROUNDS = 10;
/** Of one pass of housekeeping. */
const MAX_RECOVERED = 500;

export interface Dispatched {
  readonly events: number;
  readonly deliveries: number;
  readonly jobs: number;
  readonly operators_told: number;
}

/** Who asks for the jobs: their ids follow from the delivery and its run, so that asking twice is asking once. */
const REQUESTED_BY = "dispatch";

export async function dispatchEvents(deps: DispatchDeps): Promise<Dispatched> {
  const total = { events: 0, deliveries: 0, jobs: 0 };
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const events = await waitingEvents(deps.db, ROUND);
    if (events.length > 0) total.deliveries += await handOn(deps.db, events, await messagesOf(events), deps.clock());
    total.events += events.length;
    const { due, jobs } = await askForJobs(deps);
    total.jobs += jobs;
    if (events.length < ROUND && due < ROUND) break;
  }
  return { ...total, operators_told: await tellOperators(deps) };
}

/** For work that nobody waits for: what fails is left to housekeeping. */
export async function dispatchInBackground(deps: DispatchDeps): Promise<void> {
  try {
    await dispatchEvents(deps);
  } catch (error) {
    log.warn("Events were not handed on; housekeeping will", errorFields(error));
  }
}

/** All that was left behind: events, deliveries without a job, and deliveries whose job is over and does not say what became of them. */
export async function catchUp(deps: DispatchDeps): Promise<Dispatched & { readonly recovered: number }> {
  const { again, ended } = await recoverDeliveries(deps.db, deps.clock(), MAX_RECOVERED);
  return { ...(await dispatchEvents(deps)), recovered: again + ended };
}

async function messagesOf(events: readonly WaitingEvent[]): Promise<EventMessage[]> {
  const wanted = events.filter((event) => event.wanted === 1);
  return Promise.all(
    wanted.map(async ({ id, type, data, created_at }) => ({
      event: id,
      message: await messageId(id),
      payload: JSON.stringify({ type, timestamp: isoSeconds(created_at), data: JSON.parse(data) as unknown }),
    })),
  );
}

const MESSAGE_HEX_DIGITS = 32;

/** The same for every endpoint that is told of it. A hash, for it must hold no full stop. */
export async function messageId(about: string): Promise<string> {
  return `msg_${(await sha256Hex(about)).slice(0, MESSAGE_HEX_DIGITS)}`;
}

async function askForJobs({ db, clock, jobs, trace }: DispatchDeps): Promise<{ readonly due: number; readonly jobs: number }> {
  const due = await dueDeliveries(db, clock(), ROUND);
  if (due.length === 0) return { due: 0, jobs: 0 };
  const sendable = due.filter(isSendable);
  const unsendable = due.filter((delivery) => !isSendable(delivery)).map(({ id }) => id);
  if (unsendable.length > 0) {
    log.error("Deliveries hold what no webhook can be sent", { deliveries: unsendable });
    await endUnsendable(db, unsendable, clock());
  }
  if (sendable.length === 0) return { due: due.length, jobs: 0 };
  const ids = await jobs.enqueueMany("deliver_webhook", sendable.map(asked), {
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

/** A job refuses more. */
const MAX_PAYLOAD_CHARACTERS = 250_000;

/** Whether a job takes it. One that it does not must not stand in the way of all the others. */
const isSendable = (delivery: DueDelivery): boolean =>
  delivery.payload.length <= MAX_PAYLOAD_CHARACTERS && JOBS.deliver_webhook.payload.safeParse(asked(delivery).payload).success;

const asked = ({ id, run, webhook_id, project_id, url, payload }: DueDelivery) => ({
  payload: { webhook_id, project_id, url, payload: JSON.parse(payload) as Message, delivery_id: id },
  idempotencyKey: `${id}:${run}`,
  projectId: project_id,
});

interface Message {
  readonly type: string;
  readonly timestamp: string;
  readonly data: Record<string, unknown>;
}
