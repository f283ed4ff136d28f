/**
 * The days of a component, drawn from its status changes. A day belongs to the page's time zone, so it may have 23 or 25
 * hours. Each day shows the worst status it saw; what came before the component existed is unknown.
 */
import { and, asc, eq, gte } from "drizzle-orm";
import type { Component } from "../components/components.ts";
import type { Db } from "../db.ts";
import { type ComponentStatus, statusChanges } from "../schema.ts";

export type Day = { date: string; worst: ComponentStatus | undefined; minutes: number };
type Change = { componentId: string; oldStatus: ComponentStatus; newStatus: ComponentStatus; at: number };

export const dayCount = 90;

/** YYYY-MM-DD of a moment in a zone. */
export function dateOf(at: number, timeZone: string): string {
  return Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone).toPlainDate().toString();
}

/** UTC milliseconds of the first moment of a day; not always 00:00, because clocks change. */
export function startOfDay(date: string, timeZone: string): number {
  return Temporal.PlainDate.from(date).toZonedDateTime(timeZone).epochMilliseconds;
}

/** The starts of the last `count` days, today's last, and the start of tomorrow. */
export function lastDays(now: number, timeZone: string, count = dayCount): { dates: string[]; starts: number[] } {
  const today = Temporal.PlainDate.from(dateOf(now, timeZone));
  const dates = Array.from({ length: count + 1 }, (_, index) => today.add({ days: index - count + 1 }).toString());
  return { dates: dates.slice(0, count), starts: dates.map((date) => startOfDay(date, timeZone)) };
}

export function readChanges(db: Db, input: { pageId: string; from: number }): Map<string, Change[]> {
  const rows = db
    .select({
      componentId: statusChanges.componentId,
      oldStatus: statusChanges.oldStatus,
      newStatus: statusChanges.newStatus,
      at: statusChanges.at,
    })
    .from(statusChanges)
    .where(and(eq(statusChanges.pageId, input.pageId), gte(statusChanges.at, input.from)))
    .orderBy(asc(statusChanges.at), asc(statusChanges.id))
    .all();
  return Map.groupBy(rows, (row) => row.componentId);
}

/** `changes` are the component's own since the first of the days, oldest first. */
export function drawDays(input: {
  component: Component;
  changes: Change[];
  dates: string[];
  starts: number[];
  now: number;
  timeZone: string;
}): Day[] {
  const { component, changes, dates, starts, now, timeZone } = input;
  const begin = component.startDate ? startOfDay(component.startDate, timeZone) : component.createdAt;
  let status = changes[0]?.oldStatus ?? component.status;
  let next = 0;
  return dates.map((date, index) => {
    const from = starts[index] as number;
    const until = Math.min(starts[index + 1] as number, now);
    const troubled = new Map<ComponentStatus, number>();
    let at = from;
    const count = (to: number) => {
      if (status !== "operational") troubled.set(status, (troubled.get(status) ?? 0) + Math.max(0, to - at));
      at = to;
    };
    for (let change = changes[next]; change && change.at < until; change = changes[++next]) {
      count(change.at);
      status = change.newStatus;
      if (status !== "operational") troubled.set(status, troubled.get(status) ?? 0);
    }
    count(until);
    if ((starts[index + 1] as number) <= begin) return { date, worst: undefined, minutes: 0 };
    const worst = worstOf([...troubled.keys()]);
    const minutes = Math.round([...troubled.values()].reduce((sum, ms) => sum + ms, 0) / 60_000);
    return { date, worst, minutes };
  });
}

const order: ComponentStatus[] = [
  "operational",
  "under_maintenance",
  "degraded_performance",
  "partial_outage",
  "major_outage",
];

export function worstOf(statuses: ComponentStatus[]): ComponentStatus {
  return statuses.reduce(
    (worst, status) => (order.indexOf(status) > order.indexOf(worst) ? status : worst),
    "operational",
  );
}
