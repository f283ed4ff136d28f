/** Components and groups: in order, with buttons that move them one step, since a page without scripts can't drag. */
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import type { Ctx, Form, Route } from "../http.ts";
import { componentStatuses } from "../schema.ts";
import { statusWords } from "../statuspage/words.ts";
import { createDesk, type Done, type Fault, faultOf, goOn } from "../team/desk.ts";
import { groupRoutes } from "./admin-groups.ts";
import {
  archiveComponent,
  type Component,
  changeComponent,
  createComponent,
  findComponent,
  listComponents,
  listGroups,
  moveComponent,
  requireStatus,
} from "./components.ts";

type Fields = {
  name: string;
  description: string;
  groupId: string;
  showcase: boolean;
  onlyShowIfDegraded: boolean;
  startDate: string;
  status: string;
};

export function componentAdmin(deps: Deps): Route[] {
  const { db, clock } = deps;
  const desk = createDesk(deps);
  const doing = (c: Ctx) => ({ pageId: c.get("page").id, now: clock.now(), by: c.get("actor") });
  const idOf = (c: Ctx) => c.req.param("id") ?? "";
  const done = (c: Ctx, what: Done, mark = "") => {
    deps.press.press(c.get("page").id);
    return goOn(c, `/admin/components${mark}`, what);
  };

  const list = (c: Ctx) => {
    const pageId = c.get("page").id;
    const all = listComponents(db, pageId, "with");
    const groups = listGroups(db, pageId);
    const inUse = all.filter((component) => !component.archivedAt);
    const rows = (groupId: string | null) => inUse.filter((component) => component.groupId === groupId).map(rowView);
    return desk.page(c, "components", {
      title: "Components",
      alone: rows(null),
      groups: groups.map((group, index) => ({
        ...group,
        first: index === 0,
        last: index === groups.length - 1,
        components: rows(group.id),
      })),
      archived: all.filter((component) => component.archivedAt).map(({ id, name }) => ({ id, name })),
      empty: all.length + groups.length === 0,
    });
  };

  const form = (c: Ctx, fields: Fields, fault?: Fault, known?: Component) => {
    const view = {
      title: known ? known.name : "Create a component",
      id: known?.id,
      archived: known?.archivedAt != null,
      fields,
      fault,
      groups: listGroups(db, c.get("page").id).map(({ id, name }) => ({ id, name, chosen: id === fields.groupId })),
      statuses: componentStatuses.map((value) => ({
        value,
        words: statusWords[value],
        chosen: value === fields.status,
      })),
    };
    return desk.page(c, "component", view, fault ? 422 : 200);
  };

  const create = (c: Ctx) => {
    const fields = fieldsIn(c.get("form"));
    try {
      const { id } = createComponent(db, { ...doing(c), ...meaningOf(fields) });
      return done(c, "created", `#c-${id}`);
    } catch (error) {
      return form(c, fields, faultOf(error));
    }
  };

  const find = (c: Ctx) => findComponent(db, { pageId: c.get("page").id, id: idOf(c) });
  const change = (c: Ctx) => {
    const known = find(c);
    const fields = fieldsIn(c.get("form"));
    try {
      changeComponent(db, { ...doing(c), id: known.id, ...meaningOf(fields) });
    } catch (error) {
      return form(c, fields, faultOf(error), known);
    }
    return done(c, "changed", `#c-${known.id}`);
  };

  const move = (c: Ctx) => {
    moveComponent(db, { ...doing(c), id: idOf(c), step: stepIn(c.get("form")) });
    return done(c, "moved", `#c-${idOf(c)}`);
  };
  const archive = (c: Ctx) => {
    const archived = c.get("form").one("archived") === "1";
    archiveComponent(db, { ...doing(c), id: idOf(c), archived });
    return done(c, archived ? "archived" : "restored");
  };

  const enter = { who: "member", role: "page_config" } as const;
  return [
    { method: "GET", path: "/admin/components", enter, run: list },
    { method: "GET", path: "/admin/components/new", enter, run: (c) => form(c, blank), givesWay: 3 },
    { method: "POST", path: "/admin/components", enter, run: create, givesWay: 3 },
    { method: "GET", path: "/admin/components/:id", enter, run: (c) => form(c, fieldsOf(find(c)), undefined, find(c)) },
    { method: "POST", path: "/admin/components/:id", enter, run: change },
    { method: "POST", path: "/admin/components/:id/position", enter, run: move, givesWay: 3 },
    { method: "POST", path: "/admin/components/:id/archive", enter, run: archive, givesWay: 3 },
    ...groupRoutes(deps, desk, { done, doing, stepIn }),
  ];
}

function rowView(component: Component, index: number, all: Component[]) {
  const { id, name, description, status, onlyShowIfDegraded, showcase } = component;
  const statusWord = statusWords[status];
  const ends = { first: index === 0, last: index === all.length - 1 };
  return { id, name, description, status, statusWord, onlyShowIfDegraded, hidesHistory: !showcase, ...ends };
}

function stepIn(form: Form): "up" | "down" {
  const step = form.one("step");
  if (step !== "up" && step !== "down") throw new UserError("invalid", "Choose whether to move it up or down.");
  return step;
}

const blank: Fields = {
  name: "",
  description: "",
  groupId: "",
  showcase: true,
  onlyShowIfDegraded: false,
  startDate: "",
  status: "operational",
};

function fieldsOf(component: Component): Fields {
  return {
    name: component.name,
    description: component.description ?? "",
    groupId: component.groupId ?? "",
    showcase: component.showcase,
    onlyShowIfDegraded: component.onlyShowIfDegraded,
    startDate: component.startDate ?? "",
    status: component.status,
  };
}

function fieldsIn(form: Form): Fields {
  return {
    name: form.one("name"),
    description: form.one("description"),
    groupId: form.one("group_id"),
    showcase: form.has("showcase"),
    onlyShowIfDegraded: form.has("only_show_if_degraded"),
    startDate: form.one("start_date").trim(),
    status: form.one("status"),
  };
}

function meaningOf(fields: Fields) {
  const { groupId, startDate, status } = fields;
  return { ...fields, groupId: groupId || null, startDate: startDate || null, status: requireStatus(status) };
}
