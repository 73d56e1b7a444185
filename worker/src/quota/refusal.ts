/** A refusal as the answer it becomes. No I/O. No clock. */
import { Problem } from "../errors.ts";
import { leftOfShare } from "./policy.ts";
import type { QuotaStatus, Refusal, ShareUse } from "./types.ts";
import { SECOND_MS, isoSeconds } from "../lib/time.ts";

/** Spread over a minute, so that not everybody comes back at 00:00:00. */
const RESET_JITTER_SECONDS = 60;

const GROUPED = new Intl.NumberFormat("en-US");

/** "12,345": people read these. */
const grouped = (count: number): string => GROUPED.format(count);

function calls(count: number): string {
  return `${grouped(count)} ${count === 1 ? "call" : "calls"}`;
}

/**
 * The problem for a refusal. Two kinds that must never be confused: too little of the day is left (`quota_exhausted`), or wait a
 * moment (`pace_exceeded`). Calls that are only reserved are of the first kind: no call is left to grant, and a client that took it
 * for the pace would ask again every second. But the day is not over, so the answer says when to come back (`available_at`,
 * `Retry-After`) and does not mention the next day. `chargedCalls`: spent before the provider itself refused.
 */
export function refusalProblem(refusal: Refusal, status: QuotaStatus, chargedCalls = 0): Problem {
  switch (refusal.refusedBy) {
    case "daily":
      return tooLittleLeft(refusal, status, "daily", chargedCalls, dailyDetail(refusal, status));
    case "share":
      return tooLittleLeft(refusal, status, "project-share", chargedCalls, shareDetail(refusal, refusal.share, status));
    case "floor":
      return tooLittleLeft(refusal, status, "daily-background", chargedCalls, floorDetail(refusal, status));
    case "pace":
    case "price":
    case "hold":
    case "projects-hold":
      return waitAMoment(refusal, refusal.refusedBy, status, chargedCalls);
  }
}

/** When it is worth asking again: the next whole second, never one before. A status is of some time in the second of its `as_of`. */
function availableAt({ waitMs, decidedAt }: Refusal, { as_of }: QuotaStatus): string {
  const from = decidedAt ?? Date.parse(as_of) + SECOND_MS - 1;
  return isoSeconds(Math.ceil((from + waitMs) / SECOND_MS) * SECOND_MS);
}

function comeBack(refusal: Refusal, status: QuotaStatus): string {
  if (!refusal.held) return `The next day begins at ${status.reset_at}.`;
  return `The day is not over: what is reserved may come back. Try again at ${availableAt(refusal, status)}.`;
}

function dailyDetail(refusal: Refusal, status: QuotaStatus): string {
  const left = status.remaining === 0 ? "nothing is left" : `${grouped(status.remaining)} are left`;
  const held = status.reserved > 0 ? `, ${grouped(status.reserved)} reserved` : "";
  const spent = `${grouped(status.used)} of ${grouped(status.safety_limit)} used${held}`;
  return `This needs ${calls(refusal.callsNeeded)}, but ${left} today (${spent}). ${comeBack(refusal, status)}`;
}

function shareDetail(refusal: Refusal, share: ShareUse, status: QuotaStatus): string {
  const left = leftOfShare(share);
  const held = share.reserved > 0 ? ` (${grouped(share.reserved)} more are reserved)` : "";
  const may = `your project may spend ${grouped(share.calls_per_day)} a day of the provider's calls`;
  return `This needs ${calls(refusal.callsNeeded)}; ${may} and has ${left === 0 ? "none" : grouped(left)} left${held}. ${comeBack(refusal, status)}`;
}

function floorDetail(refusal: Refusal, status: QuotaStatus): string {
  const { callsNeeded, available } = refusal;
  const { floor } = status.background;
  const soon = availableAt(refusal, status);
  const when = soon < status.reset_at ? `Enough should be free at ${soon}` : `The next day begins at ${status.reset_at}`;
  const kept = `${grouped(floor)} of the ${grouped(status.remaining)} left are kept for interactive callers`;
  return `This background work needs ${calls(callsNeeded)} and may have ${grouped(available)}: ${kept}. ${when}.`;
}

function tooLittleLeft(refusal: Refusal, status: QuotaStatus, policy: string, chargedCalls: number, detail: string): Problem {
  const toReset = Math.ceil((Date.parse(status.reset_at) - Date.parse(status.as_of)) / SECOND_MS);
  const jitter = Math.floor(Math.random() * (RESET_JITTER_SECONDS + 1));
  const soon = availableAt(refusal, status);
  return new Problem("quota_exhausted", detail, {
    members: {
      "violated-policies": [policy],
      calls_needed: refusal.callsNeeded,
      calls_available: refusal.available,
      calls_charged: chargedCalls,
      reset_at: status.reset_at,
      ...(refusal.refusedBy === "share" ? { share: { ...refusal.share, remaining: leftOfShare(refusal.share) } } : {}),
      ...((refusal.held || refusal.refusedBy === "floor") && soon < status.reset_at ? { available_at: soon } : {}),
      quota: status,
    },
    unlogged: refusal.remembered ?? false,
    retryAfterSeconds: refusal.held ? Math.ceil(refusal.waitMs / SECOND_MS) : toReset + jitter,
  });
}

const WAIT_DETAILS = {
  pace: "Too many requests are already waiting for their turn with the provider.",
  price: "Another batch is finding out what a batch costs; until then they go one at a time.",
  hold: "You hold as many reserved calls as a project may. Commit or release some first.",
  "projects-hold": "All projects together hold as many reserved calls as they may.",
};

function waitAMoment(refusal: Refusal, refusedBy: keyof typeof WAIT_DETAILS, status: QuotaStatus, chargedCalls: number): Problem {
  // A call that was charged and refused all the same was refused by the provider.
  const byProvider = refusedBy === "pace" && chargedCalls > 0;
  const detail = byProvider ? "The provider asks for a pause." : WAIT_DETAILS[refusedBy];
  const seconds = Math.max(1, Math.ceil(refusal.waitMs / SECOND_MS));
  return new Problem("pace_exceeded", `${detail} Try again in ${seconds} s; the day is not over.`, {
    members: { "violated-policies": [refusedBy], calls_needed: refusal.callsNeeded, calls_charged: chargedCalls, quota: status },
    retryAfterSeconds: seconds,
  });
}
