/** The links in letters: they carry a MAC of the subscriber's id, so no secret of theirs is stored. */
import { and, eq } from "drizzle-orm";
import { isLinkMac, linkMac } from "../crypto/fields.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db, Tx } from "../db.ts";
import { UserError } from "../errors.ts";
import { subscribers } from "../schema.ts";
import type { Subscriber } from "./subscribers.ts";

export const confirmationLifeMs = 48 * 3_600_000;

/** The link in a confirmation letter ends in this; it holds for 48 hours and for this request alone. */
export function confirmationToken(keys: Keys, subscriber: Subscriber): string {
  return `${subscriber.id}.${linkMac(keys, "confirm", `${subscriber.id}|${subscriber.confirmationSentAt}`)}`;
}

/** The links in every letter end in this; it holds as long as the subscription does. */
export function manageToken(keys: Keys, subscriberId: string): string {
  return `${subscriberId}.${linkMac(keys, "manage", subscriberId)}`;
}

/** @throws UserError not_found for a link that is forged, spent or too old */
export function findByConfirmation(
  db: Db | Tx,
  input: { pageId: string; token: string; keys: Keys; now: number },
): Subscriber {
  const stale = new UserError("not_found", "This link is no longer valid. Subscribe again to get a new one.");
  const { id, mac } = partsOf(input.token);
  const subscriber = byId(db, input.pageId, id);
  const sentAt = subscriber?.confirmationSentAt;
  if (!subscriber || sentAt == null || !isLinkMac(input.keys, "confirm", `${id}|${sentAt}`, mac)) throw stale;
  if (subscriber.state === "unsubscribed" || input.now - sentAt > confirmationLifeMs) throw stale;
  return subscriber;
}

/** @throws UserError not_found for a link that is forged or whose subscription has ended long ago */
export function findByManageLink(db: Db | Tx, input: { pageId: string; token: string; keys: Keys }): Subscriber {
  const { id, mac } = partsOf(input.token);
  const subscriber = byId(db, input.pageId, id);
  if (!subscriber || !isLinkMac(input.keys, "manage", id, mac)) {
    throw new UserError("not_found", "This link isn't valid. Use the one at the foot of your latest letter.");
  }
  return subscriber;
}

/** All that follows the first dot is the MAC, so that nothing can be hung on a link that is put into an address again. */
function partsOf(token: string): { id: string; mac: string } {
  const dot = token.indexOf(".");
  return { id: token.slice(0, Math.max(0, dot)), mac: token.slice(dot + 1) };
}

export function byId(db: Db | Tx, pageId: string, id: string): Subscriber | undefined {
  return db
    .select()
    .from(subscribers)
    .where(and(eq(subscribers.id, id), eq(subscribers.pageId, pageId)))
    .get();
}
