/** What hosts are called, and the wildcards that stand for all directly below a domain (RFC 9525, 6.3). */
import { isIP } from "node:net";

export function isWildcard(name: string): boolean {
  return name.startsWith("*.");
}

/** What a host or a wildcard is found under in the DNS. */
export function withoutWildcard(name: string): string {
  return isWildcard(name) ? name.slice(2) : name;
}

/** The wildcard that would cover a host. */
export function wildcardOver(host: string): string {
  return `*${host.slice(host.indexOf("."))}`;
}

/** Whether a certificate's name is the host's: itself, or * for its first label. */
export function covers(name: string, host: string): boolean {
  return name === host || name === wildcardOver(host);
}

/**
 * The name that is ordered for a host.
 *
 * @param domains whose direct hosts share one certificate
 */
export function certificateName(host: string, domains: string[]): string {
  const wildcard = wildcardOver(host);
  return domains.includes(withoutWildcard(wildcard)) ? wildcard : host;
}

export function isAddress(name: string): boolean {
  return name.startsWith("[") || isIP(name) !== 0;
}

/** Whether the name has the form of one that an authority certifies at all. */
export function isDnsName(name: string): boolean {
  if (isAddress(name) || name.length > 253) return false;
  return name.split(".").every((label) => /^(?!-)[a-z0-9-]{1,63}(?<!-)$/.test(label));
}
