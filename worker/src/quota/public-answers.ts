/** Answers to anonymous readers, shared for a second. */
import { Recent } from "../lib/recent.ts";
import { SECOND_MS } from "../lib/time.ts";
import type { QuotaOverview, QuotaStatus } from "./types.ts";

/** Anonymous readers get answers of at most this age, so that they cannot slow down decisions. */
const PUBLIC_MAX_AGE_MS = SECOND_MS;

/** The latest answers to anonymous readers. An instance keeps them between requests. */
export class PublicAnswers {
  readonly status = new Recent<QuotaStatus>(PUBLIC_MAX_AGE_MS);
  readonly overview = new Recent<QuotaOverview>(PUBLIC_MAX_AGE_MS);
}
