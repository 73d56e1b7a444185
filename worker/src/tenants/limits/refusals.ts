/** Turns a refused admission into an error response. No I/O. No clock. */
import { Problem } from "../../errors.ts";
import { grouped } from "../../lib/grouped.ts";
import { SECOND_MS, isoSeconds } from "../../lib/time.ts";
import { reasonJson } from "./admission.ts";
import type { AdmissionRefusal } from "./admission.ts";

/** Spread over a minute, so that clients do not all return in the same second. */
const RESET_JITTER_SECONDS = 60;

function untilReset(resetAt: number, now: number): number {
  return Math.ceil((resetAt - now) / SECOND_MS) + Math.floor(Math.random() * (RESET_JITTER_SECONDS + 1));
}

const INVALID_TOKEN = { "WWW-Authenticate": 'Bearer error="invalid_token"' };

const unauthorized = (detail: string): Problem => new Problem("unauthorized", detail, { headers: INVALID_TOKEN });

/** Provisioning takes seconds, so a client that polls needs only a few requests. */
const READY_RETRY_SECONDS = 2;

/** Provisioning is in progress, or is being rolled back. */
export function notReady(projectId: string, failed: boolean): Problem {
  const why = failed
    ? "could not be provisioned and is being rolled back. Create it again afterwards"
    : "is being provisioned. Its keys start working when provisioning is complete";
  return new Problem("project_not_ready", `The project ${projectId} ${why}.`, { retryAfterSeconds: READY_RETRY_SECONDS });
}

/** Details are given only to the holder of the complete key, whose secret matched. A stranger who guesses ids or secrets learns nothing. */
export function admissionProblem(refusal: AdmissionRefusal): Problem {
  switch (refusal.why) {
    case "unknown_key":
      return unauthorized("Invalid API key.");
    case "revoked":
      return unauthorized(`This key was revoked at ${isoSeconds(refusal.at)}. Use another key.`);
    case "expired":
      return unauthorized(`This key expired at ${isoSeconds(refusal.at)}. Use another key.`);
    case "replaced":
      return unauthorized(`This key was replaced by a newer version and expired at ${isoSeconds(refusal.at)}. Use the newer version.`);
    case "scope":
      return new Problem(
        "forbidden",
        `This endpoint needs the scope ${refusal.needed}. This key has: ${refusal.scopes.join(", ") || "(none)"}.`,
      );
    case "deleted":
      return unauthorized(`The project ${refusal.projectId} of this key was deleted.`);
    case "archived":
      return new Problem("forbidden", `The project ${refusal.projectId} is archived.`);
    case "organization_archived":
      return new Problem("forbidden", `The organization of the project ${refusal.projectId} is archived.`);
    case "not_ready":
      return notReady(refusal.projectId, refusal.failed);
    case "suspended": {
      const reasons = refusal.suspensions.map(reasonJson);
      const list = reasons.map(({ reason, until }) => (until === undefined ? reason : `${reason} until ${until}`)).join(", ");
      return new Problem("project_suspended", `The project is suspended. ${reasons.length === 1 ? "Reason" : "Reasons"}: ${list}.`, {
        members: { reasons },
      });
    }
    case "monthly": {
      const { used, limit, resetAt, now } = refusal;
      const detail = `The organization has used ${grouped(used)} of its ${grouped(limit)} API calls. The next period begins at ${isoSeconds(resetAt)}.`;
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
