/**
 * The queue: rows of `deliveries` while they wait. At least once: a lease is committed before a letter leaves, its
 * outcome after the server answered; a crash in between repeats the letter with the same Message-ID and loses none. One
 * process owns the database, so a lease found at boot is a dead one's. Neither waits for the disk: what a power cut takes
 * back is done again.
 */

import { seal, unseal } from "../crypto/fields.ts";
import type { Keys } from "../crypto/keyring.ts";
import { type Db, withoutWaiting } from "../db.ts";

const minute = 60_000;
const hour = 60 * minute;
const backOff = [minute, 5 * minute, 15 * minute, hour, 2 * hour, 4 * hour];
/** Longer than any letter takes; only boot looks at leases, so this is for the eyes of an operator. */
const leaseMs = 10 * minute;

export type ClaimedDelivery = {
  id: number;
  pageId: string;
  kind: "update" | "confirmation" | "test";
  announcementId: number | undefined;
  subscriberSeq: number | undefined;
  /** The sealed recipient of a letter that names no subscriber: deliveryAddress() opens it. */
  address: Buffer | undefined;
  attempts: number;
  createdAt: number;
};

/** What became of one attempt. `letter` is the whole text of one that was kept. */
export type DeliveryOutcome = { id: number } & (
  | { outcome: "sent"; reply: string }
  | { outcome: "kept"; letter: string }
  | { outcome: "deferred"; reply: string }
  | { outcome: "bounced"; reply: string }
  | { outcome: "suppressed" | "superseded"; reason: string }
);

type ClaimRow = [
  number,
  string,
  ClaimedDelivery["kind"],
  number | null,
  number | null,
  Buffer | null,
  number,
  number,
  number,
];

/**
 * Leases what is due, the lowest nextAttemptAt first: whoever enqueues a letter that a person waits for gives it 0, and
 * it overtakes an announcement.
 */
export function claimDeliveries(db: Db, input: { now: number; limit: number }): ClaimedDelivery[] {
  const { now, limit } = input;
  // One state at a time, so that the index gives the order and a long queue isn't sorted for every claim.
  const select = db.$client
    .prepare(
      `SELECT id, page_id, kind, announcement_id, subscriber_seq, address, attempts, created_at, next_attempt_at
       FROM deliveries WHERE state = ? AND next_attempt_at <= ? ORDER BY next_attempt_at, id LIMIT ?`,
    )
    .raw();
  const lease = db.$client.prepare("UPDATE deliveries SET state = 'leased', leased_until = ? WHERE id = ?");
  const claim = () =>
    db.transaction(
      () => {
        const due = (["queued", "deferred"] as const).flatMap((state) => select.all(state, now, limit) as ClaimRow[]);
        const rows = due.toSorted((a, b) => a[8] - b[8] || a[0] - b[0]).slice(0, limit);
        for (const row of rows) lease.run(now + leaseMs, row[0]);
        return rows.map(([id, pageId, kind, announcementId, subscriberSeq, address, attempts, createdAt]) => ({
          id,
          pageId,
          kind,
          announcementId: announcementId ?? undefined,
          subscriberSeq: subscriberSeq ?? undefined,
          address: address ?? undefined,
          attempts,
          createdAt,
        }));
      },
      { behavior: "immediate" },
    );
  return withoutWaiting(db, claim);
}

/**
 * Writes a batch of outcomes in one transaction. A deferred letter older than `giveUpHours` bounces. An outcome whose
 * delivery is gone (its subscriber was erased) or isn't leased is passed over.
 */
export function recordOutcomes(
  db: Db,
  input: { keys: Keys; now: number; giveUpHours: number; outcomes: DeliveryOutcome[] },
): void {
  const { keys, now } = input;
  const read = db.$client
    .prepare("SELECT attempts, created_at FROM deliveries WHERE id = ? AND state = 'leased'")
    .raw();
  const write = db.$client.prepare(
    `UPDATE deliveries SET state = ?, attempts = ?, next_attempt_at = coalesce(?, next_attempt_at), leased_until = NULL,
     sent_at = ?, reply = ? WHERE id = ?`,
  );
  const keep = db.$client.prepare("INSERT OR REPLACE INTO kept_letters (delivery_id, letter) VALUES (?, ?)");
  const record = () =>
    db.transaction(
      () => {
        for (const outcome of input.outcomes) {
          const row = read.get(outcome.id) as [number, number] | undefined;
          if (!row) continue;
          const [attempts, createdAt] = row;
          const { id } = outcome;
          const reply = (words: string) => seal(keys, { column: "deliveries.reply", row: id }, words);
          switch (outcome.outcome) {
            case "sent":
              write.run("sent", attempts + 1, null, now, reply(outcome.reply), id);
              break;
            case "kept":
              keep.run(id, seal(keys, { column: "kept_letters.letter", row: id }, outcome.letter));
              write.run("kept", attempts, null, now, null, id);
              break;
            case "deferred": {
              if (now - createdAt >= input.giveUpHours * hour) {
                const words = `Given up after ${input.giveUpHours} hours. The last answer: ${outcome.reply}`;
                write.run("bounced", attempts + 1, null, null, reply(words), id);
              } else {
                const pause = backOff[Math.min(attempts, backOff.length - 1)] ?? hour;
                write.run("deferred", attempts + 1, now + pause, null, reply(outcome.reply), id);
              }
              break;
            }
            case "bounced":
              write.run("bounced", attempts + 1, null, null, reply(outcome.reply), id);
              break;
            default:
              write.run(outcome.outcome, attempts, null, null, reply(outcome.reason), id);
          }
        }
      },
      { behavior: "immediate" },
    );
  withoutWaiting(db, record);
}

/** Called once at boot. @returns how many letters were under way when the process ended */
export function releaseLeases(db: Db): number {
  return db.$client.prepare("UPDATE deliveries SET state = 'queued', leased_until = NULL WHERE state = 'leased'").run()
    .changes;
}

/** Letters that didn't leave and aren't to blame: back in the queue, no attempt counted. */
export function returnUnsent(db: Db, ids: number[]): void {
  const back = db.$client.prepare(
    "UPDATE deliveries SET state = 'queued', leased_until = NULL WHERE id = ? AND state = 'leased'",
  );
  db.transaction(
    () => {
      for (const id of ids) back.run(id);
    },
    { behavior: "immediate" },
  );
}

/** When the next letter is due, in UTC milliseconds; perhaps in the past. */
export function nextDueAt(db: Db): number | undefined {
  const select = db.$client.prepare("SELECT min(next_attempt_at) FROM deliveries WHERE state = ?").pluck();
  const times = ["queued", "deferred"].map((state) => select.get(state) as number | null).filter((at) => at !== null);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** The recipient of a letter that names no subscriber. */
export function deliveryAddress(
  keys: Keys,
  delivery: { id: number; address?: Buffer | null | undefined },
): string | undefined {
  if (!delivery.address) return undefined;
  return unseal(keys, { column: "deliveries.address", row: delivery.id }, delivery.address);
}
