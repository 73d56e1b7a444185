/** Pages of a provider that gives at most 10,000 results. No I/O. No clock. */

/** The provider's limit, the same for every page size. */
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

/** Known number of pages still to fetch. One for a list that was never fetched. */
export function pagesToFetch({ results_covered, total }: Progress, pageSize: number): number {
  const first = nextPage(results_covered, pageSize);
  const last = total === null ? first : Math.ceil(total / pageSize);
  return Math.max(0, Math.min(last, lastPage(pageSize)) - first + 1);
}

interface PageSeen {
  /** Records on this page, readable or not. */
  readonly received: number;
  /** The provider's count of all results. Null if it sends none. */
  readonly total: number | null;
  readonly page: number;
  readonly pageSize: number;
  /** Results received without a gap before this page. */
  readonly covered: number;
}

interface PageEnd {
  readonly state: "open" | "complete" | "truncated";
  readonly resultsCovered: number;
  /** Page size to continue with. Smaller if the provider sends smaller pages. */
  readonly pageSize: number;
}

/**
 * Whether more pages follow.
 *
 * - With a count, pages follow until the count is reached. Without a count, a page that is not full is the last.
 * - If a page has at most half of the results that the count promises, the provider uses smaller pages. Only the first page's offset is
 *   known then.
 * - An empty page is always the last. If the count is not reached, the list is `truncated`, because the rest cannot be fetched.
 */
export function afterPage({ received, total, page, pageSize, covered }: PageSeen): PageEnd {
  const reached = page * pageSize;
  const resultsCovered = reached - pageSize + received;
  if (received === 0) return { state: total === null || resultsCovered >= total ? "complete" : "truncated", resultsCovered, pageSize };
  const expected = total === null ? 0 : Math.min(pageSize, total - (reached - pageSize));
  if (received <= expected / 2) {
    return { state: "open", resultsCovered: page === 1 ? Math.max(covered, received) : covered, pageSize: received };
  }
  const more = total === null ? received >= pageSize : reached < total;
  if (!more) return { state: "complete", resultsCovered, pageSize };
  return { state: page >= lastPage(pageSize) ? "truncated" : "open", resultsCovered: reached, pageSize };
}

/** State of a list whose pages may have any size. It ends when the number of received results equals the provider's total. */
export function afterReceived(seen: PageSeen): PageEnd["state"] {
  const { received, total, page, pageSize, covered } = seen;
  if (total === null || received === 0) return endOf(afterPage(seen).state, covered, total);
  if (covered >= total) return "complete";
  return page >= lastPage(pageSize) ? "truncated" : "open";
}

/** A finished list is complete only if as many results were received as the provider counted. */
export function endOf(state: PageEnd["state"], received: number, total: number | null): PageEnd["state"] {
  return state === "complete" && total !== null && received < total ? "truncated" : state;
}

/** Message that explains why a list is truncated. */
export function truncation({ results_covered, total }: Progress, pageSize: number): string {
  const beyond = nextPage(results_covered, pageSize) > lastPage(pageSize);
  const why = beyond ? `pages of ${pageSize} cannot go beyond result ${PROVIDER_MAX_RESULTS}` : "its last page was empty or short";
  return `The provider returned ${results_covered} of ${total ?? "more"} results, because ${why}.`;
}
