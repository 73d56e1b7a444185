/** One operation of the API. What all have in common follows from the method, from who may call it, and from what it takes. */
import { z } from "@hono/zod-openapi";
import type { OpenAPIHono, RouteConfig, RouteHandler } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import type { ProblemCode } from "../errors.ts";
import { adminOnly, credentialed, grantedProjects, ownProject, projects } from "../http/guards.ts";
import type { AppEnv } from "../http/index.ts";
import { nextCursor } from "../http/paging.ts";
import type { Scope } from "../store/keys/api-keys.ts";
import { problems } from "./problems.ts";

type Method = "get" | "post" | "put" | "patch" | "delete";

/** Who may call an operation. */
interface Access {
  readonly security?: Record<string, string[]>[];
  readonly guards: readonly MiddlewareHandler<AppEnv>[];
  readonly problems: readonly ProblemCode[];
}

/** What can go wrong anywhere behind credentials. */
const COMMON: readonly ProblemCode[] = ["unauthorized", "forbidden", "too_many_failures"];
/** What stops a project anywhere it uses the service. */
const STOPPED: readonly ProblemCode[] = ["project_suspended", "project_not_ready", "monthly_quota_exceeded"];
const ADMIN = { admin: [] };

const forProjects = (guard: MiddlewareHandler<AppEnv>, stopped: readonly ProblemCode[] = []): Access => {
  return { security: [ADMIN, { project: [] }], guards: [guard], problems: [...COMMON, ...stopped] };
};

export const everybody: Access = { guards: [], problems: [] };
/** Public but for some of what can be asked of it. */
export const mostlyEverybody: Access = { guards: [], problems: COMMON };
export const admin: Access = { security: [ADMIN], guards: [adminOnly], problems: COMMON };
/** The administrator, or who has a secret of its own: the handler looks. */
export const adminOrSecret = (scheme: string): Access => ({ security: [ADMIN, { [scheme]: [] }], guards: [], problems: COMMON });
export const activeProject = (scope: Scope): Access => forProjects(projects(scope), STOPPED);
export const grantedProject = (scope: Scope): Access => forProjects(grantedProjects(scope));
export const projectItself = (scope: Scope): Access => forProjects(ownProject(scope));
/** For handlers that call `metered`, which looks the key up. */
export const meteredProject: Access = forProjects(credentialed, STOPPED);

/** What stands in front of every operation looks at bodies also where none is expected. */
const OF_METHOD: Readonly<Record<Method, readonly ProblemCode[]>> = {
  get: [],
  post: ["payload_too_large", "unsupported_media_type"],
  put: ["payload_too_large", "unsupported_media_type"],
  patch: ["payload_too_large", "unsupported_media_type"],
  delete: ["payload_too_large"],
};

interface Shape extends Omit<RouteConfig, "method" | "path" | "tags" | "security" | "middleware"> {
  /** Those that do not follow from the rest. */
  readonly problems?: readonly ProblemCode[];
}

const ON_DATABASE: readonly ProblemCode[] = ["storage_unavailable"];

type Route<Path extends string, Own> = Own & { readonly method: Method; readonly path: Path };

/** Describes operations of a router under one heading of the document, for the same callers, and with the problems of what they stand on. */
export const operations = (router: OpenAPIHono<AppEnv>, tag: string, access: Access, unavailable = ON_DATABASE) =>
  function operation<Path extends string, Own extends Shape>(method: Method, path: Path, described: Own) {
    const { problems: own = [], ...shape }: Shape = described;
    const { params, query, body } = shape.request ?? {};
    const codes: ProblemCode[] = [
      ...access.problems,
      ...OF_METHOD[method],
      ...(params || query || body ? (["invalid_request"] as const) : []),
      ...(params ? (["not_found"] as const) : []),
      ...own,
      ...unavailable,
      "internal_error",
    ];
    const { security, guards } = access;
    const common = { method, path, tags: [tag], ...(security && { security }), middleware: [...guards] };
    const route = { ...shape, ...common, responses: { ...shape.responses, ...problems(codes) } };
    return {
      /** Handlers throw problems: what they return is one of the answers that the shape names. */
      handle: (handler: RouteHandler<Route<Path, Own>, AppEnv>): void => void router.openapi(route, handler),
    };
  };

/** Content of a body. */
const json = <Schema extends z.ZodType>(schema: Schema) => ({ "application/json": { schema } });

export const jsonBody = <Schema extends z.ZodType>(schema: Schema) => ({ required: true, content: json(schema) });
/** Left out, it is read as an empty one. */
export const optionalBody = <Schema extends z.ZodType>(schema: Schema) => ({ content: json(schema) });

type Headers = Record<string, { schema: { type: "string"; example?: string }; description?: string }>;

export const answer = <Schema extends z.ZodType>(description: string, schema: Schema, headers?: Headers) => {
  return { description, content: json(schema), ...(headers && { headers }) };
};

/** One page of a list; `shape` holds the list. */
export const onePage = <List extends z.ZodRawShape>(shape: List) => answer("One page", z.object({ ...shape, next_cursor: nextCursor }));

/** Of the header `Location`. */
export const location = (description?: string): Headers => {
  return { Location: { schema: { type: "string" }, ...(description === undefined ? {} : { description }) } };
};
