/**
 * Announcements: the decision to tell people about one update. It commits together with the update; afterwards it is
 * expanded into deliveries in slices short enough for the event loop, from a cursor that survives a crash. An
 * announcement that would send far more than the page's subscribers explain is held until a person says yes.
 */
import { and, desc, eq, gte, inArray, max, notInArray, sql } from "drizzle-orm";
import { type Actor, recordDeed } from "../audit/audit.ts";
import { type Db, type Tx, withoutWaiting } from "../db.ts";
import { UserError } from "../errors.ts";
import { announcements, deliveries, incidentUpdates, subscribers } from "../schema.ts";
import { countActive, countChoosers } from "../subscribers/audience.ts";

export type Announcement = typeof announcements.$inferSelect;

const hour = 3_600_000;
/** Subscribers looked at in one slice: a millisecond of work. */
const sliceSize = 125;
/** Below this many letters an hour the burst breaker sleeps, so that a small page is never held by its own tests. */
export const burstFloor = 100;

/** How many people an update on these components would be told to. */
export function countAudience(db: Db | Tx, input: { pageId: string; componentIds: string[] }): number {
  return countActive(db, input.pageId).wholePage + countChoosers(db, input);
}

/** Called inside the transaction that writes the update. */
export function announceUpdate(
  tx: Tx,
  input: { pageId: string; updateId: string; componentIds: string[]; burstFactor: number; now: number },
): Announcement {
  const { wholePage, parts } = countActive(tx, input.pageId);
  const audience = wholePage + countChoosers(tx, input);
  // Of all pages: SQLite knows the highest number at once, that of one page it would have to look for.
  const last = tx
    .select({ seq: max(subscribers.seq) })
    .from(subscribers)
    .get();
  const reason = burstReason(tx, { ...input, audience, active: wholePage + parts });
  return tx
    .insert(announcements)
    .values({
      pageId: input.pageId,
      updateId: input.updateId,
      state: reason ? "held" : "expanding",
      reason,
      audience,
      lastSeq: last?.seq ?? 0,
      createdAt: input.now,
    })
    .returning()
    .get();
}

function burstReason(
  tx: Tx,
  input: { pageId: string; audience: number; active: number; burstFactor: number; now: number },
): string | null {
  const recent = tx
    .select({ letters: sql<number>`coalesce(sum(${announcements.audience}), 0)` })
    .from(announcements)
    .where(
      and(
        eq(announcements.pageId, input.pageId),
        gte(announcements.createdAt, input.now - hour),
        inArray(announcements.state, ["expanding", "expanded"]),
      ),
    )
    .get();
  const { active } = input;
  const letters = (recent?.letters ?? 0) + input.audience;
  if (letters <= Math.max(burstFloor, active * input.burstFactor)) return null;
  return `This would make ${letters.toLocaleString("en")} letters within an hour for ${active.toLocaleString("en")} subscribers.`;
}

/**
 * Expands one slice of the oldest announcement that waits, each time it is called. The statements are made once: a slice
 * is small, so that visitors don't notice it, and making them would cost as much again.
 *
 * @returns how many deliveries were queued, or undefined when nothing waits
 */
export function createExpander(db: Db): (input: { now: number }) => number | undefined {
  const { $client: client } = db;
  const findOldest = client
    .prepare(
      "SELECT id, page_id, update_id, cursor, last_seq FROM announcements WHERE state = 'expanding' ORDER BY id LIMIT 1",
    )
    .raw();
  // Bounded by how many rows are looked at, whatever the gaps.
  const endOfSlice = client
    .prepare(
      `SELECT seq FROM subscribers WHERE page_id = ? AND state = 'active' AND seq > ? ORDER BY seq LIMIT 1 OFFSET ${sliceSize - 1}`,
    )
    .pluck();
  // Who reads the whole page, and who chose a component of the update's incident.
  const queue = client.prepare(
    `INSERT OR IGNORE INTO deliveries (page_id, kind, announcement_id, subscriber_seq, state, attempts, next_attempt_at, created_at)
     SELECT page_id, 'update', @id, seq, 'queued', 0, @now, @now FROM subscribers
     WHERE page_id = @pageId AND state = 'active' AND seq > @cursor AND seq <= @upTo AND (whole_page = 1 OR EXISTS (
       SELECT 1 FROM subscriber_components AS chosen
       JOIN incident_components AS touched ON touched.component_id = chosen.component_id
       JOIN incident_updates AS told ON told.incident_id = touched.incident_id
       WHERE chosen.subscriber_seq = subscribers.seq AND told.id = @updateId))`,
  );
  const advance = client.prepare("UPDATE announcements SET cursor = ?, state = ? WHERE id = ?");
  return ({ now }) =>
    withoutWaiting(db, () =>
      db.transaction(
        () => {
          const row = findOldest.get() as [number, string, string, number, number] | undefined;
          if (!row) return undefined;
          const [id, pageId, updateId, cursor, lastSeq] = row;
          const upTo = Math.min((endOfSlice.get(pageId, cursor) as number | undefined) ?? lastSeq, lastSeq);
          const { changes } = queue.run({ id, pageId, updateId, cursor, upTo, now });
          advance.run(upTo, upTo >= lastSeq ? "expanded" : "expanding", id);
          return changes;
        },
        { behavior: "immediate" },
      ),
    );
}

/** Before an incident is deleted: what left is no longer part of its announcements, which go with it. */
export function keepLettersOf(tx: Tx, incidentId: string): void {
  const gone = tx
    .select({ id: announcements.id })
    .from(announcements)
    .innerJoin(incidentUpdates, eq(incidentUpdates.id, announcements.updateId))
    .where(eq(incidentUpdates.incidentId, incidentId));
  tx.update(deliveries)
    .set({ announcementId: null })
    .where(
      and(
        inArray(deliveries.announcementId, gone),
        notInArray(deliveries.state, ["queued", "leased", "deferred", "held"]),
      ),
    )
    .run();
}

export function listAnnouncements(db: Db, input: { pageId: string; limit: number }): Announcement[] {
  return db
    .select()
    .from(announcements)
    .where(eq(announcements.pageId, input.pageId))
    .orderBy(desc(announcements.id))
    .limit(input.limit)
    .all();
}

/** A person decides about a held announcement. */
export function decideHeld(
  db: Db,
  input: { pageId: string; id: number; decision: "send" | "drop"; now: number; by: Actor },
): Announcement {
  return db.transaction((tx) => {
    const mine = and(eq(announcements.id, input.id), eq(announcements.pageId, input.pageId));
    const held = tx.select().from(announcements).where(mine).get();
    if (!held) throw new UserError("not_found", `This page has no announcement ${input.id}.`);
    if (held.state !== "held") throw new UserError("conflict", "This announcement isn't held.");
    const state = input.decision === "send" ? "expanding" : "dropped";
    recordDeed(tx, input.by, input.now, {
      pageId: input.pageId,
      action: `announcement.${input.decision}`,
      subject: String(input.id),
    });
    return tx.update(announcements).set({ state }).where(mine).returning().get();
  });
}

/** What became of an update's letters, by delivery state. */
export function outcomeOf(
  db: Db,
  updateId: string,
): { announcement: Announcement; states: Record<string, number> } | undefined {
  const announcement = announcementOf(db, updateId);
  if (!announcement) return undefined;
  const rows = db
    .select({ state: deliveries.state, count: sql<number>`count(*)` })
    .from(deliveries)
    .where(eq(deliveries.announcementId, announcement.id))
    .groupBy(deliveries.state)
    .all();
  return { announcement, states: Object.fromEntries(rows.map((row) => [row.state, row.count])) };
}

export function announcementOf(db: Db | Tx, updateId: string): Announcement | undefined {
  return db.select().from(announcements).where(eq(announcements.updateId, updateId)).get();
}
