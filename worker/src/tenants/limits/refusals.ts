/** A refused admission as the answer it becomes. No I/O. No clock. */
import { Problem } from "../../errors.ts";
import { SECOND_MS, isoSeconds } from "../../lib/time.ts";
import { shownReason } from "./admission.ts";
import type { AdmissionRefusal } from "./admission.ts";

/** Spread over a minute, so that not everybody comes back at the same second. */
const RESET_JITTER_SECONDS = 60;

const grouped = (count: number): string => count.toLocaleString("en-US");

function untilReset(resetAt: number, now: number): number {
  return Math.ceil((resetAt - now) / SECOND_MS) + Math.floor(Math.random() * (RESET_JITTER_SECONDS + 1));
}

const INVALID_TOKEN = { "WWW-Authenticate": 'Bearer error="invalid_token"' };

const unauthorized = (detail: string): Problem => new Problem("unauthorized", detail, { headers: INVALID_TOKEN });

/** A project is made within seconds; whoever asks in a loop asks a handful of times. */
const READY_AFTER_SECONDS = 2;

/** Its provisioning has not ended, or is being undone. */
export function notReady(projectId: string, failed: boolean): Problem {
  const why = failed
    ? "could not be provisioned, and is being undone: create it again"
    : "is being provisioned; its keys work as soon as that is done";
  return new Problem("project_not_ready", `The project ${projectId} ${why}.`, { retryAfterSeconds: READY_AFTER_SECONDS });
}

/**
 * Whoever gets more than "not accepted" has proved to hold the key: its whole secret was right. A stranger, who guesses ids or secrets,
 * learns nothing of what exists.
 */
export function admissionProblem(refusal: AdmissionRefusal): Problem {
  switch (refusal.why) {
    case "unknown_key":
      return unauthorized("This key is not accepted.");
    case "revoked":
      return unauthorized(`This key was revoked at ${isoSeconds(refusal.at)}. Use another one.`);
    case "expired":
      return unauthorized(`This key expired at ${isoSeconds(refusal.at)}. Ask for a new one.`);
    case "replaced":
      return unauthorized(`This key was replaced by a newer version, and stopped working at ${isoSeconds(refusal.at)}. Use the newer one.`);
    case "scope":
      return new Problem("forbidden", `This key has the scopes ${refusal.scopes.join(", ") || "(none)"}; this needs ${refusal.needed}.`);
    case "deleted":
      return unauthorized(`The project ${refusal.projectId} of this key was deleted.`);
    case "archived":
      return new Problem("forbidden", `The project ${refusal.projectId} is archived.`);
    case "organization_archived":
      return new Problem("forbidden", `The organisation of the project ${refusal.projectId} is archived.`);
    case "not_ready":
      return notReady(refusal.projectId, refusal.failed);
    case "suspended": {
      const reasons = refusal.suspensions.map(shownReason);
      const told = reasons.map(({ reason, until }) => (until === undefined ? reason : `${reason} until ${until}`)).join(", ");
      return new Problem("project_suspended", `The project is suspended: ${told}.`, { members: { reasons } });
    }
    case "monthly": {
      const { used, limit, resetAt, now } = refusal;
      const detail = `The organisation has used ${grouped(used)} of its ${grouped(limit)} calls. The next period begins at ${isoSeconds(resetAt)}.`;
      const members = { "violated-policies": ["monthly"], quota_type: "api_calls", used, limit, reset_at: isoSeconds(resetAt) };
      return new Problem("monthly_quota_exceeded", detail, { members, retryAfterSeconds: untilReset(resetAt, now) });
    }
    case "cap": {
      const { type, used, cap, resetAt, now } = refusal;
      const detail = `The project has used ${grouped(used)} of ${grouped(cap)} ${type}. The next day begins at ${isoSeconds(resetAt)}.`;
      const members = { "violated-policies": [type], cap_type: type, used, cap, reset_at: isoSeconds(resetAt) };
      return new Problem("cap_exceeded", detail, { members, retryAfterSeconds: untilReset(resetAt, now) });
    }
  }
}
