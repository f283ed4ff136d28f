/** Putting right what was published: an update's words, an incident's title and impact, and taking it off the page. */
import { listComponents } from "../components/components.ts";
import type { Deps } from "../deps.ts";
import type { Ctx, Route } from "../http.ts";
import { markdownToHtml } from "../statuspage/markdown.ts";
import { incidentWords, moment, statusWords } from "../statuspage/words.ts";
import { type Desk, type Fault, faultOf, goOn } from "../team/desk.ts";
import { changeIncident, correctUpdate, deleteIncident } from "./amendments.ts";
import { incidentPageView } from "./desk-views.ts";
import { recoveryOf, requireBody, troubledBy } from "./incidents.ts";
import { correctedView } from "./meanwhile.ts";
import { impactIn, partViews } from "./posting.ts";
import { findIncident, findUpdate, listRevisions, tellStory } from "./stories.ts";

export function editRoutes(deps: Deps, desk: Desk): Route[] {
  const { db, clock } = deps;
  const doing = (c: Ctx) => ({
    pageId: c.get("page").id,
    incidentId: c.req.param("id") ?? "",
    now: clock.now(),
    by: c.get("actor"),
  });

  const showCorrection = (c: Ctx, body?: string, fault?: Fault, overtaken = false) => {
    const zone = c.get("page").timeZone;
    const incident = findIncident(db, { pageId: c.get("page").id, id: c.req.param("id") ?? "" });
    const update = findUpdate(db, { incidentId: incident.id, id: c.req.param("update") ?? "" });
    const view = {
      title: "Correct an update",
      incident: { id: incident.id, name: incident.name, maintenance: incident.kind === "maintenance" },
      update: { id: update.id, statusWord: incidentWords[update.status], at: moment(update.displayAt, zone) },
      body: body ?? update.body,
      seen: String(update.updatedAt),
      meanwhile: overtaken ? correctedView(deps, { update, zone }) : undefined,
      revisions: listRevisions(db, update.id).map((revision) => ({
        replaced: moment(revision.replacedAt, zone),
        html: markdownToHtml(revision.body),
      })),
      fault,
    };
    return desk.page(c, "correct", view, overtaken ? 409 : fault ? 422 : 200);
  };

  const correct = (c: Ctx) => {
    const body = c.get("form").one("body");
    const seen = c.get("form").one("seen");
    const updateId = c.req.param("update") ?? "";
    const { id: incidentId } = findIncident(db, { pageId: c.get("page").id, id: c.req.param("id") ?? "" });
    const before = findUpdate(db, { incidentId, id: updateId });
    if (seen !== "" && seen !== String(before.updatedAt)) return showCorrection(c, body, undefined, true);
    const path = `/admin/incidents/${incidentId}#${updateId}`;
    try {
      const after = correctUpdate(db, { ...doing(c), updateId, body: requireBody(body) });
      if (after.body === before.body) return goOn(c, path, "unchanged");
    } catch (error) {
      return showCorrection(c, body, faultOf(error));
    }
    deps.press.press(c.get("page").id, incidentId);
    return goOn(c, path, "corrected");
  };

  const change = (c: Ctx) => {
    const form = c.get("form");
    const id = c.req.param("id") ?? "";
    const [name, impact] = [form.one("name"), form.one("impact")];
    try {
      changeIncident(db, { ...doing(c), name, impactOverride: impactIn(impact) });
    } catch (error) {
      const view = incidentPageView(deps, { page: c.get("page"), id, facts: { name, impact } });
      return desk.page(c, "incident", { ...view, factsFault: faultOf(error) }, 422);
    }
    deps.press.press(c.get("page").id, id);
    return goOn(c, `/admin/incidents/${id}`, "changed");
  };

  const askDeletion = (c: Ctx) => {
    const pageId = c.get("page").id;
    const story = tellStory(db, { pageId, id: c.req.param("id") ?? "" });
    const open = story.resolvedAt === null;
    const recoverable = open && !story.backfilled ? troubledBy(db, story) : [];
    const recovery = recoveryOf(db, story);
    const staying = listComponents(db, pageId).filter(
      ({ id, status }) =>
        story.componentIds.includes(id) && status !== "operational" && !recoverable.some((part) => part.id === id),
    );
    return desk.page(c, "incident-delete", {
      title: `Delete “${story.name}”`,
      incident: {
        id: story.id,
        name: story.name,
        updates: story.updates.length,
        open,
        maintenance: story.kind === "maintenance",
      },
      recoverable: recoverable.map((part) => ({
        ...partViews([part])[0],
        backWord: statusWords[recovery[part.id] ?? "operational"],
      })),
      staying: partViews(staying),
    });
  };

  const remove = (c: Ctx) => {
    const input = doing(c);
    deleteIncident(db, { ...input, recover: c.get("form").has("recover") });
    deps.press.press(input.pageId, input.incidentId);
    return goOn(c, "/admin/incidents", "deleted");
  };

  const enter = { who: "member", role: "publisher" } as const;
  return [
    { method: "POST", path: "/admin/incidents/:id", enter, run: change },
    { method: "GET", path: "/admin/incidents/:id/updates/:update/edit", enter, run: (c) => showCorrection(c) },
    { method: "POST", path: "/admin/incidents/:id/updates/:update/edit", enter, run: correct },
    { method: "GET", path: "/admin/incidents/:id/delete", enter, run: askDeletion },
    { method: "POST", path: "/admin/incidents/:id/delete", enter, run: remove },
  ];
}
