/** Groups of components. A removed group leaves its components on the page, outside any group. */
import type { Actor } from "../audit/audit.ts";
import type { Deps } from "../deps.ts";
import type { Ctx, Form, Route } from "../http.ts";
import { type Desk, type Done, type Fault, faultOf } from "../team/desk.ts";
import { archiveGroup, type ComponentGroup, changeGroup, createGroup, findGroup, moveGroup } from "./components.ts";

type Shared = {
  done(c: Ctx, what: Done, mark?: string): Response;
  doing(c: Ctx): { pageId: string; now: number; by: Actor };
  stepIn(form: Form): "up" | "down";
};
type Fields = { name: string; description: string };

export function groupRoutes(deps: Deps, desk: Desk, { done, doing, stepIn }: Shared): Route[] {
  const { db } = deps;
  const find = (c: Ctx) => findGroup(db, { pageId: c.get("page").id, id: c.req.param("id") ?? "" });
  const fieldsIn = (form: Form): Fields => ({ name: form.one("name"), description: form.one("description") });

  const form = (c: Ctx, fields: Fields, fault?: Fault, known?: ComponentGroup) => {
    const title = known ? known.name : "Create a group";
    return desk.page(c, "component-group", { title, id: known?.id, fields, fault }, fault ? 422 : 200);
  };
  const show = (c: Ctx) => {
    const group = find(c);
    return form(c, { name: group.name, description: group.description ?? "" }, undefined, group);
  };
  const create = (c: Ctx) => {
    const fields = fieldsIn(c.get("form"));
    try {
      return done(c, "created", `#g-${createGroup(db, { ...doing(c), ...fields }).id}`);
    } catch (error) {
      return form(c, fields, faultOf(error));
    }
  };
  const change = (c: Ctx) => {
    const known = find(c);
    const fields = fieldsIn(c.get("form"));
    try {
      changeGroup(db, { ...doing(c), id: known.id, ...fields });
    } catch (error) {
      return form(c, fields, faultOf(error), known);
    }
    return done(c, "changed", `#g-${known.id}`);
  };
  const move = (c: Ctx) => {
    const { id } = find(c);
    moveGroup(db, { ...doing(c), id, step: stepIn(c.get("form")) });
    return done(c, "moved", `#g-${id}`);
  };
  const archive = (c: Ctx) => {
    archiveGroup(db, { ...doing(c), id: find(c).id });
    return done(c, "grouped");
  };

  const enter = { who: "member", role: "page_config" } as const;
  return [
    {
      method: "GET",
      path: "/admin/component-groups/new",
      enter,
      run: (c) => form(c, { name: "", description: "" }),
      givesWay: 3,
    },
    { method: "POST", path: "/admin/component-groups", enter, run: create, givesWay: 3 },
    { method: "GET", path: "/admin/component-groups/:id", enter, run: show, givesWay: 3 },
    { method: "POST", path: "/admin/component-groups/:id", enter, run: change, givesWay: 3 },
    { method: "POST", path: "/admin/component-groups/:id/position", enter, run: move, givesWay: 3 },
    { method: "POST", path: "/admin/component-groups/:id/archive", enter, run: archive, givesWay: 3 },
  ];
}
