/** Counts the requests of each project per minute, in the background. Abuse detection reads these counts. */
import { createMiddleware } from "hono/factory";
import { inBackground } from "../http/background.ts";
import type { AppEnv } from "../http/index.ts";
import { countRequest, minuteOf } from "../store/abuse/rates.ts";
import type { RequestCounts } from "../store/abuse/rates.ts";

/** Refusals by the coordinator itself. They count neither as requests nor as errors. */
const REFUSED: ReadonlySet<number> = new Set([401, 403, 429]);
/** A 404 is not an error: searching for many books misses many. */
const NOT_FOUND = 404;

const PROBE: RequestCounts = { requests: 0, errors: 0, failures: 0, probes: 1 };

export const rates = createMiddleware<AppEnv>(async function rates(c, next) {
  await next();
  const [principal, tally] = [c.get("principal"), tallyOf(c.res.status, c.get("probe"))];
  if (tally === null) return;
  const failure = "A request could not be counted";
  if (principal.kind === "project") {
    const { db, clock } = c.get("deps");
    inBackground(c, failure, countRequest(db, principal.projectId, minuteOf(clock()), tally));
  }
  // The key was not looked up, because the request was refused earlier or is public, or the coordinator failed. Only early refusals count.
  if (principal.kind === "key" && tally.errors > tally.failures) inBackground(c, failure, principal.count(tally));
});

/** null: not counted. */
function tallyOf(status: number, probe: boolean): RequestCounts | null {
  if (probe) return PROBE;
  if (REFUSED.has(status)) return null;
  const error = status >= 400 && status !== NOT_FOUND;
  return { requests: 1, errors: error ? 1 : 0, failures: status >= 500 ? 1 : 0, probes: 0 };
}
