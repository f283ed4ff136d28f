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
  planned: {
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
  },
  clock: { hour: "2-digit", minute: "2-digit", timeZoneName: "short" },
  weekday: { weekday: "long", day: "numeric", month: "long" },
  day: { day: "numeric", month: "short" },
  month: { month: "long", year: "numeric" },
} as const satisfies Record<string, Intl.DateTimeFormatOptions>;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Making a formatter costs far more than using one, so each zone's are kept. */
export function formatTime(at: number, zone: string, form: keyof typeof timeForms): string {
  const text = formatFor("en-GB", zone, form).format(at);
  return text.replace(/GMT[+-][\d:]+$/, (offset) => zoneName(at, zone) ?? offset);
}

/** New York's GMT-5 is EST to whoever lives by it. English of a region knows the names of that region's zones alone. */
function zoneName(at: number, zone: string): string | undefined {
  for (const locale of ["en-US", "en-CA", "en-AU", "en-IN", "en-ZA"]) {
    const parts = formatFor(locale, zone, "clock").formatToParts(at);
    const name = parts.find((part) => part.type === "timeZoneName")?.value;
    if (name && !name.startsWith("GMT")) return name;
  }
  return undefined;
}

function formatFor(locale: string, zone: string, form: keyof typeof timeForms): Intl.DateTimeFormat {
  const key = `${locale} ${form} ${zone}`;
  const known = formats.get(key);
  if (known) return known;
  const format = new Intl.DateTimeFormat(locale, { timeZone: zone, ...timeForms[form] });
  formats.set(key, format);
  return format;
}

/** A moment as people read it, with its zone, and as machines do. */
export type Moment = { text: string; iso: string };

export function moment(at: number, zone: string): Moment {
  return { text: formatTime(at, zone, "moment"), iso: new Date(at).toISOString() };
}

/** From when to when something is planned, with the day of the week; on one day its date and zone are said once. */
export function plannedHours(from: number, until: number, zone: string): { from: Moment; until: Moment } {
  const isOneDay = formatTime(from, zone, "moment").split(",")[0] === formatTime(until, zone, "moment").split(",")[0];
  const said = (at: number, form: keyof typeof timeForms) => formatTime(at, zone, form).replace(/^(\w+),/, "$1");
  const begin = moment(from, zone);
  const end = moment(until, zone);
  const zoneSaid = end.text.split(" ").at(-1) ?? "";
  if (!isOneDay || !begin.text.endsWith(zoneSaid))
    return { from: { ...begin, text: said(from, "planned") }, until: { ...end, text: said(until, "planned") } };
  const beginWords = said(from, "planned").slice(0, -zoneSaid.length).trimEnd();
  return { from: { ...begin, text: beginWords }, until: { ...end, text: said(until, "clock") } };
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
    zone: page.timeZone,
    timeZone: page.timeZone.replace(/^Etc\/(?=UTC$)/, "").replaceAll("_", " "),
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
