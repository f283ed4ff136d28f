/** Who did what, for the operator. */
import { wholeNumber } from "../api-routes.ts";
import type { Deps } from "../deps.ts";
import type { Ctx, Route } from "../http.ts";
import { iso } from "../statuspage/shapes.ts";
import { listDeeds } from "./audit.ts";

export function auditApi(deps: Deps): Route[] {
  const list = (c: Ctx) => {
    const limit = wholeNumber(c, "limit", { least: 1, most: 1000 }) ?? 100;
    return c.json(
      listDeeds(deps.db, { limit }).map((deed) => ({
        id: deed.id,
        at: iso(deed.at),
        page_id: deed.pageId,
        actor: { kind: deed.actorKind, id: deed.actorId },
        action: deed.action,
        subject: deed.subject,
        detail: deed.detail === null ? null : (JSON.parse(deed.detail) as Record<string, unknown>),
      })),
    );
  };
  return [{ method: "GET", path: "/v1/audit", enter: { who: "operator" }, run: list }];
}
