/** Background work of a request. */
import { errorFields, log } from "../lib/log.ts";
import type { AppContext } from "./index.ts";

/** The response does not wait for `work`. If it fails, `failure` is logged. */
export function inBackground(c: AppContext, failure: string, work: Promise<unknown>): void {
  c.executionCtx.waitUntil(work.catch((error: unknown) => log.error(failure, { request_id: c.get("requestId"), ...errorFields(error) })));
}
