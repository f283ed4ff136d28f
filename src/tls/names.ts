/** Which names a certificate is wanted for: the https hosts of the table, each alone or under a wildcard. */
import { eq } from "drizzle-orm";
import type { Db, Tx } from "../db.ts";
import { certificateName, isDnsName, isWildcard } from "../host-names.ts";
import { hosts } from "../schema.ts";
import { isPublicName } from "./suffixes.ts";

/**
 * @param wildcards domains whose direct hosts share one certificate, like example.com for *.example.com
 * @param isPublic the authority is one of the public ones, which certify nothing but names of the public DNS
 * @param dnsHook without it no authority certifies a wildcard
 */
export function wantedNames(
  db: Db | Tx,
  wish: { wildcards: string[]; isPublic: boolean; dnsHook: unknown },
): Set<string> {
  const names = db
    .select()
    .from(hosts)
    .all()
    .filter((host) => host.origin.startsWith("https:") && isDnsName(host.name))
    .filter((host) => !wish.isPublic || isPublicName(host.name))
    .map((host) => certificateName(host.name, wish.wildcards))
    .filter((name) => wish.dnsHook !== undefined || !isWildcard(name));
  return new Set(names);
}

export function isSecureHost(db: Db | Tx, host: string): boolean {
  const origins = db.select().from(hosts).where(eq(hosts.name, host)).all();
  return origins.some(({ origin }) => origin.startsWith("https:"));
}
