/**
 * Components and groups, for programs: read with any token for the page, changed with page_config; a component's status
 * also with publisher, because that is what monitors set. Deleting archives, so
 * that the past stays told; an archived component is gone to Statuspage's clients (404) and comes back by `restore`, an
 * addition of ours like `archive` and `move`. Groups stand in the list of components as well, as at Statuspage.
 */
import { type BodyRecord, readBody } from "../api-body.ts";
import { needText, takeClearable, takeFlag, takeList, takePart, takeText } from "../api-fields.ts";
import { doing, isYes, paging, patchOrPut } from "../api-routes.ts";
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import type { Ctx, Route } from "../http.ts";
import type { Role } from "../schema.ts";
import { groupRowShape, manageComponentShape, manageGroupShape } from "../statuspage/manage-shapes.ts";
import { isoOrNull } from "../statuspage/shapes.ts";
import { mayAct } from "../team/members.ts";
import {
  archiveComponent,
  archiveGroup,
  type ComponentGroup,
  changeComponent,
  changeGroup,
  createComponent,
  createGroup,
  findComponent,
  findGroup,
  listComponents,
  listGroups,
  moveComponent,
  moveGroup,
  requireStatus,
} from "./components.ts";

export function componentApi(deps: Deps): Route[] {
  const { db, press } = deps;
  const named = (c: Ctx) => ({ ...doing(deps, c), id: c.req.param("id") ?? "" });
  const living = (c: Ctx) => {
    const component = findComponent(db, named(c));
    if (!component.archivedAt) return component;
    throw new UserError("not_found", `The component ${component.id} was archived.`);
  };
  const pressed = <Result>(c: Ctx, result: Result): Result => {
    press.press(c.get("page").id);
    return result;
  };

  const list = (c: Ctx) => {
    const { limit, offset } = paging(c, { size: "per_page" });
    const { id } = c.get("page");
    if (isYes(c, "archived")) {
      const archived = listComponents(db, id, "with").filter((component) => component.archivedAt !== null);
      const shapes = archived.map((component) => ({
        ...manageComponentShape(component),
        archived_at: isoOrNull(component.archivedAt),
      }));
      return c.json(shapes.slice(offset, offset + limit));
    }
    const byGroup = Map.groupBy(listComponents(db, id), (component) => component.groupId);
    const rows = [
      ...(byGroup.get(null) ?? []).map(manageComponentShape),
      ...listGroups(db, id).flatMap((group) => {
        const members = byGroup.get(group.id) ?? [];
        return [groupRowShape(group, members), ...members.map(manageComponentShape)];
      }),
    ];
    return c.json(rows.slice(offset, offset + limit));
  };
  const show = (c: Ctx) => {
    const group = listGroups(db, c.get("page").id).find((known) => known.id === c.req.param("id"));
    return c.json(group ? groupRowShape(group, membersOf(group)) : manageComponentShape(living(c)));
  };
  const create = async (c: Ctx) => {
    const fields = takePart(await readBody(c), "component");
    const component = createComponent(db, {
      ...doing(deps, c),
      ...componentFields(fields),
      name: needText(fields, "name"),
    });
    return pressed(c, c.json(manageComponentShape(component), 201));
  };
  const change = async (c: Ctx) => {
    living(c);
    const fields = componentFields(takePart(await readBody(c), "component"));
    const { status, ...lasting } = fields;
    const onlyStatus = status !== undefined && Object.values(lasting).every((value) => value === undefined);
    requireRole(c, onlyStatus ? ["publisher", "page_config"] : ["page_config"]);
    return pressed(c, c.json(manageComponentShape(changeComponent(db, { ...named(c), ...fields }))));
  };
  const remove = (c: Ctx) => {
    living(c);
    archiveComponent(db, { ...named(c), archived: true });
    return pressed(c, c.body(null, 204));
  };
  const setArchived = (archived: boolean) => (c: Ctx) =>
    pressed(c, c.json(manageComponentShape(archiveComponent(db, { ...named(c), archived }))));
  const move = async (c: Ctx) => {
    moveComponent(db, { ...named(c), id: living(c).id, step: stepIn(await readBody(c)) });
    return pressed(c, c.json(manageComponentShape(living(c))));
  };

  const membersOf = (group: ComponentGroup) =>
    listComponents(db, group.pageId).filter((component) => component.groupId === group.id);
  const groupShape = (group: ComponentGroup) => manageGroupShape(group, membersOf(group));
  const listAllGroups = (c: Ctx) => {
    const { limit, offset } = paging(c, { size: "per_page" });
    return c.json(
      listGroups(db, c.get("page").id)
        .slice(offset, offset + limit)
        .map(groupShape),
    );
  };
  const addGroup = async (c: Ctx) => {
    const body = await readBody(c);
    const name = needText(takePart(body, "component_group"), "name");
    const group = createGroup(db, { ...doing(deps, c), ...groupFields(body), name });
    return pressed(c, c.json(groupShape(group), 201));
  };
  const alterGroup = async (c: Ctx) => {
    const body = await readBody(c);
    return pressed(c, c.json(groupShape(changeGroup(db, { ...named(c), ...groupFields(body) }))));
  };
  const removeGroup = (c: Ctx) => {
    const shape = groupShape(findGroup(db, named(c)));
    archiveGroup(db, named(c));
    return pressed(c, c.json(shape));
  };
  const shiftGroup = async (c: Ctx) => {
    moveGroup(db, { ...named(c), step: stepIn(await readBody(c)) });
    return pressed(c, c.json(groupShape(findGroup(db, named(c)))));
  };

  const reading = { who: "program", role: "any" } as const;
  const changing = { who: "program", role: "page_config" } as const;
  const components = "/v1/pages/:page/components";
  const groups = "/v1/pages/:page/component-groups";
  return [
    { method: "GET", path: components, enter: reading, run: list },
    { method: "POST", path: components, enter: changing, run: create, givesWay: 3 },
    { method: "GET", path: `${components}/:id`, enter: reading, run: show },
    ...patchOrPut(`${components}/:id`, reading, change),
    { method: "DELETE", path: `${components}/:id`, enter: changing, run: remove, givesWay: 3 },
    { method: "POST", path: `${components}/:id/archive`, enter: changing, run: setArchived(true), givesWay: 3 },
    { method: "POST", path: `${components}/:id/restore`, enter: changing, run: setArchived(false), givesWay: 3 },
    { method: "POST", path: `${components}/:id/move`, enter: changing, run: move, givesWay: 3 },
    { method: "GET", path: groups, enter: reading, run: listAllGroups },
    { method: "POST", path: groups, enter: changing, run: addGroup, givesWay: 3 },
    { method: "GET", path: `${groups}/:id`, enter: reading, run: (c) => c.json(groupShape(findGroup(db, named(c)))) },
    ...patchOrPut(`${groups}/:id`, changing, alterGroup, 3),
    { method: "DELETE", path: `${groups}/:id`, enter: changing, run: removeGroup, givesWay: 3 },
    { method: "POST", path: `${groups}/:id/move`, enter: changing, run: shiftGroup, givesWay: 3 },
  ];
}

/** What a component is belongs to page_config; how it is, to whoever publishes as well, like a monitor's token. */
function requireRole(c: Ctx, roles: Role[]): void {
  if (c.env.operator || roles.some((role) => mayAct(c.get("grants"), role, c.get("page").id))) return;
  throw new UserError("forbidden", `This needs a token with the role ${roles.at(-1)}, or owner, for this page.`);
}

function componentFields(fields: BodyRecord) {
  const status = takeClearable(fields, "status");
  return {
    name: takeText(fields, "name"),
    description: takeClearable(fields, "description"),
    groupId: takeClearable(fields, "group_id"),
    showcase: takeFlag(fields, "showcase"),
    onlyShowIfDegraded: takeFlag(fields, "only_show_if_degraded"),
    startDate: takeClearable(fields, "start_date"),
    status: status ? requireStatus(status) : undefined,
  };
}

/** Statuspage has the description beside `component_group`, where it may stand alone; some clients put it inside. */
function groupFields(body: BodyRecord) {
  const outer = takeClearable(body, "description");
  const alone = outer !== undefined && body.component_group === undefined;
  const inside = alone ? {} : takePart(body, "component_group");
  return {
    name: takeText(inside, "name"),
    description: outer === undefined ? takeClearable(inside, "description") : outer,
    componentIds: takeList(inside, "components"),
  };
}

function stepIn(body: BodyRecord): "up" | "down" {
  const step = takeText(body, "step");
  if (step === "up" || step === "down") return step;
  throw new UserError("invalid", "Send step as up or down.", { field: "step" });
}
