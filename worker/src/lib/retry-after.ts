/** Reads `Retry-After`. No I/O. No clock: `now` is epoch milliseconds. */
/** `Retry-After` in seconds from `now`. RFC 9110 allows seconds or an HTTP date. Anything else is null. A past date is 0. */
export function retryAfterSeconds(field: string | null, now: number): number | null {
  const value = field?.trim() ?? "";
  if (/^\d{1,9}$/u.test(value)) return Number(value);
  // Date.parse alone accepts "-5" and "5 minutes" as dates.
  if (!/^[A-Z][a-z]+, .+ GMT$/u.test(value)) return null;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - now) / 1000));
}
