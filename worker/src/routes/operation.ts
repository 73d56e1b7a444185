/** Describes operations of the API. Common parts are derived from the method, the access and the input. */
import { z } from "@hono/zod-openapi";
import type { OpenAPIHono, RouteConfig, RouteHandler } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { invalidField } from "../errors.ts";
import type { ProblemCode } from "../errors.ts";
import { adminOnly, credentialed, grantedProjects, ownProject, projects } from "../http/guards.ts";
import type { AppEnv } from "../http/index.ts";
import { nextCursor } from "../http/paging.ts";
import type { Scope } from "../store/keys/api-keys.ts";
import { problems } from "./problems.ts";

type Method = "get" | "post" | "put" | "patch" | "delete";

/** Callers of an operation. */
interface Access {
  readonly security?: Record<string, string[]>[];
  readonly guards: readonly MiddlewareHandler<AppEnv>[];
  readonly problems: readonly ProblemCode[];
}

/** Problems of all operations with credentials. */
const COMMON: readonly ProblemCode[] = ["unauthorized", "forbidden", "too_many_failures"];
/** Problems of all operations that use the service as a project. */
const STOPPED: readonly ProblemCode[] = ["project_suspended", "project_not_ready", "monthly_quota_exceeded"];
const ADMIN = { admin: [] };

const forProjects = (guard: MiddlewareHandler<AppEnv>, stopped: readonly ProblemCode[] = []): Access => {
  return { security: [ADMIN, { project: [] }], guards: [guard], problems: [...COMMON, ...stopped] };
};

export const publicAccess: Access = { guards: [], problems: [] };
/** Public, except for some parameters. */
export const mostlyPublic: Access = { guards: [], problems: COMMON };
export const admin: Access = { security: [ADMIN], guards: [adminOnly], problems: COMMON };
/** The admin token, or another secret that the handler checks. */
export const adminOrSecret = (scheme: string): Access => ({ security: [ADMIN, { [scheme]: [] }], guards: [], problems: COMMON });
export const activeProject = (scope: Scope): Access => forProjects(projects(scope), STOPPED);
export const grantedProject = (scope: Scope): Access => forProjects(grantedProjects(scope));
export const projectItself = (scope: Scope): Access => forProjects(ownProject(scope));
/** For handlers that call `metered`, which looks up the key. */
export const meteredProject: Access = forProjects(credentialed, STOPPED);

/** The middleware checks bodies even if the operation has none. */
const OF_METHOD: Readonly<Record<Method, readonly ProblemCode[]>> = {
  get: [],
  post: ["payload_too_large", "unsupported_media_type"],
  put: ["payload_too_large", "unsupported_media_type"],
  patch: ["payload_too_large", "unsupported_media_type"],
  delete: ["payload_too_large"],
};

interface Shape extends Omit<RouteConfig, "method" | "path" | "tags" | "security" | "middleware"> {
  /** Accepts unknown query parameters. For pages, and for senders whose URLs users write. */
  readonly anyQuery?: boolean;
  /** Problems that are not derived from the rest. */
  readonly problems?: readonly ProblemCode[];
}

const ON_DATABASE: readonly ProblemCode[] = ["storage_unavailable"];

type Route<Path extends string, Own> = Own & { readonly method: Method; readonly path: Path };

/** Describes operations of a router that share a tag and allowed callers. `unavailable`: errors for dependencies that fail. */
export const operations = (router: OpenAPIHono<AppEnv>, tag: string, access: Access, unavailable = ON_DATABASE) =>
  function operation<Path extends string, Own extends Shape>(method: Method, path: Path, described: Own) {
    const { problems: own = [], anyQuery = false, ...shape }: Shape = described;
    const request = anyQuery ? shape.request : { ...shape.request, query: onlyKnown(shape.request?.query) };
    const { params, query, body } = request ?? {};
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
    const common = { method, path, tags: [tag], ...(security && { security }), middleware: anyQuery ? [...guards] : [...guards, ownNames] };
    const route = { ...shape, ...(request && { request }), ...common, responses: { ...shape.responses, ...problems(codes) } };
    return {
      /** Handlers throw problems and return one of the described responses. */
      handle: (handler: RouteHandler<Route<Path, Own>, AppEnv>): void => void router.openapi(route, handler),
    };
  };

/** Refuses parameters such as `constructor`. The router collects parameters in an object, which inherits such names. */
const ownNames: MiddlewareHandler<AppEnv> = async (c, next) => {
  const inherited = [...new URL(c.req.url).searchParams.keys()].find((name) => name in Object.prototype);
  if (inherited !== undefined) throw invalidField(inherited, "is not a known field");
  await next();
};

/** Refuses unknown query parameters, because a filter with a typo would show everything. */
function onlyKnown(query: unknown = z.object({})): z.ZodObject {
  if (!(query instanceof z.ZodObject)) throw new Error("A query must be an object schema");
  return query.strict();
}

/** JSON content of a body. */
const json = <Schema extends z.ZodType>(schema: Schema) => ({ "application/json": { schema } });

export const jsonBody = <Schema extends z.ZodType>(schema: Schema) => ({ required: true, content: json(schema) });
/** A missing body is read as an empty one. */
export const optionalBody = <Schema extends z.ZodType>(schema: Schema) => ({ content: json(schema) });

type Headers = Record<string, { schema: { type: "string"; example?: string }; description?: string }>;

export const answer = <Schema extends z.ZodType>(description: string, schema: Schema, headers?: Headers) => {
  return { description, content: json(schema), ...(headers && { headers }) };
};

/** One page of a list. `shape` holds the list. */
export const onePage = <List extends z.ZodRawShape>(shape: List) => answer("One page", z.object({ ...shape, next_cursor: nextCursor }));

/** The header `Location`. */
export const location = (description?: string): Headers => {
  return { Location: { schema: { type: "string" }, ...(description === undefined ? {} : { description }) } };
};
