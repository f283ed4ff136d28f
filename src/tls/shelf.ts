/**
 * The certificates in use, ready for a handshake: looked up by host name without awaiting and without throwing, because a
 * throw while the name is chosen would end the process. Taken up anew without a restart; connections that stand stay.
 */
import { createSecureContext, type SecureContext } from "node:tls";
import type { Keys } from "../crypto/keyring.ts";
import type { Db } from "../db.ts";
import type { Log } from "../log.ts";
import { listCertificates, openCertificate } from "./certificates.ts";
import { posture } from "./posture.ts";

export type CertificateShelf = {
  /** By a host's name in lower case. */
  find(name: string): SecureContext | undefined;
  /** Whether a browser would take what the name is served with. */
  isValid(name: string, now: number): boolean;
  /** When the name was first served with a certificate of ours. */
  servedSince(name: string): number | undefined;
  /** Call after a certificate came or went. */
  reload(): void;
};

type Ready = { context: SecureContext; notAfter: number; since: number };

export function createCertificateShelf(input: { db: Db; keys: Keys; log: Log }): CertificateShelf {
  const { db, keys, log } = input;
  let exact = new Map<string, Ready>();
  let wild = new Map<string, Ready>();

  const reload = () => {
    const [names, parents] = [new Map<string, Ready>(), new Map<string, Ready>()];
    // The one that lasts longest comes last, and takes the name.
    for (const { id, names: covered, notAfter, createdAt } of listCertificates(db).toReversed()) {
      try {
        const { chain, key } = openCertificate(db, { id, keys });
        const context = createSecureContext({ ...posture, cert: chain, key });
        for (const name of covered) {
          const [map, at] = name.startsWith("*.") ? [parents, name.slice(2)] : [names, name];
          map.set(at, { context, notAfter, since: Math.min(createdAt, map.get(at)?.since ?? createdAt) });
        }
      } catch (error) {
        log.error("certificate.unusable", { certificateId: id, error });
      }
    }
    exact = names;
    wild = parents;
  };
  reload();
  /** Whichever lasts longer: one for the name itself, or one for all names of its domain. */
  const find = (name: string) => {
    const [own, shared] = [exact.get(name), wild.get(name.slice(name.indexOf(".") + 1))];
    return own && shared ? (own.notAfter >= shared.notAfter ? own : shared) : (own ?? shared);
  };
  return {
    find: (name) => find(name)?.context,
    servedSince: (name) => find(name)?.since,
    isValid: (name, now) => now < (find(name)?.notAfter ?? 0),
    reload,
  };
}
