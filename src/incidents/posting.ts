/** What a publisher's form says: as typed, to fill it in again, and as the rules want it. */
import { type Component, listComponents, listGroups, requireStatus } from "../components/components.ts";
import type { Db } from "../db.ts";
import { UserError } from "../errors.ts";
import type { Form } from "../http.ts";
import { newId } from "../ids.ts";
import { type ComponentStatus, componentStatuses, type Impact, type IncidentStatus, impacts } from "../schema.ts";
import { impactWords, incidentWords, statusWords } from "../statuspage/words.ts";
import { recoveryOf, requireBody, statusesOf } from "./incidents.ts";
import type { Incident } from "./stories.ts";

export type Fields = {
  /** Names this draft, so that pressing the button twice publishes once. */
  draft: string;
  /** The newest update when the form was made. */
  seen: string;
  name: string;
  body: string;
  status: string;
  impact: string;
  chosen: Record<string, string>;
  /** What was chosen for whole groups, by their id; `none` are the parts outside any, `mine` those of the incident. */
  all: Record<string, string>;
  notify: boolean;
  recover: boolean;
  /** Of a maintenance, when it begins and ends, as typed; empty where the form doesn't ask. */
  from: string;
  until: string;
};

export function freshFields(status: IncidentStatus, seen = ""): Fields {
  const said = { name: "", body: "", impact: "", chosen: {}, all: {}, from: "", until: "" };
  return { ...said, draft: newId(), seen, status, notify: true, recover: true };
}

export function fieldsIn(form: Form): Fields {
  return {
    draft: form.one("draft"),
    seen: form.one("seen"),
    name: form.one("name"),
    body: form.one("body"),
    status: form.one("status"),
    impact: form.one("impact"),
    chosen: form.record("part"),
    all: form.record("all"),
    notify: form.has("notify"),
    recover: form.has("recover"),
    from: form.one("from"),
    until: form.one("until"),
  };
}

/** A choice for a whole group becomes the choice of each part that has none of its own. */
export function spreadOut(db: Db, input: { pageId: string; fields: Fields; mine?: string[] }): Fields {
  const { fields } = input;
  const mine = new Set(input.mine);
  const chosen = { ...fields.chosen };
  for (const { id, groupId } of listComponents(db, input.pageId)) {
    const ofAll = fields.all[mine.has(id) ? "mine" : (groupId ?? "none")] ?? "";
    if ((chosen[id] ?? "") === "" && ofAll !== "") chosen[id] = ofAll;
  }
  return { ...fields, chosen, all: {} };
}

/** @throws UserError for what the form can't mean */
export function openingIn(fields: Fields) {
  return {
    name: fields.name,
    body: requireBody(fields.body),
    status: fields.status,
    components: chosenStatuses(fields.chosen),
    impactOverride: impactIn(fields.impact),
    notify: fields.notify,
  };
}

/** When the update ends the incident, its parts recover unless the form says otherwise of one. */
export function updateIn(db: Db, incident: Incident, fields: Fields) {
  const over = ["resolved", "completed"].includes(fields.status);
  const recovery = over && fields.recover ? recoveryOf(db, incident) : {};
  const components = { ...recovery, ...chosenStatuses(fields.chosen) };
  return {
    incidentId: incident.id,
    body: requireBody(fields.body),
    status: fields.status,
    components,
    notify: fields.notify,
  };
}

export function impactIn(text: string): Impact | null {
  if (text === "") return null;
  const impact = impacts.find((known) => known === text);
  if (!impact) throw new UserError("invalid", `Give one of these impacts: ${impacts.join(", ")}.`, { field: "impact" });
  return impact;
}

function chosenStatuses(chosen: Record<string, string>): Record<string, ComponentStatus> {
  const named = Object.entries(chosen).filter(([, status]) => status !== "");
  return Object.fromEntries(named.map(([id, status]) => [id, requireStatus(status, "components")]));
}

const hints: Record<IncidentStatus, string> = {
  investigating: "We see it and look for the cause",
  identified: "We know the cause",
  monitoring: "A fix is in place; we watch it",
  resolved: "It works again",
  scheduled: "It is yet to begin",
  in_progress: "It has begun",
  verifying: "The work is done; we check it",
  completed: "It is over",
};

export function statusChoices(kind: Incident["kind"], chosen: string) {
  return statusesOf[kind].map((value) => ({
    value,
    words: incidentWords[value],
    hint: hints[value],
    chosen: value === chosen,
  }));
}

/** An incident is never "maintenance", unless a program said so and the form must not lose it. */
export function impactChoices(kind: Incident["kind"], chosen: string) {
  const fitting = impacts.filter((value) => value !== "maintenance" || kind === "maintenance" || value === chosen);
  return fitting.map((value) => ({ value, words: impactWords[value], chosen: value === chosen }));
}

/** One select for each component, by group; `mine` comes first, as the parts that the incident is about. */
export function partChoices(db: Db, input: { pageId: string; chosen: Record<string, string>; mine?: string[] }) {
  const mine = new Set(input.mine);
  const view = ({ id, name, status }: Component) => ({
    id,
    name,
    status,
    stays: stays(status, mine.has(id)),
    options: componentStatuses.map((value) => ({
      value,
      words: statusWords[value],
      chosen: input.chosen[id] === value,
    })),
  });
  const components = listComponents(db, input.pageId);
  const others = Map.groupBy(
    components.filter((component) => !mine.has(component.id)),
    (component) => component.groupId,
  );
  const named = listGroups(db, input.pageId);
  const outside = { id: null, name: named.length === 0 ? "All components" : "In no group" };
  const groups = [outside, ...named]
    .map(({ id, name }) => ({ id: id ?? "none", name, parts: (others.get(id) ?? []).map(view) }))
    .filter((group) => group.parts.length > 0)
    .map((group) => ({ ...group, many: group.parts.length > 1, titled: group.id !== "none" }));
  const own = components.filter((component) => mine.has(component.id)).map(view);
  return {
    mine: own,
    many: own.length > 1,
    groups,
    everyStatus: componentStatuses.map((value) => ({ value, words: statusWords[value] })),
    othersChosen: components.some(({ id }) => !mine.has(id) && (input.chosen[id] ?? "") !== ""),
  };
}

export function partViews(list: Component[]) {
  return list.map(({ name, status }) => ({ name, status, statusWord: statusWords[status] }));
}

function stays(status: ComponentStatus, isMine: boolean): string {
  if (isMine) return `Stays: ${statusWords[status]}`;
  return status === "operational" ? "Not affected" : "Not involved";
}
