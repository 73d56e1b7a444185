/** What browsers and caches are told of every answer, where it does not say otherwise itself. */
import { createMiddleware } from "hono/factory";
import type { AppEnv } from "../http/index.ts";

/** No answer but a page loads anything, and none is shown in a frame. */
const POLICY = "default-src 'none'; frame-ancestors 'none'";

/** Answers are of this moment, and mostly of one caller: a key may stand in one. */
const CACHING = "no-store";

export const answerHeaders = createMiddleware<AppEnv>(async function answerHeaders(c, next) {
  await next();
  const { headers } = c.res;
  if (!headers.has("Content-Security-Policy")) c.header("Content-Security-Policy", POLICY);
  if (!headers.has("Cache-Control")) c.header("Cache-Control", CACHING);
});
