import assert from "node:assert/strict";
import { test } from "node:test";
import { openIncident, postUpdate } from "../../src/incidents/incidents.ts";
import { type House, monday, openTestHouse } from "../support/house.ts";

const hour = 3_600_000;
const telling = { components: {}, notify: false, burstFactor: 3, by: { kind: "system" } as const };

function plan(house: House): string {
  const { incident } = openIncident(house.deps.db, {
    ...telling,
    pageId: house.page.id,
    kind: "maintenance",
    name: "New disks",
    body: "We change disks.",
    scheduledFor: monday + hour,
    scheduledUntil: monday + 2 * hour,
    now: monday,
  });
  return incident.id;
}

test("a maintenance's page speaks of a maintenance", async () => {
  const house = await openTestHouse();
  const id = plan(house);
  const paul = await house.signIn(house.publisher);
  const page = await paul.open(`/admin/incidents/${id}`);
  assert.match(page.text, /Announced <time/);
  assert.match(page.text, /What you work on/);
  assert.match(page.text, /Delete this maintenance…/);
  assert.doesNotMatch(page.text, /Began|What is broken|[Tt]his incident|should have/);
  const asked = await paul.open(`/admin/incidents/${id}/delete`);
  assert.match(asked.text, /won’t take place/);
  assert.doesNotMatch(asked.text, /false alarm/);
  await house.close();
});

test("the first page says when a maintenance should have begun or ended but its status says otherwise", async () => {
  const house = await openTestHouse();
  const id = plan(house);
  const paul = await house.signIn(house.publisher);
  assert.doesNotMatch((await paul.open("/admin")).text, /should have/);
  house.pass(hour + 600_000);
  assert.match((await paul.open("/admin")).text, /It should have begun 10 min ago\./);
  assert.match((await paul.open(`/admin/incidents/${id}`)).text, /It should have begun 10 min ago\./);

  const now = house.deps.clock.now();
  const begun = { ...telling, pageId: house.page.id, incidentId: id, status: "in_progress", body: "We began.", now };
  postUpdate(house.deps.db, begun);
  const underway = await paul.open("/admin");
  assert.match(underway.text, /<h1>Maintenance is under way\.<\/h1>/);
  assert.doesNotMatch(underway.text, /should have/);
  house.pass(hour);
  assert.match((await paul.open("/admin")).text, /It should have ended 10 min ago\./);

  postUpdate(house.deps.db, { ...begun, status: "completed", body: "Done.", now: house.deps.clock.now() });
  assert.doesNotMatch((await paul.open("/admin")).text, /should have/);
  await house.close();
});
