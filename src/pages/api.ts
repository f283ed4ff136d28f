/**
 * Pages and the settings, for programs. A page is read with any token for it and changed with page_config, as far as
 * there is something to change: name, time_zone, support_url and page_description; other fields of Statuspage's page are
 * left as they are. Settings belong to the operator. A secret one is never told, only whether it is set.
 */
import { readBody } from "../api-body.ts";
import { needText, takeClearable, takePart, takeText } from "../api-fields.ts";
import { doing, patchOrPut } from "../api-routes.ts";
import { recordDeed } from "../audit/audit.ts";
import type { Setting } from "../config.ts";
import type { Deps } from "../deps.ts";
import type { Ctx, Route } from "../http.ts";
import { managePageShape } from "../statuspage/manage-shapes.ts";
import { hostRoutes } from "./api-hosts.ts";
import { changePage, listPages, originOf, type Page } from "./pages.ts";

export function pageApi(deps: Deps): Route[] {
  const { db, config, press } = deps;
  const shape = (page: Page) =>
    managePageShape(page, { origin: originOf(db, page.id), sender: config.text("mail.from") || null });

  const list = (c: Ctx) => {
    const grants = c.env.operator ? [{ pageId: null }] : c.get("grants");
    const mine = listPages(db).filter((page) =>
      grants.some((grant) => grant.pageId === null || grant.pageId === page.id),
    );
    return c.json(mine.map(shape));
  };
  const change = async (c: Ctx) => {
    const fields = takePart(await readBody(c), "page");
    const name = takeText(fields, "name");
    const timeZone = takeText(fields, "time_zone");
    const description = takeClearable(fields, "page_description");
    const supportUrl = takeClearable(fields, "support_url");
    const page = changePage(db, {
      ...doing(deps, c),
      ...(name === undefined ? {} : { name }),
      ...(timeZone === undefined ? {} : { timeZone }),
      ...(description === undefined ? {} : { description: description ?? "" }),
      ...(supportUrl === undefined ? {} : { supportUrl: supportUrl ?? "" }),
    });
    press.press(page.id);
    return c.json(shape(page));
  };

  const setSetting = async (c: Ctx) => {
    const name = c.req.param("name") ?? "";
    config.set(name, needText(await readBody(c), "value"), deps.clock.now());
    return settingChanged(c, name, "setting.set");
  };
  const unsetSetting = (c: Ctx) => {
    const name = c.req.param("name") ?? "";
    config.unset(name);
    return settingChanged(c, name, "setting.unset");
  };
  const settingChanged = (c: Ctx, name: string, action: string) => {
    recordDeed(db, c.get("actor"), deps.clock.now(), { action, subject: name });
    deps.mailer.wake();
    return c.json(settingShape(config.describe(name)));
  };

  const anyToken = { who: "program", role: "any" } as const;
  const operator = { who: "operator" } as const;
  return [
    { method: "GET", path: "/v1/pages", enter: anyToken, run: list },
    { method: "GET", path: "/v1/pages/:page", enter: anyToken, run: (c) => c.json(shape(c.get("page"))) },
    ...patchOrPut("/v1/pages/:page", { who: "program", role: "page_config" }, change, 3),
    ...hostRoutes(deps),
    { method: "GET", path: "/v1/settings", enter: operator, run: (c) => c.json(config.list().map(settingShape)) },
    {
      method: "GET",
      path: "/v1/settings/:name",
      enter: operator,
      run: (c) => c.json(settingShape(config.describe(c.req.param("name") ?? ""))),
    },
    { method: "PUT", path: "/v1/settings/:name", enter: operator, run: setSetting },
    { method: "DELETE", path: "/v1/settings/:name", enter: operator, run: unsetSetting },
  ];
}

function settingShape(setting: Setting) {
  return {
    name: setting.name,
    value: setting.secret ? null : setting.value,
    is_set: setting.value !== "",
    from: setting.from,
    default: setting.default,
    meaning: setting.meaning,
    secret: setting.secret,
    at_start: setting.atStart,
    variable: setting.variable,
  };
}
