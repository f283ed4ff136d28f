/** Statuspage's public API v2: every document, pressed whenever the page changes. */

import { type Component, listComponents } from "../components/components.ts";
import type { Db } from "../db.ts";
import { type Incident, listIncidents, tellStories } from "../incidents/stories.ts";
import { worstOf } from "./days.ts";
import { componentShape, groupShape, incidentShape, namesOf, pageShape, statusShape } from "./shapes.ts";
import type { PageState } from "./state.ts";

/** The documents by path, in the key order that clients recorded. */
export function apiDocuments(db: Db, state: PageState): Record<string, object> {
  const page = pageShape(state);
  const status = statusShape(state);
  const everything = listComponents(db, state.page.id, "with");
  const context = {
    origin: state.origin,
    names: namesOf(everything, state.groups),
    components: new Map(everything.map((component): [string, Component] => [component.id, component])),
  };
  const components = componentShapes(state);
  const shapes = (list: Incident[]) => tellStories(db, list).map((story) => incidentShape(story, context));
  const newest = (kind: Incident["kind"]) => shapes(listIncidents(db, { pageId: state.page.id, kind, limit: 50 }));
  const unresolved = shapes(state.open.filter((story) => story.kind === "incident"));
  const active = shapes(state.open.filter((story) => story.kind === "maintenance"));
  const upcoming = shapes(state.upcoming);
  return {
    "/api/v2/summary.json": {
      page,
      components,
      incidents: unresolved,
      scheduled_maintenances: [...active, ...upcoming],
      status,
    },
    "/api/v2/status.json": { page, status },
    "/api/v2/components.json": { page, components },
    "/api/v2/incidents.json": { page, incidents: newest("incident") },
    "/api/v2/incidents/unresolved.json": { page, incidents: unresolved },
    "/api/v2/scheduled-maintenances.json": { page, scheduled_maintenances: newest("maintenance") },
    "/api/v2/scheduled-maintenances/active.json": { page, scheduled_maintenances: active },
    "/api/v2/scheduled-maintenances/upcoming.json": { page, scheduled_maintenances: upcoming },
  };
}

/** Groups and components in one list, as Statuspage does: a group stands before its members. */
function componentShapes(state: PageState) {
  const byGroup = Map.groupBy(state.components, (component) => component.groupId);
  const grouped = state.groups.flatMap((group) => {
    const members = byGroup.get(group.id) ?? [];
    return [
      groupShape(group, members, worstOf(members.map((member) => member.status))),
      ...members.map(componentShape),
    ];
  });
  return [...(byGroup.get(null) ?? []).map(componentShape), ...grouped];
}
