/** Who did what, for the owner's eyes. Addresses of members are looked up when the page is made; the entries hold none. */
import type { Deps } from "../deps.ts";
import type { Ctx, Route } from "../http.ts";
import { moment } from "../statuspage/words.ts";
import { createDesk } from "../team/desk.ts";
import { listMembers } from "../team/members.ts";
import { listTokens } from "../team/tokens.ts";
import { listDeeds } from "./audit.ts";
import { deedSentence } from "./words.ts";

const most = 200;

export function auditAdmin(deps: Deps): Route[] {
  const desk = createDesk(deps);
  const show = (c: Ctx) => {
    const names = new Map([
      ...listMembers(deps.db, deps.keys).map((member) => [member.id, member.address] as const),
      ...listTokens(deps.db).map((token) => [token.id, `the token “${token.name}”`] as const),
    ]);
    const nameOf = (kind: string, id: string | null) => {
      if (kind === "operator") return "The operator, at the command line";
      if (kind === "system") return "Candor itself";
      if (kind === "subscriber") return "A subscriber, by their link";
      if (kind === "stranger") return "Somebody who isn’t signed in";
      return names.get(id ?? "") ?? `A ${kind} that is gone`;
    };
    const rows = listDeeds(deps.db, { limit: most }).map((deed) => ({
      at: moment(deed.at, c.get("page").timeZone),
      who: nameOf(deed.actorKind, deed.actorId),
      what: deedSentence(deed.action),
      subject: names.get(deed.subject ?? "") ?? deed.subject,
      incident: deed.action.startsWith("incident.") && deed.action !== "incident.delete",
      detail: Object.entries(JSON.parse(deed.detail ?? "{}") as object).map(([name, value]) => ({
        name,
        value: String(value),
      })),
    }));
    return desk.page(c, "audit", { rows, most, full: rows.length === most });
  };
  return [{ method: "GET", path: "/admin/audit", enter: { who: "member", role: "owner" }, run: show }];
}
