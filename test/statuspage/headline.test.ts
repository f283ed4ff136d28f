import assert from "node:assert/strict";
import { test } from "node:test";
import { archiveComponent, createComponent } from "../../src/components/components.ts";
import { type OpenIncident, openIncident, type PostUpdate, postUpdate } from "../../src/incidents/incidents.ts";
import { type House, monday, openTestHouse } from "../support/house.ts";

const by = { kind: "system" as const };

function open(house: House, fields: Partial<OpenIncident>) {
  const { db, press, clock } = house.deps;
  const common = { pageId: house.page.id, notify: false, burstFactor: 5, now: clock.now(), by };
  const words = { name: "Something is odd", body: "We look into it.", components: {} };
  const { incident } = openIncident(db, { ...common, ...words, ...fields });
  press.press(house.page.id, incident.id);
  return incident;
}

function post(house: House, incidentId: string, fields: Partial<PostUpdate>) {
  const { db, press, clock } = house.deps;
  const common = { pageId: house.page.id, notify: false, burstFactor: 5, now: clock.now(), by };
  postUpdate(db, { ...common, incidentId, body: "More.", components: {}, ...fields });
  press.press(house.page.id, incidentId);
}

async function says(house: House) {
  const { text } = await house.visit("/");
  const state = /<section class="state"[\s\S]*?<\/section>/.exec(text)?.[0] ?? "";
  return {
    headline: /<h1>(.*)<\/h1>/.exec(state)?.[1],
    also: /<p class="also">(.*)<\/p>/.exec(state)?.[1] ?? "",
    icon: /class="icon (\w+)"/.exec(state)?.[1],
    status: (await house.visit("/api/v2/status.json")).json().status,
  };
}

const clear = { indicator: "none", description: "All Systems Operational" };

test("an open incident without parts is no all-clear, though programs are told what Statuspage tells them", async () => {
  const house = await openTestHouse();
  const incident = open(house, {});
  const problem = { headline: "We are looking into a problem.", also: "", icon: "degraded_performance", status: clear };
  assert.deepEqual(await says(house), problem);
  post(house, incident.id, { status: "resolved" });
  const well = { headline: "All systems are operational.", also: "", icon: "operational", status: clear };
  assert.deepEqual(await says(house), well);
  await house.close();
});

test("a fix that is watched is said to be watched, until another problem is open beside it", async () => {
  const house = await openTestHouse();
  const { API } = house.parts;
  const incident = open(house, { components: { [API]: "major_outage" } });
  assert.equal((await says(house)).headline, "API is down.");
  post(house, incident.id, { status: "monitoring", components: { [API]: "operational" } });
  const watched = "A fix is in place; we are watching it.";
  assert.deepEqual(await says(house), { headline: watched, also: "", icon: "degraded_performance", status: clear });
  open(house, { name: "Something else" });
  assert.equal((await says(house)).headline, "We are looking into a problem.");
  await house.close();
});

test("a problem is said before maintenance of something else, and maintenance alone as before", async () => {
  const house = await openTestHouse();
  const { API } = house.parts;
  const hours = { scheduledFor: monday, scheduledUntil: monday + 3_600_000 };
  const upgrade = open(house, { kind: "maintenance", status: "scheduled", ...hours });
  post(house, upgrade.id, { status: "in_progress", components: { [API]: "under_maintenance" } });
  assert.deepEqual((({ headline, icon }) => [headline, icon])(await says(house)), [
    "API is under maintenance.",
    "under_maintenance",
  ]);
  open(house, {});
  assert.deepEqual((({ headline, also, icon }) => [headline, also, icon])(await says(house)), [
    "We are looking into a problem.",
    "API is under maintenance.",
    "degraded_performance",
  ]);
  post(house, upgrade.id, { status: "verifying", components: { [API]: "operational" } });
  assert.equal((await says(house)).also, "Maintenance is under way.");
  await house.close();
});

test("a page that lists no part shows no tick, and an open incident all the same", async () => {
  const house = await openTestHouse();
  for (const id of Object.values(house.parts))
    archiveComponent(house.deps.db, { pageId: house.page.id, id, archived: true, now: monday + 1, by });
  house.deps.press.pressAll();
  assert.deepEqual(await says(house), { headline: "Nothing is reported.", also: "", icon: undefined, status: clear });
  open(house, {});
  assert.equal((await says(house)).headline, "We are looking into a problem.");
  await house.close();
});

test("long names are counted instead of filling the screen, one alone is said however long it is", async () => {
  const house = await openTestHouse();
  const { db, clock } = house.deps;
  const names = ["Customer identity and access management", "Object storage in Frankfurt", "Realtime message delivery"];
  const ids = names.map((name) => createComponent(db, { pageId: house.page.id, name, now: clock.now(), by }).id);
  const [first, second, third] = ids as [string, string, string];
  open(house, { components: { [first]: "major_outage" } });
  assert.equal((await says(house)).headline, "Customer identity and access management is down.");
  open(house, { components: { [second]: "major_outage", [third]: "major_outage" } });
  assert.equal((await says(house)).headline, "3 components are down.");
  await house.close();
});

test("short names are said up to three", async () => {
  const house = await openTestHouse();
  const { API, Checkout, Search } = house.parts;
  open(house, { components: { [API]: "partial_outage", [Checkout]: "partial_outage", [Search]: "partial_outage" } });
  assert.equal((await says(house)).headline, "API, Checkout and Search are partly down.");
  await house.close();
});
