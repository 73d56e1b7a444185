/**
 * Who is signed in: a cookie that nobody can make without our secret. It holds no more than when it ends and a random name; nothing is
 * stored, so signing out takes the cookie away, and another SESSION_SECRET or ADMIN_TOKEN ends every session.
 */
import { getCookie, setCookie } from "hono/cookie";
import type { CookieOptions } from "hono/utils/cookie";
import type { Config } from "../env.ts";
import { Problem } from "../errors.ts";
import type { AppContext } from "../http/index.ts";
import { randomBase62 } from "../lib/base62.ts";
import { sameSecret } from "../lib/same-secret.ts";

export interface Session {
  /** What its forms carry: whoever cannot read a page of this session cannot send one of its forms. */
  readonly formToken: string;
}

const SESSION_SECONDS = 12 * 60 * 60;
const NAME_LENGTH = 32;
const COOKIE = "qc_session";
const COOKIE_VALUE = /^(\d{10,12})\.([0-9A-Za-z]{32})\.([0-9a-f]{64})$/u;
const LOCAL_HOSTS: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

type Keys = Pick<Config, "sessionSecret" | "adminToken">;

/** Purposes have different words in front, so that one is never taken for the other. */
async function mac({ sessionSecret, adminToken }: Keys, purpose: "session" | "form", of: string): Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(sessionSecret), algorithm, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, encoder.encode(JSON.stringify([purpose, of, adminToken])));
  return new Uint8Array(signature).toHex();
}

/** Whether the browser keeps a cookie that only travels encrypted, or the connection never leaves this machine. */
export function isPrivateConnection(c: AppContext): boolean {
  const { protocol, hostname } = new URL(c.req.url);
  return protocol === "https:" || LOCAL_HOSTS.has(hostname);
}

/** With https, a name that no other host and no path of ours can set. */
function cookieOf(c: AppContext): { readonly name: string; readonly options: CookieOptions } {
  const secure = new URL(c.req.url).protocol === "https:";
  // Not Strict: a link in an alert would find its reader signed out. Nothing is changed by following one, and forms have tokens.
  return { name: secure ? `__Host-${COOKIE}` : COOKIE, options: { path: "/", httpOnly: true, sameSite: "Lax", secure } };
}

/** Whoever sent the administrator's token. */
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

/** null: nobody is signed in. */
export async function sessionOf(c: AppContext): Promise<Session | null> {
  const { config, clock } = c.get("deps");
  const [, endsAt = "", id = "", given = ""] = COOKIE_VALUE.exec(getCookie(c, cookieOf(c).name) ?? "") ?? [];
  if (given === "") return null;
  const content = `${endsAt}.${id}`;
  if (!(await sameSecret(given, await mac(config, "session", content)))) return null;
  return Number(endsAt) * 1_000 > clock() ? { formToken: await mac(config, "form", content) } : null;
}

/** A form that was sent from one of our own pages. Throws `forbidden` for one that another site made its reader send. */
export async function ownForm(c: AppContext): Promise<Readonly<Record<string, string>>> {
  const origin = c.req.header("origin");
  if (origin !== new URL(c.req.url).origin) {
    throw new Problem("forbidden", "This form did not come from this site. Open the page here, and send it from there.");
  }
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/iu.test(c.req.header("content-type") ?? "")) {
    throw new Problem("unsupported_media_type", "A form is sent as application/x-www-form-urlencoded.");
  }
  return Object.fromEntries(new URLSearchParams(new TextDecoder().decode(await c.req.arrayBuffer())));
}

/** A form of this session. Throws `forbidden`. */
export async function sessionForm(c: AppContext, session: Session): Promise<Readonly<Record<string, string>>> {
  const form = await ownForm(c);
  if (!(await sameSecret(form["form_token"] ?? "", session.formToken))) {
    throw new Problem("forbidden", "This form belongs to an earlier session. Go back, reload the page, and send it again.");
  }
  return form;
}
