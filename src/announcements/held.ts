/** Announcements that wait for a person, as the team sees them: on the first page, and on their incident's. */
import type { Db } from "../db.ts";
import { updateById } from "../incidents/stories.ts";
import { listAnnouncements } from "./announcements.ts";

export function heldViews(db: Db, input: { pageId: string; incidentId?: string }) {
  return listAnnouncements(db, { pageId: input.pageId, limit: 100 })
    .filter((announcement) => announcement.state === "held")
    .map((announcement) => ({ announcement, ...updateById(db, announcement.updateId) }))
    .filter(({ incident }) => input.incidentId === undefined || incident.id === input.incidentId)
    .map(({ announcement: { id, reason, audience }, update, incident }) => ({
      id,
      reason,
      audience,
      incidentId: incident.id,
      name: incident.name,
      body: update.body,
      elsewhere: input.incidentId === undefined,
    }));
}
