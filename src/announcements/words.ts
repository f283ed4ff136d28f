/** The words of a letter about an update; the same for the preview that a publisher sees before sending. */
import type { Component } from "../components/components.ts";
import type { Story } from "../incidents/stories.ts";
import type { Page } from "../pages/pages.ts";
import type { Render } from "../render.ts";
import { type ComponentStatus, componentStatuses, type IncidentStatus } from "../schema.ts";
import { lasted } from "../statuspage/incident.ts";
import { firstWords, markdownToHtml, markdownToText } from "../statuspage/markdown.ts";
import { incidentWords, moment, nameList, plannedHours, statusWords } from "../statuspage/words.ts";

/** As in the page's icon, readable on white and on black. */
const colours: Record<ComponentStatus, string> = {
  operational: "#2e9e6b",
  degraded_performance: "#c58a00",
  partial_outage: "#dd6b20",
  major_outage: "#d03535",
  under_maintenance: "#3b74d1",
};
const mostPreview = 140;

export type WrittenLetter = { subject: string; text: string; html: string };

export type LetterInput = {
  page: Page;
  origin: string;
  components: Component[];
  incident: Story;
  update: {
    status: IncidentStatus;
    body: string;
    displayAt: number;
    affected: { componentId: string; newStatus: ComponentStatus }[];
  };
  /** Where the reader's own link goes; the mark that is spliced over, or an example in a preview. */
  manageLink: string;
};

export function updateWords(render: Render, input: LetterInput): WrittenLetter {
  const { page, origin, incident, update } = input;
  const concerned = partsOf(input);
  const statusWord = incidentWords[update.status];
  const ahead = update.status === "scheduled" && incident.scheduledFor !== null;
  const planned =
    incident.scheduledFor !== null && incident.scheduledUntil !== null
      ? plannedWords(incident.scheduledFor, incident.scheduledUntil, page.timeZone)
      : undefined;
  const first = firstWords(update.body, mostPreview);
  const view = {
    pageName: page.name,
    origin,
    name: incident.name,
    statusWord,
    at: moment(update.displayAt, page.timeZone),
    ahead,
    planned,
    lasted: update.status === incident.status ? lasted(incident) : "",
    // What mail programs show beside the subject, which said the rest already.
    preview: ahead ? `${planned}. ${first}` : first,
    colour: colourOf(update.status, concerned),
    body: markdownToText(update.body),
    bodyHtml: markdownToHtml(update.body),
    // Of what is yet to come, the parts' present state says nothing.
    parts: concerned.map(({ name, status }) => (ahead ? { name } : { name, statusWord: statusWords[status] })),
    incidentLink: `${origin}/incidents/${incident.id}`,
    manageLink: input.manageLink,
  };
  const names = concerned.map((part) => part.name);
  const subject =
    names.length > 0
      ? `${statusWord}: ${incident.name} (${nameList(names, "components")})`
      : `${statusWord}: ${incident.name}`;
  return { subject, text: render("mail/update.txt", view), html: render("mail/update.html", view) };
}

/**
 * All parts of the incident, not only those that this update changed: a reader may have missed the others, or subscribed
 * since. What the update says comes first, because a rehearsed one has changed nothing yet.
 */
function partsOf({ components, incident, update }: LetterInput): { name: string; status: ComponentStatus }[] {
  const said = new Map(update.affected.map((row) => [row.componentId, row.newStatus]));
  const ids = new Set([...incident.componentIds, ...said.keys()]);
  return components
    .filter((component) => ids.has(component.id))
    .map(({ id, name, status }) => ({ name, status: said.get(id) ?? status }));
}

/** Of the line beside the title; the words say the same, so it need not be told apart. */
function colourOf(status: IncidentStatus, parts: { status: ComponentStatus }[]): string {
  if (status === "resolved" || status === "completed") return colours.operational;
  if (["scheduled", "in_progress", "verifying"].includes(status)) return colours.under_maintenance;
  const worst = Math.max(0, ...parts.map((part) => componentStatuses.indexOf(part.status)));
  return worst === 0 ? "#888888" : colours[componentStatuses[worst] as ComponentStatus];
}

function plannedWords(from: number, until: number, zone: string): string {
  const hours = plannedHours(from, until, zone);
  return `${hours.from.text} to ${hours.until.text}`;
}
