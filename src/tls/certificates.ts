/**
 * The certificates that are held, a person's own and those that an authority issued, their keys sealed. A host is served by the
 * one that came last, so a new one takes over without the old one being removed first, also when it ends sooner: an authority
 * may shorten their lives, or want one gone.
 */
import type { X509Certificate } from "node:crypto";
import { desc, eq, gt, inArray, sql } from "drizzle-orm";
import { seal, unseal } from "../crypto/fields.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db, Tx } from "../db.ts";
import { UserError } from "../errors.ts";
import { wildcardOver } from "../host-names.ts";
import { newId } from "../ids.ts";
import { acmeOrders, certificates, hosts } from "../schema.ts";
import { lifeOf, nameOf } from "./chains.ts";
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
    ...lifeOf(own),
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

/** From when on the name needs another. One that a person brought is theirs to renew; ours takes over when they are late. */
export function neededAt(best: Chooser, name: string, now: number): number {
  const certificate = best(name, now);
  return certificate ? (certificate.renewAt ?? latestRenewal(certificate)) : now;
}

/** Expiring: its renewal is overdue. */
export function stateOf(certificate: Certificate, now: number): CertificateState {
  if (now >= certificate.notAfter) return "expired";
  return now > latestRenewal(certificate) ? "expiring" : "valid";
}
