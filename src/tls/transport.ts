/**
 * Strict-Transport-Security (RFC 6797) binds browsers for a year, so it is said only when a host has been served over
 * https for a day, or when a proxy holds the certificates. A host on another port than 443 is never bound: browsers would look
 * for it there (section 8.3).
 */
import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { CertificateShelf } from "./shelf.ts";

/** Raw header pairs for answers under an origin. */
export type Transport = (origin: string) => string[];

const header = "strict-transport-security";
const provenMs = 24 * 3_600_000;

export function createTransport(input: {
  config: Config;
  certificates: CertificateShelf;
  clock: Clock;
  /** Whether the certificates are held here. */
  listens: boolean;
}): Transport {
  const { config, certificates, clock, listens } = input;
  return (origin) => {
    const wish = config.text("https.hsts");
    // Whoever was bound comes by https also when the host isn't meant to be served so any more (RFC 6797, 6.1.1).
    if (wish === "release") return [header, "max-age=0"];
    const { protocol, port, hostname } = new URL(origin);
    if (protocol !== "https:" || port !== "" || wish === "off") return [];
    if (listens) {
      const since = certificates.servedSince(hostname);
      if (since === undefined || clock.now() - since < provenMs) return [];
    }
    return [header, `max-age=31536000${wish === "subdomains" ? "; includeSubDomains" : ""}`];
  };
}
