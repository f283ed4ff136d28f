/** The ledger: what became of each letter, for the team's eyes, and what a person may still change about it. */
import { and, desc, eq, inArray, lt } from "drizzle-orm";
import { seal, unseal } from "../crypto/fields.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db, Tx } from "../db.ts";
import { UserError } from "../errors.ts";
import { type DeliveryState, deliveries, keptLetters } from "../schema.ts";
import { deliveryAddress } from "./queue.ts";

const brief = {
  id: deliveries.id,
  pageId: deliveries.pageId,
  kind: deliveries.kind,
  announcementId: deliveries.announcementId,
  subscriberSeq: deliveries.subscriberSeq,
  state: deliveries.state,
  attempts: deliveries.attempts,
  nextAttemptAt: deliveries.nextAttemptAt,
  sentAt: deliveries.sentAt,
  createdAt: deliveries.createdAt,
};

export type DeliveryBrief = {
  [Column in keyof typeof brief]: (typeof deliveries.$inferSelect)[Column];
};
/** `reply` is the server's last words, or why the letter wasn't sent; `address` is told of a test letter only. */
export type DeliveryDetail = DeliveryBrief & { reply: string | undefined; address: string | undefined };

/** Newest first; `before` is the last id of the slice before. */
export function listDeliveries(
  db: Db,
  input: {
    pageId: string;
    state?: DeliveryState | undefined;
    announcementId?: number | undefined;
    before?: number | undefined;
    limit: number;
  },
): DeliveryBrief[] {
  return db
    .select(brief)
    .from(deliveries)
    .where(
      and(
        eq(deliveries.pageId, input.pageId),
        input.state === undefined ? undefined : eq(deliveries.state, input.state),
        input.announcementId === undefined ? undefined : eq(deliveries.announcementId, input.announcementId),
        input.before === undefined ? undefined : lt(deliveries.id, input.before),
      ),
    )
    .orderBy(desc(deliveries.id))
    .limit(input.limit)
    .all();
}

/** @throws UserError not_found */
export function showDelivery(db: Db, input: { keys: Keys; pageId: string; id: number }): DeliveryDetail {
  const { address, reply, ...row } = requireDelivery(db, input);
  return {
    ...pickBrief(row),
    reply: reply ? unseal(input.keys, { column: "deliveries.reply", row: row.id }, reply) : undefined,
    address: deliveryAddress(input.keys, { id: row.id, address }),
  };
}

/** What still waits, by state. */
export type QueueCount = { queued: number; leased: number; deferred: number; held: number };

export function countQueue(db: Db, pageId?: string): QueueCount {
  const count = { queued: 0, leased: 0, deferred: 0, held: 0 };
  const rows = db.$client
    .prepare(
      `SELECT state, count(*) FROM deliveries WHERE state IN ('queued', 'leased', 'deferred', 'held')
       ${pageId === undefined ? "" : "AND page_id = ?"} GROUP BY state`,
    )
    .raw()
    .all(...(pageId === undefined ? [] : [pageId])) as [keyof QueueCount, number][];
  for (const [state, letters] of rows) count[state] = letters;
  return count;
}

/** Tries a letter again now, with its attempts forgotten. @throws UserError not_found, conflict */
export function retryDelivery(db: Db | Tx, input: { pageId: string; id: number; now: number }): void {
  const row = requireDelivery(db, input);
  if (row.state === "sent") throw new UserError("conflict", "This letter was sent. It isn't sent twice.");
  if (row.state === "leased") throw new UserError("conflict", "This letter is being sent right now.");
  if (row.state === "held")
    throw new UserError("conflict", "This letter is held with its announcement: release the announcement.");
  db.update(deliveries)
    .set({ state: "queued", attempts: 0, nextAttemptAt: input.now })
    .where(eq(deliveries.id, row.id))
    .run();
}

/** Takes a waiting letter out of the queue. `by` names who did, in words. @throws UserError not_found, conflict */
export function dropDelivery(db: Db | Tx, input: { keys: Keys; pageId: string; id: number; by: string }): void {
  const row = requireDelivery(db, input);
  if (row.state === "leased") throw new UserError("conflict", "This letter is being sent right now.");
  const waiting = ["queued", "deferred", "held"] as const;
  const dropped = db
    .update(deliveries)
    .set({
      state: "suppressed",
      reply: seal(input.keys, { column: "deliveries.reply", row: row.id }, `dropped by ${input.by}`),
    })
    .where(and(eq(deliveries.id, row.id), inArray(deliveries.state, waiting)))
    .run();
  if (dropped.changes === 0) throw new UserError("conflict", "This letter doesn't wait any more.");
}

/** The whole text of a letter that was written while no mail server was configured. */
export function readKeptLetter(db: Db, input: { keys: Keys; pageId: string; id: number }): string | undefined {
  const row = requireDelivery(db, input);
  const kept = db.select().from(keptLetters).where(eq(keptLetters.deliveryId, row.id)).get();
  return kept ? unseal(input.keys, { column: "kept_letters.letter", row: row.id }, kept.letter) : undefined;
}

/**
 * Deletes records of letters written before `before`, looking at no more than `limit` of the oldest, so that the event
 * loop isn't held. Numbers rise with time, which is why the oldest come first.
 *
 * @returns how many were deleted; call again until it is 0
 */
export function pruneLedger(db: Db, input: { before: number; limit: number }): number {
  return db.$client
    .prepare(
      `DELETE FROM deliveries WHERE id IN (
         SELECT id FROM (SELECT id, created_at, state FROM deliveries ORDER BY id LIMIT ?)
         WHERE created_at < ? AND state <> 'leased')`,
    )
    .run(input.limit, input.before).changes;
}

function requireDelivery(db: Db | Tx, input: { pageId: string; id: number }): typeof deliveries.$inferSelect {
  const mine = and(eq(deliveries.id, input.id), eq(deliveries.pageId, input.pageId));
  const row = db.select().from(deliveries).where(mine).get();
  if (!row) throw new UserError("not_found", `This page has no letter ${input.id}.`);
  return row;
}

function pickBrief(row: Omit<typeof deliveries.$inferSelect, "address" | "reply">): DeliveryBrief {
  const { leasedUntil: _, ...rest } = row;
  return rest;
}
