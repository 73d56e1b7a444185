/** Describes an HTTP response in the short form of the matrix. */
import { RETRY_AFTER_SECONDS } from "./matrix.ts";

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

/**
 * "200: 1 enriched" for a success, "503 quota_unavailable" for an error. `members` names the members of the body to report, and their labels.
 * A `#` in a label is replaced by the value.
 */
export function resultOf({ status, headers, body }: Answer, members: Readonly<Record<string, string>> = {}): string {
  if (status >= 400) return [`${status} ${String(body["code"])}`, ...errorDetails(status, headers, body)].join(", ");
  const values = Object.entries(members).flatMap(([member, label]) => labeled(body[member], label));
  return values.length === 0 ? String(status) : `${status}: ${values.join(", ")}`;
}

function errorDetails(status: number, headers: Headers, body: Record<string, unknown>): string[] {
  const after = headers.get("retry-after");
  const charged = body["calls_charged"];
  const outcome = body["outcome"];
  return [
    ...(typeof outcome === "string" ? [`\`${outcome}\``] : []),
    ...(typeof charged === "number" ? [`${charged} charged`] : []),
    ...retryOf(status, after),
  ];
}

/** Empty for the usual answer: 503 with the standard `Retry-After`, or another status without one. */
function retryOf(status: number, after: string | null): string[] {
  if (after === null) return status === 503 ? ["without Retry-After"] : [];
  return status === 503 && after === String(RETRY_AFTER_SECONDS) ? [] : [`retry after ${after} s`];
}

function labeled(value: unknown, label: string): string[] {
  const count = Array.isArray(value) ? value.length : value;
  if (count === true || typeof count === "string") return [label];
  if (typeof count !== "number" || count <= 0) return [];
  return [label.includes("#") ? label.replace("#", String(count)) : `${count} ${label}`];
}

/** "no job", "1 job". */
export const quantity = (count: number, noun: string): string => `${count === 0 ? "no" : count} ${noun}`;
