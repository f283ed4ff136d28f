/** Chains of certificates as they come, from a person or an authority: taken apart, and asked whether they can be served. */
import type { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { posture } from "./posture.ts";

/** The certificates in a PEM file, whatever stands between them. */
export function splitChain(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** @param key PEM @returns why no handshake can be made with it, in OpenSSL's words */
export function whyRefused(path: X509Certificate[], key: string): string | undefined {
  try {
    createSecureContext({ ...posture, cert: path.map((certificate) => certificate.toString()).join(""), key });
    return undefined;
  } catch (error) {
    return (error as { reason?: string }).reason ?? (error as Error).message;
  }
}

export function namesOf(certificate: X509Certificate): string[] {
  const names = [...(certificate.subjectAltName ?? "").matchAll(/(?:^|, )DNS:([^,\s"]+)/g)];
  return names.map(([, name]) => (name as string).toLowerCase());
}

export function lifeOf(certificate: X509Certificate): { notBefore: number; notAfter: number } {
  return { notBefore: certificate.validFromDate.getTime(), notAfter: certificate.validToDate.getTime() };
}

/** An issuer as people know it: its CN, else its O, else all of it. */
export function nameOf(distinguished: string): string {
  const part = (label: string) => new RegExp(`^${label}=(.+)$`, "m").exec(distinguished)?.[1];
  return part("CN") ?? part("O") ?? distinguished.replaceAll("\n", ", ");
}
