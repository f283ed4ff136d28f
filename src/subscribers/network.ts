import { isIPv4, isIPv6 } from "node:net";

/** Whom a limit counts as one: an IPv4 address, or the /64 that an IPv6 customer is given whole. */
export function networkOf(peer: string): string {
  if (isIPv4(peer) || !isIPv6(peer)) return peer;
  const [head = "", tail] = peer.toLowerCase().split("%")[0]?.split("::") ?? [];
  const left = head === "" ? [] : head.split(":");
  const right = tail ? tail.split(":") : [];
  const gap = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array.from({ length: gap }, () => "0"), ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group || "0", 16).toString(16))
    .join(":")}::/64`;
}
