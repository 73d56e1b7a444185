/** What every request gets: an id that its answer and its log line carry, and the services. */
import { createMiddleware } from "hono/factory";
import type { Deps } from "../deps.ts";
import { createDeps } from "../deps.ts";
import { ConfigError } from "../env.ts";
import { Problem } from "../errors.ts";
import type { AppEnv } from "../http/index.ts";
import { log } from "../lib/log.ts";

/** A caller's own id is kept where it is harmless in a header and a log. */
const SANE_REQUEST_ID = /^[\w.:-]{1,128}$/u;

export function requestContext(clock: () => number) {
  return createMiddleware<AppEnv>(async (c, next) => {
    const given = c.req.header("x-request-id");
    const requestId = given !== undefined && SANE_REQUEST_ID.test(given) ? given : crypto.randomUUID();
    c.set("requestId", requestId);
    c.set("principal", { kind: "anonymous", credentials: "none" });
    c.header("x-request-id", requestId);
    c.set("deps", configured(c.env, clock));
    const began = clock();
    await next();
    const { method, path } = c.req;
    log.info("request", { request_id: requestId, method, path, status: c.res.status, duration_ms: clock() - began });
  });
}

/** A Worker that was deployed with a wrong configuration says so in its log, and nothing of it to callers. */
function configured(env: Env, clock: () => number): Deps {
  try {
    return createDeps(env, clock);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    log.error("The configuration is wrong", { problems: error.problems });
    throw new Problem("internal_error", "The service is not configured correctly; its log says what is wrong.");
  }
}
