/** Incidents as they are read: lists, and whole stories with their updates and components. */
import { type AnyColumn, and, asc, desc, eq, exists, inArray, isNull, max, ne, type SQL, sql } from "drizzle-orm";
import type { Db, Tx } from "../db.ts";
import { UserError } from "../errors.ts";
import {
  components,
  type IncidentStatus,
  incidentComponents,
  incidents,
  incidentUpdates,
  updateComponents,
  updateRevisions,
} from "../schema.ts";

export type Incident = typeof incidents.$inferSelect;
export type IncidentUpdate = typeof incidentUpdates.$inferSelect;
export type Affected = typeof updateComponents.$inferSelect;

export function findIncident(db: Db | Tx, input: { pageId: string; id: string }): Incident {
  const incident = db
    .select()
    .from(incidents)
    .where(and(eq(incidents.id, input.id), eq(incidents.pageId, input.pageId)))
    .get();
  if (!incident) throw new UserError("not_found", `This page has no incident ${JSON.stringify(input.id)}.`);
  return incident;
}

export function findUpdate(db: Db | Tx, input: { incidentId: string; id: string }): IncidentUpdate {
  const update = db
    .select()
    .from(incidentUpdates)
    .where(and(eq(incidentUpdates.id, input.id), eq(incidentUpdates.incidentId, input.incidentId)))
    .get();
  if (!update) throw new UserError("not_found", `This incident has no update ${JSON.stringify(input.id)}.`);
  return update;
}

export function hasIncident(db: Db | Tx, input: { pageId: string; id: string }): boolean {
  const wanted = and(eq(incidents.id, input.id), eq(incidents.pageId, input.pageId));
  return db.select({ id: incidents.id }).from(incidents).where(wanted).get() !== undefined;
}

export function hasUpdate(db: Db | Tx, input: { incidentId: string; id: string }): boolean {
  const wanted = and(eq(incidentUpdates.id, input.id), eq(incidentUpdates.incidentId, input.incidentId));
  return db.select({ id: incidentUpdates.id }).from(incidentUpdates).where(wanted).get() !== undefined;
}

/** An update and its incident, by the update alone: for what hangs on updates, like announcements. */
export function updateById(db: Db | Tx, id: string): { update: IncidentUpdate; incident: Incident } {
  const row = db
    .select({ update: incidentUpdates, incident: incidents })
    .from(incidentUpdates)
    .innerJoin(incidents, eq(incidents.id, incidentUpdates.incidentId))
    .where(eq(incidentUpdates.id, id))
    .get();
  if (!row) throw new UserError("not_found", `There is no update ${JSON.stringify(id)}.`);
  return row;
}

/** Not resolved and not completed; newest first. Maintenance that is yet to come is not open. */
export function listOpenIncidents(db: Db | Tx, pageId: string): Incident[] {
  return db
    .select()
    .from(incidents)
    .where(and(eq(incidents.pageId, pageId), isNull(incidents.resolvedAt), ne(incidents.status, "scheduled")))
    .orderBy(desc(incidents.startedAt), desc(incidents.id))
    .all();
}

export function listUpcoming(db: Db | Tx, pageId: string): Incident[] {
  return db
    .select()
    .from(incidents)
    .where(and(eq(incidents.pageId, pageId), eq(incidents.status, "scheduled"), isNull(incidents.resolvedAt)))
    .orderBy(asc(incidents.scheduledFor), asc(incidents.id))
    .all();
}

/** When it takes place: a maintenance at the time that it is planned for, whenever it was announced. */
export function takesPlaceAt(incident: Pick<Incident, "startedAt" | "scheduledFor">): number {
  return incident.scheduledFor ?? incident.startedAt;
}
const takesPlace = sql<number>`coalesce(${incidents.scheduledFor}, ${incidents.startedAt})`;

/** When anything of a page took place first. */
export function beginningOf(db: Db | Tx, pageId: string): number | undefined {
  const row = db
    .select({ first: sql<number | null>`min(${takesPlace})` })
    .from(incidents)
    .where(eq(incidents.pageId, pageId))
    .get();
  return row?.first ?? undefined;
}

/** Newest first, in pages or in a span of time (`from` inclusive, `until` exclusive, by when they take place). */
export function listIncidents(
  db: Db | Tx,
  input: {
    pageId: string;
    kind?: "incident" | "maintenance";
    statuses?: IncidentStatus[];
    from?: number;
    until?: number;
    /** Words that its title, its status, one of its updates or its metadata has. */
    saying?: string;
    limit: number;
    offset?: number;
  },
): Incident[] {
  const wanted = [eq(incidents.pageId, input.pageId)];
  if (input.kind) wanted.push(eq(incidents.kind, input.kind));
  if (input.statuses) wanted.push(inArray(incidents.status, input.statuses));
  if (input.from !== undefined) wanted.push(sql`${takesPlace} >= ${input.from}`);
  if (input.until !== undefined) wanted.push(sql`${takesPlace} < ${input.until}`);
  if (input.saying) wanted.push(says(db, input.saying));
  return db
    .select()
    .from(incidents)
    .where(and(...wanted))
    .orderBy(desc(input.from === undefined ? incidents.startedAt : takesPlace), desc(incidents.id))
    .limit(input.limit)
    .offset(input.offset ?? 0)
    .all();
}

/** What Statuspage searches, and metadata as well, so that a program finds again what it opened for an alert. */
function says(db: Db | Tx, words: string): SQL {
  const has = (column: AnyColumn) => sql`instr(lower(${column}), lower(${words})) > 0`;
  const update = db
    .select({ one: sql`1` })
    .from(incidentUpdates)
    .where(and(eq(incidentUpdates.incidentId, incidents.id), has(incidentUpdates.body)));
  return sql`(${has(incidents.name)} or ${has(incidents.status)} or ${has(incidents.metadata)} or ${exists(update)})`;
}

export function listIncidentIds(db: Db | Tx, pageId: string): string[] {
  const rows = db
    .select({ id: incidents.id })
    .from(incidents)
    .where(eq(incidents.pageId, pageId))
    .orderBy(desc(incidents.startedAt))
    .all();
  return rows.map((row) => row.id);
}

export type Story = Incident & { updates: (IncidentUpdate & { affected: Affected[] })[]; componentIds: string[] };

/** Incidents with their updates (newest first) and components, in three queries however many they are. */
export function tellStories(db: Db | Tx, list: Incident[]): Story[] {
  if (list.length === 0) return [];
  const ids = list.map((incident) => incident.id);
  const updates = db
    .select()
    .from(incidentUpdates)
    .where(inArray(incidentUpdates.incidentId, ids))
    .orderBy(desc(incidentUpdates.displayAt), desc(incidentUpdates.createdAt), desc(sql`${incidentUpdates}.rowid`))
    .all();
  const affected = db
    .select({ row: updateComponents, incidentId: incidentUpdates.incidentId })
    .from(updateComponents)
    .innerJoin(incidentUpdates, eq(incidentUpdates.id, updateComponents.updateId))
    .where(inArray(incidentUpdates.incidentId, ids))
    .all();
  const parts = db
    .select({ incidentId: incidentComponents.incidentId, componentId: incidentComponents.componentId })
    .from(incidentComponents)
    .innerJoin(components, eq(components.id, incidentComponents.componentId))
    .where(inArray(incidentComponents.incidentId, ids))
    .orderBy(asc(components.position))
    .all();
  const affectedBy = Map.groupBy(affected, (item) => item.row.updateId);
  const updatesBy = Map.groupBy(updates, (update) => update.incidentId);
  const partsBy = Map.groupBy(parts, (part) => part.incidentId);
  return list.map((incident) => ({
    ...incident,
    updates: (updatesBy.get(incident.id) ?? []).map((update) => ({
      ...update,
      affected: (affectedBy.get(update.id) ?? []).map((item) => item.row),
    })),
    componentIds: (partsBy.get(incident.id) ?? []).map((part) => part.componentId),
  }));
}

export function tellStory(db: Db | Tx, input: { pageId: string; id: string }): Story {
  return tellStories(db, [findIncident(db, input)])[0] as Story;
}

export function listRevisions(db: Db, updateId: string) {
  return db
    .select()
    .from(updateRevisions)
    .where(eq(updateRevisions.updateId, updateId))
    .orderBy(desc(updateRevisions.id))
    .all();
}

export function lastChangeOf(db: Db | Tx, pageId: string): number {
  const row = db
    .select({ at: max(incidents.updatedAt) })
    .from(incidents)
    .where(eq(incidents.pageId, pageId))
    .get();
  return row?.at ?? 0;
}

export function componentIdsOf(db: Db | Tx, incidentId: string): string[] {
  return db
    .select({ id: incidentComponents.componentId })
    .from(incidentComponents)
    .innerJoin(components, eq(components.id, incidentComponents.componentId))
    .where(eq(incidentComponents.incidentId, incidentId))
    .orderBy(asc(components.position))
    .all()
    .map((row) => row.id);
}
