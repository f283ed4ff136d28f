/** A certificate authority of the tests' own: a root, an intermediate below it, and certificates for hosts. */
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

const day = 86_400_000;
const kinds = {
  ecdsa: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  p384: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-256" },
  rsa: {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    publicExponent: new Uint8Array([1, 0, 1]),
    modulusLength: 2048,
  },
  weak: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", publicExponent: new Uint8Array([1, 0, 1]), modulusLength: 1024 },
} as const;

export type Kind = keyof typeof kinds;
export type Issued = { certificate: string; key: string };
export type Authority = {
  root: string;
  intermediate: string;
  /** @param options.request the bytes of a request (PKCS #10) whose key it is for; then `key` is empty */
  issue(
    names: string[],
    options?: { kind?: Kind; days?: [from: number, to: number]; request?: Buffer; usage?: string; hash?: "SHA-1" },
  ): Promise<Issued>;
};

/** Days count from now; certificates live 90 of them unless said. */
export async function createAuthority(now = Date.now(), middle: Kind = "ecdsa"): Promise<Authority> {
  const crypto = webcrypto as unknown as Crypto;
  type Pair = { publicKey: CryptoKey; privateKey: CryptoKey };
  const pair = (kind: Kind) =>
    crypto.subtle.generateKey(kinds[kind], true, ["sign", "verify"]) as Promise<unknown> as Promise<Pair>;
  const [rootKeys, middleKeys] = [await pair("ecdsa"), await pair(middle)];
  const ofAuthority = [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ];
  const common = ([from, to]: [from: number, to: number]) => ({
    serialNumber: randomBytes(9).toString("hex"),
    notBefore: new Date(now + from * day),
    notAfter: new Date(now + to * day),
    signingAlgorithm: kinds.ecdsa,
  });
  const root = await X509CertificateGenerator.create({
    ...common([-1, 3650]),
    subject: "CN=Test Root",
    issuer: "CN=Test Root",
    publicKey: rootKeys.publicKey,
    signingKey: rootKeys.privateKey,
    extensions: ofAuthority,
  });
  const intermediate = await X509CertificateGenerator.create({
    ...common([-1, 1800]),
    subject: "CN=Test Intermediate",
    issuer: "CN=Test Root",
    publicKey: middleKeys.publicKey,
    signingKey: rootKeys.privateKey,
    extensions: ofAuthority,
  });
  return {
    root: `${root.toString("pem")}\n`,
    intermediate: `${intermediate.toString("pem")}\n`,
    issue: async (names, { kind = "ecdsa", days = [-1, 89] as [number, number], request, usage, hash } = {}) => {
      const keys = await pair(kind);
      const asked = request && new Pkcs10CertificateRequest(new Uint8Array(request));
      const leaf = await X509CertificateGenerator.create({
        ...common(days),
        subject: `CN=${names[0] ?? "nobody"}`,
        issuer: "CN=Test Intermediate",
        publicKey: asked?.publicKey ?? keys.publicKey,
        signingKey: middleKeys.privateKey,
        signingAlgorithm: hash ? { ...kinds[middle], hash } : kinds[middle],
        extensions: [
          ...(names.length === 0
            ? []
            : [new SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns" as const, value })))]),
          ...(usage ? [new ExtendedKeyUsageExtension([usage])] : []),
        ],
      });
      const bytes = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
      const key = asked ? "" : PemConverter.encode(bytes, "PRIVATE KEY");
      return { certificate: `${leaf.toString("pem")}\n`, key };
    },
  };
}
