/** The front page: the state in one sentence, what is open, the parts, the last days. */
import type { Component } from "../components/components.ts";
import type { Db } from "../db.ts";
import { beginningOf, listIncidents, type Story, takesPlaceAt, tellStories } from "../incidents/stories.ts";
import type { ComponentStatus } from "../schema.ts";
import { type Day, dateOf, dayCount, drawDays, lastDays, readChanges, type Span, startOfDay, worstOf } from "./days.ts";
import { storyView } from "./incident.ts";
import { iconOf, type PageState, worstFirst } from "./state.ts";
import { duration, formatTime, frame, moment, nameList, statusWords } from "./words.ts";

const pastDays = 7;
/** Of an open incident; the rest is on its own page. */
const shownUpdates = 3;
/** Names behind one status of an update; all of them are on the incident's page. */
const mostNames = 6;
/** Letters of several names in the headline: two or three of its lines on a phone. */
const mostSaid = 48;

export function frontView(db: Db, state: PageState, now: number) {
  const { page, origin } = state;
  const zone = page.timeZone;
  const span = lastDays(now, zone);
  const changes = readChanges(db, { pageId: page.id, from: span.starts[0] as number });
  const names = new Map(state.components.map((component) => [component.id, component.name]));
  const componentView = (component: Component) => {
    const drawn = drawDays({ component, changes: changes.get(component.id) ?? [], span, now, timeZone: zone });
    return {
      id: component.id,
      name: component.name,
      description: component.description,
      status: component.status,
      statusWord: statusWords[component.status],
      days: component.showcase ? strip(drawn) : undefined,
    };
  };
  const shown = state.components.filter(
    (component) => !component.onlyShowIfDegraded || component.status !== "operational",
  );
  const byGroup = Map.groupBy(shown, (component) => component.groupId);
  const groups = [
    { name: "", description: null, components: (byGroup.get(null) ?? []).map(componentView) },
    ...state.groups.map((group) => {
      const members = byGroup.get(group.id) ?? [];
      const worst = worstOf(members.map((member) => member.status));
      // A long page shows where it hurts and folds the rest.
      const open = shown.length <= 30 || worst !== "operational";
      const status = { status: worst, statusWord: statusWords[worst] };
      return {
        name: group.name,
        description: group.description,
        open,
        ...status,
        components: members.map(componentView),
      };
    }),
  ].filter((group) => group.components.length > 0);
  const strips = groups.flatMap((group) => group.components.flatMap((component) => component.days ?? []));
  const { headline, also } = sentence(state);
  const open = worstFirst(state.open);
  const worst = open[0] ? `${open[0].name}.` : page.description;
  return {
    ...frame(page, origin),
    title: headline.replace(/\.$/, ""),
    preview: { path: "/", description: [also, worst].filter(Boolean).join(" ") },
    headline,
    also,
    icon: iconFor(state),
    updated: moment(state.updatedAt, zone),
    open: open.map((story) => {
      const view = storyView(story, { zone, names, mostNames });
      const { updates } = view;
      return { ...view, updates: updates.slice(0, shownUpdates), earlier: Math.max(0, updates.length - shownUpdates) };
    }),
    upcoming: state.upcoming.map((story) => storyView(story, { zone, names })),
    groups,
    legend: legendOf(strips, span),
    today: span.dates.at(-1),
    firstMonth: dateOf(Math.min(beginningOf(db, page.id) ?? now, now), zone).slice(0, 7),
    past: pastView(db, state, { now, names }),
  };
}

/** Which status' icon stands beside the headline: no tick while a problem is open, nor where nothing is listed. */
function iconFor(state: PageState): ComponentStatus | undefined {
  const hasProblem = state.open.some((story) => story.kind === "incident");
  if (hasProblem && (state.indicator === "none" || state.indicator === "maintenance")) return "degraded_performance";
  if (state.indicator === "none" && state.components.length === 0) return undefined;
  return iconOf[state.indicator];
}

/**
 * The state in words before it is a colour: what is broken, by name. An open incident of which no part tells is said too,
 * because "all is well" above it would be a lie.
 */
function sentence(state: PageState): { headline: string; also: string } {
  const named = (["major_outage", "partial_outage", "degraded_performance", "under_maintenance"] as const).flatMap(
    (status) => {
      const names = state.components.filter((component) => component.status === status).map(({ name }) => name);
      return names.length > 0 ? [{ status, text: say(names, status) }] : [];
    },
  );
  const sentences = named.map((part) => part.text);
  const isBroken = named.some((part) => part.status !== "under_maintenance");
  if (sentences.length === 0 && state.open.some((story) => story.kind === "maintenance"))
    sentences.push("Maintenance is under way.");
  const problems = state.open.filter((story) => story.kind === "incident");
  if (!isBroken && problems.length > 0) {
    const isWatched = problems.every((story) => story.status === "monitoring");
    sentences.unshift(isWatched ? "A fix is in place; we are watching it." : "We are looking into a problem.");
  }
  const [headline, ...others] = sentences;
  if (headline) return { headline, also: others.join(" ") };
  // Where no part is listed there is no "all" to speak of.
  const isListed = state.components.length > 0;
  return { headline: isListed ? "All systems are operational." : "Nothing is reported.", also: "" };
}

function say(
  names: string[],
  status: "major_outage" | "partial_outage" | "degraded_performance" | "under_maintenance",
): string {
  const is = names.length === 1 ? "is" : "are";
  const words = {
    major_outage: "down",
    partial_outage: "partly down",
    degraded_performance: "degraded",
    under_maintenance: "under maintenance",
  };
  const isLong = names.length > 1 && names.join(", ").length > mostSaid;
  const who = isLong ? `${names.length} components` : nameList(names, "components");
  return `${who} ${is} ${words[status]}.`;
}

/**
 * The last 90 days as a skyline: quiet days are one low pattern, the worse a day the taller its bar, so that colour never
 * speaks alone. Only the marked days are drawn one by one, each with its words; that keeps twenty strips within the first
 * kilobytes.
 */
function strip(days: Day[]) {
  const tall: Partial<Record<ComponentStatus, number>> = {
    under_maintenance: 11,
    degraded_performance: 14,
    partial_outage: 19,
    major_outage: 24,
  };
  const bars = days.flatMap((day, index) => {
    const height = day.worst && tall[day.worst];
    if (!height) return [];
    return [{ kind: day.worst, d: `M${index * 5} ${24 - height}h4v${height}h-4z`, said: sayDay(day) }];
  });
  const known = days.findIndex((day) => day.worst !== undefined);
  const from = known < 0 ? days.length * 5 : known * 5;
  return {
    from,
    width: days.length * 5 - from,
    bars,
    said: sayDays(days, known),
  };
}

/** The strip in words. `known` is the first day of which something is known. */
function sayDays(days: Day[], known: number): string {
  const marked = days.filter((day) => day.worst && day.worst !== "operational");
  const planned = marked.filter((day) => day.worst === "under_maintenance").length;
  const broken = marked.length - planned;
  const count = (number: number) => `${number} ${number === 1 ? "day" : "days"}`;
  const trouble = broken === 0 ? "No trouble" : `Trouble on ${count(broken)}`;
  const maintenance = planned === 0 ? "" : `, and maintenance on ${count(planned)}`;
  const comma = maintenance === "" ? "" : ",";
  const said = [`${trouble}${maintenance}${known === 0 ? `${comma} in the last ${dayCount} days` : ""}.`];
  if (marked.length > 0) said.push(`${marked.map(sayDay).join("; ")}.`);
  const first = days[known];
  if (first && known > 0) said.push(`The history begins ${first === days.at(-1) ? "today" : `on ${first.label}`}.`);
  return said.join(" ");
}

function sayDay(day: Day): string {
  const words = statusWords[day.worst as ComponentStatus].toLowerCase();
  // The page is pressed when something changes: a number of minutes would stand still while the trouble goes on.
  return `${day.label}: ${words}, ${day.lasting ? "not over yet" : duration(day.minutes * 60_000)}`;
}

/** What stands at the left of the strips: where every history is shorter than the strip, the day on which the longest begins. */
function legendOf(strips: { from: number }[], span: Span): { from: string } | undefined {
  if (strips.length === 0) return undefined;
  const first = Math.min(...strips.map((one) => one.from / 5));
  if (first === 0) return { from: `${dayCount} days ago` };
  return { from: first >= dayCount - 1 ? "History since today" : `History since ${span.labels[first]}` };
}

/**
 * The last days one by one, quiet ones too: a visitor sees that nothing is left out. Of days before there was this page
 * nobody may say that there was nothing to report.
 */
function pastView(db: Db, state: PageState, input: { now: number; names: Map<string, string> }) {
  const zone = state.page.timeZone;
  const { dates, starts } = lastDays(input.now, zone, pastDays);
  const list = listIncidents(db, { pageId: state.page.id, from: starts[0] as number, limit: 200 });
  const stories = tellStories(db, list).filter((story) => story.status !== "scheduled");
  const byDate = Map.groupBy(stories, (story: Story) => dateOf(takesPlaceAt(story), zone));
  const begun = dateOf(state.page.createdAt, zone);
  const told = dates.filter((date) => date >= begun || byDate.has(date));
  return told.toReversed().map((date) => ({
    date: formatTime(startOfDay(date, zone), zone, "weekday"),
    iso: date,
    stories: (byDate.get(date) ?? []).map((story) => storyView(story, { zone, names: input.names })),
  }));
}
