/** The admin's first page, and the settings: the page's own are changed here, the server's are shown with their command. */
import type { Deps } from "../deps.ts";
import type { Ctx, Form, Route } from "../http.ts";
import { createDesk, faultOf, goOn } from "../team/desk.ts";
import { overview } from "./overview.ts";
import { changePage, listHosts, type Page } from "./pages.ts";

export function pageAdmin(deps: Deps): Route[] {
  const { db, config, clock } = deps;
  const desk = createDesk(deps);

  const showSettings = (
    c: Ctx,
    fields: object = fieldsOf(c.get("page")),
    more: object = {},
    status: 200 | 422 = 200,
  ) => {
    const hosts = listHosts(db).filter((host) => host.pageId === c.get("page").id);
    const zones = ["Etc/UTC", ...Intl.supportedValuesOf("timeZone")];
    return desk.page(
      c,
      "settings",
      { title: "Settings", fields, hosts, zones, server: serverSettings(), ...more },
      status,
    );
  };

  const serverSettings = () =>
    config.list().map(({ name, value, from, secret, meaning, variable }) => ({
      name,
      meaning,
      value: secret ? (value === "" ? "" : "set, not shown") : value,
      from: { default: "the default", database: "candor config", environment: variable, flag: "a flag at the start" }[
        from
      ],
      // What stands in a shell's history is no secret.
      command: `candor config set ${name} ${secret ? "-" : "VALUE"}`,
      // A variable or a flag is stronger than what the command sets.
      overruled: from === "environment" || from === "flag",
    }));

  const saveSettings = (c: Ctx) => {
    const fields = fieldsIn(c.get("form"));
    const pageId = c.get("page").id;
    try {
      changePage(db, { pageId, ...fields, now: clock.now(), by: c.get("actor") });
    } catch (error) {
      return showSettings(c, fields, { fault: faultOf(error) }, 422);
    }
    deps.press.press(pageId);
    return goOn(c, "/admin/settings", "changed");
  };

  const member = { who: "member", role: "any" } as const;
  return [
    {
      method: "GET",
      path: "/admin",
      enter: member,
      run: (c) => desk.page(c, "overview", overview(deps, c.get("page"))),
    },
    { method: "GET", path: "/admin/settings", enter: member, run: (c) => showSettings(c) },
    { method: "POST", path: "/admin/settings", enter: { who: "member", role: "page_config" }, run: saveSettings },
  ];
}

function fieldsOf(page: Page) {
  return {
    name: page.name,
    description: page.description ?? "",
    timeZone: page.timeZone,
    supportUrl: page.supportUrl ?? "",
  };
}

function fieldsIn(form: Form) {
  return {
    name: form.one("name"),
    description: form.one("description"),
    timeZone: form.one("time_zone"),
    supportUrl: form.one("support_url"),
  };
}
