/**
 * Incidents: what visitors are told. An incident is a list of updates; each sets the incident's status and the statuses
 * of components, and commits together with its announcement and its audit entry. Impact is the worst that the incident's
 * components went through, unless somebody decided otherwise.
 */
import { eq } from "drizzle-orm";
import { announceUpdate } from "../announcements/announcements.ts";
import { type Actor, recordDeed } from "../audit/audit.ts";
import { type Component, findComponent, requireComponent, setStatuses } from "../components/components.ts";
import type { Db, Tx } from "../db.ts";
import { UserError } from "../errors.ts";
import { newId } from "../ids.ts";
import {
  type ComponentStatus,
  type Impact,
  type IncidentStatus,
  incidentComponents,
  incidentStatuses,
  incidents,
  incidentUpdates,
  updateComponents,
} from "../schema.ts";
import { requireLines, requireText } from "../text.ts";
import {
  componentIdsOf,
  findIncident,
  type Incident,
  type IncidentUpdate,
  listOpenIncidents,
  type Story,
  tellStories,
} from "./stories.ts";

export const statusesOf = {
  incident: ["investigating", "identified", "monitoring", "resolved"],
  maintenance: ["scheduled", "in_progress", "verifying", "completed"],
} as const;

export const impactOf: Record<ComponentStatus, Impact> = {
  operational: "none",
  degraded_performance: "minor",
  partial_outage: "major",
  major_outage: "critical",
  under_maintenance: "maintenance",
};
const severity: Impact[] = ["none", "maintenance", "minor", "major", "critical"];

/** What a maintenance does by the clock; what is left out stays as it was, at first off. */
export type ByTheClock = {
  autoBegin?: boolean | undefined;
  autoEnd?: boolean | undefined;
  autoMaintenance?: boolean | undefined;
  autoOperational?: boolean | undefined;
  tellAtBegin?: boolean | undefined;
  tellAtEnd?: boolean | undefined;
};

export type Doing = { pageId: string; now: number; by: Actor };
type Telling = { notify: boolean; burstFactor: number };

export type OpenIncident = Doing &
  Telling & {
    /** Left out: a new one. */
    id?: string | undefined;
    name: string;
    body: string;
    status?: string | undefined;
    components: Record<string, ComponentStatus>;
    /** Components that it concerns besides those whose status it sets. */
    componentIds?: string[] | undefined;
    impactOverride?: Impact | null | undefined;
    kind?: "incident" | "maintenance" | undefined;
    scheduledFor?: number | undefined;
    scheduledUntil?: number | undefined;
    /** A record of something past: changes no component, tells nobody. */
    backfilled?: boolean | undefined;
    startedAt?: number | undefined;
    metadata?: string | undefined;
    byTheClock?: ByTheClock | undefined;
  };

export function openIncident(db: Db, input: OpenIncident): { incident: Incident; update: IncidentUpdate } {
  const kind = input.kind ?? "incident";
  const status = requireIncidentStatus(kind, input.status ?? statusesOf[kind][0]);
  const backfilled = input.backfilled ?? false;
  const startedAt = input.startedAt ?? input.now;
  if (backfilled && startedAt > input.now) {
    throw new UserError(
      "invalid",
      "What is told afterwards is over already. Give backfill_date as a day that is past.",
      {
        field: "backfill_date",
      },
    );
  }
  if (kind === "maintenance") {
    requireSchedule(input);
    if (status === "scheduled" && !backfilled && (input.scheduledUntil as number) <= input.now) {
      const advice = "Check the dates; to record what is over, say that it was completed.";
      throw new UserError("invalid", `The maintenance would have ended already. ${advice}`, {
        field: "scheduled_until",
      });
    }
  }
  const byTheClock = requireMaintenance(kind, input.byTheClock);
  return db.transaction((tx) => {
    const id = input.id ?? newId();
    tx.insert(incidents)
      .values({
        ...byTheClock,
        id,
        pageId: input.pageId,
        kind,
        name: incidentName(input.name),
        status,
        impact: input.impactOverride ?? (kind === "maintenance" ? "maintenance" : "none"),
        impactOverride: input.impactOverride ?? null,
        metadata: input.metadata ?? "{}",
        backfilled,
        startedAt,
        scheduledFor: input.scheduledFor ?? null,
        scheduledUntil: input.scheduledUntil ?? null,
        createdAt: startedAt,
        updatedAt: input.now,
      })
      .run();
    recordDeed(tx, input.by, input.now, { pageId: input.pageId, action: "incident.open", subject: id });
    joinComponents(tx, { pageId: input.pageId, incidentId: id, componentIds: input.componentIds ?? [] });
    const update = writeUpdate(tx, findIncident(tx, { pageId: input.pageId, id }), {
      ...input,
      status,
      notify: input.notify && !backfilled,
      displayAt: backfilled ? startedAt : input.now,
    });
    return { incident: findIncident(tx, { pageId: input.pageId, id }), update };
  });
}

export type PostUpdate = Doing &
  Telling & {
    incidentId: string;
    /** Left out: a new one. */
    updateId?: string | undefined;
    body: string;
    /** Left out: the status stays. */
    status?: string | undefined;
    components: Record<string, ComponentStatus>;
  };

export function postUpdate(db: Db, input: PostUpdate): { incident: Incident; update: IncidentUpdate } {
  return db.transaction((tx) => {
    const incident = findIncident(tx, { pageId: input.pageId, id: input.incidentId });
    const status = requireIncidentStatus(incident.kind, input.status ?? incident.status);
    const update = writeUpdate(tx, incident, {
      ...input,
      status,
      notify: input.notify && !incident.backfilled,
      displayAt: input.now,
    });
    recordDeed(tx, input.by, input.now, {
      pageId: input.pageId,
      action: "incident.update",
      subject: incident.id,
      detail: { status, update: update.id },
    });
    return { incident: findIncident(tx, { pageId: input.pageId, id: incident.id }), update };
  });
}

function writeUpdate(
  tx: Tx,
  incident: Incident,
  input: Doing &
    Telling & {
      updateId?: string | undefined;
      body: string;
      status: IncidentStatus;
      components: Record<string, ComponentStatus>;
      displayAt: number;
    },
): IncidentUpdate {
  const { pageId, now } = input;
  const body = incidentText(input.body);
  const update = tx
    .insert(incidentUpdates)
    .values({
      id: input.updateId ?? newId(),
      incidentId: incident.id,
      pageId,
      status: input.status,
      body,
      deliverNotifications: input.notify,
      displayAt: input.displayAt,
      createdAt: now,
      updatedAt: now,
    })
    .returning()
    .get();
  const affected = incident.backfilled
    ? Object.entries(input.components).map(([componentId, newStatus]) => {
        requireComponent(tx, { pageId, id: componentId });
        return { componentId, oldStatus: newStatus, newStatus };
      })
    : setStatuses(tx, { pageId, statuses: input.components, now });
  if (affected.length > 0) {
    tx.insert(updateComponents)
      .values(affected.map((row) => ({ updateId: update.id, ...row })))
      .run();
    joinComponents(tx, { pageId, incidentId: incident.id, componentIds: affected.map((row) => row.componentId) });
  }
  const over = ["resolved", "completed"].includes(input.status);
  tx.update(incidents)
    .set({
      status: input.status,
      impact:
        incident.impactOverride ?? worstImpact([incident.impact, ...affected.map((row) => impactOf[row.newStatus])]),
      monitoringAt: input.status === "monitoring" ? (incident.monitoringAt ?? now) : incident.monitoringAt,
      resolvedAt: over ? (incident.resolvedAt ?? (incident.backfilled ? input.displayAt : now)) : null,
      updatedAt: now,
    })
    .where(eq(incidents.id, incident.id))
    .run();
  if (input.notify) {
    const componentIds = componentIdsOf(tx, incident.id);
    announceUpdate(tx, { pageId, updateId: update.id, componentIds, burstFactor: input.burstFactor, now });
  }
  return update;
}

export function joinComponents(tx: Tx, input: { pageId: string; incidentId: string; componentIds: string[] }): void {
  for (const componentId of new Set(input.componentIds)) {
    requireComponent(tx, { pageId: input.pageId, id: componentId });
    tx.insert(incidentComponents).values({ incidentId: input.incidentId, componentId }).onConflictDoNothing().run();
  }
}

/** A maintenance's own impact says nothing about severity, so anything a component shows outranks it. */
export function worstImpact(seen: Impact[]): Impact {
  return seen.reduce(
    (worst, impact) => (severity.indexOf(impact) > severity.indexOf(worst) ? impact : worst),
    "none" as Impact,
  );
}

/**
 * The status that each of the incident's components would return to when it ends: operational, or what other open
 * incidents last said of it. It never gets worse by that; where another concerns it and said nothing, it stays.
 */
export function recoveryOf(db: Db | Tx, incident: Incident): Record<string, ComponentStatus> {
  const mine = componentIdsOf(db, incident.id);
  if (mine.length === 0) return {};
  const open = listOpenIncidents(db, incident.pageId).filter((other) => other.id !== incident.id);
  const others = tellStories(db, open);
  const recovery: Record<string, ComponentStatus> = {};
  for (const componentId of mine) {
    const now = findComponent(db, { pageId: incident.pageId, id: componentId }).status;
    const said = others
      .filter((other) => other.componentIds.includes(componentId))
      .map((other) => lastSaid(other, componentId) ?? now)
      .reduce((worst, status) => (isWorse(status, worst) ? status : worst), "operational" as ComponentStatus);
    recovery[componentId] = isWorse(said, now) ? now : said;
  }
  return recovery;
}

function lastSaid(story: Story, componentId: string): ComponentStatus | undefined {
  return story.updates
    .toSorted((a, b) => b.createdAt - a.createdAt)
    .flatMap((update) => update.affected)
    .find((row) => row.componentId === componentId)?.newStatus;
}

function isWorse(status: ComponentStatus, than: ComponentStatus): boolean {
  return severity.indexOf(impactOf[status]) > severity.indexOf(impactOf[than]);
}

/** Its parts that would recover if it ended now. */
export function troubledBy(db: Db | Tx, incident: Incident): Component[] {
  const recovery = recoveryOf(db, incident);
  return Object.entries(recovery)
    .map(([id, better]) => ({ component: findComponent(db, { pageId: incident.pageId, id }), better }))
    .filter(({ component, better }) => component.archivedAt === null && isWorse(component.status, better))
    .map(({ component }) => component);
}

export function requireIncidentStatus(kind: Incident["kind"], text: string): IncidentStatus {
  const status = incidentStatuses.find((known) => known === text);
  const fitting: readonly string[] = statusesOf[kind];
  if (status && fitting.includes(status)) return status;
  throw new UserError("invalid", `Give one of these statuses: ${fitting.join(", ")}.`, { field: "status" });
}

/** For people at a form or a command line: programs may leave the text empty, a person who publishes may not. */
export function requireBody(body: string): string {
  if (body.trim() === "") {
    throw new UserError("invalid", "Write what is happening, for whom, and when you will say more.", { field: "body" });
  }
  return incidentText(body);
}

export function incidentName(text: string): string {
  return requireText(text, { field: "name", what: "the incident a title", most: 255, called: "Title" });
}

export function incidentText(text: string): string {
  return requireLines(text, { field: "body", what: "a text", most: 25_000, called: "Text" });
}

/** @returns what is said; programs say "no" of ordinary incidents as well */
export function requireMaintenance(
  kind: Incident["kind"],
  said: ByTheClock = {},
): Partial<Record<keyof ByTheClock, boolean>> {
  const entries = Object.entries(said).filter((entry) => entry[1] !== undefined);
  if (kind === "incident" && entries.some(([, yes]) => yes)) {
    throw new UserError(
      "conflict",
      "Only a maintenance begins and ends by the clock. Give scheduled_for and scheduled_until.",
      {
        field: "scheduled_for",
      },
    );
  }
  return Object.fromEntries(entries);
}

export function requireSchedule(input: {
  scheduledFor?: number | undefined;
  scheduledUntil?: number | undefined;
}): void {
  if (input.scheduledFor === undefined || input.scheduledUntil === undefined) {
    throw new UserError("invalid", "Say when the maintenance begins and ends.", { field: "scheduled_for" });
  }
  if (input.scheduledUntil <= input.scheduledFor) {
    throw new UserError("invalid", "The maintenance must end after it begins.", { field: "scheduled_until" });
  }
}
