/**
 * The certificates in use, ready for a handshake: looked up by host name without awaiting and without throwing, because a
 * throw while the name is chosen would end the process. Taken up anew without a restart; connections that stand stay.
 */
import { createSecureContext, type SecureContext } from "node:tls";
import { and, inArray, isNull } from "drizzle-orm";
import type { Clock } from "../clock.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db } from "../db.ts";
import { isDnsName } from "../host-names.ts";
import type { Log } from "../log.ts";
import { hosts } from "../schema.ts";
import { type Certificate, chooserOf, listCertificates, openCertificate } from "./certificates.ts";
import { posture } from "./posture.ts";
import { isLate } from "./renewal.ts";

export type CertificateShelf = {
  /** By a host's name in lower case. Names that aren't hosts find nothing, whatever covers them. */
  find(name: string): SecureContext | undefined;
  /** Whether a browser would take what the name is served with. */
  isValid(name: string, now: number): boolean;
  /** When the name was first served over https here. */
  servedSince(name: string): number | undefined;
  /** Call after a certificate or a host came or went, and now and then: what couldn't be read may be readable now. */
  reload(): void;
  /** Whether it couldn't be read, or OpenSSL refused it, at the last look: such a one takes no other's place. */
  isUnusable(id: string): boolean;
  /** From now on https is listened on. */
  beginServing(): void;
  /** It can't be yet, because another program has the port. */
  waitForPort(): void;
  isWaiting(): boolean;
  /** Hosts that visitors can't reach over https, or soon can't, because no certificate came in time. */
  lateHosts(now: number): string[];
};

/** Until then a new host, or a server that begins to listen for https, waits for its first one. */
const firstOneMs = 3_600_000;

/** Those that could be served, the one that came last first. */
export function listUsable(db: Db, shelf: CertificateShelf): Certificate[] {
  return listCertificates(db).filter(({ id }) => !shelf.isUnusable(id));
}

export function createCertificateShelf(input: { db: Db; keys: Keys; clock: Clock; log: Log }): CertificateShelf {
  const { db, keys, clock, log } = input;
  let contexts = new Map<string, SecureContext>();
  let choose = chooserOf([]);
  let served = new Map<string, typeof hosts.$inferSelect>();
  let unusable = new Set<string>();
  /** Since when each host is wanted over https, as far as this process knows. */
  let wantedSince = new Map<string, number>();
  let servingSince: number | undefined;
  let isWaiting = false;

  const reload = () => {
    const ready = new Map<string, SecureContext>();
    const usable: Certificate[] = [];
    const refused = new Set<string>();
    for (const certificate of listCertificates(db)) {
      const { id } = certificate;
      try {
        ready.set(id, contexts.get(id) ?? makeContext(id));
        usable.push(certificate);
      } catch (error) {
        refused.add(id);
        if (!unusable.has(id)) log.error("certificate.unusable", { certificateId: id, error });
      }
    }
    contexts = ready;
    unusable = refused;
    choose = chooserOf(usable);
    if (servingSince !== undefined) noteServed();
    served = new Map(
      db
        .select()
        .from(hosts)
        .all()
        .map((host) => [host.name, host]),
    );
    const now = clock.now();
    const secure = [...served.values()].filter(({ name, origin }) => origin.startsWith("https:") && isDnsName(name));
    wantedSince = new Map(secure.map(({ name }) => [name, wantedSince.get(name) ?? now]));
  };
  /** A millisecond each: of hundreds, only the new one is made. */
  const makeContext = (id: string) => {
    const { chain, key } = openCertificate(db, { id, keys });
    return createSecureContext({ ...posture, cert: chain, key });
  };
  const noteServed = () => {
    const now = clock.now();
    const rows = db.select({ name: hosts.name }).from(hosts).where(isNull(hosts.secureSince)).all();
    const begun = rows.map(({ name }) => name).filter((name) => now < (choose(name, now)?.notAfter ?? 0));
    if (begun.length === 0) return;
    const unnoted = and(inArray(hosts.name, begun), isNull(hosts.secureSince));
    try {
      db.update(hosts).set({ secureSince: now }).where(unnoted).run();
    } catch (error) {
      log.error("certificate.start_not_noted", { error }); // A full disk keeps nobody from being served.
    }
  };
  reload();
  const find = (name: string) => (served.has(name) ? choose(name, clock.now()) : undefined);
  return {
    find: (name) => contexts.get(find(name)?.id ?? ""),
    servedSince: (name) => served.get(name)?.secureSince ?? undefined,
    isValid: (name, now) => now < (find(name)?.notAfter ?? 0),
    isUnusable: (id) => unusable.has(id),
    reload,
    beginServing: () => {
      servingSince = clock.now();
      isWaiting = false;
      reload();
    },
    waitForPort: () => {
      isWaiting = true;
    },
    isWaiting: () => isWaiting,
    lateHosts: (now) => {
      if (servingSince === undefined) return [];
      // The clock was set back: they have waited since then, as far as can be told.
      servingSince = Math.min(servingSince, now);
      for (const [name, wanted] of wantedSince) wantedSince.set(name, Math.min(wanted, now));
      const since = servingSince;
      const isLateFor = ([name, wanted]: [string, number]) => {
        const certificate = choose(name, now);
        return certificate ? isLate(certificate, now) : now - Math.max(wanted, since) > firstOneMs;
      };
      return [...wantedSince].filter(isLateFor).map(([name]) => name);
    },
  };
}
