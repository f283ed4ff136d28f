/**
 * Certificates that an authority issued: looked at before they are served, because an authority, or whoever stands
 * between, may send something else than what was asked for. Its root isn't asked for here: whose directory it is was the
 * operator's choice.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { eq } from "drizzle-orm";
import type { Keys } from "../crypto/keyring.ts";
import type { Db, Tx } from "../db.ts";
import { certificates } from "../schema.ts";
import { insertCertificate } from "./certificates.ts";
import { isIssuedBy, lifeOf, namesOf, splitChain, whyRefused } from "./chains.ts";
import { askAgainAfter, isMeant, type Life, renewalTime, type Window } from "./renewal.ts";

export type Issued = { chain: X509Certificate[]; name: string; renewalId: string | undefined };

/** A clock that is a day off must not keep a certificate from being served. */
const clockSlackMs = 26 * 3_600_000;

/** @throws Error that says what is wrong with it */
export async function readIssued(input: {
  pem: string;
  privateKey: string;
  name: string;
  now: number;
}): Promise<Issued> {
  const { name, now } = input;
  const blocks = splitChain(input.pem);
  if (blocks.length === 0 || blocks.length > 10) throw new Error("It holds no certificate chain.");
  const chain = blocks.map((block) => new X509Certificate(block));
  const own = chain[0] as X509Certificate;
  if (!own.checkPrivateKey(createPrivateKey(input.privateKey))) throw new Error("It is for another key.");
  const names = namesOf(own);
  // Some add a name of their own accord, as with www before it.
  if (!names.includes(name)) throw new Error(`It is for ${names.join(", ") || "no name"}, not for ${name}.`);
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1];
    if (issuer && !isIssuedBy(certificate, issuer)) throw new Error("Its chain is broken.");
  }
  const { notBefore: from, notAfter: to } = lifeOf(own);
  if (now >= to) throw new Error(`It expired on ${new Date(to).toISOString()}.`);
  if (now < from - clockSlackMs) throw new Error(`It is valid only from ${new Date(from).toISOString()} on.`);
  const refused = whyRefused(chain, input.privateKey);
  if (refused) throw new Error(`OpenSSL doesn't take it (${refused}).`);
  const last = chain.at(-1) as X509Certificate;
  if (chain.length > 1 && isIssuedBy(last, last)) chain.pop(); // The root isn't sent (RFC 8446, 4.4.2).
  return { chain, name, renewalId: await renewalIdOf(own) };
}

/** Also of one that isn't taken; undefined where there is none. */
export function lifeIn(pem: string): Life | undefined {
  try {
    return lifeOf(new X509Certificate(splitChain(pem)[0] ?? ""));
  } catch {
    return undefined;
  }
}

export function keepIssued(
  tx: Db | Tx,
  input: Issued & { privateKey: string; directory: string; keys: Keys; now: number; chance: number },
): string {
  const life = lifeOf(input.chain[0] as X509Certificate);
  return insertCertificate(tx, {
    path: input.chain,
    names: [input.name],
    privateKey: input.privateKey,
    keys: input.keys,
    now: input.now,
    issued: {
      directory: input.directory,
      renewalId: input.renewalId ?? null,
      renewAt: Math.round(renewalTime(life, undefined, input.chance)),
      askWindowAt: input.renewalId === undefined ? null : input.now,
    },
  });
}

/** The authority told its window: the moment is drawn anew only when the window moved. */
export function noteWindow(
  db: Db,
  input: {
    certificate: { id: string; notBefore: number; notAfter: number; renewalWindow: string | null };
    window: Window;
    askAgainMs: number | undefined;
    now: number;
    chance: number;
  },
): { moved: boolean } {
  const { certificate, window, now } = input;
  const told = isMeant(window, certificate) ? `${window.start}/${window.end}` : null;
  const moved = told !== certificate.renewalWindow;
  const askWindowAt = now + askAgainAfter(input.askAgainMs);
  const drawn = moved
    ? { renewalWindow: told, renewAt: Math.round(renewalTime(certificate, told ? window : undefined, input.chance)) }
    : {};
  db.update(certificates)
    .set({ askWindowAt, ...drawn })
    .where(eq(certificates.id, certificate.id))
    .run();
  return { moved };
}

export function askWindowLater(db: Db, input: { id: string; saidMs: number | undefined; now: number }): void {
  db.update(certificates)
    .set({ askWindowAt: input.now + askAgainAfter(input.saidMs) })
    .where(eq(certificates.id, input.id))
    .run();
}

/** RFC 9773, 4.1: the issuer's key identifier and the serial number. Undefined for a certificate without the former. */
async function renewalIdOf(certificate: X509Certificate): Promise<string | undefined> {
  const { AuthorityKeyIdentifierExtension, X509Certificate: Parsed } = await import("@peculiar/x509");
  const extension = new Parsed(certificate.raw).getExtension(AuthorityKeyIdentifierExtension);
  if (!extension?.keyId) return undefined;
  const hex = certificate.serialNumber;
  const serial = Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
  // As in DER, where a number whose first bit is set would be negative.
  const positive = (serial[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), serial]) : serial;
  return `${Buffer.from(extension.keyId, "hex").toString("base64url")}.${positive.toString("base64url")}`;
}
