/** After a manual change, dispatches its events to webhooks in the background. Mounted on routes that change projects. */
import { createMiddleware } from "hono/factory";
import type { AppEnv } from "../http/index.ts";
import { dispatchInBackground } from "../tenants/webhooks/dispatch.ts";

export const dispatchAfterChange = createMiddleware<AppEnv>(async function dispatchAfterChange(c, next) {
  await next();
  if (c.req.method !== "GET" && c.res.status < 400) c.executionCtx.waitUntil(dispatchInBackground(c.get("deps")));
});
