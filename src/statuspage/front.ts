/** The front page: the state in one sentence, what is open, the parts, the last days. */
import type { Component } from "../components/components.ts";
import type { Db } from "../db.ts";
import { listIncidents, type Story, tellStories } from "../incidents/stories.ts";
import type { ComponentStatus } from "../schema.ts";
import { dateOf, type Day, drawDays, lastDays, readChanges, startOfDay, worstOf } from "./days.ts";
import { storyView } from "./incident.ts";
import type { PageState } from "./state.ts";
import { duration, formatTime, frame, moment, nameList, statusWords } from "./words.ts";

const pastDays = 7;

export function frontView(db: Db, state: PageState, now: number) {
  const { page, origin } = state;
  const zone = page.timeZone;
  const days = lastDays(now, zone);
  const changes = readChanges(db, { pageId: page.id, from: days.starts[0] as number });
  const names = new Map(state.components.map((component) => [component.id, component.name]));
  const componentView = (component: Component) => {
    const drawn = drawDays({ component, changes: changes.get(component.id) ?? [], ...days, now, timeZone: zone });
    return {
      id: component.id,
      name: component.name,
      description: component.description,
      status: component.status,
      statusWord: statusWords[component.status],
      days: strip(drawn, zone),
      history: component.showcase,
    };
  };
  const shown = state.components.filter((component) => !component.onlyShowIfDegraded || component.status !== "operational");
  const byGroup = Map.groupBy(shown, (component) => component.groupId);
  const groups = [
    { name: "", description: null, worst: "operational" as ComponentStatus, components: (byGroup.get(null) ?? []).map(componentView) },
    ...state.groups.map((group) => {
      const members = byGroup.get(group.id) ?? [];
      const worst = worstOf(members.map((member) => member.status));
      return { name: group.name, description: group.description, worst, components: members.map(componentView) };
    }),
  ].filter((group) => group.components.length > 0);
  return {
    ...frame(page, origin),
    title: "",
    ...sentence(state),
    indicator: state.indicator,
    updated: moment(state.updatedAt, zone),
    open: state.open.map((story) => storyView(story, { zone, names })),
    upcoming: state.upcoming.map((story) => storyView(story, { zone, names })),
    groups,
    past: pastView(db, state, { now, names }),
  };
}

/** The state in words before it is a colour: what is broken, by name. */
function sentence(state: PageState): { headline: string; also: string } {
  const troubled = (status: ComponentStatus) => state.components.filter((component) => component.status === status);
  const parts = (["major_outage", "partial_outage", "degraded_performance", "under_maintenance"] as const)
    .map((status) => ({ status, names: troubled(status).map((component) => component.name) }))
    .filter((part) => part.names.length > 0);
  const [worst, ...others] = parts;
  if (!worst) {
    if (state.indicator === "none") return { headline: "All systems are operational.", also: "" };
    const maintenance = state.indicator === "maintenance";
    return { headline: maintenance ? "Maintenance is under way." : "We are looking into a problem.", also: "" };
  }
  const also = others.map((part) => say(part.names, part.status)).join(" ");
  return { headline: say(worst.names, worst.status), also };
}

function say(names: string[], status: "major_outage" | "partial_outage" | "degraded_performance" | "under_maintenance"): string {
  const is = names.length === 1 ? "is" : "are";
  const words = {
    major_outage: "down",
    partial_outage: "partly down",
    degraded_performance: "degraded",
    under_maintenance: "under maintenance",
  };
  return `${nameList(names, "components")} ${is} ${words[status]}.`;
}

/**
 * One path per status instead of a rectangle per day: quiet days are the strip's own background. The worse the day, the
 * taller the bar, so that colour never speaks alone.
 */
function strip(days: Day[], zone: string) {
  const tall: Partial<Record<ComponentStatus | "unknown", number>> = {
    unknown: 24,
    under_maintenance: 6,
    degraded_performance: 10,
    partial_outage: 17,
    major_outage: 24,
  };
  const paths = new Map<string, string>();
  days.forEach((day, index) => {
    const kind = day.worst ?? "unknown";
    const height = tall[kind];
    if (height) paths.set(kind, `${paths.get(kind) ?? ""}M${index * 5} ${24 - height}h4v${height}h-4z`);
  });
  const troubled = days.filter((day) => day.worst && day.worst !== "operational");
  const said = troubled.map((day) => {
    const date = formatTime(startOfDay(day.date, zone), zone, { day: "numeric", month: "short" });
    return `${date}: ${statusWords[day.worst as ComponentStatus].toLowerCase()}, ${duration(day.minutes * 60_000)}`;
  });
  return {
    paths: [...paths].map(([kind, d]) => ({ kind, d })),
    said: said.length === 0 ? "No trouble in the last 90 days." : `Trouble on ${said.length} of the last 90 days. ${said.join("; ")}.`,
  };
}

/** The last days one by one, quiet ones too: a visitor sees that nothing is left out. */
function pastView(db: Db, state: PageState, input: { now: number; names: Map<string, string> }) {
  const zone = state.page.timeZone;
  const { dates, starts } = lastDays(input.now, zone, pastDays);
  const list = listIncidents(db, { pageId: state.page.id, from: starts[0] as number, limit: 200 });
  const ended = tellStories(db, list).filter((story) => story.resolvedAt !== null);
  const byDate = Map.groupBy(ended, (story: Story) => dateOf(story.startedAt, zone));
  return dates.toReversed().map((date) => ({
    date: formatTime(startOfDay(date, zone), zone, { weekday: "long", day: "numeric", month: "long" }),
    iso: date,
    stories: (byDate.get(date) ?? []).map((story) => storyView(story, { zone, names: input.names })),
  }));
}
