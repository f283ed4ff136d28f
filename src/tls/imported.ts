/**
 * A certificate that a person brings is checked before it is kept, so that none is served that a browser would refuse: the
 * chain is put in order, without its root (RFC 8446, 4.4.2). Whatever is wrong is told with the field that is to be mended.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { getCACertificates } from "node:tls";
import { eq } from "drizzle-orm";
import type { Keys } from "../crypto/keyring.ts";
import type { Db, Tx } from "../db.ts";
import { UserError } from "../errors.ts";
import { certificates } from "../schema.ts";
import {
  type Certificate,
  findCertificate,
  insertCertificate,
  openCertificate,
  removeCertificate,
} from "./certificates.ts";
import { isIssuedBy, lifeOf, nameOf, namesOf, splitChain, whyRefused } from "./chains.ts";

/** @throws UserError with the field `chain`, `key` or `authority` that is to be mended */
export function importCertificate(
  db: Db | Tx,
  input: {
    /** PEM: the server's own certificate and the intermediates, in any order. */
    chain: string;
    key: string;
    /** PEM of roots that aren't among the public ones. */
    authority?: string | undefined;
    keys: Keys;
    now: number;
  },
): Certificate {
  const { now } = input;
  const given = readCertificates(input.chain, "chain");
  const key = readKey(input.key);
  const own = given.find((certificate) => certificate.checkPrivateKey(key));
  if (!own) {
    const first = given[0] as X509Certificate;
    throw new UserError(
      "invalid",
      `The key belongs to none of these certificates; the first is for ${namesOf(first).join(", ") || "no host"}. Give the key that its request was made with.`,
      { field: "key" },
    );
  }
  const names = namesOf(own);
  if (names.length === 0)
    throw new UserError("invalid", "The certificate names no host (subjectAltName). Ask for one that does.", {
      field: "chain",
    });
  const roots = input.authority === undefined ? [] : readCertificates(input.authority, "authority");
  const path = orderPath(own, given, roots);
  for (const certificate of path) refuseOutOfDate(certificate, now);
  refuseUnusable(path, key);
  const chain = path.map((certificate) => certificate.toString()).join("");
  // Whoever renews by a timetable brings the same one again and again.
  const known = db.select({ id: certificates.id }).from(certificates).where(eq(certificates.chain, chain)).get();
  if (known && isReadable(db, { id: known.id, keys: input.keys })) return findCertificate(db, known.id);

  const pem = key.export({ type: "pkcs8", format: "pem" }) as string;
  if (known) removeCertificate(db, known.id);
  const id = insertCertificate(db, { path, names, privateKey: pem, keys: input.keys, now });
  return findCertificate(db, id);
}

/** Its key may be damaged, or sealed with a key that is lost. */
function isReadable(db: Db | Tx, input: { id: string; keys: Keys }): boolean {
  try {
    return openCertificate(db, input).key !== "";
  } catch {
    return false;
  }
}

function readCertificates(pem: string, field: "chain" | "authority"): X509Certificate[] {
  const blocks = splitChain(pem);
  if (blocks.length === 0) {
    throw new UserError(
      "invalid",
      "This holds no certificate in PEM form (-----BEGIN CERTIFICATE-----). openssl x509 and openssl pkcs12 turn other forms into it.",
      { field },
    );
  }
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new UserError("invalid", `Certificate ${index + 1} of ${blocks.length} can't be read. Copy it again.`, {
        field,
      });
    }
  });
}

function readKey(pem: string): KeyObject {
  const field = "key";
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_MISSING_PASSPHRASE" || pem.includes("ENCRYPTED")) {
      const words = "The key is locked with a passphrase. Unlock it first: openssl pkey -in KEY -out UNLOCKED";
      throw new UserError("invalid", words, { field });
    }
    throw new UserError("invalid", "This isn't a private key in PEM form (-----BEGIN PRIVATE KEY-----).", { field });
  }
  const { modulusLength = 0, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  const strong =
    (key.asymmetricKeyType === "rsa" && modulusLength >= 2048) ||
    (key.asymmetricKeyType === "ec" && ["prime256v1", "secp384r1"].includes(namedCurve));
  if (!strong)
    throw new UserError("invalid", "Give an ECDSA key on P-256 or P-384, or an RSA key of at least 2048 bits.", {
      field,
    });
  return key;
}

/** From the server's own to the last before a known root. */
function orderPath(own: X509Certificate, given: X509Certificate[], roots: X509Certificate[]): X509Certificate[] {
  const path = [own];
  for (let last = own; ; ) {
    const issuer = given.find((other) => !path.includes(other) && isIssuedBy(last, other));
    if (issuer && !isIssuedBy(issuer, issuer)) {
      path.push(issuer);
      last = issuer;
      continue;
    }
    if (roots.some((root) => isIssuedBy(last, root)) || publicRoots().some((root) => isIssuedBy(last, root)))
      return path;
    const missing = nameOf(last.issuer);
    const authority = "candor cert import --authority FILE";
    if (isIssuedBy(own, own)) {
      throw new UserError(
        "invalid",
        `The certificate is signed by itself, so browsers warn of it. To serve it all the same, give it as its own authority: ${authority}.`,
        { field: "authority" },
      );
    }
    if (isIssuedBy(last, last) || issuer) {
      throw new UserError(
        "invalid",
        `${missing} isn't an authority that browsers know. If it is your own, give its root certificate: ${authority}.`,
        { field: "authority" },
      );
    }
    throw new UserError(
      "invalid",
      `The chain is incomplete: the certificate of ${missing} is missing. Append it to the file; whoever issued the certificate offers it as intermediate or bundle. If it is your own root, give it with --authority FILE.`,
      { field: "chain" },
    );
  }
}

let known: X509Certificate[] | undefined;

function publicRoots(): X509Certificate[] {
  known ??= getCACertificates("bundled").map((pem) => new X509Certificate(pem));
  return known;
}

function refuseOutOfDate(certificate: X509Certificate, now: number): void {
  const name = namesOf(certificate)[0] ?? nameOf(certificate.subject);
  const { notBefore: from, notAfter: to } = lifeOf(certificate);
  const on = (at: number) => new Date(at).toISOString().slice(0, 16).replace("T", " ");
  if (now >= to)
    throw new UserError(
      "invalid",
      `The certificate of ${name} expired on ${on(to)} UTC. Ask for a new one; what is served now stays.`,
      { field: "chain" },
    );
  if (now < from)
    throw new UserError(
      "invalid",
      `The certificate of ${name} is valid only from ${on(from)} UTC on. Import it then, or check this machine's clock.`,
      { field: "chain" },
    );
}

const serverAuth = "1.3.6.1.5.5.7.3.1";
const anyUsage = "2.5.29.37.0";

/** What no handshake could be made with, or no browser takes. */
function refuseUnusable(path: X509Certificate[], key: KeyObject): void {
  const field = "chain";
  const advice = "Ask the authority for one of today.";
  const old = path.map(({ signatureAlgorithm }) => signatureAlgorithm ?? "").find((name) => /sha1|md5/i.test(name));
  if (old)
    throw new UserError("invalid", `The chain is signed with ${old}, which browsers refuse. ${advice}`, { field });
  const usages = path[0]?.keyUsage;
  if (usages && !usages.includes(serverAuth) && !usages.includes(anyUsage))
    throw new UserError("invalid", "The certificate isn't one for servers (extendedKeyUsage). Ask for one that is.", {
      field,
    });
  const said = whyRefused(path, key.export({ type: "pkcs8", format: "pem" }) as string);
  if (said) throw new UserError("invalid", `OpenSSL doesn't take this chain (${said}). ${advice}`, { field });
}
