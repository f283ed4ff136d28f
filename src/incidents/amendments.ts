/** What is changed of an incident afterwards, without a word to anybody. A correction keeps the earlier text. */
import { eq } from "drizzle-orm";
import { keepLettersOf } from "../announcements/announcements.ts";
import { recordDeed } from "../audit/audit.ts";
import { changesTo } from "../changes.ts";
import { setStatuses } from "../components/components.ts";
import type { Db, Tx } from "../db.ts";
import { UserError } from "../errors.ts";
import {
  type ComponentStatus,
  type Impact,
  incidentComponents,
  incidents,
  incidentUpdates,
  updateComponents,
  updateRevisions,
} from "../schema.ts";
import {
  type ByTheClock,
  type Doing,
  impactOf,
  incidentName,
  incidentText,
  joinComponents,
  type PostUpdate,
  postUpdate,
  recoveryOf,
  requireMaintenance,
  requireSchedule,
  worstImpact,
} from "./incidents.ts";
import { componentIdsOf, findIncident, findUpdate, type Incident, type IncidentUpdate } from "./stories.ts";

export function changeIncident(
  db: Db,
  input: Doing & {
    incidentId: string;
    name?: string | undefined;
    impactOverride?: Impact | null | undefined;
    metadata?: string | undefined;
    scheduledFor?: number | undefined;
    scheduledUntil?: number | undefined;
    byTheClock?: ByTheClock | undefined;
    /** Exactly the components that it concerns. */
    componentIds?: string[] | undefined;
    /** Statuses to set; a backfilled incident sets none. */
    components?: Record<string, ComponentStatus> | undefined;
  },
): Incident {
  return db.transaction((tx) => {
    const incident = findIncident(tx, { pageId: input.pageId, id: input.incidentId });
    const change: Partial<Incident> = requireMaintenance(incident.kind, input.byTheClock);
    if (input.name !== undefined) change.name = incidentName(input.name);
    if (input.metadata !== undefined) change.metadata = input.metadata;
    if (input.scheduledFor !== undefined) change.scheduledFor = input.scheduledFor;
    if (input.scheduledUntil !== undefined) change.scheduledUntil = input.scheduledUntil;
    if (incident.kind === "incident" && (input.scheduledFor ?? input.scheduledUntil) !== undefined) {
      throw new UserError("conflict", "This is an incident, not a maintenance: it can't be scheduled.", {
        field: "scheduled_for",
      });
    }
    if (incident.kind === "maintenance") {
      requireSchedule({
        scheduledFor: change.scheduledFor ?? incident.scheduledFor ?? undefined,
        scheduledUntil: change.scheduledUntil ?? incident.scheduledUntil ?? undefined,
      });
    }
    if (input.impactOverride !== undefined) {
      change.impactOverride = input.impactOverride;
      change.impact = input.impactOverride ?? impactFromUpdates(tx, incident);
    }
    const parts = componentIdsOf(tx, incident.id);
    if (input.componentIds) {
      tx.delete(incidentComponents).where(eq(incidentComponents.incidentId, incident.id)).run();
      joinComponents(tx, { pageId: input.pageId, incidentId: incident.id, componentIds: input.componentIds });
    }
    const statuses = input.components ?? {};
    joinComponents(tx, { pageId: input.pageId, incidentId: incident.id, componentIds: Object.keys(statuses) });
    const set = incident.backfilled ? [] : setStatuses(tx, { pageId: input.pageId, statuses, now: input.now });
    const override = input.impactOverride === undefined ? incident.impactOverride : input.impactOverride;
    if (override === null) {
      const seen = Object.values(statuses).map((status) => impactOf[status]);
      change.impact = worstImpact([change.impact ?? incident.impact, ...seen]);
    }
    const differs = changesTo(incident, change);
    const moved = set.some((row) => row.oldStatus !== row.newStatus);
    if (!differs && !moved && componentIdsOf(tx, incident.id).join() === parts.join()) return incident;
    tx.update(incidents)
      .set({ ...differs, updatedAt: input.now })
      .where(eq(incidents.id, incident.id))
      .run();
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "incident.change", subject: incident.id });
    return findIncident(tx, { pageId: input.pageId, id: incident.id });
  });
}

/** An update that may move a maintenance: both, or neither; so that the letter says the times that hold. */
export function moveAndPost(
  db: Db,
  input: PostUpdate & { scheduledFor?: number | undefined; scheduledUntil?: number | undefined },
): { incident: Incident; update: IncidentUpdate } {
  const { pageId, now, by, incidentId, scheduledFor, scheduledUntil } = input;
  return db.transaction((tx) => {
    const stage = tx as unknown as Db;
    const moves = scheduledFor !== undefined || scheduledUntil !== undefined;
    if (moves) changeIncident(stage, { pageId, now, by, incidentId, scheduledFor, scheduledUntil });
    return postUpdate(stage, input);
  });
}

function impactFromUpdates(tx: Tx, incident: Incident): Impact {
  const rows = tx
    .select({ status: updateComponents.newStatus })
    .from(updateComponents)
    .innerJoin(incidentUpdates, eq(incidentUpdates.id, updateComponents.updateId))
    .where(eq(incidentUpdates.incidentId, incident.id))
    .all();
  const least: Impact = incident.kind === "maintenance" ? "maintenance" : "none";
  return worstImpact([least, ...rows.map((row) => impactOf[row.status])]);
}

/** By so much a program's clock may go ahead of ours. */
const clocksDifferMs = 60_000;

/** Corrects the words of an update without telling anybody again; the earlier words are kept. */
export function correctUpdate(
  db: Db,
  input: Doing & { incidentId: string; updateId: string; body?: string | undefined; displayAt?: number | undefined },
): IncidentUpdate {
  return db.transaction((tx) => {
    const incident = findIncident(tx, { pageId: input.pageId, id: input.incidentId });
    const update = findUpdate(tx, { incidentId: incident.id, id: input.updateId });
    const body = input.body === undefined ? update.body : incidentText(input.body);
    const displayAt = input.displayAt ?? update.displayAt;
    if (displayAt > Math.max(input.now + clocksDifferMs, update.displayAt)) {
      throw new UserError("invalid", "This time is yet to come. Give display_at as a moment that is past.", {
        field: "display_at",
      });
    }
    // Whoever saves what stands there already has corrected nothing, and visitors shouldn't read that they did.
    if (body === update.body && displayAt === update.displayAt) return update;
    const change = { body, displayAt, updatedAt: input.now };
    if (body !== update.body) {
      tx.insert(updateRevisions).values({ updateId: update.id, body: update.body, replacedAt: input.now }).run();
    }
    tx.update(incidents).set({ updatedAt: input.now }).where(eq(incidents.id, incident.id)).run();
    recordDeed(tx, input.by, input.now, {
      pageId: input.pageId,
      action: "incident.correct",
      subject: incident.id,
      detail: { update: update.id },
    });
    return tx.update(incidentUpdates).set(change).where(eq(incidentUpdates.id, update.id)).returning().get();
  });
}

/**
 * Takes an incident off the page with all its updates, for one that should never have been there. Letters that wait go to
 * nobody; the ledger keeps those that left. `recover` sets its parts back as its end would have done: nothing is left that
 * could.
 */
export function deleteIncident(db: Db, input: Doing & { incidentId: string; recover?: boolean }): void {
  db.transaction((tx) => {
    const incident = findIncident(tx, { pageId: input.pageId, id: input.incidentId });
    if (input.recover && !incident.backfilled) {
      setStatuses(tx, { pageId: input.pageId, statuses: recoveryOf(tx, incident), now: input.now });
    }
    keepLettersOf(tx, incident.id);
    tx.delete(incidents).where(eq(incidents.id, incident.id)).run();
    recordDeed(tx, input.by, input.now, {
      pageId: input.pageId,
      action: "incident.delete",
      subject: incident.id,
      detail: { name: incident.name },
    });
  });
}
