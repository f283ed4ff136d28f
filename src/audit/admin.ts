/** Who did what, for the owner's eyes. Addresses of members are looked up when the page is made; the entries hold none. */
import type { Deps } from "../deps.ts";
import type { Ctx, Route } from "../http.ts";
import { moment } from "../statuspage/words.ts";
import { actorNames } from "../team/actors.ts";
import { createDesk } from "../team/desk.ts";
import { listDeeds } from "./audit.ts";
import { subjectNames } from "./subjects.ts";
import { deedSentence } from "./words.ts";

const most = 200;

export function auditAdmin(deps: Deps): Route[] {
  const desk = createDesk(deps);
  const show = (c: Ctx) => {
    const { named, nameOf } = actorNames(deps);
    const deeds = listDeeds(deps.db, { limit: most });
    const things = subjectNames(
      deps.db,
      deeds.flatMap((deed) => deed.subject ?? []),
    );
    const rows = deeds.map((deed) => ({
      at: moment(deed.at, c.get("page").timeZone),
      who: nameOf(deed),
      what: deedSentence(deed.action),
      subject: deed.subject,
      name: named(deed.subject) ?? things.get(deed.subject ?? "") ?? deed.subject,
      incident: deed.action.startsWith("incident.") && deed.action !== "incident.delete",
      detail: Object.entries(JSON.parse(deed.detail ?? "{}") as object).map(([name, value]) => ({
        name,
        value: String(value),
      })),
    }));
    return desk.page(c, "audit", { rows, most, full: rows.length === most });
  };
  return [{ method: "GET", path: "/admin/audit", enter: { who: "member", role: "owner" }, run: show, givesWay: 1 }];
}
