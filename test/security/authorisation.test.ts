/** Every route of the street map, for everybody who might knock, with ids of their own page and of another. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eq } from "drizzle-orm";
import { adminRoutes, programRoutes } from "../../src/app.ts";
import type { Route } from "../../src/http.ts";
import { apiTokens, members, type Role, roles } from "../../src/schema.ts";
import { createSignInLink } from "../../src/team/members.ts";
import { type House, host, openTestHouse } from "../support/house.ts";
import { everything, furnish, type Ids, memberWith, otherHost, secondPage, tokenFor } from "./second-page.ts";

const plenty = { "api.requests_per_minute": "100000" };

/** The route's path with ids put in, by the word that stands before each. */
function pathOf(route: Route, ids: Ids, pageId: string): string {
  const words = route.path.split("/");
  return words
    .map((word, index) => {
      if (word === ":page") return pageId;
      if (word === ":secret") return "x".repeat(43);
      if (word === ":name") return "log.level";
      if (word === ":address") return "olive@example.com";
      return word.startsWith(":") ? (ids[words[index - 1] as string] ?? "x") : word;
    })
    .join("/");
}

const named = (route: Route) => `${route.method} ${route.path}`;

test("a token does what its role says on its page, and every other request changes nothing", async () => {
  const house = await openTestHouse(plenty);
  const other = secondPage(house);
  const ids = furnish(house, house.page, "reader@example.com");
  const foreign = furnish(house, other, "reader@example.com");
  await house.settle();
  const routes = programRoutes(house.deps).filter((route) => route.path.startsWith("/v1/"));
  assert.ok(routes.length > 60);

  const call = (route: Route, secret: string | undefined, path: string) => {
    const body = ["GET", "DELETE"].includes(route.method) ? {} : { body: "{}" };
    const authorization = secret ? { authorization: `OAuth ${secret}` } : {};
    return house.visit(path, {
      method: route.method,
      headers: { ...authorization, "content-type": "application/json" },
      ...body,
    });
  };
  const used = () => everything(house).replaceAll(/"lastUsedAt":[^,}]*|"last_used_at":[^,}]*/g, "");

  for (const role of roles) {
    const everywhere = tokenFor(house, role);
    const here = tokenFor(house, role, house.page.id);
    const elsewhere = tokenFor(house, role, other.id);
    const before = used();
    for (const route of routes) {
      const { enter } = route;
      const path = pathOf(route, ids, house.page.id);
      const isOperator = enter.who === "operator";
      assert.ok(isOperator || enter.who === "program", `${named(route)} is for programs or the operator`);
      const needs = enter.who === "program" ? enter.role : undefined;
      const may = !isOperator && (needs === "any" || needs === role || role === "owner");
      assert.equal((await call(route, undefined, path)).status, isOperator ? 404 : 401, `nobody: ${named(route)}`);
      assert.equal((await call(route, "candor_x", path)).status, isOperator ? 404 : 401, `unknown: ${named(route)}`);

      if (isOperator || !may) {
        const status = isOperator ? 404 : 403;
        assert.equal((await call(route, everywhere, path)).status, status, `${role}: ${named(route)}`);
        assert.equal((await call(route, here, path)).status, status, `${role} here: ${named(route)}`);
      }
      if (route.path.includes(":page")) {
        const status = isOperator ? 404 : 403;
        assert.equal((await call(route, elsewhere, path)).status, status, `${role} elsewhere: ${named(route)}`);
        // One's own page in the path, the other page's thing behind it.
        if (may && /:(id|update)/.test(route.path)) {
          const answer = await call(route, here, pathOf(route, foreign, house.page.id));
          assert.ok([400, 404, 422].includes(answer.status), `${role}, foreign id: ${named(route)} ${answer.status}`);
          if (route.path.includes(":update")) {
            const ours = { ...ids, incident_updates: foreign.incident_updates as string };
            assert.equal((await call(route, here, pathOf(route, ours, house.page.id))).status, 422, named(route));
          }
        }
        if (may && route.method === "GET") {
          assert.equal((await call(route, here, path)).status, 200, `${role} here: ${named(route)}`);
        }
      }
    }
    assert.ok(used() === before, `a token of role ${role} changed something`);
  }
  await house.close();
});

test("a token for one page lists that page alone, and a revoked one nothing", async () => {
  const house = await openTestHouse(plenty);
  const other = secondPage(house);
  const here = tokenFor(house, "owner", house.page.id);
  const listed = (await house.api(here, "GET", "/v1/pages")).json() as { id: string }[];
  assert.deepEqual(
    listed.map((page) => page.id),
    [house.page.id],
  );
  assert.equal((await house.api(here, "GET", `/v1/pages/${other.id}`)).status, 403);
  assert.equal((await house.api(here, "GET", "/v1/pages/nosuchpage00")).status, 403, "whether it exists isn't told");
  for (const path of ["/v1/tokens", "/v1/members", "/v1/settings", "/v1/audit"]) {
    assert.equal((await house.api(here, "GET", path)).status, 404, path);
  }
  house.deps.db.update(apiTokens).set({ revokedAt: house.deps.clock.now() }).run();
  assert.equal((await house.api(here, "GET", "/v1/pages")).status, 401);
  await house.close();
});

test("a component, subscriber or incident of one page can't be named in a body for another", async () => {
  const house = await openTestHouse(plenty);
  const other = secondPage(house);
  const foreign = furnish(house, other, "reader@example.com");
  await house.settle();
  const token = tokenFor(house, "owner");
  const before = everything(house).replaceAll(/"last_used_at":[^,}]*/g, "");
  const pages = `/v1/pages/${house.page.id}`;
  const component = foreign.components as string;
  const bodies: [string, string, object][] = [
    ["POST", "/incidents", { incident: { name: "x", component_ids: [component] } }],
    ["POST", "/incidents", { incident: { name: "x", components: { [component]: "operational" } } }],
    ["POST", "/components", { component: { name: "x", group_id: foreign["component-groups"] } }],
    ["POST", "/component-groups", { component_group: { name: "x", components: [component] } }],
    ["POST", "/subscribers", { subscriber: { email: "n@example.com", component_ids: [component] } }],
    ["POST", "/subscribers/unsubscribe", { subscribers: [foreign.subscribers] }],
    ["POST", "/subscribers/reactivate", { subscribers: [foreign.subscribers] }],
    ["POST", "/subscribers/resend_confirmation", { subscribers: [foreign.subscribers] }],
  ];
  for (const [method, path, body] of bodies) {
    assert.equal(
      (await house.api(token, method, `${pages}${path}`, body)).status,
      path.startsWith("/subscribers/") ? 404 : 422,
      `${path} ${JSON.stringify(body)}`,
    );
  }
  const subscribe = { subscriber: { email: "n@example.com", component_id: component } };
  const visitor = await house.visit("/api/v2/subscribers.json", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(subscribe),
  });
  assert.equal(visitor.status, 422);
  assert.ok(everything(house).replaceAll(/"last_used_at":[^,}]*/g, "") === before);
  await house.close();
});

async function cookieOf(house: House, memberId: string, where: string): Promise<string> {
  const { db, clock } = house.deps;
  const secret = createSignInLink(db, { memberId, now: clock.now(), by: { kind: "system" } });
  const headers = { origin: `https://${where}` };
  const entered = await house.visit(`/admin/enter/${secret}`, { method: "POST", headers, host: where });
  return String(entered.headers["set-cookie"]).split(";")[0] as string;
}

/** Asks as the member's browser would, the form's token included. */
async function knock(house: House, cookie: string, where: string, route: Route, path: string) {
  if (route.method === "GET") return house.visit(path, { headers: { cookie }, host: where });
  const account = await house.visit("/admin/account", { headers: { cookie }, host: where });
  const csrf = /name="_csrf" value="([^"]+)"/.exec(account.text)?.[1] ?? "";
  const headers = { cookie, origin: `https://${where}`, "content-type": "application/x-www-form-urlencoded" };
  return house.visit(path, {
    method: route.method,
    headers,
    host: where,
    body: new URLSearchParams({ _csrf: csrf }).toString(),
  });
}

test("a member does what their roles say on their pages, and is turned away everywhere else", async () => {
  const house = await openTestHouse();
  const other = secondPage(house);
  const ids = furnish(house, house.page, "reader@example.com");
  const foreign = furnish(house, other, "reader@example.com");
  await house.settle();
  const own = ["/admin/sign-out", "/admin/account", "/admin/account/password", "/admin/account/sessions"];
  const routes = adminRoutes(house.deps).filter((route) => route.enter.who === "member" && !own.includes(route.path));
  for (const role of ["publisher", "page_config", "team", "page_admin"] satisfies Role[]) {
    const here = await cookieOf(house, memberWith(house, role, house.page.id).id, host);
    const elsewhere = await cookieOf(house, memberWith(house, role, other.id).id, host);
    const before = everything(house);
    for (const route of routes) {
      const needs = route.enter.who === "member" ? route.enter.role : undefined;
      assert.ok(needs, `${named(route)} names a role`);
      const path = pathOf(route, ids, house.page.id);
      const turned = await knock(house, elsewhere, host, route, path);
      assert.equal(turned.status, 403, `${role} of another page: ${named(route)}`);
      assert.doesNotMatch(turned.text, /Something fails|reader@example/);
      if (needs !== "any" && needs !== role) {
        assert.equal((await knock(house, here, host, route, path)).status, 403, `${role}: ${named(route)}`);
      } else if (/:/.test(route.path)) {
        const answer = await knock(house, here, host, route, pathOf(route, foreign, house.page.id));
        assert.ok([404, 422].includes(answer.status), `${role}, foreign id: ${named(route)} ${answer.status}`);
      } else if (route.method === "GET") {
        const answer = await knock(house, here, host, route, path);
        assert.ok([200, 303].includes(answer.status), `${role}: ${named(route)}`);
      }
    }
    assert.ok(everything(house) === before, role);
    // The same session on the host of a page that isn't theirs: it is theirs alone to end.
    assert.equal((await house.visit("/admin", { headers: { cookie: here }, host: otherHost })).status, 403);
    assert.equal((await house.visit("/admin/account", { headers: { cookie: here }, host: otherHost })).status, 200);
  }
  await house.close();
});

test("a suspended member is out at the next request, and neither link nor password lets them in", async () => {
  const house = await openTestHouse();
  const paul = await house.signIn(house.publisher);
  const { db, clock } = house.deps;
  const link = createSignInLink(db, { memberId: house.publisher.id, now: clock.now(), by: { kind: "system" } });
  db.update(members).set({ suspendedAt: clock.now() }).where(eq(members.id, house.publisher.id)).run();
  assert.match((await paul.open("/admin")).text, /Sign in/);
  assert.equal((await paul.send("/admin/incidents", { step: "publish", name: "x", body: "y" })).status, 403);
  assert.equal((await house.stranger().send(`/admin/enter/${link}`, {})).status, 404);
  await house.close();
});
