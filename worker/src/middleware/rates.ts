/** Counts what each project asks in a minute, beside the answer: what abuse is judged by. */
import { createMiddleware } from "hono/factory";
import { beside } from "../http/background.ts";
import type { AppEnv } from "../http/index.ts";
import { countRequest, minuteOf } from "../store/abuse/rates.ts";
import type { Tally } from "../store/abuse/rates.ts";

/** Ours to say: they are no requests, and no errors. */
const REFUSED: ReadonlySet<number> = new Set([401, 403, 429]);
/** Not there is an answer like another: who looks for many books misses many. */
const NOT_FOUND = 404;

const PROBE: Tally = { requests: 0, errors: 0, failures: 0, probes: 1 };

export const rates = createMiddleware<AppEnv>(async function rates(c, next) {
  await next();
  const [principal, tally] = [c.get("principal"), tallyOf(c.res.status, c.get("probe"))];
  if (tally === null) return;
  const failure = "A request could not be counted";
  if (principal.kind === "project") {
    const { db, clock } = c.get("deps");
    beside(c, failure, countRequest(db, principal.projectId, minuteOf(clock()), tally));
  }
  // Nobody has looked the key up: it was refused before, or asked for what is public, or we failed. Only the first is its project's doing.
  if (principal.kind === "key" && tally.errors > tally.failures) beside(c, failure, principal.count(tally));
});

/** null: nothing to count. */
function tallyOf(status: number, probe: boolean): Tally | null {
  if (probe) return PROBE;
  if (REFUSED.has(status)) return null;
  const error = status >= 400 && status !== NOT_FOUND;
  return { requests: 1, errors: error ? 1 : 0, failures: status >= 500 ? 1 : 0, probes: 0 };
}
