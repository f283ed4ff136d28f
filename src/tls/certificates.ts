/**
 * The certificates that are held, a person's own and those that an authority issued. What a person brings is checked before it
 * is kept, so that none is served that a browser would refuse: the chain is put in order, without its root (RFC 8446, 4.4.2);
 * the key is sealed. A host is served by the one that came last, so a new one takes over without the old one being removed
 * first, also when it ends sooner: an authority may shorten their lives, or want one gone.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext, getCACertificates } from "node:tls";
import { desc, eq, gt, inArray, sql } from "drizzle-orm";
import { seal, unseal } from "../crypto/fields.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db, Tx } from "../db.ts";
import { UserError } from "../errors.ts";
import { wildcardOver } from "../host-names.ts";
import { newId } from "../ids.ts";
import { acmeOrders, certificates, hosts } from "../schema.ts";
import { posture } from "./posture.ts";
import { latestRenewal } from "./renewal.ts";

export type Certificate = Omit<typeof certificates.$inferSelect, "privateKey" | "chain"> & {
  /** Its row's number: the later it came, the higher. */
  row: number;
};

/** What a browser would say of the certificate today. */
export type CertificateState = "valid" | "expiring" | "expired";

const day = 86_400_000;
const column = "certificates.private_key";

const shown = {
  row: sql<number>`rowid`,
  id: certificates.id,
  names: certificates.names,
  issuer: certificates.issuer,
  notBefore: certificates.notBefore,
  notAfter: certificates.notAfter,
  createdAt: certificates.createdAt,
  directory: certificates.directory,
  renewalId: certificates.renewalId,
  renewAt: certificates.renewAt,
  renewalWindow: certificates.renewalWindow,
  askWindowAt: certificates.askWindowAt,
};

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
  if (known) return findCertificate(db, known.id);

  const pem = key.export({ type: "pkcs8", format: "pem" }) as string;
  const id = insertCertificate(db, { path, names, privateKey: pem, keys: input.keys, now });
  return findCertificate(db, id);
}

/** @returns its id */
export function insertCertificate(
  db: Db | Tx,
  input: {
    /** The server's own first. */
    path: X509Certificate[];
    names: string[];
    /** PKCS #8 in PEM. */
    privateKey: string;
    keys: Keys;
    now: number;
    issued?: Pick<typeof certificates.$inferInsert, "directory" | "renewalId" | "renewAt" | "askWindowAt">;
  },
): string {
  const own = input.path[0] as X509Certificate;
  const id = newId();
  const row = {
    id,
    chain: input.path.map((certificate) => certificate.toString()).join(""),
    privateKey: seal(input.keys, { column, row: id }, input.privateKey),
    names: input.names,
    issuer: nameOf(own.issuer),
    notBefore: own.validFromDate.getTime(),
    notAfter: own.validToDate.getTime(),
    createdAt: input.now,
    ...input.issued,
  };
  db.insert(certificates).values(row).run();
  return id;
}

/** The one that came last first: by the order of the rows, because a clock may have been wrong. */
export function listCertificates(db: Db | Tx): Certificate[] {
  return db.select(shown).from(certificates).orderBy(desc(sql`rowid`)).all();
}

/** The number of the one that came last, 0 where there is none. */
export function newestRow(db: Db | Tx): number {
  return db.select({ row: sql<number | null>`max(rowid)` }).from(certificates).get()?.row ?? 0;
}

export function findCertificate(db: Db | Tx, id: string): Certificate {
  const row = db.select(shown).from(certificates).where(eq(certificates.id, id)).get();
  if (!row) throw new UserError("not_found", `There is no certificate ${id}. candor cert list shows them.`);
  return row;
}

export function removeCertificate(db: Db | Tx, id: string): Certificate {
  const found = findCertificate(db, id);
  deleteCertificates(db, [id]);
  return found;
}

/**
 * Of those that an authority issued, with their keys: what a newer one has taken the place of for a week, and what expired a
 * month ago. A person's own are theirs to remove; what a host is served with stays, because the clock may be wrong.
 */
export function forgetUnused(db: Db, input: { now: number; isUnusable: (id: string) => boolean }): void {
  const { now } = input;
  const all = listCertificates(db);
  const choose = chooserOf(all.filter(({ id }) => !input.isUnusable(id)));
  const served = new Set(
    db
      .select({ name: hosts.name })
      .from(hosts)
      .all()
      .map(({ name }) => choose(name, now)?.id),
  );
  const isUnused = ({ id, row, names: [name = ""], directory, notAfter }: Certificate) => {
    if (directory === null || served.has(id)) return false;
    const next = choose(name, now);
    return notAfter < now - 30 * day || (next !== undefined && next.row > row && next.createdAt < now - 7 * day);
  };
  const unused = all.filter(isUnused).map(({ id }) => id);
  if (unused.length > 0) db.transaction((tx) => deleteCertificates(tx, unused), { behavior: "immediate" });
}

/** The numbers of rows at the end are given again: an order that is open must still see what came after it was begun. */
function deleteCertificates(tx: Db | Tx, ids: string[]): void {
  tx.delete(certificates).where(inArray(certificates.id, ids)).run();
  const newest = newestRow(tx);
  tx.update(acmeOrders).set({ begunAfter: newest }).where(gt(acmeOrders.begunAfter, newest)).run();
}

/** What a handshake needs, in clear. Never leaves the process. */
export function openCertificate(db: Db | Tx, input: { id: string; keys: Keys }): { chain: string; key: string } {
  const row = db.select().from(certificates).where(eq(certificates.id, input.id)).get();
  if (!row) throw new UserError("not_found", `There is no certificate ${input.id}.`);
  return { chain: row.chain, key: unseal(input.keys, { column, row: row.id }, row.privateKey) };
}

/** By a host's name, or a wildcard's. */
export type Chooser = (name: string, now: number) => Certificate | undefined;

/**
 * Which certificate a name is served with: of those that haven't expired, one for the very name before a wildcard over it, unless
 * its renewal is overdue and the wildcard's isn't, and the one that came last.
 *
 * @param list the one that came last first
 */
export function chooserOf(list: Certificate[]): Chooser {
  const covering = new Map<string, Certificate[]>();
  for (const certificate of list)
    for (const name of certificate.names) covering.set(name, [...(covering.get(name) ?? []), certificate]);
  return (name, now) => {
    const [exact, wild] = [covering.get(name) ?? [], covering.get(wildcardOver(name)) ?? []];
    const isValid = ({ notAfter }: Certificate) => now < notAfter;
    const [own, shared] = [exact.find(isValid), wild.find(isValid)];
    if (own && shared && now > latestRenewal(own) && now <= latestRenewal(shared)) return shared;
    return own ?? shared ?? exact[0] ?? wild[0];
  };
}

/** Expiring: its renewal is overdue. */
export function stateOf(certificate: Certificate, now: number): CertificateState {
  if (now >= certificate.notAfter) return "expired";
  return now > latestRenewal(certificate) ? "expiring" : "valid";
}

/** The certificates in a PEM file, whatever stands between them. */
export function splitChain(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
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

export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

let known: X509Certificate[] | undefined;

function publicRoots(): X509Certificate[] {
  known ??= getCACertificates("bundled").map((pem) => new X509Certificate(pem));
  return known;
}

function refuseOutOfDate(certificate: X509Certificate, now: number): void {
  const name = namesOf(certificate)[0] ?? nameOf(certificate.subject);
  const [from, to] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
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

/** An issuer as people know it: its CN, else its O, else all of it. */
function nameOf(distinguished: string): string {
  const part = (label: string) => new RegExp(`^${label}=(.+)$`, "m").exec(distinguished)?.[1];
  return part("CN") ?? part("O") ?? distinguished.replaceAll("\n", ", ");
}
