/** Nothing changes a maintenance's status by itself, so the team is told when its times say something else. */
import { duration } from "../statuspage/words.ts";
import type { Incident } from "./stories.ts";

/** Goes on from "It …"; empty while its status and its times agree. */
export function lateness(incident: Incident, now: number): string {
  const { kind, status, scheduledFor, scheduledUntil, resolvedAt } = incident;
  if (kind !== "maintenance" || resolvedAt !== null) return "";
  if (scheduledUntil !== null && scheduledUntil < now) return `should have ended ${duration(now - scheduledUntil)} ago`;
  const begins = status === "scheduled" && scheduledFor !== null && scheduledFor < now;
  return begins ? `should have begun ${duration(now - scheduledFor)} ago` : "";
}
