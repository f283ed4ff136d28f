/** A held announcement waits for a person; here they decide. */
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import type { Ctx, Route } from "../http.ts";
import { goOn } from "../team/desk.ts";
import { decideHeld } from "./announcements.ts";

export function announcementAdmin(deps: Deps): Route[] {
  const decide = (c: Ctx) => {
    const decision = c.get("form").one("decision");
    if (decision !== "send" && decision !== "drop")
      throw new UserError("invalid", "Choose whether to send or to drop it.");
    const id = Number(c.req.param("id"));
    decideHeld(deps.db, { pageId: c.get("page").id, id, decision, now: deps.clock.now(), by: c.get("actor") });
    deps.announcer.wake();
    return goOn(c, "/admin", decision === "send" ? "sent" : "dropped");
  };
  return [
    { method: "POST", path: "/admin/announcements/:id", enter: { who: "member", role: "publisher" }, run: decide },
  ];
}
