/** What was, a month to a page, back to the month of the first incident. What is only planned stands on the front page. */
import { listComponents } from "../components/components.ts";
import type { Db } from "../db.ts";
import { beginningOf, listIncidents, type Story, takesPlaceAt, tellStories } from "../incidents/stories.ts";
import type { Page } from "../pages/pages.ts";
import { incidentStatuses } from "../schema.ts";
import { dateOf, startOfDay } from "./days.ts";
import { storyView } from "./incident.ts";
import { formatTime, frame } from "./words.ts";

/** Everything but what is yet to begin. */
const begun = incidentStatuses.filter((status) => status !== "scheduled");

/**
 * YYYY-MM from the first incident's month to this one, newest first. It may reach further: maintenance stands under the
 * day it was planned for, also when it began before its time.
 */
export function historyMonths(db: Db, page: Page, now: number): string[] {
  const first = beginningOf(db, page.id) ?? now;
  const [latest] = listIncidents(db, { pageId: page.id, statuses: begun, from: now, limit: 1 });
  const monthOf = (at: number) => Temporal.PlainYearMonth.from(dateOf(at, page.timeZone).slice(0, 7));
  const begin = monthOf(Math.min(first, now));
  const months: string[] = [];
  let month = monthOf(latest ? takesPlaceAt(latest) : now);
  while (Temporal.PlainYearMonth.compare(month, begin) >= 0) {
    months.push(month.toString());
    month = month.subtract({ months: 1 });
  }
  return months;
}

/** @returns undefined for a month that the history doesn't reach */
export function historyView(db: Db, input: { page: Page; origin: string; month: string; now: number }) {
  const { page, origin, month, now } = input;
  const months = historyMonths(db, page, now);
  const index = months.indexOf(month);
  if (index < 0) return undefined;
  const zone = page.timeZone;
  const from = startOfDay(`${month}-01`, zone);
  const next = Temporal.PlainYearMonth.from(month).add({ months: 1 });
  const until = startOfDay(`${next.toString()}-01`, zone);
  const stories = tellStories(db, listIncidents(db, { pageId: page.id, statuses: begun, from, until, limit: 1000 }));
  const names = new Map(listComponents(db, page.id, "with").map((component) => [component.id, component.name]));
  const byDate = Map.groupBy(stories, (story: Story) => dateOf(takesPlaceAt(story), zone));
  const monthName = (text: string | undefined) => text && formatTime(startOfDay(`${text}-01`, zone), zone, "month");
  const link = (text: string | undefined) => text && { path: `/history/${text}`, name: monthName(text) };
  return {
    ...frame(page, origin),
    title: `History: ${monthName(month)}`,
    preview: { path: `/history/${month}`, description: page.description },
    month: monthName(month),
    older: link(months[index + 1]),
    newer: link(months[index - 1]),
    otherMonths: months.length > 1,
    days: [...byDate].map(([date, list]) => ({
      date: formatTime(startOfDay(date, zone), zone, "weekday"),
      iso: date,
      stories: list.map((story) => storyView(story, { zone, names })),
    })),
  };
}
