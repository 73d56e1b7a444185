/** IP addresses. */

const IPV6_GROUPS = 8;
const NETWORK_GROUPS = 4;

/**
 * The network of a client: an IPv4 address itself, or the /64 of an IPv6 address, because one client usually owns all its 2^64 addresses.
 */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [left = "", right = ""] = address.split("::");
  const [before, after] = [groupsOf(left), groupsOf(right)];
  const between = Array.from({ length: Math.max(0, IPV6_GROUPS - before.length - after.length) }, () => 0);
  return [...before, ...between, ...after]
    .slice(0, NETWORK_GROUPS)
    .map((group) => group.toString(16))
    .join(":");
}

const groupsOf = (text: string): number[] => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
