/** How many letters a page sends to an address that nobody has confirmed, whoever asks. */
import { and, eq } from "drizzle-orm";
import type { Tx } from "../db.ts";
import { confirmationCounts, deliveries } from "../schema.ts";

const day = 24 * 3_600_000;
const mostConfirmations = 3;
export const confirmationMemoryMs = 90 * day;
export const confirmationsSpent = "This address was sent a confirmation today, or three of late. Wait a day.";

/** Counts the letter that is about to be queued. @returns false when the address has had its share */
export function mayConfirm(tx: Tx, input: { pageId: string; addressIndex: Buffer; now: number }): boolean {
  const { pageId, addressIndex, now } = input;
  const mine = and(eq(confirmationCounts.pageId, pageId), eq(confirmationCounts.addressIndex, addressIndex));
  const count = tx.select().from(confirmationCounts).where(mine).get();
  const fresh = !count || now - count.lastSentAt > confirmationMemoryMs;
  if (!fresh && (now - count.lastSentAt < day || count.sent >= mostConfirmations)) return false;
  const row = { sent: fresh ? 1 : count.sent + 1, lastSentAt: now };
  tx.insert(confirmationCounts)
    .values({ pageId, addressIndex, ...row })
    .onConflictDoUpdate({ target: [confirmationCounts.pageId, confirmationCounts.addressIndex], set: row })
    .run();
  return true;
}

export function queueConfirmation(tx: Tx, input: { pageId: string; seq: number; now: number }): void {
  tx.insert(deliveries)
    .values({
      pageId: input.pageId,
      kind: "confirmation",
      subscriberSeq: input.seq,
      state: "queued",
      // A person waits for this one: it overtakes whatever is queued.
      nextAttemptAt: 0,
      createdAt: input.now,
    })
    .run();
}
