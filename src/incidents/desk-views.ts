/** What the publisher's pages show: the list of incidents, and one with its timeline and its forms. */
import { heldViews } from "../announcements/held.ts";
import { listComponents } from "../components/components.ts";
import type { Db } from "../db.ts";
import type { Deps } from "../deps.ts";
import type { Page } from "../pages/pages.ts";
import { storyView } from "../statuspage/incident.ts";
import { lateness } from "./lateness.ts";
import { authorsOf, newestUpdate } from "./meanwhile.ts";
import { planState, timesOf } from "./planning.ts";
import { type Fields, freshFields, impactChoices, partChoices, statusChoices } from "./posting.ts";
import { type Incident, listIncidents, listOpenIncidents, listUpcoming, tellStories, tellStory } from "./stories.ts";
import { toldView } from "./told.ts";

const pageSize = 30;

export function incidentListView(db: Db, input: { page: Page; number: number }) {
  const { page, number } = input;
  const names = new Map(listComponents(db, page.id, "with").map((component) => [component.id, component.name]));
  const view = (list: Incident[]) =>
    tellStories(db, list).map((story) => storyView(story, { zone: page.timeZone, names }));
  const past = listIncidents(db, {
    pageId: page.id,
    statuses: ["resolved", "completed"],
    limit: pageSize + 1,
    offset: (number - 1) * pageSize,
  });
  const first = number === 1;
  const [open, upcoming] = first ? [view(listOpenIncidents(db, page.id)), view(listUpcoming(db, page.id))] : [[], []];
  return {
    title: "Incidents",
    first,
    open,
    upcoming,
    past: view(past.slice(0, pageSize)),
    empty: first && open.length + upcoming.length + past.length === 0,
    newer: first ? undefined : number - 1,
    older: past.length > pageSize ? number + 1 : undefined,
  };
}

export function incidentPageView(
  deps: Deps,
  input: { page: Page; id: string; fields?: Fields | undefined; facts?: { name: string; impact: string } },
) {
  const { db } = deps;
  const { page } = input;
  const story = tellStory(db, { pageId: page.id, id: input.id });
  const names = new Map(listComponents(db, page.id, "with").map((component) => [component.id, component.name]));
  const view = storyView(story, { zone: page.timeZone, names });
  const whoWrote = authorsOf(deps, story);
  const fields = input.fields ?? {
    ...freshFields(story.status, newestUpdate(story)),
    ...timesOf(story, page.timeZone),
  };
  return {
    title: story.name,
    incident: {
      ...view,
      updates: view.updates.map((update) => ({ ...update, who: whoWrote(update.id), told: toldView(db, update.id) })),
    },
    late: lateness(story, deps.clock.now()),
    held: heldViews(db, { pageId: page.id, incidentId: story.id }),
    fields,
    kept: deps.config.text("mail.smtp_url") === "",
    zone: page.timeZone,
    plan: planState(story),
    writing: input.fields !== undefined || story.resolvedAt === null,
    ends: story.kind === "maintenance" ? "Completed" : "Resolved",
    statuses: statusChoices(story.kind, fields.status),
    parts: partChoices(db, { pageId: page.id, chosen: fields.chosen, mine: story.componentIds }),
    facts: input.facts ?? { name: story.name, impact: story.impactOverride ?? "" },
    impacts: impactChoices(story.kind, input.facts?.impact ?? story.impactOverride ?? ""),
  };
}
