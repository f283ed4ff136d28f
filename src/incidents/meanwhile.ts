/**
 * What others did while a form lay open. A form names the newest update that it was made from; whoever publishes from an
 * older one is first shown what was said since, because they might open again what somebody has just closed. Likewise
 * for whoever opens an incident on a part that another one is open on.
 */
import { findDeed } from "../audit/audit.ts";
import type { Db } from "../db.ts";
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import type { Page } from "../pages/pages.ts";
import { markdownToHtml } from "../statuspage/markdown.ts";
import { incidentWords, moment } from "../statuspage/words.ts";
import { actorNames } from "../team/actors.ts";
import { findIncident, type IncidentUpdate, listOpenIncidents, type Story, tellStories } from "./stories.ts";

/** @throws UserError not_found, which says who took it off the page where somebody did */
export function requireStanding(deps: Deps, input: { page: Page; id: string }): void {
  const { page, id } = input;
  try {
    findIncident(deps.db, { pageId: page.id, id });
    return;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
  }
  const deed = findDeed(deps.db, { action: "incident.delete", subject: id });
  if (deed?.pageId !== page.id) throw new UserError("not_found", "There is no such incident on this page.");
  const at = moment(deed.at, page.timeZone).text;
  throw new UserError("not_found", `This incident was deleted on ${at} by ${actorNames(deps).nameOf(deed)}.`);
}

/** By when it was written: the time that it shows may have been corrected. */
export function newestUpdate(story: Story): string {
  return byAge(story)[0]?.id ?? "";
}

/** Newest first. A form that names nothing was made by a program, which knows what it does. */
export function updatesSince(story: Story, seen: string): Story["updates"] {
  const updates = byAge(story);
  const position = updates.findIndex((update) => update.id === seen);
  return seen === "" ? [] : updates.slice(0, position === -1 ? updates.length : position);
}

export function sinceViews(deps: Deps, input: { story: Story; seen: string; zone: string }) {
  return updatesSince(input.story, input.seen).map((update) => ({
    statusWord: incidentWords[update.status],
    at: moment(update.createdAt, input.zone),
    who: whoDid(deps, "incident.update", update, update.createdAt),
    html: markdownToHtml(update.body),
  }));
}

/**
 * Incidents that are open already on the parts of one that is about to be opened: two people who open the same one at
 * night tell everybody twice. One without parts may be any of them.
 */
export function openAlready(db: Db, { pageId, componentIds }: Pick<Story, "pageId" | "componentIds">): Story[] {
  const shared = (story: Story) => story.componentIds.some((id) => componentIds.includes(id));
  return tellStories(db, listOpenIncidents(db, pageId)).filter(
    (story) => story.kind === "incident" && (componentIds.length === 0 || shared(story)),
  );
}

export function openAlreadyViews(deps: Deps, input: { stories: Story[]; zone: string }) {
  return input.stories.map((story) => ({
    id: story.id,
    name: story.name,
    at: moment(story.startedAt, input.zone),
    who: nameOf(deps, findDeed(deps.db, { action: "incident.open", subject: story.id })),
  }));
}

/** The words that stand there now, and whose they are, when somebody else corrected them after the form was made. */
export function correctedView(deps: Deps, input: { update: IncidentUpdate; zone: string }) {
  const { update } = input;
  return {
    at: moment(update.updatedAt, input.zone),
    who: whoDid(deps, "incident.correct", update, update.updatedAt),
    html: markdownToHtml(update.body),
  };
}

function whoDid(deps: Deps, action: string, update: Pick<IncidentUpdate, "id" | "incidentId">, at: number): string {
  const deed = findDeed(deps.db, { action, subject: update.incidentId, at, detail: { update: update.id } });
  return nameOf(deps, deed);
}

/** Who wrote an update, for the team: the first one came with the deed that opened the incident. */
export function authorsOf(deps: Deps, story: Story): (updateId: string) => string {
  const { nameOf: named } = actorNames(deps);
  const subject = story.id;
  const first = byAge(story).at(-1)?.id;
  return (updateId) => {
    const deed =
      findDeed(deps.db, { action: "incident.update", subject, detail: { update: updateId } }) ??
      (updateId === first ? findDeed(deps.db, { action: "incident.open", subject }) : undefined);
    return deed ? named(deed) : "";
  };
}

function nameOf(deps: Deps, deed: ReturnType<typeof findDeed>): string {
  return deed ? actorNames(deps).nameOf(deed) : "Somebody";
}

function byAge(story: Story): Story["updates"] {
  return story.updates.toSorted((a, b) => b.createdAt - a.createdAt);
}
