/** Checks the content type and the size of bodies. */
import { bodyLimit } from "hono/body-limit";
import { createMiddleware } from "hono/factory";
import { Problem } from "../errors.ts";
import type { AppContext, AppEnv } from "../http/index.ts";

const MIB = 1024 * 1024;
const MAX_BODY_MIB = 1;
/** A thousand usage events of maximum length. */
const MAX_EVENTS_MIB = 4;
const EVENTS_PATH = "/api/usage/events";

const WITH_BODY = new Set(["POST", "PUT", "PATCH"]);

/** Reads a body of unknown length, because such a body may be empty. Later reads get the same text. */
async function hasBody({ req }: AppContext): Promise<boolean> {
  const { body, headers } = req.raw;
  if (body === null || headers.get("content-length") === "0") return false;
  return headers.has("content-length") || (await req.arrayBuffer()).byteLength > 0;
}

/** If a body is not declared as JSON, refuses it without reading it. */
export const jsonOnly = createMiddleware<AppEnv>(async function jsonOnly(c, next) {
  const type = c.req.header("content-type") ?? "";
  if (!WITH_BODY.has(c.req.method)) return next();
  const isEmpty = !(await hasBody(c));
  if (!isEmpty && !/^application\/([\w.-]+\+)?json\s*(;|$)/iu.test(type)) {
    throw new Problem("unsupported_media_type", `The body must be application/json (got ${type === "" ? "no content type" : type}).`);
  }
  // An empty body counts as no body, even if its type is declared.
  if (isEmpty && type !== "") {
    const { method, url } = c.req.raw;
    const headers = new Headers(c.req.raw.headers);
    for (const name of ["content-type", "transfer-encoding"]) headers.delete(name);
    c.req.raw = new Request(url, { method, headers });
  }
  return next();
});

const limitedTo = (mebibytes: number) =>
  bodyLimit({
    maxSize: mebibytes * MIB,
    onError: () => {
      throw new Problem("payload_too_large", `The body is larger than ${mebibytes * MIB} bytes (${mebibytes} MiB).`);
    },
  });

const limitEvents = limitedTo(MAX_EVENTS_MIB);
const limitOthers = limitedTo(MAX_BODY_MIB);

export const limitBody = createMiddleware<AppEnv>(async function limitBody(c, next) {
  return (c.req.path === EVENTS_PATH ? limitEvents : limitOthers)(c, next);
});
