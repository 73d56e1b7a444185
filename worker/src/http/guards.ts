/** Who may pass: put before the handlers of a route. */
import { createMiddleware } from "hono/factory";
import { Problem } from "../errors.ts";
import type { AppEnv } from "./index.ts";

/** Lets only the administrator pass. */
export const adminOnly = createMiddleware<AppEnv>(async (c, next) => {
  const principal = c.get("principal");
  if (principal.kind === "admin") return next();
  const detail =
    principal.credentials === "wrong"
      ? "This token is not accepted."
      : "Send the administrator's token as `Authorization: Bearer <token>`.";
  throw new Problem("unauthorized", detail, { headers: { "WWW-Authenticate": "Bearer" } });
});
