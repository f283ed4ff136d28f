import assert from "node:assert/strict";
import { test } from "node:test";
import { queueTestLetter } from "../../src/announcements/letters.ts";
import { adminRoutes } from "../../src/app.ts";
import type { Route } from "../../src/http.ts";
import { openIncident } from "../../src/incidents/incidents.ts";
import { addSubscriber } from "../../src/subscribers/subscribers.ts";
import { createSignInLink } from "../../src/team/members.ts";
import { type House, host, openTestHouse } from "../support/house.ts";

/** A house in which every path of the admin leads to something. */
async function furnished(): Promise<{ house: House; pathOf: (route: Route) => string }> {
  const house = await openTestHouse();
  const { db, keys, clock } = house.deps;
  const pageId = house.page.id;
  const doing = { pageId, now: clock.now(), by: { kind: "system" } as const };
  const wish = { wholePage: true, componentIds: [] };
  const reader = addSubscriber(db, {
    ...doing,
    address: "r@example.com",
    wish,
    confirm: "vouched",
    source: "api",
    keys,
  });
  const { incident, update } = openIncident(db, {
    ...doing,
    name: "Payments fail",
    body: "We look into it.",
    components: { [house.parts.API]: "major_outage" },
    notify: true,
    burstFactor: 5,
  });
  const letter = queueTestLetter(db, { pageId, address: "t@example.com", keys, now: clock.now() });
  await house.settle();
  const group = db.$client.prepare("SELECT id FROM component_groups").pluck().get() as string;
  const ids: Record<string, string> = {
    incidents: incident.id,
    components: house.parts.API,
    "component-groups": group,
    subscribers: reader.id,
    mail: String(letter),
    announcements: "1",
  };
  const pathOf = (route: Route) =>
    route.path
      .replace(":id", ids[route.path.split("/")[2] as string] ?? "x")
      .replace(":update", update.id)
      .replace(":secret", "x".repeat(43));
  return { house, pathOf };
}

function everything(house: House): string {
  const { $client } = house.deps.db;
  const tables = $client.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all() as string[];
  const rows = tables
    .filter((name) => name !== "sessions")
    .map((name) => $client.prepare(`SELECT * FROM "${name}"`).all());
  return JSON.stringify(rows);
}

test("every path of the admin turns a stranger away, and nothing is changed by trying", async () => {
  const { house, pathOf } = await furnished();
  const before = everything(house);
  const open = ["/admin/sign-in", "/admin/enter/:secret"];
  const closed = adminRoutes(house.deps).filter((route) => !open.includes(route.path));
  assert.ok(closed.length > 40);
  for (const route of closed) {
    assert.equal(route.enter.who, "member", `${route.method} ${route.path}`);
    const headers = { origin: `https://${host}`, "content-type": "application/x-www-form-urlencoded" };
    const answer = await house.visit(pathOf(route), route.method === "GET" ? {} : { method: route.method, headers });
    if (route.method === "GET") assert.equal(answer.headers.location, "/admin/sign-in", route.path);
    else assert.equal(answer.status, 403, `${route.method} ${route.path}`);
  }
  assert.equal(everything(house), before);
  await house.close();
});

test("every page opens for the owner, isn't stored by browsers, and its GET changes nothing", async () => {
  const { house, pathOf } = await furnished();
  const owner = await house.signIn(house.owner);
  const before = everything(house);
  for (const route of adminRoutes(house.deps)) {
    if (route.method !== "GET" || route.path === "/admin/enter/:secret") continue;
    const answer = await owner.open(pathOf(route));
    assert.equal(answer.status, 200, `${route.path}: ${answer.text.slice(0, 300)}`);
    assert.equal(answer.headers["cache-control"], "no-store", route.path);
    assert.match(answer.text, /<h1/);
    assert.doesNotMatch(answer.text, / style=|<script|<style/, route.path);
    assert.doesNotMatch(answer.text, /\bundefined\b|\[object /, route.path);
  }
  assert.equal(everything(house), before);
  await house.close();
});

test("a form without its token, or sent from another site, is refused", async () => {
  const { house } = await furnished();
  const owner = await house.signIn(house.owner);
  const noToken = await owner.send("/admin/settings", { _csrf: "", name: "Mallory", time_zone: "UTC" });
  assert.equal(noToken.status, 403);
  assert.match(noToken.text, /no longer valid/);

  const cookie = await cookieOf(house);
  const foreign = await house.visit("/admin/settings", {
    method: "POST",
    headers: { cookie, origin: "https://evil.example", "content-type": "application/x-www-form-urlencoded" },
    body: "name=Mallory",
  });
  assert.equal(foreign.status, 403);
  assert.match(foreign.text, /another site/);
  const blank = { cookie, origin: "null", "content-type": "application/x-www-form-urlencoded" };
  for (const headers of [blank, { ...blank, "sec-fetch-site": "cross-site" }]) {
    const answer = await house.visit("/admin/settings", { method: "POST", headers, body: "name=Mallory" });
    assert.match(answer.text, /another site/, "a blank origin counts as ours on the browser's word alone");
  }
  const login = await house.visit("/admin/sign-in", {
    method: "POST",
    headers: { origin: "https://evil.example", "content-type": "application/x-www-form-urlencoded" },
    body: "email=olive%40example.com&password=x",
  });
  assert.equal(login.status, 403);
  assert.match((await owner.open("/admin/settings")).text, /value="Acme"/);
  await house.close();
});

async function cookieOf(house: House): Promise<string> {
  const { db, clock } = house.deps;
  const secret = createSignInLink(db, { memberId: house.owner.id, now: clock.now(), by: { kind: "system" } });
  const headers = { origin: `https://${host}` };
  const entered = await house.visit(`/admin/enter/${secret}`, { method: "POST", headers });
  return String(entered.headers["set-cookie"]).split(";")[0] as string;
}

test("a publisher publishes, and is refused where components and settings are changed", async () => {
  const { house, pathOf } = await furnished();
  const paul = await house.signIn(house.publisher);
  assert.equal((await paul.open("/admin/incidents")).status, 200);
  const home = await paul.open("/admin");
  assert.doesNotMatch(home.text, /href="\/admin\/components"/, "the door isn't shown to who can't enter");
  const before = everything(house);
  const mine = adminRoutes(house.deps).filter(
    (route) => route.enter.who === "member" && ["page_config", "owner"].includes(route.enter.role ?? ""),
  );
  assert.ok(mine.length > 10);
  for (const route of mine) {
    const answer = route.method === "GET" ? await paul.open(pathOf(route)) : await paul.send(pathOf(route), {});
    assert.equal(answer.status, 403, `${route.method} ${route.path}`);
    assert.match(answer.text, /This needs the role/);
  }
  assert.equal(everything(house), before);
  await house.close();
});

test("what was done is told by name from a fixed list, never in words from the link", async () => {
  const { house } = await furnished();
  const owner = await house.signIn(house.owner);
  assert.match((await owner.open("/admin?done=changed")).text, /role="status">Saved\./);
  for (const forged of ["Your+account+is+locked", "constructor", "__proto__", "toString"]) {
    assert.doesNotMatch((await owner.open(`/admin?done=${forged}`)).text, /role="status"/, forged);
  }
  await house.close();
});
