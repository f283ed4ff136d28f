/** Our accounts with authorities. The key is made and kept before an authority hears of it, so none is ever lost. */
import { generateKeyPair, generateKeyPairSync, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { eq } from "drizzle-orm";
import { seal, unseal } from "../crypto/fields.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db } from "../db.ts";
import { acmeAccounts } from "../schema.ts";

export type KnownAccount = { privateKey: string; url: string | undefined; contact: string; registeredAt: number[] };

const column = "acme_accounts.private_key";
const contactColumn = "acme_accounts.contact";
const generate = promisify(generateKeyPair);

/** Let's Encrypt takes 10 in 3 hours from one address. */
const mostRegistrations = 8;
const registrationsMs = 3 * 3_600_000;

export async function accountFor(db: Db, input: { directory: string; keys: Keys; now: number }): Promise<KnownAccount> {
  const { directory, keys, now } = input;
  const row = db.select().from(acmeAccounts).where(eq(acmeAccounts.directory, directory)).get();
  if (row)
    return {
      privateKey: unseal(keys, { column, row: directory }, row.privateKey),
      url: row.url ?? undefined,
      contact: row.contact ? unseal(keys, { column: contactColumn, row: directory }, row.contact) : "",
      registeredAt: row.registeredAt,
    };
  const privateKey = await makeKey("ecdsa");
  const sealed = seal(keys, { column, row: directory }, privateKey);
  db.insert(acmeAccounts)
    .values({ directory, privateKey: sealed, registeredAt: [], createdAt: now })
    .onConflictDoNothing()
    .run();
  return accountFor(db, input); // Somebody else may have been quicker.
}

/** Undefined until it is registered. */
export function accountUrl(db: Db, directory: string): string | undefined {
  const row = db
    .select({ url: acmeAccounts.url })
    .from(acmeAccounts)
    .where(eq(acmeAccounts.directory, directory))
    .get();
  return row?.url ?? undefined;
}

/** @returns when one more registration is within the authority's limits. In the past: now. */
export function mayRegisterAt(account: KnownAccount, now: number): number {
  const recent = account.registeredAt.filter((at) => Math.abs(now - at) < registrationsMs);
  return recent.length < mostRegistrations ? now : (recent[0] ?? now) + registrationsMs;
}

export function noteRegistering(db: Db, input: { directory: string; account: KnownAccount; now: number }): void {
  const registeredAt = [...input.account.registeredAt.slice(-mostRegistrations), input.now];
  db.update(acmeAccounts).set({ registeredAt }).where(eq(acmeAccounts.directory, input.directory)).run();
}

export function noteRegistered(db: Db, input: { directory: string; url: string; contact: string; keys: Keys }): void {
  const { directory, url } = input;
  const contact = seal(input.keys, { column: contactColumn, row: directory }, input.contact);
  db.update(acmeAccounts).set({ url, contact }).where(eq(acmeAccounts.directory, directory)).run();
}

/** The authority doesn't know it any more; the key stays. */
export function forgetRegistration(db: Db, directory: string): void {
  db.update(acmeAccounts).set({ url: null }).where(eq(acmeAccounts.directory, directory)).run();
}

/** The authority has closed it, and knows it by its key: the next one has another. */
export function replaceAccount(db: Db, input: { directory: string; keys: Keys }): void {
  const { directory, keys } = input;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const sealed = seal(keys, { column, row: directory }, exported(privateKey));
  db.update(acmeAccounts).set({ url: null, privateKey: sealed }).where(eq(acmeAccounts.directory, directory)).run();
}

/** PKCS #8 in PEM: ECDSA on P-256, or RSA with 2048 bits. */
export async function makeKey(kind: "ecdsa" | "rsa"): Promise<string> {
  const { privateKey } =
    kind === "rsa"
      ? await generate("rsa", { modulusLength: 2048 })
      : await generate("ec", { namedCurve: "prime256v1" });
  return exported(privateKey);
}

function exported(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }) as string;
}
