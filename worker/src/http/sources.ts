/** Monitoring systems, each let in by a secret of its own; the administrator may send in place of each. */
import { Problem } from "../errors.ts";
import { sameSecret } from "../lib/same-secret.ts";
import { bearerToken, countFailure } from "./guards.ts";
import type { AppContext } from "./index.ts";

/** What is sent in place of a bearer token. */
const BASIC = /^Basic +([\w+/=-]+)$/iu;

/** The token of a request: as bearer, as the password of basic authentication with any user, or in the source's own header. */
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

/** Lets pass who sends the token. Throws `forbidden` where none is set, `unauthorized` where it is another. */
export async function needToken(c: AppContext, secret: string | null, ownHeader: string | null = null): Promise<void> {
  if (c.get("principal").kind === "admin") return;
  const expected = needSecret(secret);
  const token = tokenOf(c, ownHeader);
  if (token === null) throw refused("Send this source's token as `Authorization: Bearer <token>`.");
  if (await sameSecret(token, expected)) return;
  await countFailure(c);
  throw refused("This token is not accepted.");
}

/** A source whose secret nobody set is let in by nobody. */
export function needSecret(secret: string | null): string {
  if (secret !== null) return secret;
  throw new Problem("forbidden", "This source is not let in: no secret is set for it. docs/monitoring.md says how.");
}

/** Lets pass what is rightly signed. */
export async function needSignature(c: AppContext, check: () => Promise<"right" | "wrong" | "stale">, header: string): Promise<void> {
  if (c.req.header(header) === undefined) throw refused(`Sign the body: ${header} is missing.`);
  const result = await check();
  if (result === "right") return;
  if (result === "stale") throw refused("The timestamp that was signed is more than 5 minutes away from now.");
  await countFailure(c);
  throw refused("This signature is not accepted.");
}

const refused = (detail: string): Problem => new Problem("unauthorized", detail, { headers: { "WWW-Authenticate": "Bearer" } });
