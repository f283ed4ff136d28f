/** Announcements, for programs with publisher: what was told to how many, and the word that a held one waits for. */
import { doing, wholeNumber } from "../api-routes.ts";
import type { Deps } from "../deps.ts";
import type { Ctx, Route } from "../http.ts";
import { updateById } from "../incidents/stories.ts";
import { iso } from "../statuspage/shapes.ts";
import { type Announcement, decideHeld, listAnnouncements, outcomeOf } from "./announcements.ts";

export function announcementApi(deps: Deps): Route[] {
  const { db } = deps;
  const shape = (announcement: Announcement) => {
    const { incident } = updateById(db, announcement.updateId);
    return {
      id: announcement.id,
      page_id: announcement.pageId,
      incident_id: incident.id,
      incident_name: incident.name,
      incident_update_id: announcement.updateId,
      state: announcement.state,
      reason: announcement.reason,
      audience: announcement.audience,
      letters: outcomeOf(db, announcement.updateId)?.states ?? {},
      created_at: iso(announcement.createdAt),
    };
  };
  const list = (c: Ctx) => {
    const limit = wholeNumber(c, "limit", { least: 1, most: 100 }) ?? 100;
    return c.json(listAnnouncements(db, { pageId: c.get("page").id, limit }).map(shape));
  };
  const decide = (decision: "send" | "drop") => (c: Ctx) => {
    const announcement = decideHeld(db, { ...doing(deps, c), id: Number(c.req.param("id")), decision });
    deps.announcer.wake();
    return c.json(shape(announcement));
  };
  const enter = { who: "program", role: "publisher" } as const;
  const announcements = "/v1/pages/:page/announcements";
  return [
    { method: "GET", path: announcements, enter, run: list, givesWay: 1 },
    { method: "POST", path: `${announcements}/:id{[0-9]{1,15}}/send`, enter, run: decide("send") },
    { method: "POST", path: `${announcements}/:id{[0-9]{1,15}}/drop`, enter, run: decide("drop") },
  ];
}
