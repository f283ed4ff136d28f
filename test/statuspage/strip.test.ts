import assert from "node:assert/strict";
import { test } from "node:test";
import { createComponent } from "../../src/components/components.ts";
import { openIncident, postUpdate } from "../../src/incidents/incidents.ts";
import { type House, openTestHouse } from "../support/house.ts";

const by = { kind: "system" as const };
const hour = 3_600_000;
const day = 24 * hour;

async function says(house: House) {
  house.deps.press.pressAll();
  const { text } = await house.visit("/");
  return {
    legend: /<p class="legend meta"><span>(.*?)<\/span>/.exec(text)?.[1],
    strips: [...text.matchAll(/aria-label="([^"]*)"><rect class="unknown" width="(\d+)"/g)].map(([, said, width]) => [
      said,
      Number(width),
    ]),
  };
}

test("a page's history says when it begins, and days before that are drawn as unknown", async () => {
  const house = await openTestHouse();
  assert.deepEqual(await says(house), {
    legend: "History since today",
    strips: Array.from({ length: 3 }, () => ["No trouble. The history begins today.", 89 * 5]),
  });
  house.pass(3 * day);
  const { legend, strips } = await says(house);
  assert.equal(legend, "History since 23 Nov");
  assert.deepEqual(strips[0], ["No trouble. The history begins on 23 Nov.", 86 * 5]);
  const now = house.deps.clock.now();
  createComponent(house.deps.db, { pageId: house.page.id, name: "Archive", now: now - 100 * day, by });
  assert.equal((await says(house)).legend, "90 days ago");
  assert.match((await house.visit("/")).text, /aria-label="No trouble in the last 90 days\."><rect class="quiet"/);
  await house.close();
});

test("maintenance is no trouble, in what is said of the days", async () => {
  const house = await openTestHouse();
  const { db, clock } = house.deps;
  const old = { pageId: house.page.id, now: clock.now() - 100 * day, by };
  const { id } = createComponent(db, { ...old, name: "Archive" });
  const said = async () => {
    house.deps.press.pressAll();
    return /aria-label="([^"]*last 90 days[^"]*)"/.exec((await house.visit("/")).text)?.[1];
  };
  const spell = (status: "under_maintenance" | "partial_outage") => {
    const common = () => ({ pageId: house.page.id, notify: false, burstFactor: 5, now: clock.now(), by });
    const { incident } = openIncident(db, { ...common(), name: "Spell", body: "Words.", components: { [id]: status } });
    house.pass(hour);
    const components = { [id]: "operational" as const };
    postUpdate(db, { ...common(), incidentId: incident.id, status: "resolved", body: "Words.", components });
    house.pass(day);
  };
  spell("under_maintenance");
  assert.equal(await said(), "No trouble, and maintenance on 1 day, in the last 90 days. 23 Nov: maintenance, 1 h.");
  spell("partial_outage");
  assert.equal(
    await said(),
    "Trouble on 1 day, and maintenance on 1 day, in the last 90 days. 23 Nov: maintenance, 1 h; 24 Nov: partial outage, 1 h.",
  );
  await house.close();
});

test("trouble that goes on is said to go on, since its minutes would be old at once", async () => {
  const house = await openTestHouse();
  const { db, press, clock } = house.deps;
  const components = { [house.parts.API]: "partial_outage" as const };
  const common = { pageId: house.page.id, notify: false, burstFactor: 5, now: clock.now(), by };
  openIncident(db, { ...common, name: "Outage", body: "Words.", components });
  press.pressAll();
  assert.match((await house.visit("/")).text, /"Trouble on 1 day\. 23 Nov: partial outage, not over yet\./);
  house.pass(day);
  press.pressAll();
  assert.match((await house.visit("/")).text, /23 Nov: partial outage, \d+ h; 24 Nov: partial outage, not over yet\./);
  await house.close();
});

test("each marked day says what it was under the pointer, and without a script as well", async () => {
  const house = await openTestHouse();
  const { db, press, clock } = house.deps;
  const components = { [house.parts.API]: "major_outage" as const };
  const common = { pageId: house.page.id, notify: false, burstFactor: 5, now: clock.now(), by };
  openIncident(db, { ...common, name: "Outage", body: "Words.", components });
  press.pressAll();
  assert.match(
    (await house.visit("/")).text,
    /<path class="major_outage" d="M445 0h4v24h-4z"><title>23 Nov: major outage, not over yet<\/title><\/path>/,
  );
  assert.match((await house.visit("/history")).text, /<section class="day" id="2026-11-23">/);
  await house.close();
});
