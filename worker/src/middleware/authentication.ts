/** Who is asking, from the Authorization header. */
import { createMiddleware } from "hono/factory";
import type { AppEnv } from "../http/index.ts";

async function sameSecret(given: string, secret: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const [a, b] = await Promise.all([given, secret].map(async (text) => crypto.subtle.digest("SHA-256", encoder.encode(text))));
  // Digests are of one length, so that the comparison tells nothing of the secret's.
  return a !== undefined && b !== undefined && crypto.subtle.timingSafeEqual(a, b);
}

/** Sets the principal. Wrong credentials are an anonymous principal: public routes need none. */
export const authenticate = createMiddleware<AppEnv>(async (c, next) => {
  const header = c.req.header("authorization");
  if (header !== undefined) {
    const token = /^Bearer +(\S+)$/iu.exec(header)?.[1];
    const isAdmin = token !== undefined && (await sameSecret(token, c.get("deps").config.adminToken));
    c.set("principal", isAdmin ? { kind: "admin" } : { kind: "anonymous", credentials: "wrong" });
  }
  await next();
});
