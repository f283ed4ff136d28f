/** The words and times of public pages. */

import type { Page } from "../pages/pages.ts";
import type { ComponentStatus, Impact, IncidentStatus } from "../schema.ts";
import { consentSentence } from "../subscribers/subscribers.ts";
import type { PageState } from "./state.ts";

export const statusWords: Record<ComponentStatus, string> = {
  operational: "Operational",
  degraded_performance: "Degraded",
  partial_outage: "Partial outage",
  major_outage: "Major outage",
  under_maintenance: "Maintenance",
};

export const incidentWords: Record<IncidentStatus, string> = {
  investigating: "Investigating",
  identified: "Identified",
  monitoring: "Monitoring",
  resolved: "Resolved",
  scheduled: "Scheduled",
  in_progress: "In progress",
  verifying: "Verifying",
  completed: "Completed",
};

export const impactWords: Record<Impact, string> = {
  none: "No impact",
  minor: "Minor",
  major: "Major",
  critical: "Critical",
  maintenance: "Maintenance",
};

/** The forms that dates and times take on the page. */
export const timeForms = {
  moment: {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
  },
  clock: { hour: "2-digit", minute: "2-digit", timeZoneName: "short" },
  date: { weekday: "short", day: "numeric", month: "short", year: "numeric" },
  weekday: { weekday: "long", day: "numeric", month: "long" },
  day: { day: "numeric", month: "short" },
  month: { month: "long", year: "numeric" },
} as const satisfies Record<string, Intl.DateTimeFormatOptions>;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Making a formatter costs far more than using one, so each zone's are kept. */
export function formatTime(at: number, zone: string, form: keyof typeof timeForms): string {
  const key = `${form} ${zone}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...timeForms[form] });
    formats.set(key, format);
  }
  return format.format(at);
}

/** A moment as people read it, with its zone, and as machines do. */
export type Moment = { text: string; iso: string };

export function moment(at: number, zone: string): Moment {
  return { text: formatTime(at, zone, "moment"), iso: new Date(at).toISOString() };
}

/** From when until when, the day said once where it is the same, and so the zone. */
export function span(from: number, until: number, zone: string): string {
  const [firstDay, lastDay] = [from, until].map((at) => formatTime(at, zone, "date"));
  const [begins = "", ends = ""] = [from, until].map((at) => formatTime(at, zone, "clock"));
  if (firstDay !== lastDay) return `${firstDay}, ${begins} to ${lastDay}, ${ends}`;
  const isSameZone = begins.slice(begins.indexOf(" ")) === ends.slice(ends.indexOf(" "));
  return `${firstDay}, ${isSameZone ? begins.slice(0, begins.indexOf(" ")) : begins} to ${ends}`;
}

/** 45 min, 3 h 20 min, 2 days. */
export function duration(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000));
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} days`;
}

/** A, B and C; beyond three names a count. */
export function nameList(names: string[], rest: string): string {
  if (names.length > 3) return `${names.length} ${rest}`;
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}

/** What an update says of components, in the order of `names`, which is the page's; what the page doesn't know is left out. */
export function affectedView(
  affected: { componentId: string; newStatus: ComponentStatus }[],
  names: Map<string, string>,
) {
  const statusOf = new Map(affected.map((row) => [row.componentId, row.newStatus]));
  return [...names].flatMap(([id, name]) => {
    const status = statusOf.get(id);
    return status ? [{ name, status, statusWord: statusWords[status] }] : [];
  });
}

/** What every public page needs for its frame. */
export function frame(page: Page, origin: string) {
  return {
    pageName: page.name,
    description: page.description,
    supportUrl: page.supportUrl,
    timeZone: page.timeZone.replace(/^Etc\/(?=UTC$)/, ""),
    origin,
  };
}

export function subscribeView(state: Pick<PageState, "page" | "origin" | "components" | "groups">) {
  const byGroup = Map.groupBy(state.components, (component) => component.groupId);
  const choices = [{ id: null, name: "" }, ...state.groups]
    .map((group) => ({
      name: group.name,
      components: (byGroup.get(group.id) ?? []).map(({ id, name }) => ({ id, name, chosen: false })),
    }))
    .filter((group) => group.components.length > 0);
  return { ...frame(state.page, state.origin), title: "Subscribe", choices, consent: consentSentence, wholePage: true };
}

export function missingView(page: Page, origin: string) {
  return { ...frame(page, origin), title: "Nothing here" };
}
