/** What a program says about an incident, in Statuspage's fields, and what the rules make of it. */
import { type BodyRecord, isRecord } from "../api-body.ts";
import { takeChoice, takeClearable, takeFlag, takeList, takeRecord, takeText, takeTime } from "../api-fields.ts";
import { requireStatus } from "../components/components.ts";
import { UserError } from "../errors.ts";
import { type ComponentStatus, impacts } from "../schema.ts";
import { startOfDay } from "../statuspage/days.ts";
import { type ByTheClock, statusesOf } from "./incidents.ts";

/** Characters of JSON. Metadata is for a handful of references, not for storage. */
const mostMetadata = 16_384;

export function incidentInput(fields: BodyRecord, timeZone: string) {
  const listed = Array.isArray(fields.components) ? takeList(fields, "components") : undefined;
  return {
    name: takeText(fields, "name"),
    body: takeText(fields, "body"),
    status: takeClearable(fields, "status") ?? undefined,
    components: listed ? {} : statusesIn(fields),
    componentIds: takeList(fields, "component_ids") ?? listed,
    impactOverride: takeChoice(fields, "impact_override", impacts),
    notify: takeFlag(fields, "deliver_notifications") ?? true,
    metadata: metadataIn(fields),
    scheduledFor: takeTime(fields, "scheduled_for"),
    scheduledUntil: takeTime(fields, "scheduled_until"),
    byTheClock: byTheClockIn(fields),
    backfilled: takeFlag(fields, "backfilled") ?? false,
    startedAt: backfillDate(fields, timeZone),
  };
}

/** A schedule or a maintenance's status makes a maintenance. What is told afterwards is over, unless a status says else. */
export function openingOf(input: ReturnType<typeof incidentInput>) {
  const planned: readonly string[] = statusesOf.maintenance;
  const scheduled = input.scheduledFor !== undefined || input.scheduledUntil !== undefined;
  const kind = scheduled || (input.status !== undefined && planned.includes(input.status)) ? "maintenance" : "incident";
  const over = kind === "maintenance" ? "completed" : "resolved";
  return {
    ...input,
    kind: kind as "incident" | "maintenance",
    body: input.body ?? "",
    status: input.status ?? (input.backfilled ? over : undefined),
    startedAt: input.backfilled ? (input.startedAt ?? input.scheduledFor) : undefined,
  };
}

/** `scheduled_auto_transition` stands for beginning and ending both. */
function byTheClockIn(fields: BodyRecord): ByTheClock {
  const both = takeFlag(fields, "scheduled_auto_transition");
  return {
    autoBegin: takeFlag(fields, "scheduled_auto_in_progress") ?? both,
    autoEnd: takeFlag(fields, "scheduled_auto_completed") ?? both,
    autoMaintenance: takeFlag(fields, "auto_transition_to_maintenance_state"),
    autoOperational: takeFlag(fields, "auto_transition_to_operational_state"),
    tellAtBegin: takeFlag(fields, "auto_transition_deliver_notifications_at_start"),
    tellAtEnd: takeFlag(fields, "auto_transition_deliver_notifications_at_end"),
  };
}

function statusesIn(fields: BodyRecord): Record<string, ComponentStatus> {
  const chosen = Object.entries(takeRecord(fields, "components") ?? {});
  return Object.fromEntries(chosen.map(([id, status]) => [id, requireStatus(status, "components")]));
}

function metadataIn(fields: BodyRecord): string | undefined {
  const value = fields.metadata;
  if (value === undefined || value === null || value === "") return undefined;
  if (!isRecord(value) || !Object.values(value).every(isRecord)) {
    const advice = 'Each value in metadata must be an object itself, like {"jira": {"issue": "OPS-7"}}.';
    throw new UserError("invalid", advice, { field: "metadata" });
  }
  const text = JSON.stringify(value);
  if (text.length <= mostMetadata) return text;
  throw new UserError("invalid", `The metadata may have ${mostMetadata.toLocaleString("en")} characters of JSON.`, {
    field: "metadata",
  });
}

/** A day in the page's zone, or a moment. */
function backfillDate(fields: BodyRecord, timeZone: string): number | undefined {
  const text = takeClearable(fields, "backfill_date");
  if (!text || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return text ? takeTime(fields, "backfill_date") : undefined;
  try {
    const at = startOfDay(text, timeZone);
    // The history has a page for each month since the first incident: a year 1 would make 24,000.
    if (at >= 0) return at;
  } catch {
    // Said below.
  }
  throw new UserError("invalid", "Give backfill_date as a date since 1970, like 2026-01-31.", {
    field: "backfill_date",
  });
}
