/** Pages of a provider that gives at most 10,000 results. No I/O. No clock. */

/** However it is paged. */
export const PROVIDER_MAX_RESULTS = 10_000;

/** No request goes beyond result 10,000, so a page that would straddle it is out of reach. */
export function lastPage(pageSize: number): number {
  return Math.floor(PROVIDER_MAX_RESULTS / pageSize);
}

/** The page that holds the first result not covered yet. */
export function nextPage(resultsCovered: number, pageSize: number): number {
  return Math.floor(resultsCovered / pageSize) + 1;
}

interface Progress {
  readonly results_covered: number;
  readonly total: number | null;
}

/** Pages still to fetch as far as is known: of a list that was never seen, one. */
export function pagesToFetch({ results_covered, total }: Progress, pageSize: number): number {
  const first = nextPage(results_covered, pageSize);
  const last = total === null ? first : Math.ceil(total / pageSize);
  return Math.max(0, Math.min(last, lastPage(pageSize)) - first + 1);
}

interface PageSeen {
  /** Records on this page, readable or not. */
  readonly received: number;
  /** The provider's count of all results; null where it gives none. */
  readonly total: number | null;
  readonly page: number;
  readonly pageSize: number;
}

interface PageEnd {
  readonly state: "open" | "complete" | "truncated";
  readonly resultsCovered: number;
}

/**
 * Whether there is more after this page. With a count, until it is reached, even if a page in between was short; without, a page that
 * is not full is the last. An empty page is the last in any case: what the provider counts but does not give cannot be fetched, and
 * the list is not called complete.
 */
export function afterPage({ received, total, page, pageSize }: PageSeen): PageEnd {
  const reached = page * pageSize;
  const resultsCovered = reached - pageSize + received;
  if (received === 0) return { state: total === null || resultsCovered >= total ? "complete" : "truncated", resultsCovered };
  const more = total === null ? received >= pageSize : reached < total;
  if (!more) return { state: "complete", resultsCovered };
  return { state: page >= lastPage(pageSize) ? "truncated" : "open", resultsCovered: reached };
}

/** Why a truncated list ends where it does, for people. */
export function truncation({ results_covered, total }: Progress, pageSize: number): string {
  const beyond = nextPage(results_covered, pageSize) > lastPage(pageSize);
  const why = beyond ? `no page of ${pageSize} may go beyond result ${PROVIDER_MAX_RESULTS}` : "its next page was empty";
  return `Of ${total ?? "more"} results the provider gave ${results_covered}: ${why}.`;
}
