/**
 * What a publisher's form says of a maintenance: its times, as the clock on the wall says them in the page's zone, its
 * parts, and whether it goes by the clock.
 */
import { listComponents, listGroups } from "../components/components.ts";
import type { Db } from "../db.ts";
import { UserError } from "../errors.ts";
import type { Form } from "../http.ts";
import { newId } from "../ids.ts";
import { requireBody } from "./incidents.ts";
import type { Incident } from "./stories.ts";

export type Plan = {
  draft: string;
  name: string;
  body: string;
  from: string;
  until: string;
  /** Ids of components. */
  concerned: string[];
  clock: boolean;
  tellAgain: boolean;
  notify: boolean;
};

export function freshPlan(): Plan {
  const said = { name: "", body: "", from: "", until: "", concerned: [] };
  return { ...said, draft: newId(), clock: true, tellAgain: true, notify: true };
}

export function planIn(form: Form): Plan {
  return {
    draft: form.one("draft"),
    name: form.one("name"),
    body: form.one("body"),
    from: form.one("from"),
    until: form.one("until"),
    concerned: form.all("concerned"),
    clock: form.has("clock"),
    tellAgain: form.has("tell_again"),
    notify: form.has("notify"),
  };
}

/** @throws UserError for what the form can't mean */
export function plannedIn(plan: Plan, { zone, now }: { zone: string; now: number }) {
  const scheduledFor = beginningIn(plan.from, zone);
  const scheduledUntil = endIn(plan.until, zone);
  requireOrder({ scheduledFor, scheduledUntil, now });
  const { clock } = plan;
  const tells = clock && plan.tellAgain;
  return {
    kind: "maintenance" as const,
    name: plan.name,
    body: requireBody(plan.body),
    components: {},
    componentIds: plan.concerned,
    scheduledFor,
    scheduledUntil,
    notify: plan.notify,
    byTheClock: {
      autoBegin: clock,
      autoEnd: clock,
      autoMaintenance: clock,
      autoOperational: clock,
      tellAtBegin: tells,
      tellAtEnd: tells,
    },
  };
}

/** The times that an update's form gives and that aren't the maintenance's already. */
export function movedIn(incident: Incident, said: { from: string; until: string; zone: string; now: number }) {
  const { zone, now } = said;
  const has = timesOf(incident, zone);
  const scheduledFor = said.from === "" || said.from === has.from ? undefined : beginningIn(said.from, zone);
  const scheduledUntil = said.until === "" || said.until === has.until ? undefined : endIn(said.until, zone);
  if (scheduledFor === undefined && scheduledUntil === undefined) return {};
  requireOrder({
    scheduledFor: scheduledFor ?? incident.scheduledFor ?? 0,
    scheduledUntil: scheduledUntil ?? incident.scheduledUntil ?? 0,
    now,
  });
  return { scheduledFor, scheduledUntil };
}

/** What a form of the maintenance asks for: when it begins while that is to come, and when it ends. */
export function timesOf(incident: Incident, zone: string): { from: string; until: string } {
  const { kind, status, resolvedAt, scheduledFor, scheduledUntil } = incident;
  if (kind !== "maintenance" || resolvedAt !== null) return { from: "", until: "" };
  return {
    from: status === "scheduled" && scheduledFor !== null ? wallClock(scheduledFor, zone) : "",
    until: scheduledUntil === null ? "" : wallClock(scheduledUntil, zone),
  };
}

/** What of a maintenance goes by the clock. */
export function planState(incident: Incident) {
  const { kind, status, resolvedAt, autoBegin, autoEnd } = incident;
  if (kind !== "maintenance" || resolvedAt !== null) return undefined;
  const begins = status === "scheduled";
  const clock =
    begins && autoBegin && autoEnd ? "begins and ends" : begins && autoBegin ? "begins" : autoEnd ? "ends" : "";
  return { begins, clock };
}

export function concernChoices(db: Db, input: { pageId: string; concerned: string[] }) {
  const members = Map.groupBy(listComponents(db, input.pageId), (component) => component.groupId);
  return [{ id: null, name: "" }, ...listGroups(db, input.pageId)]
    .map(({ id, name }) => ({
      name,
      parts: (members.get(id) ?? []).map((part) => ({
        id: part.id,
        name: part.name,
        chosen: input.concerned.includes(part.id),
      })),
    }))
    .filter((group) => group.parts.length > 0);
}

export function beginningIn(text: string, zone: string): number {
  return momentIn(text, zone) ?? wrong("from", "Say when it begins, like 2026-12-01 02:00.");
}

export function endIn(text: string, zone: string): number {
  return momentIn(text, zone) ?? wrong("until", "Say when it ends, like 2026-12-01 04:00.");
}

function requireOrder({
  scheduledFor,
  scheduledUntil,
  now,
}: Record<"scheduledFor" | "scheduledUntil" | "now", number>) {
  if (scheduledUntil <= scheduledFor) wrong("until", "The maintenance must end after it begins.");
  if (scheduledUntil <= now) wrong("until", "The maintenance would have ended already. Check the dates.");
}

function wrong(field: string, message: string): never {
  throw new UserError("invalid", message, { field });
}

/** A time that clocks show twice is the first of them, and one that they skip is as much later (Temporal's "compatible"). */
function momentIn(text: string, zone: string): number | undefined {
  const wanted = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?$/.exec(text.trim());
  if (!wanted) return undefined;
  try {
    const at = Temporal.PlainDateTime.from(`${wanted[1]}T${wanted[2]}`).toZonedDateTime(zone).epochMilliseconds;
    return at >= 0 ? at : undefined;
  } catch {
    return undefined;
  }
}

/** As `<input type="datetime-local">` wants it. */
function wallClock(at: number, zone: string): string {
  const local = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone).toPlainDateTime();
  return local.toString({ smallestUnit: "minute" });
}
