/**
 * The shapes of Statuspage's public API v2, all keys, nulls included, in the recorded order. Manage v1 builds on them.
 */
import type { Component, ComponentGroup } from "../components/components.ts";
import type { Story } from "../incidents/stories.ts";
import { indicatorWords, type PageState } from "./state.ts";

/** Names for the API's `Group - Component`, in the page's order; archived components are in it too, because the past speaks of them. */
export type Names = Map<string, string>;

export function iso(at: number): string {
  return new Date(at).toISOString();
}
export function isoOrNull(at: number | null): string | null {
  return at === null ? null : iso(at);
}

export function pageShape(state: Pick<PageState, "page" | "origin" | "updatedAt">) {
  const { page } = state;
  return {
    id: page.id,
    name: page.name,
    url: state.origin,
    time_zone: page.timeZone,
    updated_at: iso(state.updatedAt),
  };
}

export function statusShape(state: Pick<PageState, "indicator">) {
  return { indicator: state.indicator, description: indicatorWords[state.indicator] };
}

export function componentShape(component: Component) {
  return {
    id: component.id,
    name: component.name,
    status: component.status,
    created_at: iso(component.createdAt),
    updated_at: iso(component.updatedAt),
    position: component.position,
    description: component.description,
    showcase: component.showcase,
    start_date: component.startDate,
    group_id: component.groupId,
    page_id: component.pageId,
    group: false,
    only_show_if_degraded: component.onlyShowIfDegraded,
  };
}

export function groupShape(group: ComponentGroup, members: Component[], status: Component["status"]) {
  return {
    id: group.id,
    name: group.name,
    status,
    created_at: iso(group.createdAt),
    updated_at: iso(group.updatedAt),
    position: group.position,
    description: group.description,
    showcase: false,
    start_date: null,
    group_id: null,
    page_id: group.pageId,
    group: true,
    only_show_if_degraded: false,
    components: members.map((component) => component.id),
  };
}

export function affectedShape(affected: Story["updates"][number]["affected"], names: Names) {
  if (affected.length === 0) return null;
  const order = [...names.keys()];
  const sorted = affected.toSorted((a, b) => order.indexOf(a.componentId) - order.indexOf(b.componentId));
  return sorted.map((row) => ({
    code: row.componentId,
    name: names.get(row.componentId) ?? "",
    old_status: row.oldStatus,
    new_status: row.newStatus,
  }));
}

export function updateShape(update: Story["updates"][number], names: Names) {
  return {
    id: update.id,
    status: update.status,
    body: update.body,
    incident_id: update.incidentId,
    created_at: iso(update.createdAt),
    updated_at: iso(update.updatedAt),
    display_at: iso(update.displayAt),
    affected_components: affectedShape(update.affected, names),
    deliver_notifications: update.deliverNotifications,
    custom_tweet: null,
    tweet_id: null,
  };
}

export function incidentShape(
  story: Story,
  context: { origin: string; names: Names; components: Map<string, Component> },
) {
  const shape = {
    id: story.id,
    name: story.name,
    status: story.status,
    created_at: iso(story.createdAt),
    updated_at: iso(story.updatedAt),
    monitoring_at: isoOrNull(story.monitoringAt),
    resolved_at: isoOrNull(story.resolvedAt),
    impact: story.impact,
    shortlink: `${context.origin}/incidents/${story.id}`,
    started_at: iso(story.startedAt),
    page_id: story.pageId,
    incident_updates: story.updates.map((update) => updateShape(update, context.names)),
    components: story.componentIds.flatMap((id) => {
      const component = context.components.get(id);
      return component ? [componentShape(component)] : [];
    }),
    reminder_intervals: null,
  };
  if (story.kind === "incident") return shape;
  return { ...shape, scheduled_for: isoOrNull(story.scheduledFor), scheduled_until: isoOrNull(story.scheduledUntil) };
}

export function namesOf(components: Component[], groups: ComponentGroup[]): Names {
  const groupNames = new Map(groups.map((group) => [group.id, group.name]));
  return new Map(
    components.map((component) => {
      const group = component.groupId ? groupNames.get(component.groupId) : undefined;
      return [component.id, group ? `${group} - ${component.name}` : component.name];
    }),
  );
}
