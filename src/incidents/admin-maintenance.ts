/** Planning a maintenance: the same two steps as opening an incident. It is moved by an update that says so (admin.ts). */
import type { Deps } from "../deps.ts";
import { type Ctx, type Route, seeOther } from "../http.ts";
import { type Desk, type Fault, faultsOf } from "../team/desk.ts";
import { incidentName, openIncident, requireBody } from "./incidents.ts";
import { beginningIn, concernChoices, endIn, freshPlan, type Plan, planIn, plannedIn } from "./planning.ts";
import type { Publication } from "./publication.ts";
import { rehearse } from "./rehearsal.ts";
import { reviewView } from "./review.ts";

export function maintenanceRoutes(deps: Deps, desk: Desk, publication: Publication): Route[] {
  const { db } = deps;

  const show = (c: Ctx, plan: Plan, fault?: Fault) => {
    const view = {
      title: "Plan a maintenance",
      fields: plan,
      fault,
      fresh: fault === undefined && plan.name === "",
      zone: c.get("page").timeZone,
      kept: deps.config.text("mail.smtp_url") === "",
      groups: concernChoices(db, { pageId: c.get("page").id, concerned: plan.concerned }),
    };
    return desk.page(c, "maintenance-new", view, fault ? 422 : 200);
  };

  const plan = (c: Ctx) => {
    const form = c.get("form");
    const fields = planIn(form);
    const done = publication.before(c);
    if (done) return done;
    if (form.one("step") === "edit") return show(c, fields);
    const page = c.get("page");
    const zone = page.timeZone;
    try {
      const at = publication.doing(c);
      const input = { ...at, ...plannedIn(fields, { zone, now: at.now }) };
      if (form.one("step") === "publish") return publication.afterwards(c, openIncident(db, input));
      const rehearsal = rehearse(db, input.now, (stage) => openIncident(stage, input));
      const where = { page, origin: c.get("host").origin, action: "/admin/maintenance" };
      return desk.page(c, "review", reviewView(deps, { ...where, rehearsal, form }));
    } catch (error) {
      const checks = [
        () => incidentName(fields.name),
        () => requireBody(fields.body),
        () => beginningIn(fields.from, zone),
        () => endIn(fields.until, zone),
      ];
      return show(c, fields, faultsOf(error, checks));
    }
  };

  const enter = { who: "member", role: "publisher" } as const;
  return [
    { method: "GET", path: "/admin/maintenance/new", enter, run: (c) => show(c, freshPlan()) },
    // The preview's address, when somebody reloads or shares it.
    { method: "GET", path: "/admin/maintenance", enter, run: (c) => seeOther(c, "/admin/maintenance/new") },
    { method: "POST", path: "/admin/maintenance", enter, run: plan },
  ];
}
