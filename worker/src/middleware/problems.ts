/** Turns every failure into a problem, as the last step before the response. */
import { HTTPException } from "hono/http-exception";
import { Problem, invalidField } from "../errors.ts";
import { problemResponse } from "../http/index.ts";
import type { AppContext } from "../http/index.ts";
import { errorFields, log } from "../lib/log.ts";

function asProblem(error: Error): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof HTTPException && error.status === 400) {
    return invalidField("body", "must be valid JSON");
  }
  return new Problem("internal_error", "The service failed. Quote the request id when you report it.", { cause: error });
}

export function onError(error: Error, c: AppContext): Response {
  const problem = asProblem(error);
  if (problem.kind.alarming) {
    const cause = problem.cause ?? error;
    log.error(problem.kind.title, { code: problem.code, request_id: c.get("requestId"), path: c.req.path, ...errorFields(cause) });
  }
  return problemResponse(c, problem);
}

export function notFound(c: AppContext): Problem {
  return new Problem("not_found", `The path ${c.req.path} does not exist. GET /docs lists all routes.`);
}
