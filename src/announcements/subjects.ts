/** What announcements are about, for lists of their letters. */
import { eq, inArray } from "drizzle-orm";
import type { Db } from "../db.ts";
import { announcements, incidents, incidentUpdates } from "../schema.ts";
import { incidentWords } from "../statuspage/words.ts";

export type Subject = { incidentId: string; about: string };

/** By announcement; the words are how the letter's own subject begins. */
export function subjectsOf(db: Db, announcementIds: number[]): Map<number, Subject> {
  if (announcementIds.length === 0) return new Map();
  const rows = db
    .select({
      id: announcements.id,
      status: incidentUpdates.status,
      incidentId: incidents.id,
      name: incidents.name,
    })
    .from(announcements)
    .innerJoin(incidentUpdates, eq(incidentUpdates.id, announcements.updateId))
    .innerJoin(incidents, eq(incidents.id, incidentUpdates.incidentId))
    .where(inArray(announcements.id, announcementIds))
    .all();
  return new Map(
    rows.map((row) => [row.id, { incidentId: row.incidentId, about: `${incidentWords[row.status]}: ${row.name}` }]),
  );
}
