/**
 * Which addresses a webhook may have. Whoever names one makes us send requests from where we stand, so it must be one that everybody
 * could reach. A name is judged by its form only: what it resolves to is decided by the network that it is fetched from, and
 * Cloudflare's reaches public addresses only (wrangler.jsonc: `global_fetch_strictly_public`). Any port is allowed: behind public
 * addresses it opens nothing that is not open to everybody. No I/O. No clock.
 */
import ipaddr from "ipaddr.js";

export interface AddressRules {
  /** Local only: http, names and addresses of private networks too. */
  readonly allowPrivate: boolean;
  /** Where we are reached, as in `URL.host`; null where nobody knows. */
  readonly ownHost: string | null;
}

export type Address = { readonly url: string } | { readonly refused: string };

export const MAX_URL_CHARACTERS = 2_000;
const TOO_LONG = `must be a URL of at most ${MAX_URL_CHARACTERS} characters`;

/** Endings that no public name has: RFC 6761, 6762, 7686, 8375, ICANN's `internal`, and what networks at home and at work use. */
const PRIVATE_ENDINGS = [
  "localhost",
  "local",
  "internal",
  "intranet",
  "private",
  "corp",
  "home",
  "lan",
  "localdomain",
  "home.arpa",
  "onion",
  "invalid",
];

/** The address as it is called, or what is wrong with it. */
export function readAddress(text: string, { allowPrivate, ownHost }: AddressRules): Address {
  const url = text.length > MAX_URL_CHARACTERS ? null : URL.parse(text);
  if (!url) return { refused: TOO_LONG };
  if (url.protocol !== "https:" && !(allowPrivate && url.protocol === "http:")) {
    return { refused: `must begin with https, not ${url.protocol.slice(0, -1)}` };
  }
  if (`${url.username}${url.password}` !== "") return { refused: "must not contain a user name or password" };
  if (url.hostname === "") return { refused: "must contain the name of a host" };
  const why = (isOwn(url, ownHost, allowPrivate) ? "this one is our own" : null) ?? (allowPrivate ? null : privateHost(url.hostname));
  if (why !== null) return { refused: `must be a public address: ${why}` };
  // A fragment is never sent.
  url.hash = "";
  // Percent-encoded it may have grown.
  return url.href.length > MAX_URL_CHARACTERS ? { refused: TOO_LONG } : { url: url.href };
}

/** Locally a receiver stands at another port of the same machine; elsewhere another port is ours too. */
function isOwn(url: URL, ownHost: string | null, byPort: boolean): boolean {
  if (ownHost === null) return false;
  const own = URL.parse(`${url.protocol}//${ownHost}`);
  return own !== null && bare(own.hostname) === bare(url.hostname) && (!byPort || own.port === url.port);
}

/** `URL` has made one form of all that IPv4 addresses can be written in: decimal, octal, hexadecimal, in one to four parts. */
const bare = (hostname: string): string => hostname.toLowerCase().replaceAll(/^\[|\]$|\.+$/gu, "");

/** Why a host is not public; null where it is, as far as its form tells. */
function privateHost(hostname: string): string | null {
  const host = bare(hostname);
  if (ipaddr.isValid(host)) return isPublic(ipaddr.parse(host)) ? null : `${host} is private`;
  if (!host.includes(".")) return `${JSON.stringify(host)} is not a full name`;
  const ending = PRIVATE_ENDINGS.find((each) => host.endsWith(`.${each}`));
  return ending === undefined ? null : `names that end in .${ending} are private`;
}

/**
 * Only plain unicast: no form of IPv6 that wraps an IPv4 address (mapped, translated, 6to4, Teredo) is taken apart, all are refused. What the
 * library has no name for is unicast to it, so IPv6 must lie in 2000::/3 too, which is all that was ever given out.
 */
function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.range() !== "unicast") return false;
  return address.kind() === "ipv4" || (address.toByteArray()[0] ?? 0) >> 5 === 0b001;
}
