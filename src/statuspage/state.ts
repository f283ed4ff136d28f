/** The state of a page right now, read in a handful of queries; everything pressed begins here. */

import { type Component, type ComponentGroup, listComponents, listGroups } from "../components/components.ts";
import type { Db } from "../db.ts";
import {
  type Incident,
  lastChangeOf,
  listOpenIncidents,
  listUpcoming,
  type Story,
  tellStories,
} from "../incidents/stories.ts";
import { findPage, originOf, type Page } from "../pages/pages.ts";
import type { ComponentStatus, Impact } from "../schema.ts";
import { worstOf } from "./days.ts";

export type PageState = {
  page: Page;
  origin: string;
  groups: ComponentGroup[];
  /** Everything the page lists, by position; archived ones are not among them. */
  components: Component[];
  open: Story[];
  upcoming: Story[];
  indicator: Impact;
  updatedAt: number;
};

export function readState(db: Db, pageId: string): PageState {
  const page = findPage(db, pageId);
  const components = listComponents(db, pageId);
  const open = tellStories(db, listOpenIncidents(db, pageId));
  return {
    page,
    origin: originOf(db, pageId),
    groups: listGroups(db, pageId),
    components,
    open,
    upcoming: tellStories(db, listUpcoming(db, pageId)),
    indicator: indicatorOf(components, open),
    updatedAt: Math.max(
      page.updatedAt,
      lastChangeOf(db, pageId),
      ...components.map((component) => component.updatedAt),
    ),
  };
}

const impactOfStatus: Record<ComponentStatus, Impact> = {
  operational: "none",
  under_maintenance: "maintenance",
  degraded_performance: "minor",
  partial_outage: "major",
  major_outage: "critical",
};
/** Which status' icon stands for an impact. */
export const iconOf: Record<Impact, ComponentStatus> = {
  none: "operational",
  minor: "degraded_performance",
  major: "partial_outage",
  critical: "major_outage",
  maintenance: "under_maintenance",
};
const order: Impact[] = ["none", "maintenance", "minor", "major", "critical"];

/** The worst of the components' statuses now; an open incident with an impact set by hand counts too. */
function indicatorOf(components: Component[], open: Incident[]): Impact {
  const seen = [
    impactOfStatus[worstOf(components.map((component) => component.status))],
    ...open.filter((incident) => incident.kind === "incident").map((incident) => incident.impactOverride ?? "none"),
    ...open.filter((incident) => incident.kind === "maintenance").map(() => "maintenance" as const),
  ];
  return seen.reduce((worst, impact) => (order.indexOf(impact) > order.indexOf(worst) ? impact : worst), "none");
}

/** What hurts most comes first, then what is newest: the order in which people read. */
export function worstFirst<T extends Pick<Incident, "impact" | "startedAt">>(list: T[]): T[] {
  return list.toSorted((a, b) => order.indexOf(b.impact) - order.indexOf(a.impact) || b.startedAt - a.startedAt);
}

/** The words of Statuspage's API for each indicator. */
export const indicatorWords: Record<Impact, string> = {
  none: "All Systems Operational",
  minor: "Partially Degraded Service",
  major: "Partial System Outage",
  critical: "Major Service Outage",
  maintenance: "Service Under Maintenance",
};
