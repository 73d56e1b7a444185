/** Reservations over HTTP, for services that call the provider themselves. */
import { z } from "@hono/zod-openapi";
import { MAX_CALLS } from "../../env.ts";
import { Problem, invalidField } from "../../errors.ts";
import type { Caller } from "../../http/access.ts";
import { inBackground } from "../../http/background.ts";
import { requestTime } from "../../http/fields.ts";
import { createRouter, showRateLimit, visibleStatus } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { spenderOf } from "../../http/spender.ts";
import { traceReservation, traceSettlement } from "../../library/quota-spans.ts";
import {
  DEFAULT_TTL_SECONDS,
  MAX_TTL_SECONDS,
  PROJECT_CALLER_PREFIX,
  maxTtlSeconds,
  projectCaller,
  refusalProblem,
} from "../../quota/index.ts";
import { isoSeconds } from "../../lib/time.ts";
import { activeProject, grantedProject, jsonBody, operations, optionalBody } from "../operation.ts";
import { callerLabel, priority, provider, quotaStatus, withRateLimit } from "./schemas.ts";

export const reservationRoutes = createRouter();
const UNAVAILABLE = ["quota_unavailable", "storage_unavailable"] as const;
const active = operations(reservationRoutes, "Reservations", activeProject("enrich"), UNAVAILABLE);
const granted = operations(reservationRoutes, "Reservations", grantedProject("enrich"), UNAVAILABLE);

const DEFAULT_CALLER = "api";

const id = z
  .string()
  .regex(/^[\w.:-]{1,100}$/u, "must be 1 to 100 letters, digits or . : _ -")
  .describe("Id of a reservation, chosen by you or generated")
  .openapi({ example: "harvest-2025-12-30-0001" });

const calls = z.int().min(1).max(MAX_CALLS);

const reservationBody = z
  .strictObject({
    calls: calls.describe("Calls that your request to the provider will cost"),
    min_calls: calls.optional().describe("Grants the remaining calls, if at least this many are left"),
    caller: callerLabel.optional().describe(`Default: ${DEFAULT_CALLER}. A project's key is always project:<id>`),
    priority,
    id: id.optional().describe("Makes the request idempotent for two days"),
    ttl_seconds: z
      .int()
      .min(1)
      .max(MAX_TTL_SECONDS)
      .default(DEFAULT_TTL_SECONDS)
      .describe("Lifetime of the reservation, counted from `start_at`"),
  })
  .openapi({ example: { calls: 10, min_calls: 1, caller: "cron.harvest", priority: "background" } });

const reservation = z
  .object({
    id: z.string(),
    calls: z.int().describe("Granted calls"),
    expires_at: z.string().describe("Send nothing after it. A reservation that is neither committed nor released is then charged"),
    start_at: z.string().describe("Earliest time of the request under the pace, with milliseconds. One reservation is one request"),
    quota: quotaStatus,
  })
  .openapi("Reservation");

active("post", "/reservations", {
  summary: "Create a reservation",
  request: { query: z.object({ provider }), body: jsonBody(reservationBody) },
  responses: { 201: withRateLimit("The reservation", reservation) },
  problems: ["conflict", "unprocessable", "quota_exhausted", "pace_exceeded", "rate_limited"],
}).handle(async (c) => {
  const who = callerOf(c);
  const body = c.req.valid("json");
  if (body.min_calls !== undefined && body.min_calls > body.calls) {
    throw invalidField("min_calls", `must be at most \`calls\`, which is ${body.calls}`, body.min_calls);
  }
  if (who.kind === "admin" && body.id?.startsWith(PROJECT_CALLER_PREFIX)) {
    throw invalidField("id", `must not begin with ${PROJECT_CALLER_PREFIX}. Such ids belong to projects`, body.id);
  }
  const name = body.id ?? crypto.randomUUID();
  const { caller, priority: urgency, share, shareMode } = spenderOf(c, who, body, DEFAULT_CALLER);
  const longest = maxTtlSeconds(caller);
  if (body.ttl_seconds > longest) throw invalidField("ttl_seconds", `must be at most ${longest} for this caller`, body.ttl_seconds);
  const { quota, trace } = c.get("deps");
  const spending = { cost: { calls: body.calls }, caller, priority: urgency, share, shareMode };
  const reservationId = ledgerId(who, name);
  const minCalls = body.min_calls === undefined ? {} : { minCalls: body.min_calls };
  const request = { id: reservationId, ...spending, ttlSeconds: body.ttl_seconds, ...minCalls };
  const newId = body.id === undefined;
  const reserve = async () => ({ answer: await quota.reserve(request, { newId }) });
  const { answer } = await traceReservation(trace, spending, reserve).catch((error: unknown) => {
    // The client does not learn a generated id, so it cannot release the reservation.
    if (newId) inBackground(c, "Releasing a lost reservation failed", quota.abandon(reservationId));
    throw error;
  });
  switch (answer.result) {
    case "granted": {
      const { reservation: granted, status } = answer;
      showRateLimit(c, status);
      const times = { expires_at: isoSeconds(granted.expiresAt), start_at: new Date(granted.startAt).toISOString() };
      return c.json({ id: name, calls: granted.calls, ...times, quota: visibleStatus(c, status) }, 201);
    }
    case "refused":
      throw refusalProblem(answer.refusal, answer.status);
    case "conflict":
      throw new Problem("conflict", `${answer.detail}.`);
    case "impossible":
      throw new Problem("unprocessable", `${answer.detail}.`);
  }
});

const STATES = { held: "open", late: "committed", committed: "committed", released: "released", expired: "expired" } as const;

granted("get", "/reservations/{id}", {
  summary: "Read a reservation",
  description: "Reservations are remembered for two days. A project reads only its own.",
  request: { query: z.object({ provider }), params: z.object({ id }) },
  responses: {
    200: withRateLimit(
      "The reservation",
      z
        .object({
          id: z.string(),
          state: z
            .enum(["open", "committed", "released", "expired"])
            .describe("expired: charged in full, because it was not committed in time"),
          caller: z.string(),
          calls: z.int().describe("Granted calls"),
          charged: z.int().nullable().describe("Charged calls. null: still open"),
          start_at: z.string(),
          expires_at: z.string(),
          quota: quotaStatus,
        })
        .openapi("ReservationState"),
    ),
  },
}).handle(async (c) => {
  const { id: name } = c.req.valid("param");
  const { reservation: found, status } = await c.get("deps").quota.reservation(ledgerId(callerOf(c), name));
  if (found === null) throw unknownReservation(name);
  showRateLimit(c, status);
  const times = { start_at: new Date(found.startAt).toISOString(), expires_at: isoSeconds(found.expiresAt) };
  const { calls, caller, charged } = found;
  return c.json({ id: name, state: STATES[found.state], caller, calls, charged, ...times, quota: visibleStatus(c, status) }, 200);
});

const commitBody = z
  .strictObject({
    calls: z
      .int()
      .min(0)
      .max(MAX_CALLS)
      .optional()
      .describe(
        "Actual cost. Default: all reserved calls. The admin token may commit more than was reserved. A project that does so gets 422",
      ),
    sent_at: requestTime
      .optional()
      .describe("Time of the request. Decides which day is charged for a reservation that was open at midnight"),
  })
  .openapi({ example: { calls: 7 } });

granted("post", "/reservations/{id}/commit", {
  summary: "Commit a reservation",
  description:
    "Charges the actual cost. Idempotent. After a release it charges too, but a project only as far as its share and the limit allow. After expiry the reservation is already charged, and `late` is true.",
  request: { query: z.object({ provider }), params: z.object({ id }), body: optionalBody(commitBody) },
  responses: {
    200: withRateLimit("Charged", z.object({ id: z.string(), charged: z.int(), late: z.literal(true).optional(), quota: quotaStatus })),
  },
  problems: ["unprocessable"],
}).handle(async (c) => {
  const { id: name } = c.req.valid("param");
  const { calls: spent, sent_at } = c.req.valid("json");
  const { quota, trace } = c.get("deps");
  const who = callerOf(c);
  const answer = await traceSettlement(trace, async () =>
    quota.commit({
      id: ledgerId(who, name),
      ...(who.kind === "project" ? { within: { share: who.share, shareMode: who.shareMode } } : {}),
      ...(spent === undefined ? {} : { calls: spent }),
      ...(sent_at === undefined ? {} : { sentAt: Date.parse(sent_at) }),
    }),
  );
  switch (answer.result) {
    case "committed":
      showRateLimit(c, answer.status);
      return c.json(
        { id: name, charged: answer.charged, ...(answer.late ? { late: true as const } : {}), quota: visibleStatus(c, answer.status) },
        200,
      );
    case "unknown":
      throw unknownReservation(name);
    case "impossible":
      throw notCharged(answer);
  }
});

granted("delete", "/reservations/{id}", {
  summary: "Release a reservation",
  description: "Only if the request was definitely not sent. Idempotent. After a commit or expiry: 409.",
  request: { query: z.object({ provider }), params: z.object({ id }) },
  responses: { 200: withRateLimit("Released", z.object({ released: z.int().describe("Released calls"), quota: quotaStatus })) },
  problems: ["conflict"],
}).handle(async (c) => {
  const { id: name } = c.req.valid("param");
  const { quota, trace } = c.get("deps");
  const answer = await traceSettlement(trace, async () => quota.release(ledgerId(callerOf(c), name)));
  switch (answer.result) {
    case "released":
      showRateLimit(c, answer.status);
      return c.json({ released: answer.calls, quota: visibleStatus(c, answer.status) }, 200);
    case "unknown":
      throw unknownReservation(name);
    case "conflict":
      throw new Problem("conflict", `${answer.detail}.`);
  }
});

const unknownReservation = (name: string): Problem =>
  new Problem("not_found", `The reservation ${JSON.stringify(name)} does not exist. Reservations are remembered for two days.`);

function notCharged({ detail, field }: { readonly detail: string; readonly field?: string }): Problem {
  const errors = field === undefined ? {} : { errors: [{ path: field, message: detail }] };
  return new Problem("unprocessable", `${detail}.`, { members: errors });
}

/** The admitted caller. */
function callerOf(c: AppContext): Caller {
  const principal = c.get("principal");
  if (principal.kind === "admin" || principal.kind === "project") return principal;
  throw new Error("A request for a reservation has no credentials");
}

/** Ids of a project are prefixed with its caller, so they never collide with ids of others. */
const ledgerId = (who: Caller, name: string): string => (who.kind === "admin" ? name : `${projectCaller(who.projectId)}:${name}`);
