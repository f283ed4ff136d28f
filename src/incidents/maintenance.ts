/**
 * Maintenance that begins and ends by the clock, for those who said that it may. It says so in one plain sentence; a
 * person may say more, begin earlier or go on longer, and is never overruled.
 */
import { and, eq, isNull, lte, or } from "drizzle-orm";
import { findComponent } from "../components/components.ts";
import type { Db } from "../db.ts";
import { type ComponentStatus, incidents } from "../schema.ts";
import { postUpdate, recoveryOf } from "./incidents.ts";
import { componentIdsOf, type Incident } from "./stories.ts";

const by = { kind: "system" } as const;

/** @returns what changed, to be pressed */
export function advanceMaintenance(
  db: Db,
  input: { now: number; burstFactor: number },
): { pageId: string; incidentId: string }[] {
  const { now } = input;
  const due = db
    .select()
    .from(incidents)
    .where(
      and(
        eq(incidents.kind, "maintenance"),
        isNull(incidents.resolvedAt),
        or(
          and(eq(incidents.status, "scheduled"), eq(incidents.autoBegin, true), lte(incidents.scheduledFor, now)),
          and(eq(incidents.autoEnd, true), lte(incidents.scheduledUntil, now)),
        ),
      ),
    )
    .all();
  for (const incident of due) {
    const isOver = incident.autoEnd && (incident.scheduledUntil as number) <= now;
    const at = { ...input, pageId: incident.pageId, incidentId: incident.id, by };
    if (isOver) {
      const components = incident.autoOperational ? recoveryOf(db, incident) : {};
      const words = { status: "completed", body: "The maintenance is over." };
      postUpdate(db, { ...at, ...words, components, notify: incident.tellAtEnd });
    } else {
      const components = incident.autoMaintenance ? restingParts(db, incident) : {};
      const words = { status: "in_progress", body: "The maintenance has begun." };
      postUpdate(db, { ...at, ...words, components, notify: incident.tellAtBegin });
    }
  }
  return due.map(({ pageId, id }) => ({ pageId, incidentId: id }));
}

/** Under maintenance, except what is in trouble of another kind: that is still true, and worse. */
function restingParts(db: Db, incident: Incident): Record<string, ComponentStatus> {
  const ids = componentIdsOf(db, incident.id).filter(
    (id) => findComponent(db, { pageId: incident.pageId, id }).status === "operational",
  );
  return Object.fromEntries(ids.map((id) => [id, "under_maintenance"]));
}
