/**
 * Strict-Transport-Security (RFC 6797) binds browsers for a year, so it is said only when a host has been served over
 * https for a day, or when a proxy holds the certificates.
 */
import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { CertificateShelf } from "./shelf.ts";

/** Raw header pairs for answers under an origin. */
export type Transport = (origin: string) => string[];

const provenMs = 24 * 3_600_000;

export function createTransport(input: { config: Config; certificates: CertificateShelf; clock: Clock }): Transport {
  const { config, certificates, clock } = input;
  return (origin) => {
    const wish = config.text("https.hsts");
    if (!origin.startsWith("https:") || wish === "off") return [];
    if (config.text("https.listen") !== "") {
      const since = certificates.servedSince(new URL(origin).hostname);
      if (since === undefined || clock.now() - since < provenMs) return [];
    }
    return ["strict-transport-security", `max-age=31536000${wish === "subdomains" ? "; includeSubDomains" : ""}`];
  };
}
