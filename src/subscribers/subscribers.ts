/**
 * Subscribers: people who asked to be told. What the room promises:
 * - nobody is active without having confirmed by a click on a page (or an operator or token vouching for them);
 * - asking twice, or for an address that is known, paused or has left, looks the same to the asker;
 * - an address is sent one confirmation a day and three in ninety days, whoever asks, and one that is active as many links;
 * - whoever leaves is forgotten: the address goes, only its blind index stays.
 */
import { randomBytes } from "node:crypto";
import { and, asc, desc, eq, gt, inArray, isNotNull, lt, sql } from "drizzle-orm";
import { type Actor, recordDeed } from "../audit/audit.ts";
import { blindIndex, seal, unseal } from "../crypto/fields.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db, Tx } from "../db.ts";
import { UserError } from "../errors.ts";
import { newId } from "../ids.ts";
import { canonicalAddress, requireAddress } from "../mail/address.ts";
import {
  confirmationCounts,
  deliveries,
  keptLetters,
  type SubscriberState,
  subscriberComponents,
  subscribers,
} from "../schema.ts";
import { confirmationMemoryMs, confirmationsSpent, mayConfirm, queueConfirmation } from "./confirmations.ts";
import { byId, confirmationLifeMs, findByConfirmation } from "./links.ts";
import { chooseComponents, requireWish, type Wish } from "./wishes.ts";

export type Subscriber = typeof subscribers.$inferSelect;

export const consentSentence =
  "Mail me about incidents and maintenance on this page. I can leave at any time with one click.";

/**
 * A visitor asks to subscribe. Answers nothing, because the answer must not depend on whether the address is known.
 * Queues a confirmation letter, or one that says that the address is active already, unless it has had its share of letters.
 *
 * @throws UserError for an address, component or choice that can't be
 */
export function requestSubscription(
  db: Db,
  input: { pageId: string; address: string; wish: Wish; keys: Keys; now: number },
): void {
  const address = requireAddress(input.address);
  requireWish(db, input.pageId, input.wish);
  db.transaction((tx) => {
    const addressIndex = indexAddress(input.keys, address);
    const known = byIndex(tx, input.pageId, addressIndex);
    if (known && ["active", "paused"].includes(known.state)) {
      subscribeNobody(tx, { ...input, address });
      // Their links stand in their letters only, and may be lost.
      if (known.state === "active" && mayConfirm(tx, { ...input, addressIndex }))
        queueConfirmation(tx, { pageId: input.pageId, seq: known.seq, now: input.now });
      return;
    }
    if (!mayConfirm(tx, { ...input, addressIndex })) {
      subscribeNobody(tx, { ...input, address });
      // The letter that is out confirms what was asked for last; its page says what that is.
      if (known?.state !== "unconfirmed") return;
      tx.update(subscribers).set({ wholePage: input.wish.wholePage }).where(eq(subscribers.seq, known.seq)).run();
      return chooseComponents(tx, known.seq, input.wish);
    }
    const seq = known
      ? reopen(tx, known, { ...input, address })
      : insertSubscriber(tx, { ...input, address, addressIndex, state: "unconfirmed", source: "form" });
    tx.update(subscribers).set({ confirmationSentAt: input.now }).where(eq(subscribers.seq, seq)).run();
    queueConfirmation(tx, { pageId: input.pageId, seq, now: input.now });
  });
}

/**
 * A member, token or the operator adds somebody. With `confirm: "vouched"` they are active at once (an import of people
 * who agreed elsewhere); otherwise they get a confirmation letter as anybody does.
 *
 * @throws UserError conflict when the address is subscribed already; too_many when it had its share of confirmations
 */
export function addSubscriber(
  db: Db,
  input: {
    pageId: string;
    address: string;
    wish: Wish;
    confirm: "by letter" | "vouched";
    source: "api" | "cli" | "example" | "admin";
    keys: Keys;
    now: number;
    by: Actor;
  },
): Subscriber {
  const address = requireAddress(input.address);
  requireWish(db, input.pageId, input.wish);
  return db.transaction((tx) => {
    const addressIndex = indexAddress(input.keys, address);
    const known = byIndex(tx, input.pageId, addressIndex);
    if (known && known.state !== "unsubscribed") {
      throw new UserError("conflict", "This address is subscribed to the page already.", { field: "email" });
    }
    const seq = known
      ? reopen(tx, known, { ...input, address })
      : insertSubscriber(tx, { ...input, address, addressIndex, state: "unconfirmed", source: input.source });
    if (input.confirm === "vouched") {
      tx.update(subscribers)
        .set({ state: "active", confirmedAt: input.now, source: input.source })
        .where(eq(subscribers.seq, seq))
        .run();
    } else {
      if (!mayConfirm(tx, { ...input, addressIndex }))
        throw new UserError("too_many", confirmationsSpent, { field: "email" });
      tx.update(subscribers).set({ confirmationSentAt: input.now }).where(eq(subscribers.seq, seq)).run();
      queueConfirmation(tx, { pageId: input.pageId, seq, now: input.now });
    }
    const subscriber = bySeq(tx, seq) as Subscriber;
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "subscriber.add", subject: subscriber.id });
    return subscriber;
  });
}

/** Confirming twice is confirming once. */
export function confirmSubscriber(
  db: Db,
  input: { pageId: string; token: string; keys: Keys; now: number },
): Subscriber {
  return db.transaction((tx) => {
    const subscriber = findByConfirmation(tx, input);
    if (subscriber.state !== "unconfirmed" && subscriber.state !== "quarantined") return subscriber;
    const change = { state: "active" as const, confirmedAt: input.now, quarantinedAt: null };
    tx.update(subscribers).set(change).where(eq(subscribers.seq, subscriber.seq)).run();
    tx.delete(confirmationCounts)
      .where(
        and(eq(confirmationCounts.pageId, input.pageId), eq(confirmationCounts.addressIndex, subscriber.addressIndex)),
      )
      .run();
    const by: Actor = { kind: "subscriber", id: subscriber.id };
    recordDeed(tx, by, input.now, { pageId: input.pageId, action: "subscriber.confirm", subject: subscriber.id });
    return { ...subscriber, ...change };
  });
}

/** Leaving is at once and for good: the address is erased and queued letters go to nobody. Leaving twice is leaving once. */
export function unsubscribe(db: Db | Tx, input: { subscriber: Subscriber; now: number; by: Actor }): void {
  const { subscriber } = input;
  if (subscriber.state === "unsubscribed") return;
  db.transaction((tx) => {
    tx.update(subscribers)
      .set({ state: "unsubscribed", address: null, unsubscribedAt: input.now })
      .where(eq(subscribers.seq, subscriber.seq))
      .run();
    tx.delete(subscriberComponents).where(eq(subscriberComponents.subscriberSeq, subscriber.seq)).run();
    tx.update(deliveries)
      .set({ state: "suppressed" })
      .where(
        and(eq(deliveries.subscriberSeq, subscriber.seq), inArray(deliveries.state, ["queued", "deferred", "held"])),
      )
      .run();
    // Letters and mail servers' answers name the address too.
    const theirs = eq(deliveries.subscriberSeq, subscriber.seq);
    tx.update(deliveries).set({ reply: null }).where(theirs).run();
    tx.delete(keptLetters)
      .where(inArray(keptLetters.deliveryId, tx.select({ id: deliveries.id }).from(deliveries).where(theirs)))
      .run();
    recordDeed(tx, input.by, input.now, {
      pageId: subscriber.pageId,
      action: "subscriber.leave",
      subject: subscriber.id,
    });
  });
}

/** Mail to the address is refused for good: no more letters until somebody subscribes it again. */
export function quarantineSubscriber(db: Db, input: { seq: number; now: number }): void {
  db.transaction((tx) => {
    const subscriber = bySeq(tx, input.seq);
    if (!subscriber || !["active", "unconfirmed", "paused"].includes(subscriber.state)) return;
    tx.update(subscribers)
      .set({ state: "quarantined", quarantinedAt: input.now })
      .where(eq(subscribers.seq, input.seq))
      .run();
    recordDeed(tx, { kind: "system" }, input.now, {
      pageId: subscriber.pageId,
      action: "subscriber.quarantine",
      subject: subscriber.id,
    });
  });
}

export function reactivateSubscriber(db: Db | Tx, input: { subscriber: Subscriber; now: number; by: Actor }): void {
  if (input.subscriber.state !== "quarantined") {
    throw new UserError("conflict", "Only a quarantined subscriber can be reactivated.");
  }
  db.transaction((tx) => {
    const state = input.subscriber.confirmedAt ? "active" : "unconfirmed";
    tx.update(subscribers).set({ state, quarantinedAt: null }).where(eq(subscribers.seq, input.subscriber.seq)).run();
    const { pageId, id } = input.subscriber;
    recordDeed(tx, input.by, input.now, { pageId, action: "subscriber.reactivate", subject: id });
  });
}

/** Sends the confirmation letter again, within the same bounds. */
export function resendConfirmation(
  db: Db | Tx,
  input: { subscriber: Subscriber; keys: Keys; now: number; by: Actor },
): void {
  const { subscriber } = input;
  if (subscriber.state !== "unconfirmed") throw new UserError("conflict", "This subscriber has confirmed already.");
  db.transaction((tx) => {
    if (!mayConfirm(tx, { pageId: subscriber.pageId, addressIndex: subscriber.addressIndex, now: input.now })) {
      throw new UserError("too_many", confirmationsSpent);
    }
    tx.update(subscribers).set({ confirmationSentAt: input.now }).where(eq(subscribers.seq, subscriber.seq)).run();
    queueConfirmation(tx, { pageId: subscriber.pageId, seq: subscriber.seq, now: input.now });
    recordDeed(tx, input.by, input.now, {
      pageId: subscriber.pageId,
      action: "subscriber.resend",
      subject: subscriber.id,
    });
  });
}

export function findSubscriber(db: Db | Tx, input: { pageId: string; id: string }): Subscriber {
  const subscriber = byId(db, input.pageId, input.id);
  if (!subscriber) throw new UserError("not_found", `This page has no subscriber ${JSON.stringify(input.id)}.`);
  return subscriber;
}

export function findByAddress(
  db: Db | Tx,
  input: { pageId: string; address: string; keys: Keys },
): Subscriber | undefined {
  return byIndex(db, input.pageId, indexAddress(input.keys, requireAddress(input.address)));
}

/** In the order they came, or were quarantined; `after` is the number of the last one seen. */
export function listSubscribers(
  db: Db | Tx,
  input: {
    pageId: string;
    states: SubscriberState[];
    after?: number;
    by?: "arrival" | "quarantine";
    newestFirst?: boolean;
    limit: number;
    offset?: number;
  },
): Subscriber[] {
  const direction = input.newestFirst ? desc : asc;
  const order = [direction(subscribers.seq)];
  if (input.by === "quarantine") order.unshift(direction(subscribers.quarantinedAt));
  return db
    .select()
    .from(subscribers)
    .where(
      and(
        eq(subscribers.pageId, input.pageId),
        inArray(subscribers.state, input.states),
        gt(subscribers.seq, input.after ?? 0),
      ),
    )
    .orderBy(...order)
    .limit(input.limit)
    .offset(input.offset ?? 0)
    .all();
}

export function countSubscribers(db: Db | Tx, pageId: string): Record<SubscriberState, number> {
  const counts = { unconfirmed: 0, active: 0, paused: 0, quarantined: 0, unsubscribed: 0 };
  const rows = db
    .select({ state: subscribers.state, count: sql<number>`count(*)` })
    .from(subscribers)
    .where(eq(subscribers.pageId, pageId))
    .groupBy(subscribers.state)
    .all();
  for (const row of rows) counts[row.state] = row.count;
  return counts;
}

export function addressOf(keys: Keys, subscriber: Subscriber): string | undefined {
  return subscriber.address
    ? unseal(keys, { column: "subscribers.address", row: subscriber.id }, subscriber.address)
    : undefined;
}

export function bySeq(db: Db | Tx, seq: number): Subscriber | undefined {
  return db.select().from(subscribers).where(eq(subscribers.seq, seq)).get();
}

/** Who never confirmed goes after 48 hours; counts of letters are kept for ninety days. */
export function forgetUnconfirmed(db: Db, input: { now: number }): number {
  const stale = lt(subscribers.confirmationSentAt, input.now - confirmationLifeMs);
  const never = and(eq(subscribers.state, "unconfirmed"), isNotNull(subscribers.confirmationSentAt), stale);
  db.delete(confirmationCounts)
    .where(lt(confirmationCounts.lastSentAt, input.now - confirmationMemoryMs))
    .run();
  return db.delete(subscribers).where(never).run().changes;
}

function insertSubscriber(
  tx: Tx,
  input: {
    pageId: string;
    address: string;
    addressIndex: Buffer;
    wish: Wish;
    state: SubscriberState;
    source: Subscriber["source"];
    keys: Keys;
    now: number;
  },
): number {
  const id = newId();
  const { seq } = tx
    .insert(subscribers)
    .values({
      id,
      pageId: input.pageId,
      channel: "email",
      address: seal(input.keys, { column: "subscribers.address", row: id }, input.address),
      addressIndex: input.addressIndex,
      state: input.state,
      wholePage: input.wish.wholePage,
      source: input.source,
      consent: consentSentence,
      createdAt: input.now,
    })
    .returning({ seq: subscribers.seq })
    .get();
  chooseComponents(tx, seq, input.wish);
  return seq;
}

/** What is asked for in vain is done and taken back, because an answer that comes sooner would tell that it was in vain. */
function subscribeNobody(
  tx: Tx,
  input: { pageId: string; address: string; wish: Wish; keys: Keys; now: number },
): void {
  const addressIndex = randomBytes(32);
  mayConfirm(tx, { ...input, addressIndex });
  const seq = insertSubscriber(tx, { ...input, addressIndex, state: "unconfirmed", source: "form" });
  queueConfirmation(tx, { pageId: input.pageId, seq, now: input.now });
  // The letter goes with its subscriber.
  tx.delete(subscribers).where(eq(subscribers.seq, seq)).run();
  const counted = and(eq(confirmationCounts.pageId, input.pageId), eq(confirmationCounts.addressIndex, addressIndex));
  tx.delete(confirmationCounts).where(counted).run();
}

/** Somebody who left, bounced or never confirmed asks again: the same row, the new wish, to be confirmed anew. */
function reopen(tx: Tx, known: Subscriber, input: { address: string; wish: Wish; keys: Keys; now: number }): number {
  tx.update(subscribers)
    .set({
      state: known.state === "quarantined" ? "quarantined" : "unconfirmed",
      address: seal(input.keys, { column: "subscribers.address", row: known.id }, input.address),
      wholePage: input.wish.wholePage,
      consent: consentSentence,
      confirmedAt: null,
      unsubscribedAt: null,
    })
    .where(eq(subscribers.seq, known.seq))
    .run();
  chooseComponents(tx, known.seq, input.wish);
  return known.seq;
}

function indexAddress(keys: Keys, address: string): Buffer {
  return blindIndex(keys, "subscriber.email", canonicalAddress(address));
}

function byIndex(db: Db | Tx, pageId: string, addressIndex: Buffer): Subscriber | undefined {
  return db
    .select()
    .from(subscribers)
    .where(
      and(eq(subscribers.pageId, pageId), eq(subscribers.channel, "email"), eq(subscribers.addressIndex, addressIndex)),
    )
    .get();
}
