/** Hands on what a change by hand has to tell, beside its answer. Mounted where projects are changed. */
import { createMiddleware } from "hono/factory";
import type { AppEnv } from "../http/index.ts";
import { dispatchBeside } from "../tenants/webhooks/dispatch.ts";

export const dispatchAfterChange = createMiddleware<AppEnv>(async function dispatchAfterChange(c, next) {
  await next();
  if (c.req.method !== "GET" && c.res.status < 400) c.executionCtx.waitUntil(dispatchBeside(c.get("deps")));
});
