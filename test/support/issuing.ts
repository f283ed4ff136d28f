/** Certificates as a simulated authority makes them, with dates of its own choice. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, webcrypto, X509Certificate } from "node:crypto";
import "reflect-metadata";
import {
  AuthorityKeyIdentifierExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { Keys } from "../../src/crypto/keyring.ts";
import type { Db } from "../../src/db.ts";
import { insertCertificate } from "../../src/tls/certificates.ts";
import { beginOrder, type Order, type Purpose } from "../../src/tls/orders.ts";

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

let serial = 1_000_000;

/** Keeps a new one, with a key of its own. @param directory of the authority that issued it; left out: a person brought it @returns its id */
export async function keepNew(
  { db, keys }: { db: Db; keys: Keys },
  input: { name: string; from: number; to: number; now: number; directory?: string },
): Promise<string> {
  const { name, from, to, now, directory } = input;
  const privateKey = makeKey();
  serial += 1;
  const path = [new X509Certificate(await issue({ privateKey, name, serial, from, to }))];
  const issued = directory && { directory, renewalId: null, renewAt: to - (to - from) / 3, askWindowAt: null };
  return insertCertificate(db, { path, names: [name], privateKey, keys, now, ...(issued ? { issued } : {}) });
}

/** An order that nobody goes on with, for a certificate to serve unless said otherwise. */
export function beginIdle(
  { db, keys }: { db: Db; keys: Keys },
  input: { name: string; now: number; purpose?: Purpose },
): Order {
  return beginOrder(db, { purpose: "serve", directory: "https://ca.test/", privateKey: "", keys, ...input });
}

/** ECDSA on P-256, PKCS #8 in PEM. */
export function makeKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}
