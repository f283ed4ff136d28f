/** One incident as a visitor reads it, on its own page and in lists. */
import { listComponents } from "../components/components.ts";
import type { Db } from "../db.ts";
import { type Story, takesPlaceAt } from "../incidents/stories.ts";
import type { Page } from "../pages/pages.ts";
import { firstWords, markdownToHtml } from "./markdown.ts";
import { affectedView, duration, frame, impactWords, incidentWords, moment, nameList } from "./words.ts";

export function storyView(story: Story, context: { zone: string; names: Map<string, string> }) {
  const { zone, names } = context;
  const parts = story.componentIds.flatMap((id) => names.get(id) ?? []);
  const latest = story.updates[0];
  return {
    id: story.id,
    name: story.name,
    maintenance: story.kind === "maintenance",
    impact: story.impact,
    impactWord: isUnsaid(story) ? "" : impactWords[story.impact],
    status: story.status,
    statusWord: incidentWords[story.status],
    over: story.resolvedAt !== null,
    started: moment(story.startedAt, zone),
    scheduledFor: story.scheduledFor && moment(story.scheduledFor, zone),
    scheduledUntil: story.scheduledUntil && moment(story.scheduledUntil, zone),
    lasted: lasted(story),
    parts: nameList(parts, "components"),
    allParts: parts,
    summary: latest ? firstWords(latest.body, 200) : "",
    updates: story.updates.map((update) => ({
      id: update.id,
      statusWord: incidentWords[update.status],
      status: update.status,
      html: markdownToHtml(update.body),
      text: update.body,
      at: moment(update.displayAt, zone),
      edited: update.updatedAt > update.createdAt,
      affected: affectedView(update.affected, names),
    })),
  };
}

/** Nobody marked a part or an impact: then "No impact" would be a claim, and beside "Payments fail" a false one. */
function isUnsaid(story: Story): boolean {
  return story.impact === "none" && story.impactOverride === null && story.componentIds.length === 0;
}

/** Maintenance lasts from its first word of progress; one that was closed before its time didn't last at all. */
function lasted(story: Story): string {
  const begun = story.updates.findLast((update) => update.status === "in_progress")?.displayAt ?? takesPlaceAt(story);
  return story.resolvedAt && story.resolvedAt >= begun ? duration(story.resolvedAt - begun) : "";
}

export function incidentView(db: Db, input: { page: Page; origin: string; story: Story }) {
  const { page, origin, story } = input;
  const names = new Map(listComponents(db, page.id, "with").map((component) => [component.id, component.name]));
  const view = storyView(story, { zone: page.timeZone, names });
  return { ...frame(page, origin), title: story.name, incident: view };
}
