/** Who may pass: put before the handlers of a route. */
import { createMiddleware } from "hono/factory";
import { Problem } from "../errors.ts";
import type { AppEnv } from "./index.ts";

/** Lets only the administrator pass. */
export const adminOnly = createMiddleware<AppEnv>(async (c, next) => {
  const principal = c.get("principal");
  if (principal.kind === "admin") return next();
  if (principal.credentials === "wrong") throw unauthorized("This token is not accepted.", 'Bearer error="invalid_token"');
  throw unauthorized("Send the administrator's token as `Authorization: Bearer <token>`.", "Bearer");
});

function unauthorized(detail: string, challenge: string): Problem {
  return new Problem("unauthorized", detail, { headers: { "WWW-Authenticate": challenge } });
}
