/** Who is at the other end, and whom a limit counts as one. */
import type { IncomingHttpHeaders } from "node:http";
import { type BlockList, isIP, isIPv4, isIPv6, type Socket } from "node:net";

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

type PeerRequest = { socket: { remoteAddress?: string | undefined }; headers: IncomingHttpHeaders };

/** Who is connected; behind a trusted proxy, the last address in X-Forwarded-For that isn't one of ours. */
export function peerOf(request: PeerRequest, proxies: BlockList): string {
  const trusted = (address: string) => holds(proxies, address);
  const direct = plain(request.socket.remoteAddress ?? "");
  if (!direct || !trusted(direct)) return direct;
  const chain = String(request.headers["x-forwarded-for"] ?? "")
    .split(",")
    .map((part) => plain(withoutPort(part.trim())))
    .filter((part) => part !== "");
  const nearest = chain.toReversed().find((address) => !trusted(address)) ?? direct;
  return isIP(nearest) ? nearest : direct;
}

/** Whether a trusted proxy took the request over TLS. One that doesn't say so is believed to: it would be sent there for ever. */
export function cameOverTls(request: PeerRequest, proxies: BlockList): boolean {
  if (!holds(proxies, plain(request.socket.remoteAddress ?? ""))) return false;
  return String(request.headers["x-forwarded-proto"] ?? "").toLowerCase() !== "http";
}

/** The socket that was accepted: over TLS requests are carried by another one, which node keeps it under as `_parent`. */
export function acceptedOf(carrier: Socket): Socket {
  return (carrier as { _parent?: Socket | null })._parent ?? carrier;
}

export function holds(list: BlockList, address: string): boolean {
  return isIP(address) !== 0 && list.check(address, isIPv4(address) ? "ipv4" : "ipv6");
}

/** An IPv4 address that a socket for both families saw, as people write it. */
export function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, "");
}

/** Some proxies name the port too; it changes with every connection, and limits would count each as a network. */
function withoutPort(address: string): string {
  return /^\[([^\]]+)\](?::\d+)?$/.exec(address)?.[1] ?? /^([\d.]+):\d+$/.exec(address)?.[1] ?? address;
}
