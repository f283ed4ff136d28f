/**
 * The shapes of Statuspage's Manage API v1: all keys of its types, in their order. What Candor has no notion of carries
 * the value that says so (null, false, an empty text), because importers fail on missing keys.
 */
import type { Component, ComponentGroup } from "../components/components.ts";
import type { Story } from "../incidents/stories.ts";
import type { Page } from "../pages/pages.ts";
import { worstOf } from "./days.ts";
import { affectedShape, iso, isoOrNull, type Names } from "./shapes.ts";

export type ManageContext = { origin: string; names: Names; components: Map<string, Component> };

export function managePageShape(page: Page, site: { origin: string; sender: string | null }) {
  return {
    id: page.id,
    created_at: iso(page.createdAt),
    updated_at: iso(page.updatedAt),
    name: page.name,
    page_description: page.description,
    headline: null,
    branding: "basic",
    subdomain: "",
    domain: new URL(site.origin).hostname,
    url: site.origin,
    support_url: page.supportUrl,
    hidden_from_search: false,
    allow_page_subscribers: true,
    allow_incident_subscribers: false,
    allow_email_subscribers: true,
    allow_sms_subscribers: false,
    allow_rss_atom_feeds: false,
    allow_webhook_subscribers: false,
    notifications_from_email: site.sender,
    notifications_email_footer: null,
    activity_score: 0,
    twitter_username: null,
    viewers_must_be_team_members: false,
    ip_restrictions: null,
    city: null,
    state: null,
    country: null,
    time_zone: page.timeZone,
    ...colours,
    favicon_logo: null,
    transactional_logo: null,
    hero_cover: null,
    email_logo: null,
    twitter_logo: null,
  };
}

/** Statuspage's own defaults: our page has one stylesheet for light and dark, which six hex digits can't say. */
const colours = {
  css_body_background_color: "ffffff",
  css_font_color: "333333",
  css_light_font_color: "aaaaaa",
  css_greens: "2fcc66",
  css_yellows: "f1c40f",
  css_oranges: "e67e22",
  css_blues: "3498db",
  css_reds: "e74c3c",
  css_border_color: "e0e0e0",
  css_graph_color: "3498db",
  css_link_color: "3498db",
  css_no_data: "b3bac5",
};

export function manageComponentShape(component: Component) {
  return {
    id: component.id,
    page_id: component.pageId,
    group_id: component.groupId,
    created_at: iso(component.createdAt),
    updated_at: iso(component.updatedAt),
    group: false,
    name: component.name,
    description: component.description,
    position: component.position,
    status: component.status,
    showcase: component.showcase,
    only_show_if_degraded: component.onlyShowIfDegraded,
    automation_email: "",
    start_date: component.startDate,
  };
}

/** A group as it stands among the components, with the worst status of its members. */
export function groupRowShape(group: ComponentGroup, members: Component[]): ReturnType<typeof manageComponentShape> {
  return {
    id: group.id,
    page_id: group.pageId,
    group_id: null,
    created_at: iso(group.createdAt),
    updated_at: iso(group.updatedAt),
    group: true,
    name: group.name,
    description: group.description,
    position: group.position,
    status: worstOf(members.map((member) => member.status)),
    showcase: false,
    only_show_if_degraded: false,
    automation_email: "",
    start_date: null,
  };
}

export function manageGroupShape(group: ComponentGroup, members: Component[]) {
  return {
    id: group.id,
    page_id: group.pageId,
    name: group.name,
    description: group.description,
    components: members.map((member) => member.id),
    position: group.position,
    created_at: iso(group.createdAt),
    updated_at: iso(group.updatedAt),
  };
}

export function manageUpdateShape(update: Story["updates"][number], names: Names) {
  return {
    id: update.id,
    incident_id: update.incidentId,
    affected_components: affectedShape(update.affected, names),
    body: update.body,
    created_at: iso(update.createdAt),
    custom_tweet: null,
    deliver_notifications: update.deliverNotifications,
    display_at: iso(update.displayAt),
    status: update.status,
    tweet_id: null,
    twitter_updated_at: null,
    updated_at: iso(update.updatedAt),
    wants_twitter_update: false,
  };
}

export function manageIncidentShape(story: Story, context: ManageContext) {
  const ofMaintenance = (yes: boolean) => (story.kind === "maintenance" ? yes : null);
  return {
    id: story.id,
    components: story.componentIds.flatMap((id) => {
      const component = context.components.get(id);
      return component ? [manageComponentShape(component)] : [];
    }),
    created_at: iso(story.createdAt),
    impact: story.impact,
    impact_override: story.impactOverride,
    incident_updates: story.updates.map((update) => manageUpdateShape(update, context.names)),
    metadata: JSON.parse(story.metadata) as Record<string, unknown>,
    monitoring_at: isoOrNull(story.monitoringAt),
    name: story.name,
    page_id: story.pageId,
    postmortem_body: null,
    postmortem_body_last_updated_at: null,
    postmortem_ignored: false,
    postmortem_notified_subscribers: false,
    postmortem_notified_twitter: false,
    postmortem_published_at: null,
    resolved_at: isoOrNull(story.resolvedAt),
    scheduled_auto_completed: story.autoEnd,
    scheduled_auto_in_progress: story.autoBegin,
    scheduled_for: isoOrNull(story.scheduledFor),
    scheduled_until: isoOrNull(story.scheduledUntil),
    auto_transition_deliver_notifications_at_start: ofMaintenance(story.tellAtBegin),
    auto_transition_deliver_notifications_at_end: ofMaintenance(story.tellAtEnd),
    auto_transition_to_maintenance_state: ofMaintenance(story.autoMaintenance),
    auto_transition_to_operational_state: ofMaintenance(story.autoOperational),
    scheduled_remind_prior: false,
    scheduled_reminded_at: null,
    shortlink: `${context.origin}/incidents/${story.id}`,
    status: story.status,
    updated_at: iso(story.updatedAt),
    reminder_intervals: null,
  };
}
