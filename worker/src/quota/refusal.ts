/** Turns a refusal into a problem answer. No I/O. No clock. */
import { Problem } from "../errors.ts";
import { remainingOfShare } from "./policy.ts";
import { MAX_RETURNS_PER_MINUTE } from "./returns.ts";
import type { QuotaStatus, Refusal, ShareUse } from "./types.ts";
import { grouped } from "../lib/grouped.ts";
import { SECOND_MS, isoSeconds } from "../lib/time.ts";

/** Retries are spread over a minute, so that not all clients retry at 00:00:00. */
const RESET_JITTER_SECONDS = 60;

const are = (count: number): string => (count === 1 ? "is" : "are");

function calls(count: number): string {
  return `${grouped(count)} ${count === 1 ? "call" : "calls"}`;
}

/**
 * The problem for a refusal. Its two kinds must never be confused: too few calls remain (`quota_exhausted`), or wait a moment
 * (`pace_exceeded`). If the missing calls are only reserved, the kind is `quota_exhausted` too, because a `pace_exceeded` client would
 * retry every second. Reserved calls may be released before the reset, so this answer gives an earlier time (`available_at`,
 * `Retry-After`). `chargedCalls`: calls charged before the provider itself refused.
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

/** The time for a retry, rounded up to a second. `as_of` is rounded down, so its second may be almost over. */
function availableAt({ waitMs, decidedAt }: Refusal, { as_of }: QuotaStatus): string {
  const from = decidedAt ?? Date.parse(as_of) + SECOND_MS - 1;
  return isoSeconds(Math.ceil((from + waitMs) / SECOND_MS) * SECOND_MS);
}

function retryAdvice(refusal: Refusal, status: QuotaStatus): string {
  if (!refusal.held) return `The next day begins at ${status.reset_at}.`;
  return `Reserved calls may be released. Try again at ${availableAt(refusal, status)}.`;
}

function dailyDetail(refusal: Refusal, status: QuotaStatus): string {
  const left =
    status.remaining === 0 ? "no calls remain" : `only ${grouped(status.remaining)} ${status.remaining === 1 ? "remains" : "remain"}`;
  const reserved = status.reserved > 0 ? `, ${grouped(status.reserved)} reserved` : "";
  const spent = `${grouped(status.used)} of ${grouped(status.safety_limit)} used${reserved}`;
  return `This request needs ${calls(refusal.callsNeeded)}, but ${left} today (${spent}). ${retryAdvice(refusal, status)}`;
}

function shareDetail(refusal: Refusal, share: ShareUse, status: QuotaStatus): string {
  const left = remainingOfShare(share);
  const reserved = share.reserved > 0 ? ` (${grouped(share.reserved)} more reserved)` : "";
  const remaining = `has ${left === 0 ? "none" : grouped(left)} left${reserved}`;
  const rule = `Your project may spend ${grouped(share.calls_per_day)} of the provider's calls a day and ${remaining}`;
  return `This request needs ${calls(refusal.callsNeeded)}. ${rule}. ${retryAdvice(refusal, status)}`;
}

function floorDetail(refusal: Refusal, status: QuotaStatus): string {
  const { callsNeeded, available } = refusal;
  const { floor } = status.background;
  const freeAt = availableAt(refusal, status);
  const when = freeAt < status.reset_at ? `Enough calls should be free at ${freeAt}` : `The next day begins at ${status.reset_at}`;
  const { remaining } = status;
  const all = remaining === 1 ? "The last remaining call is" : `All ${calls(remaining)} that remain are`;
  const part = floor >= remaining ? all : `${grouped(floor)} of the ${grouped(remaining)} remaining calls ${are(floor)}`;
  const heldBack = `${part} held back for interactive callers`;
  return `This background work needs ${calls(callsNeeded)} and can get ${grouped(available)}. ${heldBack}. ${when}.`;
}

function tooLittleLeft(refusal: Refusal, status: QuotaStatus, policy: string, chargedCalls: number, detail: string): Problem {
  const toReset = Math.ceil((Date.parse(status.reset_at) - Date.parse(status.as_of)) / SECOND_MS);
  const jitter = Math.floor(Math.random() * (RESET_JITTER_SECONDS + 1));
  const freeAt = availableAt(refusal, status);
  return new Problem("quota_exhausted", detail, {
    members: {
      "violated-policies": [policy],
      calls_needed: refusal.callsNeeded,
      calls_available: refusal.available,
      calls_charged: chargedCalls,
      reset_at: status.reset_at,
      ...(refusal.refusedBy === "share" ? { share: { ...refusal.share, remaining: remainingOfShare(refusal.share) } } : {}),
      ...((refusal.held || refusal.refusedBy === "floor") && freeAt < status.reset_at ? { available_at: freeAt } : {}),
      quota: status,
    },
    unlogged: refusal.remembered ?? false,
    retryAfterSeconds: refusal.held ? Math.ceil(refusal.waitMs / SECOND_MS) : toReset + jitter,
  });
}

const WAIT_DETAILS = {
  pace: "Too many requests are already waiting for the provider.",
  price: "Another batch is measuring the batch price. Until then, batches are sent one at a time.",
  hold: "This request would exceed your project's maximum of reserved calls. Commit or release some first.",
  "projects-hold": "The open reservations of all projects leave too few calls for this request.",
};

function waitAMoment(refusal: Refusal, refusedBy: keyof typeof WAIT_DETAILS, status: QuotaStatus, chargedCalls: number): Problem {
  // A charged call was sent, so the provider refused it.
  if (refusal.manyReturned) return returnedTooMany(refusal, status, chargedCalls);
  const byProvider = refusedBy === "pace" && chargedCalls > 0;
  const detail = byProvider ? "The provider requires a pause." : WAIT_DETAILS[refusedBy];
  const seconds = Math.max(1, Math.ceil(refusal.waitMs / SECOND_MS));
  return new Problem("pace_exceeded", `${detail} Try again in ${seconds} s. Quota remains.`, {
    members: { "violated-policies": [refusedBy], calls_needed: refusal.callsNeeded, calls_charged: chargedCalls, quota: status },
    retryAfterSeconds: seconds,
  });
}

function returnedTooMany(refusal: Refusal, status: QuotaStatus, chargedCalls: number): Problem {
  const seconds = Math.max(1, Math.ceil(refusal.waitMs / SECOND_MS));
  const rule = `Your project released ${MAX_RETURNS_PER_MINUTE} unused reservations in the last minute`;
  return new Problem("rate_limited", `${rule}. Try again in ${seconds} s, and reserve only calls that you will send.`, {
    members: {
      "violated-policies": ["returned-reservations"],
      calls_needed: refusal.callsNeeded,
      calls_charged: chargedCalls,
      quota: status,
    },
    retryAfterSeconds: seconds,
  });
}
