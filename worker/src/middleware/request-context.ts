/** Gives every request an id, for its response and its log lines, and the dependencies. */
import { createMiddleware } from "hono/factory";
import { matchedRoutes } from "hono/route";
import type { Deps } from "../deps.ts";
import { createDeps } from "../deps.ts";
import { ConfigError } from "../env.ts";
import { Problem } from "../errors.ts";
import type { AppContext, AppEnv } from "../http/index.ts";
import { log, withLogFields } from "../lib/log.ts";
import type { Span } from "../telemetry/index.ts";

/** A caller's own id is kept if it is safe in a header and a log. */
const SANE_REQUEST_ID = /^[\w.:-]{1,128}$/u;

export function requestContext(clock: () => number) {
  return createMiddleware<AppEnv>(async function requestContext(c, next) {
    const given = c.req.header("x-request-id");
    const requestId = given !== undefined && SANE_REQUEST_ID.test(given) ? given : crypto.randomUUID();
    c.set("requestId", requestId);
    c.set("principal", { kind: "anonymous", credentials: "none" });
    c.set("probe", false);
    c.set("code", null);
    c.set("caller", null);
    c.header("x-request-id", requestId);
    const deps = withLogFields({ request_id: requestId }, () => configured(c, clock));
    await withLogFields({ request_id: requestId, trace_id: deps.trace.traceId }, async () =>
      deps.trace.span(
        methodOf(c),
        { "http.request.method": methodOf(c), request_id: requestId },
        async (span) => {
          c.set("deps", { ...deps, trace: span });
          const began = clock();
          await next();
          const reportedElsewhere = c.error instanceof Problem && c.error.unlogged;
          if (!reportedElsewhere) log.info("request", { ...fieldsOf(c), duration_ms: clock() - began });
          describe(span, c);
        },
        "server",
      ),
    );
  });
}

/** Fields of a request's log line: the requester, the answer and the release. */
function fieldsOf(c: AppContext) {
  const principal = c.get("principal");
  const { method, path } = c.req;
  const project = principal.kind === "project" ? { project_id: principal.projectId, key_id: principal.keyId } : {};
  const [code, caller] = [c.get("code"), c.get("caller")];
  return {
    method,
    path,
    status: c.res.status,
    ...(code === null ? {} : { code }),
    ...project,
    ...(caller === null ? {} : { caller }),
    version: c.env.DEPLOYMENT.id,
  };
}

/** Methods in OpenTelemetry's list. Other methods would create unlimited span names. */
const METHODS: ReadonlySet<string> = new Set(["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"]);
const methodOf = (c: AppContext): string => (METHODS.has(c.req.method) ? c.req.method : "_OTHER");

/** Name of the route. The path itself may contain secrets. */
function describe(span: Span, c: AppContext): void {
  const route = matchedRoutes(c).findLast(({ path, method }) => method !== "ALL" && !path.endsWith("*"))?.path;
  if (route !== undefined) span.rename(`${methodOf(c)} ${route}`);
  const principal = c.get("principal");
  const { status } = c.res;
  span.set({
    "http.route": route,
    "http.response.status_code": status,
    "caller.kind": principal.kind,
    "project.id": principal.kind === "project" ? principal.projectId : null,
  });
  if (status >= 500) span.fail(String(status));
}

/** A wrong configuration is logged, and never shown to callers. */
function configured(c: AppContext, clock: () => number): Deps {
  try {
    return createDeps(c.env, clock, c.req.header("traceparent"), { keepAlive: (work) => c.executionCtx.waitUntil(work) });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    log.error("The configuration is wrong", { problems: error.problems });
    throw new Problem("internal_error", "The service is not configured correctly. Its log names the wrong values.");
  }
}
