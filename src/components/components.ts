/**
 * Components and their groups: the parts of a service that visitors recognise. A component's status changes only through
 * `setStatuses`, which keeps every change, because the days of the public page are drawn from them. Archiving hides a
 * component and keeps its past.
 */
import { and, asc, eq, inArray, isNull, max } from "drizzle-orm";
import { type Actor, recordDeed } from "../audit/audit.ts";
import { changesTo } from "../changes.ts";
import type { Db, Tx } from "../db.ts";
import { UserError } from "../errors.ts";
import { newId } from "../ids.ts";
import { type ComponentStatus, componentGroups, componentStatuses, components, statusChanges } from "../schema.ts";
import { requireLines, requireText } from "../text.ts";

export type Component = typeof components.$inferSelect;
export type ComponentGroup = typeof componentGroups.$inferSelect;

type Doing = { pageId: string; now: number; by: Actor };
export type ComponentFields = {
  name?: string | undefined;
  description?: string | null | undefined;
  groupId?: string | null | undefined;
  showcase?: boolean | undefined;
  onlyShowIfDegraded?: boolean | undefined;
  startDate?: string | null | undefined;
};

export function createComponent(
  db: Db | Tx,
  input: Doing & ComponentFields & { name: string; status?: ComponentStatus | undefined },
): Component {
  return db.transaction((tx) => {
    const last = tx
      .select({ position: max(components.position) })
      .from(components)
      .where(eq(components.pageId, input.pageId))
      .get();
    const id = newId();
    const row = {
      ...componentFields(tx, input),
      id,
      pageId: input.pageId,
      name: componentName(input.name),
      position: (last?.position ?? 0) + 1,
      createdAt: input.now,
      updatedAt: input.now,
    };
    tx.insert(components).values(row).run();
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "component.create", subject: id });
    if (input.status && input.status !== "operational") {
      setStatuses(tx, { pageId: input.pageId, statuses: { [id]: input.status }, now: input.now });
    }
    return findComponent(tx, { pageId: input.pageId, id });
  });
}

export function changeComponent(
  db: Db,
  input: Doing & ComponentFields & { id: string; status?: ComponentStatus | undefined },
): Component {
  return db.transaction((tx) => {
    const component = findComponent(tx, input);
    const wanted: Partial<Component> = componentFields(tx, input);
    if (input.name !== undefined) wanted.name = componentName(input.name);
    const change = changesTo(component, wanted);
    if (!change && (input.status ?? component.status) === component.status) return component;
    tx.update(components)
      .set({ ...change, updatedAt: input.now })
      .where(eq(components.id, input.id))
      .run();
    if (input.status) setStatuses(tx, { pageId: input.pageId, statuses: { [input.id]: input.status }, now: input.now });
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "component.change", subject: input.id });
    return findComponent(tx, input);
  });
}

/** Hides a component; it returns with `archived: false`. */
export function archiveComponent(db: Db, input: Doing & { id: string; archived: boolean }): Component {
  return db.transaction((tx) => {
    findComponent(tx, input);
    const change = { archivedAt: input.archived ? input.now : null, updatedAt: input.now };
    tx.update(components).set(change).where(eq(components.id, input.id)).run();
    const action = input.archived ? "component.archive" : "component.restore";
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action, subject: input.id });
    return findComponent(tx, input);
  });
}

/** One step up or down among its neighbours in the same group. */
export function moveComponent(db: Db, input: Doing & { id: string; step: "up" | "down" }): void {
  db.transaction((tx) => {
    const component = findComponent(tx, input);
    const row = listComponents(tx, input.pageId).filter((other) => other.groupId === component.groupId);
    const neighbour = row[row.findIndex((other) => other.id === input.id) + (input.step === "up" ? -1 : 1)];
    if (!neighbour) return;
    tx.update(components).set({ position: neighbour.position }).where(eq(components.id, component.id)).run();
    tx.update(components).set({ position: component.position }).where(eq(components.id, neighbour.id)).run();
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "component.move", subject: input.id });
  });
}

/** Sets statuses and keeps what changed. @returns each component's status before and after, unchanged ones included */
export function setStatuses(
  tx: Tx | Db,
  input: { pageId: string; statuses: Record<string, ComponentStatus>; now: number },
): { componentId: string; oldStatus: ComponentStatus; newStatus: ComponentStatus }[] {
  return Object.entries(input.statuses).map(([componentId, newStatus]) => {
    const { status: oldStatus } = requireComponent(tx, { pageId: input.pageId, id: componentId });
    if (oldStatus !== newStatus) {
      tx.update(components)
        .set({ status: newStatus, updatedAt: input.now })
        .where(eq(components.id, componentId))
        .run();
      tx.insert(statusChanges).values({ pageId: input.pageId, componentId, oldStatus, newStatus, at: input.now }).run();
    }
    return { componentId, oldStatus, newStatus };
  });
}

export function findComponent(db: Db | Tx, input: { pageId: string; id: string }): Component {
  const component = db
    .select()
    .from(components)
    .where(and(eq(components.id, input.id), eq(components.pageId, input.pageId)))
    .get();
  if (!component) throw new UserError("not_found", `This page has no component ${JSON.stringify(input.id)}.`);
  return component;
}

/** A component that a field names. Where it isn't there, the field is wrong; an address that leads nowhere is another thing. */
export function requireComponent(db: Db | Tx, input: { pageId: string; id: string }): Component {
  return inField("components", () => findComponent(db, input));
}

function requireGroup(db: Db | Tx, input: { pageId: string; id: string }): ComponentGroup {
  return inField("group_id", () => findGroup(db, input));
}

function inField<Found>(field: string, find: () => Found): Found {
  try {
    return find();
  } catch (error) {
    throw error instanceof UserError ? new UserError("invalid", error.message, { field }) : error;
  }
}

/** By position, archived ones left out unless asked for. */
export function listComponents(db: Db | Tx, pageId: string, archived: "without" | "with" = "without"): Component[] {
  const wanted =
    archived === "with"
      ? eq(components.pageId, pageId)
      : and(eq(components.pageId, pageId), isNull(components.archivedAt));
  return db.select().from(components).where(wanted).orderBy(asc(components.position), asc(components.id)).all();
}

export function listGroups(db: Db | Tx, pageId: string): ComponentGroup[] {
  const wanted = and(eq(componentGroups.pageId, pageId), isNull(componentGroups.archivedAt));
  return db
    .select()
    .from(componentGroups)
    .where(wanted)
    .orderBy(asc(componentGroups.position), asc(componentGroups.id))
    .all();
}

export function findGroup(db: Db | Tx, input: { pageId: string; id: string }): ComponentGroup {
  const group = db
    .select()
    .from(componentGroups)
    .where(and(eq(componentGroups.id, input.id), eq(componentGroups.pageId, input.pageId)))
    .get();
  if (!group || group.archivedAt) {
    throw new UserError("not_found", `This page has no component group ${JSON.stringify(input.id)}.`);
  }
  return group;
}

export function createGroup(
  db: Db,
  input: Doing & { name: string; description?: string | null | undefined; componentIds?: string[] | undefined },
): ComponentGroup {
  return db.transaction((tx) => {
    const last = tx
      .select({ position: max(componentGroups.position) })
      .from(componentGroups)
      .where(eq(componentGroups.pageId, input.pageId))
      .get();
    const row = {
      id: newId(),
      pageId: input.pageId,
      name: groupName(input.name),
      description: describe(input.description),
      position: (last?.position ?? 0) + 1,
      createdAt: input.now,
      updatedAt: input.now,
    };
    const group = tx.insert(componentGroups).values(row).returning().get();
    if (input.componentIds) fillGroup(tx, group, input.componentIds);
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "group.create", subject: group.id });
    return group;
  });
}

export function changeGroup(
  db: Db,
  input: Doing & {
    id: string;
    name?: string | undefined;
    description?: string | null | undefined;
    componentIds?: string[] | undefined;
  },
): ComponentGroup {
  return db.transaction((tx) => {
    const group = findGroup(tx, input);
    const wanted: Partial<ComponentGroup> = {};
    if (input.name !== undefined) wanted.name = groupName(input.name);
    if (input.description !== undefined) wanted.description = describe(input.description);
    const change = changesTo(group, wanted);
    const isFilled = input.componentIds !== undefined && fillGroup(tx, group, input.componentIds);
    if (!change && !isFilled) return group;
    tx.update(componentGroups)
      .set({ ...change, updatedAt: input.now })
      .where(eq(componentGroups.id, input.id))
      .run();
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "group.change", subject: input.id });
    return findGroup(tx, input);
  });
}

/** The group goes; its components stay on the page, outside any group. */
export function archiveGroup(db: Db, input: Doing & { id: string }): ComponentGroup {
  return db.transaction((tx) => {
    const group = findGroup(tx, input);
    fillGroup(tx, group, []);
    tx.update(componentGroups)
      .set({ archivedAt: input.now, updatedAt: input.now })
      .where(eq(componentGroups.id, input.id))
      .run();
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "group.archive", subject: input.id });
    return group;
  });
}

export function moveGroup(db: Db, input: Doing & { id: string; step: "up" | "down" }): void {
  db.transaction((tx) => {
    const group = findGroup(tx, input);
    const row = listGroups(tx, input.pageId);
    const neighbour = row[row.findIndex((other) => other.id === input.id) + (input.step === "up" ? -1 : 1)];
    if (!neighbour) return;
    tx.update(componentGroups).set({ position: neighbour.position }).where(eq(componentGroups.id, group.id)).run();
    tx.update(componentGroups).set({ position: group.position }).where(eq(componentGroups.id, neighbour.id)).run();
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "group.move", subject: input.id });
  });
}

export function requireStatus(text: string, field = "status"): ComponentStatus {
  const status = componentStatuses.find((known) => known === text);
  if (!status)
    throw new UserError("invalid", `Give one of these statuses: ${componentStatuses.join(", ")}.`, { field });
  return status;
}

/** @returns whether that changes who belongs to it */
function fillGroup(tx: Tx, group: ComponentGroup, given: string[]): boolean {
  const wanted = new Set(given);
  const componentIds = [...wanted];
  for (const id of componentIds) requireComponent(tx, { pageId: group.pageId, id });
  const members = tx.select({ id: components.id }).from(components).where(eq(components.groupId, group.id)).all();
  if (members.length === wanted.size && members.every(({ id }) => wanted.has(id))) return false;
  tx.update(components).set({ groupId: null }).where(eq(components.groupId, group.id)).run();
  if (componentIds.length > 0)
    tx.update(components).set({ groupId: group.id }).where(inArray(components.id, componentIds)).run();
  return true;
}

function componentFields(tx: Tx | Db, input: ComponentFields & { pageId: string }): Partial<Component> {
  const fields: Partial<Component> = {};
  if (input.description !== undefined) fields.description = describe(input.description);
  if (input.groupId !== undefined)
    fields.groupId = input.groupId && requireGroup(tx, { pageId: input.pageId, id: input.groupId }).id;
  if (input.showcase !== undefined) fields.showcase = input.showcase;
  if (input.onlyShowIfDegraded !== undefined) fields.onlyShowIfDegraded = input.onlyShowIfDegraded;
  if (input.startDate !== undefined) fields.startDate = input.startDate && requireDate(input.startDate);
  return fields;
}

function componentName(text: string): string {
  return requireText(text, { field: "name", what: "a name for the component", most: 100 });
}

function groupName(text: string): string {
  return requireText(text, { field: "name", what: "a name for the group", most: 100 });
}

function describe(text: string | null | undefined): string | null {
  return text ? requireLines(text, { field: "description", what: "a description", most: 1000 }) || null : null;
}

function requireDate(text: string): string {
  // Date.parse would take the 31st of February, on which no page can be drawn.
  if (/^\d{4}-\d{2}-\d{2}$/.test(text) && isDay(text)) return text;
  throw new UserError("invalid", "Give a date like 2026-01-31.", { field: "start_date" });
}

function isDay(text: string): boolean {
  try {
    Temporal.PlainDate.from(text);
    return true;
  } catch {
    return false;
  }
}
