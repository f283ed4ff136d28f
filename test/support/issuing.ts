/** Certificates as a simulated authority makes them, with dates of its own choice. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, webcrypto } from "node:crypto";
import "reflect-metadata";
import {
  AuthorityKeyIdentifierExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

const crypto = webcrypto as unknown as Crypto;
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const issuer = generateKeyPairSync("ec", { namedCurve: "P-256" });
const der = { pkcs8: { type: "pkcs8", format: "der" }, spki: { type: "spki", format: "der" } } as const;
const issuerKeys = Promise.all([
  crypto.subtle.importKey("pkcs8", new Uint8Array(issuer.privateKey.export(der.pkcs8)), algorithm, false, ["sign"]),
  crypto.subtle.importKey("spki", new Uint8Array(issuer.publicKey.export(der.spki)), algorithm, true, ["verify"]),
]);

/** @param privateKey PEM of whoever asked @returns PEM */
export async function issue(input: {
  privateKey: string;
  name: string;
  serial: number;
  from: number;
  to: number;
}): Promise<string> {
  const [signingKey, issuerKey] = await issuerKeys;
  const spki = createPublicKey(createPrivateKey(input.privateKey)).export(der.spki);
  const publicKey = await crypto.subtle.importKey("spki", new Uint8Array(spki), algorithm, true, ["verify"]);
  const leaf = await X509CertificateGenerator.create({
    serialNumber: input.serial.toString(16).padStart(16, "0"),
    subject: "",
    issuer: "CN=Simulated",
    notBefore: new Date(input.from),
    notAfter: new Date(input.to),
    publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    extensions: [
      new SubjectAlternativeNameExtension([{ type: "dns", value: input.name }]),
      await AuthorityKeyIdentifierExtension.create(issuerKey),
    ],
  });
  return leaf.toString("pem");
}
