/** The words of a letter about an update; the same for the preview that a publisher sees before sending. */
import type { Component } from "../components/components.ts";
import type { Page } from "../pages/pages.ts";
import type { Render } from "../render.ts";
import type { ComponentStatus, IncidentStatus } from "../schema.ts";
import { markdownToHtml, markdownToText } from "../statuspage/markdown.ts";
import { affectedView, incidentWords, moment, nameList } from "../statuspage/words.ts";

export type WrittenLetter = { subject: string; text: string; html: string };

export type LetterInput = {
  page: Page;
  origin: string;
  components: Component[];
  incident: {
    id: string;
    name: string;
    componentIds: string[];
    scheduledFor: number | null;
    scheduledUntil: number | null;
  };
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
  const names = new Map(input.components.map((component) => [component.id, component.name]));
  const parts = incident.componentIds.flatMap((id) => names.get(id) ?? []);
  const statusWord = incidentWords[update.status];
  const view = {
    pageName: page.name,
    origin,
    name: incident.name,
    statusWord,
    at: moment(update.displayAt, page.timeZone),
    scheduledFor: incident.scheduledFor && moment(incident.scheduledFor, page.timeZone),
    scheduledUntil: incident.scheduledUntil && moment(incident.scheduledUntil, page.timeZone),
    body: markdownToText(update.body),
    bodyHtml: markdownToHtml(update.body),
    affected: affectedView(update.affected, names),
    incidentLink: `${origin}/incidents/${incident.id}`,
    manageLink: input.manageLink,
  };
  const subject =
    parts.length > 0
      ? `${statusWord}: ${incident.name} (${nameList(parts, "components")})`
      : `${statusWord}: ${incident.name}`;
  return { subject, text: render("mail/update.txt", view), html: render("mail/update.html", view) };
}
