/**
 * The publisher's desk. Publishing takes two steps without JavaScript: the form posts `step=preview` and is shown what
 * would happen, with everything typed kept in hidden fields; `step=publish` makes it happen, `step=edit` goes back.
 */

import type { Deps } from "../deps.ts";
import { type Ctx, type Route, seeOther } from "../http.ts";
import { createDesk, type Fault, faultOf, faultsOf } from "../team/desk.ts";
import { editRoutes } from "./admin-edit.ts";
import { maintenanceRoutes } from "./admin-maintenance.ts";
import { moveAndPost } from "./amendments.ts";
import { incidentListView, incidentPageView } from "./desk-views.ts";
import { incidentName, openIncident, requireBody } from "./incidents.ts";
import { openAlready, requireStanding, updatesSince } from "./meanwhile.ts";
import { movedIn } from "./planning.ts";
import {
  type Fields,
  fieldsIn,
  freshFields,
  impactChoices,
  openingIn,
  partChoices,
  spreadOut,
  statusChoices,
  updateIn,
} from "./posting.ts";
import { createPublication } from "./publication.ts";
import { rehearse } from "./rehearsal.ts";
import { reviewView } from "./review.ts";
import { listOpenIncidents, tellStory } from "./stories.ts";

export function incidentAdmin(deps: Deps): Route[] {
  const { db } = deps;
  const desk = createDesk(deps);
  const publication = createPublication(deps);
  const { doing, before, afterwards } = publication;

  const showNew = (c: Ctx, fields: Fields, fault?: Fault) => {
    const view = {
      title: "Open an incident",
      fresh: fault === undefined && fields.name === "",
      fields,
      fault,
      kept: deps.config.text("mail.smtp_url") === "",
      statuses: statusChoices("incident", fields.status),
      impacts: impactChoices("incident", fields.impact),
      parts: partChoices(db, { pageId: c.get("page").id, chosen: fields.chosen }),
      open: listOpenIncidents(db, c.get("page").id).filter(({ kind }) => kind === "incident"),
    };
    return desk.page(c, "incident-new", view, fault ? 422 : 200);
  };

  const open = (c: Ctx) => {
    const form = c.get("form");
    const fields = spreadOut(db, { pageId: c.get("page").id, fields: fieldsIn(form) });
    const done = before(c);
    if (done) return done;
    if (form.one("step") === "edit") return showNew(c, fields);
    try {
      const input = { ...doing(c), ...openingIn(fields) };
      const publishing = form.one("step") === "publish";
      const concerned = { pageId: input.pageId, componentIds: Object.keys(input.components) };
      const overtaken = form.has("seen") && openAlready(db, concerned).some(({ id }) => !fields.seen.includes(id));
      if (publishing && !overtaken) return afterwards(c, openIncident(db, input));
      const rehearsal = rehearse(db, input.now, (stage) => openIncident(stage, input));
      const where = { page: c.get("page"), origin: c.get("host").origin, action: "/admin/incidents" };
      const view = reviewView(deps, { ...where, rehearsal, form });
      return desk.page(c, "review", { ...view, stopped: publishing }, publishing ? 409 : 200);
    } catch (error) {
      return showNew(c, fields, faultsOf(error, [() => incidentName(fields.name), () => requireBody(fields.body)]));
    }
  };

  const showIncident = (c: Ctx, fields?: Fields, fault?: Fault) => {
    const view = incidentPageView(deps, { page: c.get("page"), id: c.req.param("id") ?? "", fields });
    return desk.page(c, "incident", { ...view, fault }, fault ? 422 : 200);
  };

  const post = (c: Ctx) => {
    const form = c.get("form");
    const pageId = c.get("page").id;
    const incident = tellStory(db, { pageId, id: c.req.param("id") ?? "" });
    const fields = spreadOut(db, { pageId, fields: fieldsIn(form), mine: incident.componentIds });
    const done = before(c);
    if (done) return done;
    if (form.one("step") === "edit") return showIncident(c, fields);
    try {
      const at = doing(c);
      const moved = movedIn(incident, { ...fields, zone: c.get("page").timeZone, now: at.now });
      const input = { ...at, ...updateIn(db, incident, fields), ...moved };
      const publishing = form.one("step") === "publish";
      const overtaken = updatesSince(incident, fields.seen).length > 0;
      if (publishing && !overtaken) {
        return afterwards(c, moveAndPost(db, input));
      }
      const rehearsal = rehearse(db, input.now, (stage) => moveAndPost(stage, input));
      const action = `/admin/incidents/${incident.id}/updates`;
      const where = { page: c.get("page"), origin: c.get("host").origin, action };
      const view = reviewView(deps, { ...where, before: incident, rehearsal, form });
      return desk.page(c, "review", { ...view, stopped: publishing }, publishing ? 409 : 200);
    } catch (error) {
      return showIncident(c, fields, faultOf(error));
    }
  };

  const list = (c: Ctx) => {
    const number = Math.max(1, Math.min(10_000, Number.parseInt(c.req.query("page") ?? "1", 10) || 1));
    return desk.page(c, "incidents", incidentListView(db, { page: c.get("page"), number }));
  };

  const enter = { who: "member", role: "publisher" } as const;
  const standing = (run: Route["run"]): Route["run"] => {
    return (c, next) => {
      requireStanding(deps, { page: c.get("page"), id: c.req.param("id") ?? "" });
      return run(c, next);
    };
  };
  const routes: Route[] = [
    { method: "GET", path: "/admin/incidents", enter, run: list },
    { method: "GET", path: "/admin/incidents/new", enter, run: (c) => showNew(c, freshFields("investigating")) },
    { method: "POST", path: "/admin/incidents", enter, run: open },
    { method: "GET", path: "/admin/incidents/:id", enter, run: (c) => showIncident(c) },
    { method: "POST", path: "/admin/incidents/:id/updates", enter, run: post },
    // The preview's address, when somebody reloads or shares it.
    {
      method: "GET",
      path: "/admin/incidents/:id/updates",
      enter,
      run: (c) => seeOther(c, `/admin/incidents/${c.req.param("id")}`),
    },
    ...maintenanceRoutes(deps, desk, publication),
    ...editRoutes(deps, desk),
  ];
  return routes.map((route) => (route.path.includes("/:id") ? { ...route, run: standing(route.run) } : route));
}
