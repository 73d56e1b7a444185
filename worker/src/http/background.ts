/** Work beside the answer. */
import { errorFields, log } from "../lib/log.ts";
import type { AppContext } from "./index.ts";

/** Work that no answer waits for; where it fails, the log says `failure`. */
export function inBackground(c: AppContext, failure: string, work: Promise<unknown>): void {
  c.executionCtx.waitUntil(work.catch((error: unknown) => log.error(failure, { request_id: c.get("requestId"), ...errorFields(error) })));
}
