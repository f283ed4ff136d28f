/**
 * How a house comes to be, in an order that a crash can't spoil: the key, then the keyring that it opens, then the
 * database with page, host and owner in one transaction. Each step takes what the one before left, so that a founding
 * that was cut short is finished by the next; nothing that exists is ever written over.
 */
import { existsSync, mkdirSync, realpathSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { eq } from "drizzle-orm";
import type { Actor } from "./audit/audit.ts";
import { type BootOptions, definitionOf } from "./config.ts";
import { createKeyFile, createKeyring, readKeyFile } from "./crypto/keyring.ts";
import type { Db } from "./db.ts";
import type { Deps } from "./deps.ts";
import { isDiskFull, UserError } from "./errors.ts";
import { requireAddress } from "./mail/address.ts";
import { giveToOwner } from "./ownership.ts";
import { addHost, createPage, listHosts, type Page, requireOrigin, requireTimeZone } from "./pages/pages.ts";
import { hosts } from "./schema.ts";
import { createMember, type Member } from "./team/members.ts";
import { requireText } from "./text.ts";

export type Founding = {
  pageName: string;
  host: string;
  owner: string;
  smtpUrl: string;
  timeZone: string;
  /** Empty: no authority's terms are agreed to. */
  acmeContact: string;
};

/** What each answer must be, for asking one at a time. @throws UserError */
export const foundingRules: Record<keyof Founding, (text: string) => void> = {
  pageName: (text) => void requireText(text, { field: "page_name", what: "a name for the page", most: 100 }),
  host: (text) => void requireOrigin(text),
  owner: (text) => void requireAddress(text, "owner"),
  smtpUrl: (text) => {
    const wrong = definitionOf("mail.smtp_url").check?.(text);
    if (wrong) throw new UserError("invalid", wrong, { field: "smtp" });
  },
  timeZone: (text) => void requireTimeZone(text),
  acmeContact: (text) => void (text === "" || requireAddress(text, "acme_contact")),
};

export function requireFounding(input: Founding): void {
  for (const [name, rule] of Object.entries(foundingRules)) rule(input[name as keyof Founding]);
}

/** Whether there is anything that a new key would make unreadable. */
export function isFounded(data: string): boolean {
  return existsSync(join(data, "keyring.json")) || existsSync(join(data, "candor.db"));
}

/**
 * Makes what is missing of key and keyring, and the folder, for its owner alone.
 *
 * @returns the key, for the recovery kit
 * @throws UserError for a key inside the folder, a missing key of a keyring that is there, or a place that can't be written
 */
export function prepareKeys(input: BootOptions & { now: number }): Buffer {
  const { data, keyFile, guarded } = input;
  refuseKeyInside(input);
  if (isFounded(data)) return readKeyFile(keyFile, guarded);
  writing(data, "Name another folder with --data.", () => mkdirSync(data, { recursive: true, mode: 0o700 }));
  const kek = existsSync(keyFile)
    ? readKeyFile(keyFile, guarded)
    : writing(keyFile, keyAdvice, () => createKeyFile(keyFile));
  const keyring = join(data, "keyring.json");
  writing(data, "Name another folder with --data.", () => createKeyring(keyring, kek, input.now));
  giveToOwner(data, keyring);
  return kek;
}

/** Where secrets are mounted, nobody but the one who mounts them can make one. */
const keyAdvice =
  "Name another place with --key-file, or put a key there beforehand: 64 hex digits, as openssl rand -hex 32 prints.";

/** Whoever copies the data folder must not get its key with it. */
export function refuseKeyInside(input: Pick<BootOptions, "data" | "keyFile">): void {
  const way = relative(realPath(input.data), realPath(input.keyFile));
  const outside = way === ".." || way.startsWith(`..${sep}`) || resolve(way) === way;
  if (outside) return;
  throw new UserError(
    "invalid",
    `The key must lie outside the data folder, or whoever copies the folder has both. Name another place with --key-file, like ${resolve(input.data)}.key.`,
    { field: "key_file" },
  );
}

/** Page, host, owner, mail server and the authority's contact, or nothing. */
export function foundHouse(deps: Deps, input: Founding & { now: number; by: Actor }): { page: Page; owner: Member } {
  return deps.db.transaction(
    (tx) => {
      // The rules' own transactions are savepoints inside this one.
      const stage = tx as unknown as Db;
      const { now, by } = input;
      const page = createPage(stage, { name: input.pageName, timeZone: input.timeZone, now, by });
      addHost(stage, { pageId: page.id, host: input.host, now, by });
      const owner = createMember(stage, { address: input.owner, roles: ["owner"], keys: deps.keys, now, by });
      // The same connection, so this commits or fails with the rest.
      if (input.smtpUrl !== "") deps.config.set("mail.smtp_url", input.smtpUrl, now);
      if (input.acmeContact !== "") deps.config.set("acme.contact", input.acmeContact, now);
      return { page, owner };
    },
    { behavior: "immediate" },
  );
}

/** Links to this very machine follow the port that is listened on; every other host is left as it is. */
export function followPort(db: Db, port: number): void {
  for (const host of listHosts(db)) {
    const url = new URL(host.origin);
    if (url.protocol !== "http:" || !["127.0.0.1", "localhost", "[::1]"].includes(host.name)) continue;
    url.port = String(port);
    if (url.origin !== host.origin) db.update(hosts).set({ origin: url.origin }).where(eq(hosts.name, host.name)).run();
  }
}

/** Of a path that needn't exist yet: links are followed as far as there is something. */
function realPath(path: string): string {
  const whole = resolve(path);
  if (existsSync(whole)) return realpathSync(whole);
  const folder = dirname(whole);
  return folder === whole ? whole : join(realPath(folder), basename(whole));
}

function writing<Result>(path: string, advice: string, write: () => Result): Result {
  try {
    return write();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!code || error instanceof UserError) throw error;
    if (isDiskFull(error))
      throw new UserError("invalid", `The disk that holds ${path} is full. Make room and run this again.`);
    throw new UserError("invalid", `${path} can't be made (${code}). ${advice}`);
  }
}
