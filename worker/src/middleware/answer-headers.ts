/** Default headers of responses for browsers and caches. */
import { createMiddleware } from "hono/factory";
import type { AppEnv } from "../http/index.ts";

/** Only pages load anything, and no response may be framed. */
const POLICY = "default-src 'none'; frame-ancestors 'none'";

/** Responses are current and mostly private. One may contain a key. */
const CACHING = "no-store";

export const answerHeaders = createMiddleware<AppEnv>(async function answerHeaders(c, next) {
  await next();
  const { headers } = c.res;
  if (!headers.has("Content-Security-Policy")) c.header("Content-Security-Policy", POLICY);
  if (!headers.has("Cache-Control")) c.header("Cache-Control", CACHING);
});
