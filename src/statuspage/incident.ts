/** One incident as a visitor reads it, on its own page and in lists. */
import { listComponents } from "../components/components.ts";
import type { Db } from "../db.ts";
import { type Story, takesPlaceAt } from "../incidents/stories.ts";
import type { Page } from "../pages/pages.ts";
import type { ComponentStatus } from "../schema.ts";
import { firstWords, markdownToHtml } from "./markdown.ts";
import { iconOf } from "./state.ts";
import {
  affectedView,
  duration,
  formatTime,
  frame,
  impactWords,
  incidentWords,
  moment,
  nameList,
  plannedHours,
  statusWords,
} from "./words.ts";

export function storyView(story: Story, context: { zone: string; names: Map<string, string>; mostNames?: number }) {
  const { zone, names, mostNames = Number.POSITIVE_INFINITY } = context;
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
    clock: { ...moment(takesPlaceAt(story), zone), text: formatTime(takesPlaceAt(story), zone, "clock") },
    scheduledFor: story.scheduledFor && moment(story.scheduledFor, zone),
    planned:
      story.scheduledFor && story.scheduledUntil
        ? plannedHours(story.scheduledFor, story.scheduledUntil, zone)
        : undefined,
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
      affectedByStatus: byStatus(affectedView(update.affected, names), mostNames),
    })),
  };
}

/** What an update says of its parts: those of one status together, since forty lines of one word tell nothing more. */
function byStatus(affected: ReturnType<typeof affectedView>, most: number) {
  return [...Map.groupBy(affected, (part) => part.status)].map(([status, parts]) => {
    const said = parts.slice(0, most).map((part) => part.name);
    const more = parts.length - said.length;
    return {
      status,
      statusWord: statusWords[status],
      names: `${said.join(", ")}${more > 0 ? ` and ${more} more` : ""}`,
    };
  });
}

/** Nobody marked a part or an impact: then "No impact" would be a claim, and beside "Payments fail" a false one. */
function isUnsaid(story: Story): boolean {
  return story.impact === "none" && story.impactOverride === null && story.componentIds.length === 0;
}

/** Maintenance lasts from its first word of progress; one that was closed before its time didn't last at all. */
export function lasted(story: Story): string {
  const begun = story.updates.findLast((update) => update.status === "in_progress")?.displayAt ?? takesPlaceAt(story);
  return story.resolvedAt && story.resolvedAt >= begun ? duration(story.resolvedAt - begun) : "";
}

export function incidentView(db: Db, input: { page: Page; origin: string; story: Story }) {
  const { page, origin, story } = input;
  const names = new Map(listComponents(db, page.id, "with").map((component) => [component.id, component.name]));
  const view = storyView(story, { zone: page.timeZone, names });
  const latest = view.updates[0];
  // What is over must not look as if it burned, in a tab and in the preview of a link as little as on the page.
  const title = view.over ? `${view.statusWord}: ${story.name}` : story.name;
  const description = latest ? `${latest.statusWord}, ${latest.at.text}: ${view.summary}` : page.description;
  return {
    ...frame(page, origin),
    title,
    description,
    preview: { path: `/incidents/${story.id}`, description },
    icon: iconFor(story),
    incident: view,
  };
}

/** No tick while it is open, also when it has no impact. */
function iconFor(story: Story): ComponentStatus {
  if (story.resolvedAt !== null) return "operational";
  return story.impact === "none" ? "degraded_performance" : iconOf[story.impact];
}
