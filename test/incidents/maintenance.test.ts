import assert from "node:assert/strict";
import { test } from "node:test";
import { advanceMaintenance } from "../../src/incidents/maintenance.ts";
import { addSubscriber } from "../../src/subscribers/subscribers.ts";
import { type House, monday, openTestHouse } from "../support/house.ts";

const hour = 3_600_000;
const iso = (at: number) => new Date(at).toISOString();

/** A maintenance from one hour from now to two, and a tick of the timetable. */
async function plan(house: House, fields: object) {
  const secret = house.token("publisher");
  const base = `/v1/pages/${house.page.id}/incidents`;
  const incident = {
    name: "Upgrade",
    body: "Writes pause.",
    scheduled_for: iso(monday + hour),
    scheduled_until: iso(monday + 2 * hour),
    component_ids: [house.parts.API, house.parts.Search],
    ...fields,
  };
  const answer = await house.api(secret, "POST", base, { incident });
  assert.equal(answer.status, 201, answer.text);
  const { id } = answer.json();
  const { db, clock } = house.deps;
  return {
    id,
    answer: answer.json(),
    tick: () => {
      const changed = advanceMaintenance(db, { now: clock.now(), burstFactor: 5 });
      for (const one of changed) house.deps.press.press(one.pageId, one.incidentId);
      return changed.length;
    },
    now: async () => (await house.api(secret, "GET", `${base}/${id}`)).json(),
    change: (incident: object) => house.api(secret, "PATCH", `${base}/${id}`, { incident }),
    statuses: async () => {
      const parts: { name: string; status: string }[] = (await house.visit("/api/v2/components.json")).json()
        .components;
      return Object.fromEntries(parts.map((one) => [one.name, one.status]));
    },
    updates: async () =>
      (await house.api(secret, "GET", `${base}/${id}`)).json().incident_updates.map((one: any) => one.status),
  };
}

const automatic = {
  scheduled_auto_transition: true,
  auto_transition_to_maintenance_state: true,
  auto_transition_to_operational_state: true,
  auto_transition_deliver_notifications_at_end: true,
};

test("a maintenance begins and ends by the clock, its components with it, and tells whom it was to tell", async () => {
  const house = await openTestHouse();
  const { db, keys } = house.deps;
  addSubscriber(db, {
    pageId: house.page.id,
    address: "reader@example.com",
    wish: { wholePage: true, componentIds: [] },
    confirm: "vouched",
    source: "api",
    keys,
    now: monday,
    by: { kind: "system" },
  });
  const planned = await plan(house, automatic);
  assert.equal(planned.answer.scheduled_auto_in_progress, true);
  assert.equal(planned.answer.scheduled_auto_completed, true);
  assert.equal(planned.answer.auto_transition_deliver_notifications_at_start, false);
  assert.equal(planned.tick(), 0);
  house.pass(hour);
  assert.equal(planned.tick(), 1);
  assert.equal(planned.tick(), 0);
  assert.equal((await planned.now()).status, "in_progress");
  assert.deepEqual(await planned.statuses(), {
    API: "under_maintenance",
    Search: "under_maintenance",
    Checkout: "operational",
    Shop: "under_maintenance",
  });
  assert.match((await house.visit("/")).text, /The maintenance has begun/);
  house.pass(hour);
  assert.equal(planned.tick(), 1);
  assert.equal(planned.tick(), 0);
  assert.equal((await planned.now()).status, "completed");
  assert.equal((await planned.statuses()).API, "operational");
  assert.deepEqual(await planned.updates(), ["completed", "in_progress", "scheduled"]);
  await house.settle();
  const letters = (await house.operate("GET", `/v1/pages/${house.page.id}/mail?limit=10`)).json();
  assert.equal(letters.length, 2, "of the plan and of the end, not of the beginning");
  await house.close();
});

test("without being told so a maintenance neither begins nor ends, and a person is never overruled", async () => {
  const house = await openTestHouse();
  const quiet = await plan(house, {});
  const early = await plan(house, automatic);
  await early.change({ status: "in_progress", body: "We begin early." });
  house.pass(hour);
  assert.equal(quiet.tick(), 0);
  assert.equal((await quiet.now()).status, "scheduled");
  await early.change({ scheduled_until: iso(monday + 5 * hour) });
  house.pass(2 * hour);
  assert.equal(early.tick(), 0, "it goes on for as long as they said last");
  await early.change({ scheduled_auto_completed: false });
  house.pass(9 * hour);
  assert.equal(early.tick(), 0);
  assert.equal((await early.now()).status, "in_progress");
  await house.close();
});

test("after a long sleep a maintenance that is over is told as over, once", async () => {
  const house = await openTestHouse();
  const planned = await plan(house, automatic);
  house.pass(30 * hour);
  assert.equal(planned.tick(), 1);
  assert.equal(planned.tick(), 0);
  assert.deepEqual(await planned.updates(), ["completed", "scheduled"]);
  await house.close();
});

test("a component in trouble stays so while maintenance goes on beside it", async () => {
  const house = await openTestHouse();
  const planned = await plan(house, automatic);
  await house.operate("POST", `/v1/pages/${house.page.id}/incidents`, {
    incident: { name: "API fails", body: "We look.", components: { [house.parts.API]: "major_outage" } },
  });
  house.pass(hour);
  planned.tick();
  assert.equal((await planned.statuses()).API, "major_outage");
  assert.equal((await planned.statuses()).Search, "under_maintenance");
  house.pass(hour);
  planned.tick();
  assert.equal((await planned.statuses()).API, "major_outage", "the incident that holds it is still open");
  assert.equal((await planned.statuses()).Search, "operational");
  await house.close();
});

test("an incident doesn't go by the clock", async () => {
  const house = await openTestHouse();
  const incident = { name: "API fails", body: "We look.", scheduled_auto_in_progress: true };
  const answer = await house.operate("POST", `/v1/pages/${house.page.id}/incidents`, { incident });
  assert.equal(answer.status, 409, answer.text);
  assert.match(answer.text, /Only a maintenance/);
  const plain = { ...incident, scheduled_auto_in_progress: false };
  assert.equal((await house.operate("POST", `/v1/pages/${house.page.id}/incidents`, { incident: plain })).status, 201);
  await house.close();
});
