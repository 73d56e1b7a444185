/** Bodies are JSON, and not larger than a route expects. */
import { bodyLimit } from "hono/body-limit";
import { createMiddleware } from "hono/factory";
import { Problem } from "../errors.ts";
import type { AppEnv } from "../http/index.ts";

const MAX_BODY_BYTES = 1024 * 1024;

const WITH_BODY = new Set(["POST", "PUT", "PATCH"]);

function hasBody(request: Request): boolean {
  return request.body !== null && request.headers.get("content-length") !== "0";
}

/** Refuses what is not JSON before anybody tries to read it. */
export const jsonOnly = createMiddleware<AppEnv>(async (c, next) => {
  const type = c.req.header("content-type") ?? "";
  if (WITH_BODY.has(c.req.method) && hasBody(c.req.raw) && !/^application\/([\w.-]+\+)?json\s*(;|$)/iu.test(type)) {
    throw new Problem("unsupported_media_type", `The body is ${type === "" ? "of no declared type" : type}; expected application/json.`);
  }
  await next();
});

export const limitBody = bodyLimit({
  maxSize: MAX_BODY_BYTES,
  onError: () => {
    throw new Problem("payload_too_large", `The body is larger than ${MAX_BODY_BYTES} bytes (1 MiB).`);
  },
});
