/** The admin's first page, and the settings: the page's own are changed here, the server's are shown with their command. */
import type { Deps } from "../deps.ts";
import type { Ctx, Form, Route } from "../http.ts";
import { formatTime } from "../statuspage/words.ts";
import { createDesk, faultOf, goOn } from "../team/desk.ts";
import { isElsewhere, type Plan, standingOf } from "../tls/plans.ts";
import { overview } from "./overview.ts";
import { changePage, listHosts, type Page } from "./pages.ts";

export function pageAdmin(deps: Deps): Route[] {
  const { db, config, clock, keeper } = deps;
  const desk = createDesk(deps);

  const showSettings = async (
    c: Ctx,
    fields: object = fieldsOf(c.get("page")),
    more: object = {},
    status: 200 | 422 = 200,
  ) => {
    const { id: pageId, timeZone } = c.get("page");
    const mine = listHosts(db).filter((host) => host.pageId === pageId);
    const plans = await keeper.planFor(mine.map((host) => host.name));
    const hosts = mine.map((host, index) => ({
      ...host,
      isPlain: host.origin.startsWith("http:"),
      certificate: certificateView(plans[index], timeZone),
    }));
    const zones = ["Etc/UTC", ...Intl.supportedValuesOf("timeZone")];
    return desk.page(c, "settings", { title: "Settings", fields, hosts, zones, ...serverSettings(), ...more }, status);
  };

  const certificateView = (plan: Plan | undefined, zone: string) => {
    if (!plan || isElsewhere(plan)) return undefined;
    const { state, words, advice, nextAt } = standingOf(plan, clock.now());
    const { certificate } = plan;
    return {
      state,
      words,
      advice,
      issuer: certificate?.issuer,
      until: certificate ? formatTime(certificate.notAfter, zone, "moment") : "",
      next: nextAt === undefined ? "" : formatTime(Math.max(nextAt, clock.now()), zone, "moment"),
      isRetry: plan.order?.problem != null,
    };
  };

  const serverSettings = () => {
    const all = config.list().map(({ name, value, from, secret, meaning, variable }) => ({
      name,
      meaning,
      value: secret ? (value === "" ? "" : "set, not shown") : value,
      isDefault: from === "default",
      // A variable or a flag is stronger than what the command sets.
      ...(from === "environment" ? { overruledBy: `The variable ${variable}` } : {}),
      ...(from === "flag" ? { overruledBy: "A flag at the start" } : {}),
      // What stands in a shell's history is no secret.
      command: `candor config set ${name} ${secret ? "-" : "VALUE"}`,
    }));
    return { chosen: all.filter((one) => !one.isDefault), standing: all.filter((one) => one.isDefault) };
  };

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
    { method: "GET", path: "/admin/settings", enter: member, run: (c) => showSettings(c), givesWay: 3 },
    {
      method: "POST",
      path: "/admin/settings",
      enter: { who: "member", role: "page_config" },
      run: saveSettings,
      givesWay: 3,
    },
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
