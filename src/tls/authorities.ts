/** The authorities that are spoken to, each with our account there: made once, however many names wait for it. */
import type { Clock } from "../clock.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db } from "../db.ts";
import type { Log } from "../log.ts";
import {
  accountFor,
  forgetRegistration,
  mayRegisterAt,
  noteRegistered,
  noteRegistering,
  replaceAccount,
} from "./accounts.ts";
import { type Authority, AuthorityProblem, type Description, isAboutAccount, openAuthority } from "./authority.ts";
import type { Wishes } from "./wishes.ts";

export type Authorities = {
  /** @throws AuthorityProblem or AuthorityUnreachable */
  open(directory: string): Promise<OpenAuthority>;
  /** It doesn't know our account any more, or something else that we were told. */
  forget(directory: string, input: { account: boolean }): void;
  /** It has closed the account under which `closed` was opened. Heard of it again, because several orders were under way: nothing. */
  replaceAccount(directory: string, closed: OpenAuthority): void;
};
/** `account`: ours, by its URL. */
export type OpenAuthority = { authority: Authority; description: Description; account: string };
export type Reach = typeof openAuthority;

/** What an authority says of itself is asked again after a day. */
const freshMs = 24 * 3_600_000;

export function createAuthorities(input: {
  db: Db;
  keys: Keys;
  clock: Clock;
  log: Log;
  wishes: () => Wishes;
  reach: Reach | undefined;
}): Authorities {
  const { db, keys, clock, log, wishes, reach = openAuthority } = input;
  /** By directory. `as`: the wishes with which it was opened. */
  const opened = new Map<string, { opening: Promise<OpenAuthority>; at: number; as: string }>();
  const replaced = new WeakSet<OpenAuthority>();

  const register = async (directory: string): Promise<OpenAuthority> => {
    const { authorities, caFiles, contact } = wishes();
    const binding = authorities.find((known) => known.directory === directory)?.binding;
    const now = clock.now();
    const account = await accountFor(db, { directory, keys, now });
    const { privateKey, url } = account;
    const authority = await reach({ directory, privateKey, url, binding }, caFiles);
    const description = await authority.describe();
    if (url !== undefined) {
      if (account.contact !== contact) await tellContact(directory, authority, url);
      return { authority, description, account: url };
    }
    if (description.needsBinding && !binding)
      throw new AuthorityProblem(
        { type: "externalAccountRequired", detail: "It takes only accounts that it has given a key for." },
        400,
      );
    const at = mayRegisterAt(account, now);
    if (at > now)
      throw new AuthorityProblem({ type: "accountLimit", detail: "" }, 0, String(Math.ceil((at - now) / 1000)));
    noteRegistering(db, { directory, account, now });
    const made = await authority.register({ contact }).catch(async (error: unknown) => {
      // An account of this key may have been closed, and be known to it alone: the next attempt has another key.
      // With an external account it means that one, which can't be had twice.
      const isClosed = error instanceof AuthorityProblem && isAboutAccount(error) && !binding;
      const known = isClosed && (await accountFor(db, { directory, keys, now }));
      if (known && known.url === undefined && known.privateKey === privateKey) replaceAccount(db, { directory, keys });
      throw error;
    });
    noteRegistered(db, { directory, url: made, contact, keys });
    log.info("certificate.account_made", { directory, terms: description.termsUrl });
    return { authority, description, account: made };
  };

  /** An address that it doesn't take keeps nobody from ordering. It is told again when the authority is next opened. */
  const tellContact = async (directory: string, authority: Authority, url: string): Promise<void> => {
    const { contact } = wishes();
    try {
      await authority.changeContact({ contact });
      noteRegistered(db, { directory, url, contact, keys });
    } catch (error) {
      log.warn("certificate.contact_refused", { directory, error });
    }
  };

  return {
    open: (directory) => {
      const { contact, caFiles, authorities } = wishes();
      const as = JSON.stringify([contact, caFiles, authorities]);
      const known = opened.get(directory);
      if (known?.as === as && Math.abs(clock.now() - known.at) < freshMs) return known.opening;
      const opening = register(directory);
      opened.set(directory, { opening, at: clock.now(), as });
      opening.catch(() => {
        if (opened.get(directory)?.opening === opening) opened.delete(directory);
      });
      return opening;
    },
    forget: (directory, { account }) => {
      if (account) forgetRegistration(db, directory);
      opened.delete(directory);
    },
    replaceAccount: (directory, closed) => {
      if (replaced.has(closed)) return;
      replaced.add(closed);
      replaceAccount(db, { directory, keys });
      opened.delete(directory);
    },
  };
}
