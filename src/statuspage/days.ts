/**
 * The days of a component, drawn from its status changes. A day belongs to the page's time zone, so it may have 23 or 25
 * hours. Each day shows the worst status it saw; what came before the component existed is unknown.
 */
import { and, asc, eq, gte } from "drizzle-orm";
import type { Component } from "../components/components.ts";
import type { Db } from "../db.ts";
import { type ComponentStatus, statusChanges } from "../schema.ts";
import { formatTime } from "./words.ts";

/** `lasting`: the trouble goes on, so that nobody may say yet how long it took. */
export type Day = { label: string; worst: ComponentStatus | undefined; minutes: number; lasting: boolean };
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

export type Span = { dates: string[]; labels: string[]; starts: number[] };

/** The last `count` days, today's last: dates, how people say them, and their first moments, that of tomorrow included. */
export function lastDays(now: number, timeZone: string, count = dayCount): Span {
  const today = Temporal.PlainDate.from(dateOf(now, timeZone));
  const dates = Array.from({ length: count + 1 }, (_, index) => today.add({ days: index - count + 1 }).toString());
  const starts = dates.map((date) => startOfDay(date, timeZone));
  return {
    dates: dates.slice(0, count),
    labels: starts.slice(0, count).map((at) => formatTime(at, timeZone, "day")),
    starts,
  };
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
  span: Span;
  now: number;
  timeZone: string;
}): Day[] {
  const { component, changes, span, now, timeZone } = input;
  const begin = component.startDate ? startOfDay(component.startDate, timeZone) : component.createdAt;
  let status = changes[0]?.oldStatus ?? component.status;
  let next = 0;
  return span.labels.map((label, index) => {
    // What changes in this very moment has changed.
    const until = Math.min(span.starts[index + 1] as number, now + 1);
    const quiet = status === "operational" && !((changes[next]?.at ?? Number.POSITIVE_INFINITY) < until);
    if ((span.starts[index + 1] as number) <= begin) return { label, worst: undefined, minutes: 0, lasting: false };
    if (quiet) return { label, worst: "operational", minutes: 0, lasting: false };
    let at = span.starts[index] as number;
    let worst: ComponentStatus = status;
    let troubledMs = 0;
    for (let change = changes[next]; change && change.at < until; change = changes[++next]) {
      if (status !== "operational") troubledMs += Math.max(0, change.at - at);
      at = change.at;
      status = change.newStatus;
      worst = worstOf([worst, status]);
    }
    if (status !== "operational") troubledMs += Math.max(0, until - at);
    const lasting = index === span.labels.length - 1 && status !== "operational";
    return { label, worst, minutes: Math.round(troubledMs / 60_000), lasting };
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
