/** The typed router, and problems as responses. Every route file builds on it. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Deps } from "../deps.ts";
import { invalidFields, problemBody } from "../errors.ts";
import type { Problem } from "../errors.ts";
import { fieldErrors } from "../lib/field-errors.ts";
import { projectCaller, publicStatus, rateLimitFields } from "../quota/index.ts";
import type { QuotaStatus } from "../quota/index.ts";
import type { Principal } from "./access.ts";

export interface AppEnv {
  Bindings: Env;
  Variables: {
    deps: Deps;
    requestId: string;
    principal: Principal;
    /** Code of the problem that the response contains. */
    code: string | null;
    /** The caller that provider calls of this request are charged to. */
    caller: string | null;
    /** A valid key requested something that no key of its project can access. */
    probe: boolean;
  };
}

/** The Worker's own page about errors. */
export const ERRORS_PATH = "/docs/errors";

export type AppContext = Context<AppEnv>;

/** Raw input of a request, for error messages. */
async function inputOf(c: AppContext, target: string): Promise<unknown> {
  switch (target) {
    case "json":
      // A missing body was read as an empty one.
      return c.req.json().catch(() => undefined);
    case "param":
      return c.req.param();
    default:
      return undefined;
  }
}

/** Values of unknown parameters are not repeated, because secrets are often pasted into URLs. */
function withoutUnknown(query: Readonly<Record<string, string>>, issues: readonly z.core.$ZodIssue[]): Record<string, string> {
  const unknown = new Set(issues.flatMap((issue) => (issue.code === "unrecognized_keys" ? issue.keys : [])));
  return Object.fromEntries(Object.entries(query).filter(([name]) => !unknown.has(name)));
}

/** A router whose validation errors become `invalid_request` and name each field. */
export function createRouter(): OpenAPIHono<AppEnv> {
  return new OpenAPIHono<AppEnv>({
    defaultHook: async (result, c) => {
      if (result.success) return;
      const given = result.target === "query" ? withoutUnknown(c.req.query(), result.error.issues) : await inputOf(c, result.target);
      throw invalidFields(fieldErrors(result.error.issues, given, result.target === "json" ? "body" : result.target));
    },
  });
}

/** The part of the status that this caller may see. Only the administrator sees all projects by name. */
export function visibleStatus(c: AppContext, status: QuotaStatus): QuotaStatus;
export function visibleStatus(c: AppContext, status: QuotaStatus | null): QuotaStatus | null;
export function visibleStatus(c: AppContext, status: QuotaStatus | null): QuotaStatus | null {
  const principal = c.get("principal");
  if (status === null || principal.kind === "admin") return status;
  return publicStatus(status, principal.kind === "project" ? projectCaller(principal.projectId) : undefined);
}

/** Adds the rate limit headers to the response. */
export function showRateLimit(c: AppContext, status: QuotaStatus | null): void {
  if (status === null) return;
  for (const [name, value] of Object.entries(rateLimitFields(status))) c.header(name, value);
}

function isQuotaStatus(value: unknown): value is QuotaStatus {
  return typeof value === "object" && value !== null && "safety_limit" in value && "callers" in value;
}

/** Address of the documentation of errors. If the configuration is invalid, the context has none, so the address is this Worker's own. */
function docsUrlOf(c: AppContext): string {
  const deps: Deps | undefined = c.get("deps");
  return deps?.config.docsUrl ?? new URL(ERRORS_PATH, c.req.url).href;
}

/** Turns a problem into a response. */
export function problemResponse(c: AppContext, problem: Problem): Response {
  const body = problemBody(problem, docsUrlOf(c));
  c.set("code", problem.code);
  if (isQuotaStatus(body["quota"])) {
    showRateLimit(c, body["quota"]);
    body["quota"] = visibleStatus(c, body["quota"]);
  }
  if (problem.retryAfterSeconds !== undefined) c.header("Retry-After", String(problem.retryAfterSeconds));
  for (const [name, value] of Object.entries(problem.headers)) c.header(name, value);
  c.header("Content-Type", "application/problem+json");
  return c.body(JSON.stringify(body), problem.kind.status);
}
