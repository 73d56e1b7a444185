/** Internet addresses. */
import ipaddr from "ipaddr.js";

const NETWORK_GROUPS = 4;

/**
 * The network of a client: an IPv4 address itself, or the /64 of an IPv6 address, because one client usually owns all its 2^64 addresses.
 */
export function networkOf(address: string): string {
  if (!ipaddr.IPv6.isValid(address)) return address;
  const groups = ipaddr.IPv6.parse(address).parts.slice(0, NETWORK_GROUPS);
  return groups.map((group) => group.toString(16)).join(":");
}
