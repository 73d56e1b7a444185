/** Internet addresses. */
import ipaddr from "ipaddr.js";

const NETWORK_GROUPS = 4;

/** Who is behind an address: an IPv4 address as it is, of an IPv6 address its /64, since whoever has one address there has 2^64 of them. */
export function networkOf(address: string): string {
  if (!ipaddr.IPv6.isValid(address)) return address;
  const groups = ipaddr.IPv6.parse(address).parts.slice(0, NETWORK_GROUPS);
  return groups.map((group) => group.toString(16)).join(":");
}
