/** The typed app factory: what every route file builds on. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Deps } from "../deps.ts";
import { Problem, problemBody } from "../errors.ts";
import type { ProblemCode } from "../errors.ts";
import { describeValue } from "../lib/describe-value.ts";
import { projectCaller, publicStatus, rateLimitFields } from "../quota/index.ts";
import type { QuotaStatus } from "../quota/index.ts";
import type { Principal } from "./access.ts";

export interface AppEnv {
  Bindings: Env;
  Variables: {
    deps: Deps;
    requestId: string;
    principal: Principal;
    /** A working key asked for what no key of its project ever opens. */
    probe: boolean;
  };
}

export type AppContext = Context<AppEnv>;

/** More mistakes than this help nobody; a body of a megabyte may hold a hundred thousand. */
const MAX_ERRORS = 50;
const MAX_ERRORS_IN_DETAIL = 5;

/** Wrong in ways that naming each field, its value and what was expected explains. */
export function invalidFields(all: readonly FieldError[]): Problem {
  const told = all
    .slice(0, MAX_ERRORS_IN_DETAIL)
    .map(({ path, message, value }) => `${path}: ${message}${value === undefined ? "" : ` (given: ${value})`}`);
  const more = all.length - told.length;
  const detail = `${told.join("; ")}${more > 0 ? `; and ${more} more` : ""}`;
  return new Problem("invalid_request", detail, { members: { errors: all.slice(0, MAX_ERRORS) } });
}

interface FieldError {
  readonly path: string;
  readonly message: string;
  /** What was given, as JSON; absent where nothing was. */
  readonly value?: string;
}

/** What a request gave, before anybody read it. */
async function givenIn(c: AppContext, target: string): Promise<unknown> {
  switch (target) {
    case "json":
      // A body that is missing was read as an empty one.
      return c.req.json().catch(() => undefined);
    case "query":
      return c.req.query();
    case "param":
      return c.req.param();
    default:
      return undefined;
  }
}

function valueAt(given: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined), given);
}

interface Complaint {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** Members that a body must not have are told in one complaint; each is a mistake of its own. */
function oneByOne(issue: Complaint & { readonly keys?: readonly string[] }): readonly Complaint[] {
  const { path, keys } = issue;
  return keys ? keys.slice(0, MAX_ERRORS).map((key) => ({ path: [...path, key], message: "expected no member of this name" })) : [issue];
}

/** A router whose validation errors are the problem `invalid_request`, naming each field. */
export function createRouter(): OpenAPIHono<AppEnv> {
  return new OpenAPIHono<AppEnv>({
    defaultHook: async (result, c) => {
      if (result.success) return;
      const given = await givenIn(c, result.target);
      const whole = result.target === "json" ? "body" : result.target;
      throw invalidFields(
        result.error.issues.flatMap(oneByOne).map(({ path, message }) => {
          const value = path.length === 0 ? undefined : valueAt(given, path);
          return { path: path.join(".") || whole, message, ...(value === undefined ? {} : { value: describeValue(value) }) };
        }),
      );
    },
  });
}

/** The status as this caller may see it: only the administrator sees all projects by name; a project sees itself. */
export function visibleStatus(c: AppContext, status: QuotaStatus): QuotaStatus;
export function visibleStatus(c: AppContext, status: QuotaStatus | null): QuotaStatus | null;
export function visibleStatus(c: AppContext, status: QuotaStatus | null): QuotaStatus | null {
  const principal = c.get("principal");
  if (status === null || principal.kind === "admin") return status;
  return publicStatus(status, principal.kind === "project" ? projectCaller(principal.projectId) : undefined);
}

/** Puts the rate-limit fields on the answer. */
export function showRateLimit(c: AppContext, status: QuotaStatus | null): void {
  if (status === null) return;
  for (const [name, value] of Object.entries(rateLimitFields(status))) c.header(name, value);
}

function isQuotaStatus(value: unknown): value is QuotaStatus {
  return typeof value === "object" && value !== null && "safety_limit" in value && "callers" in value;
}

/** A problem as the answer it becomes. */
export function problemResponse(c: AppContext, problem: Problem): Response {
  const body = problemBody(problem);
  if (isQuotaStatus(body["quota"])) {
    showRateLimit(c, body["quota"]);
    body["quota"] = visibleStatus(c, body["quota"]);
  }
  if (problem.retryAfterSeconds !== undefined) c.header("Retry-After", String(problem.retryAfterSeconds));
  for (const [name, value] of Object.entries(problem.headers)) c.header(name, value);
  c.header("Content-Type", "application/problem+json");
  return c.body(JSON.stringify(body), problem.kind.status);
}

/** Wrong in a way that naming the field explains. */
export function invalidField(path: string, message: string, code: ProblemCode = "invalid_request"): Problem {
  return new Problem(code, `${path}: ${message}`, { members: { errors: [{ path, message }] } });
}
