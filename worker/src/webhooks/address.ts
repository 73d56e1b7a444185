/**
 * Rules for webhook addresses. A tenant's address makes the coordinator send requests, so it must be publicly reachable. Host names are
 * checked by their form only. The network resolves them, and Cloudflare's reaches only public addresses (wrangler.jsonc:
 * `global_fetch_strictly_public`). Any port is allowed, because public addresses are open to every client anyway. No I/O. No clock.
 */
import ipaddr from "ipaddr.js";

export interface AddressRules {
  /** Local only: also accepts http, and names and addresses of private networks. */
  readonly allowPrivate: boolean;
  /** The coordinator's own host as in `URL.host`. Null if it is unknown. */
  readonly ownHost: string | null;
}

export type Address = { readonly url: string } | { readonly refused: string };

export const MAX_URL_CHARACTERS = 2_000;
const TOO_LONG = `must be a URL of at most ${MAX_URL_CHARACTERS} characters`;

/** Endings without public names: RFC 6761, 6762, 7686, 8375, ICANN's `internal`, and common private networks. */
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

/** The normalized address, or the reason for refusing it. */
export function readAddress(text: string, { allowPrivate, ownHost }: AddressRules): Address {
  const url = text.length > MAX_URL_CHARACTERS ? null : URL.parse(text);
  if (!url) return { refused: TOO_LONG };
  if (url.protocol !== "https:" && !(allowPrivate && url.protocol === "http:")) {
    return { refused: `must begin with https, not ${url.protocol.slice(0, -1)}` };
  }
  if (`${url.username}${url.password}` !== "") return { refused: "must not contain a user name or password" };
  if (url.hostname === "") return { refused: "must contain the name of a host" };
  const why =
    (isOwn(url, ownHost, allowPrivate) ? "this is the coordinator's own address" : null) ??
    (allowPrivate ? null : privateHost(url.hostname));
  if (why !== null) return { refused: `must be a public address: ${why}` };
  // A fragment is never sent.
  url.hash = "";
  // Percent-encoding may have made it longer.
  return url.href.length > MAX_URL_CHARACTERS ? { refused: TOO_LONG } : { url: url.href };
}

/** Locally a receiver uses another port of the same machine. Elsewhere every port of the host belongs to the coordinator. */
function isOwn(url: URL, ownHost: string | null, byPort: boolean): boolean {
  if (ownHost === null) return false;
  const own = URL.parse(`${url.protocol}//${ownHost}`);
  return own !== null && bare(own.hostname) === bare(url.hostname) && (!byPort || own.port === url.port);
}

/** `URL` has normalized all notations of IPv4 addresses: decimal, octal, hexadecimal, in one to four parts. */
const bare = (hostname: string): string => hostname.toLowerCase().replaceAll(/^\[|\]$|\.+$/gu, "");

/** Why a host is not public. Null if its form is public. */
function privateHost(hostname: string): string | null {
  const host = bare(hostname);
  if (ipaddr.isValid(host)) return isPublic(ipaddr.parse(host)) ? null : `${host} is not public`;
  if (!host.includes(".")) return `${JSON.stringify(host)} is not a fully qualified name`;
  const ending = PRIVATE_ENDINGS.find((each) => host.endsWith(`.${each}`));
  return ending === undefined ? null : `names that end in .${ending} are private`;
}

/**
 * Accepts only plain unicast. IPv6 forms that embed an IPv4 address (mapped, translated, 6to4, Teredo) are refused. The library treats
 * unknown ranges as unicast. IPv6 must therefore lie in 2000::/3, the only allocated range.
 */
function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.range() !== "unicast") return false;
  return address.kind() === "ipv4" || (address.toByteArray()[0] ?? 0) >> 5 === 0b001;
}
