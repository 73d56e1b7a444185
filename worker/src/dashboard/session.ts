/**
 * Sign-in sessions as a signed cookie. It holds its expiry and a random name. Nothing is stored on the server, so signing out only deletes
 * the cookie. A changed SESSION_SECRET or ADMIN_TOKEN ends every session.
 */
import { getCookie, setCookie } from "hono/cookie";
import type { CookieOptions } from "hono/utils/cookie";
import type { Config } from "../env.ts";
import { Problem } from "../errors.ts";
import type { AppContext } from "../http/index.ts";
import { randomBase62 } from "../lib/base62.ts";
import { sameSecret } from "../lib/same-secret.ts";

export interface Session {
  /** Token in the forms of this session. Another site cannot read it, so it cannot send the forms. */
  readonly formToken: string;
}

const SESSION_SECONDS = 12 * 60 * 60;
const NAME_LENGTH = 32;
const COOKIE = "qc_session";
const COOKIE_VALUE = /^(\d{10,12})\.([0-9A-Za-z]{32})\.([0-9a-f]{64})$/u;
const LOCAL_HOSTS: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

type Keys = Pick<Config, "sessionSecret" | "adminToken">;

/** The purpose is signed too, so that a form token is never accepted as a session. */
async function mac({ sessionSecret, adminToken }: Keys, purpose: "session" | "form", of: string): Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(sessionSecret), algorithm, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, encoder.encode(JSON.stringify([purpose, of, adminToken])));
  return new Uint8Array(signature).toHex();
}

/** Whether the connection is encrypted or never leaves this machine. */
export function isPrivateConnection(c: AppContext): boolean {
  const { protocol, hostname } = new URL(c.req.url);
  return protocol === "https:" || LOCAL_HOSTS.has(hostname);
}

/** With https, the __Host- prefix keeps other hosts and paths from setting the cookie. */
function cookieOf(c: AppContext): { readonly name: string; readonly options: CookieOptions } {
  const secure = new URL(c.req.url).protocol === "https:";
  // SameSite=Strict would sign readers out when they follow a link in an alert. Links change nothing, and forms have tokens.
  return { name: secure ? `__Host-${COOKIE}` : COOKIE, options: { path: "/", httpOnly: true, sameSite: "Lax", secure } };
}

/** Call it only after checking the admin token. */
export async function beginSession(c: AppContext): Promise<void> {
  const { config, clock } = c.get("deps");
  const content = `${Math.floor(clock() / 1_000) + SESSION_SECONDS}.${randomBase62(NAME_LENGTH)}`;
  const { name, options } = cookieOf(c);
  setCookie(c, name, `${content}.${await mac(config, "session", content)}`, { ...options, maxAge: SESSION_SECONDS });
}

export function endSession(c: AppContext): void {
  const { name, options } = cookieOf(c);
  setCookie(c, name, "", { ...options, maxAge: 0 });
}

/** null: not signed in, expired or forged. */
export async function sessionOf(c: AppContext): Promise<Session | null> {
  const { config, clock } = c.get("deps");
  const [, endsAt = "", id = "", given = ""] = COOKIE_VALUE.exec(getCookie(c, cookieOf(c).name) ?? "") ?? [];
  if (given === "") return null;
  const content = `${endsAt}.${id}`;
  if (!(await sameSecret(given, await mac(config, "session", content)))) return null;
  return Number(endsAt) * 1_000 > clock() ? { formToken: await mac(config, "form", content) } : null;
}

/** Form sent from one of our own pages. Throws `forbidden` for a form sent by another site. */
export async function sameOriginForm(c: AppContext): Promise<Readonly<Record<string, string>>> {
  const origin = c.req.header("origin");
  if (origin !== new URL(c.req.url).origin) {
    throw new Problem("forbidden", "This form was sent from another site. Open the page on this site and send the form again.");
  }
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/iu.test(c.req.header("content-type") ?? "")) {
    throw new Problem("unsupported_media_type", "Send forms as application/x-www-form-urlencoded.");
  }
  return Object.fromEntries(new URLSearchParams(new TextDecoder().decode(await c.req.arrayBuffer())));
}

/** Form of this session. Throws `forbidden`. */
export async function sessionForm(c: AppContext, session: Session): Promise<Readonly<Record<string, string>>> {
  const form = await sameOriginForm(c);
  if (!(await sameSecret(form["form_token"] ?? "", session.formToken))) {
    throw new Problem("forbidden", "This form belongs to an earlier session. Reload the page and send it again.");
  }
  return form;
}
