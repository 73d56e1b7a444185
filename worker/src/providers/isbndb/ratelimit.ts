/** Parses the provider's `ratelimit` and `ratelimit-policy` headers (draft-ietf-httpapi-ratelimit-headers). No I/O. No clock. */
import { type BareItem, type List, parseList, Token } from "structured-headers";

/** Null means unknown, never zero. */
export interface RateLimits {
  daily: { left: number; limit: number | null; resetSeconds: number | null } | null;
  rate: { left: number; resetSeconds: number | null } | null;
}

export function readRateLimits(headers: Headers): RateLimits {
  const limits = listOf(headers.get("ratelimit"));
  const policies = listOf(headers.get("ratelimit-policy"));
  const dailyLeft = parameter(limits, "daily", "r");
  const rateLeft = parameter(limits, "rate", "r");
  return {
    daily:
      dailyLeft === null
        ? null
        : { left: dailyLeft, limit: parameter(policies, "daily", "q"), resetSeconds: parameter(limits, "daily", "t") },
    rate: rateLeft === null ? null : { left: rateLeft, resetSeconds: parameter(limits, "rate", "t") },
  };
}

/** RFC 9651: a malformed field is ignored completely. */
function listOf(field: string | null): List {
  if (field === null) return [];
  try {
    return parseList(field);
  } catch {
    return [];
  }
}

function parameter(list: List, policy: string, key: string): number | null {
  for (const [item, parameters] of list) {
    if (Array.isArray(item) || nameOf(item) !== policy) continue;
    const value = parameters.get(key);
    return typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : null;
  }
  return null;
}

function nameOf(item: BareItem): string | null {
  if (item instanceof Token) return item.toString();
  return typeof item === "string" ? item : null;
}
