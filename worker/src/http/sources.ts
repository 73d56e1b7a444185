/** Credentials of monitoring systems. Each has its own secret. The admin token works for all of them. */
import { Problem } from "../errors.ts";
import { sameSecret } from "../lib/same-secret.ts";
import { bearerToken, countFailure } from "./guards.ts";
import type { AppContext } from "./index.ts";

/** Accepted instead of a bearer token. */
const BASIC = /^Basic +([\w+/=-]+)$/iu;

/** The token of a request: bearer, password of basic authentication with any user, or the source's own header. */
function tokenOf(c: AppContext, ownHeader: string | null): string | null {
  const own = ownHeader === null ? undefined : c.req.header(ownHeader);
  if (own !== undefined) return own;
  const bearer = bearerToken(c);
  if (bearer !== undefined) return bearer;
  const basic = BASIC.exec(c.req.header("authorization") ?? "")?.[1];
  return basic === undefined ? null : passwordOf(basic);
}

function passwordOf(basic: string): string | null {
  try {
    const text = atob(basic);
    return text.includes(":") ? text.slice(text.indexOf(":") + 1) : null;
  } catch {
    return null;
  }
}

/** Throws `forbidden` if no token is configured, `unauthorized` if the request has a different one. */
export async function assertToken(c: AppContext, secret: string | null, ownHeader: string | null = null): Promise<void> {
  if (c.get("principal").kind === "admin") return;
  const expected = configuredSecret(secret);
  const token = tokenOf(c, ownHeader);
  if (token === null) throw refused("Send the token of this source as `Authorization: Bearer <token>`.");
  if (await sameSecret(token, expected)) return;
  await countFailure(c);
  throw refused("The token is wrong.");
}

/** Throws `forbidden` if the secret is not configured. */
export function configuredSecret(secret: string | null): string {
  if (secret !== null) return secret;
  throw new Problem("forbidden", "No secret is configured for this source. docs/monitoring.md explains how to set it.");
}

/** Throws `unauthorized` if the signature is missing, wrong or stale. */
export async function assertSignature(c: AppContext, check: () => Promise<"right" | "wrong" | "stale">, header: string): Promise<void> {
  if (c.req.header(header) === undefined) throw refused(`The header ${header} is missing. Sign the body.`);
  const result = await check();
  if (result === "right") return;
  if (result === "stale") throw refused("The signed timestamp must be within 5 minutes of now.");
  await countFailure(c);
  throw refused("The signature is wrong.");
}

const refused = (detail: string): Problem => new Problem("unauthorized", detail, { headers: { "WWW-Authenticate": "Bearer" } });
