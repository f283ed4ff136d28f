/** What a subscriber wants to hear of: the whole page, or the parts of it that they chose, at least one. */
import { eq } from "drizzle-orm";
import { type Actor, recordDeed } from "../audit/audit.ts";
import { requireComponent } from "../components/components.ts";
import type { Db, Tx } from "../db.ts";
import { UserError } from "../errors.ts";
import { subscriberComponents, subscribers } from "../schema.ts";
import type { Subscriber } from "./subscribers.ts";

/** What one asks for: everything, or some components. */
export type Wish = { wholePage: boolean; componentIds: string[] };

/** @throws UserError for a choice that can't be, and where they have left */
export function changeWish(db: Db, input: { subscriber: Subscriber; wish: Wish; now: number; by: Actor }): void {
  const { subscriber, wish } = input;
  requireWish(db, subscriber.pageId, wish);
  if (subscriber.state === "unsubscribed")
    throw new UserError("conflict", "You have left this page. Subscribe again to be told.");
  db.transaction((tx) => {
    tx.update(subscribers).set({ wholePage: wish.wholePage }).where(eq(subscribers.seq, subscriber.seq)).run();
    chooseComponents(tx, subscriber.seq, wish);
    recordDeed(tx, input.by, input.now, {
      pageId: subscriber.pageId,
      action: "subscriber.change",
      subject: subscriber.id,
    });
  });
}

export function wishOf(db: Db | Tx, subscriber: Subscriber): Wish {
  const rows = db
    .select({ id: subscriberComponents.componentId })
    .from(subscriberComponents)
    .where(eq(subscriberComponents.subscriberSeq, subscriber.seq))
    .all();
  return { wholePage: subscriber.wholePage, componentIds: rows.map((row) => row.id) };
}

/** @throws UserError when nothing is chosen, or something that the page hasn't */
export function requireWish(db: Db | Tx, pageId: string, wish: Wish): void {
  for (const id of wish.componentIds) requireComponent(db, { pageId, id });
  if (!wish.wholePage && wish.componentIds.length === 0) {
    throw new UserError("invalid", "Choose the whole page or at least one part of it.", { field: "components" });
  }
}

/** The parts that were chosen before are forgotten. */
export function chooseComponents(tx: Tx, seq: number, wish: Wish): void {
  tx.delete(subscriberComponents).where(eq(subscriberComponents.subscriberSeq, seq)).run();
  if (wish.wholePage) return;
  const rows = [...new Set(wish.componentIds)].map((componentId) => ({ subscriberSeq: seq, componentId }));
  tx.insert(subscriberComponents).values(rows).run();
}
