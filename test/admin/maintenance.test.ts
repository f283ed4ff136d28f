import assert from "node:assert/strict";
import { test } from "node:test";
import { listDeeds } from "../../src/audit/audit.ts";
import { findComponent } from "../../src/components/components.ts";
import { openIncident, postUpdate } from "../../src/incidents/incidents.ts";
import { advanceMaintenance } from "../../src/incidents/maintenance.ts";
import { type Incident, listIncidents } from "../../src/incidents/stories.ts";
import { deliveries, incidents } from "../../src/schema.ts";
import { addSubscriber } from "../../src/subscribers/subscribers.ts";
import { hiddenIn } from "../support/forms.ts";
import { type House, monday, openTestHouse } from "../support/house.ts";
import { openLetter } from "../support/letterbox.ts";

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

const sunday = { from: "2026-11-29T03:00", until: "2026-11-29T05:00" };
const plannedHere = (house: House) => ({
  draft: "plan00000001",
  name: "Database upgrade",
  body: "Payments pause for **a minute**.",
  ...sunday,
  concerned: [house.parts.Checkout],
  clock: "1",
  tell_again: "1",
  notify: "1",
});
const tick = (house: House) => advanceMaintenance(house.deps.db, { now: house.deps.clock.now(), burstFactor: 5 });
const statusOf = (house: House, id: string) => findComponent(house.deps.db, { pageId: house.page.id, id }).status;
const onlyOne = (house: House) => listIncidents(house.deps.db, { pageId: house.page.id, limit: 2 })[0] as Incident;

test("a maintenance is planned in the admin: reviewed, announced, begun and ended by the clock", async () => {
  const house = await openTestHouse();
  const { db, keys, clock } = house.deps;
  const wish = { wholePage: true, componentIds: [] };
  const reader = { pageId: house.page.id, keys, now: clock.now(), by: { kind: "system" } as const, wish };
  addSubscriber(db, { ...reader, address: "ada@example.com", confirm: "vouched", source: "api" });
  const paul = await house.signIn(house.publisher);
  assert.match((await paul.open("/admin/incidents")).text, /href="\/admin\/maintenance\/new">Plan a maintenance/);
  assert.match((await paul.open("/admin/maintenance/new")).text, /Europe\/Berlin/);

  const review = await paul.send("/admin/maintenance", { ...plannedHere(house), step: "preview" });
  assert.equal(review.status, 200);
  assert.match(review.text, /Planned from <time[^>]*>29 Nov 2026, 03:00 CET<\/time> to/);
  assert.match(review.text, /Scheduled: Database upgrade \(Checkout\)/);
  assert.match(review.text, /They are told again when it begins and when it ends\./);
  assert.equal(db.select().from(incidents).all().length, 0);
  const published = await paul.send("/admin/maintenance", { ...hiddenIn(review.text), step: "publish" });
  assert.match(published.text, /Published\./);
  assert.match(published.text, /begins and ends by the clock/);
  assert.match(
    (await paul.send("/admin/maintenance", { ...hiddenIn(review.text), step: "publish" })).text,
    /Published\./,
  );
  assert.equal(db.select().from(incidents).all().length, 1, "pressed twice, planned once");
  assert.equal(onlyOne(house).scheduledFor, Date.parse("2026-11-29T02:00:00Z"));
  assert.equal(statusOf(house, house.parts.Checkout), "operational");
  await house.settle();
  assert.match((await openLetter(house)).text, /Scheduled for Sun 29 Nov 2026, 03:00 to 05:00 CET/);

  house.pass(Date.parse("2026-11-29T02:00:01Z") - clock.now());
  tick(house);
  assert.equal(statusOf(house, house.parts.Checkout), "under_maintenance");
  house.pass(2 * hour);
  tick(house);
  assert.equal(statusOf(house, house.parts.Checkout), "operational");
  assert.equal(onlyOne(house).status, "completed");
  await house.settle();
  assert.equal(db.select().from(deliveries).all().length, 3);
  await house.close();
});

test("whoever wants to begin and end a maintenance themselves plans it without the clock", async () => {
  const house = await openTestHouse();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/maintenance/new");
  const { clock: _clock, tell_again: _tell, ...quiet } = plannedHere(house);
  const review = await paul.send("/admin/maintenance", { ...quiet, step: "preview" });
  assert.doesNotMatch(review.text, /told again/);
  const published = await paul.send("/admin/maintenance", { ...quiet, step: "publish" });
  assert.match(published.text, /Nothing happens by itself/);
  const { autoBegin, autoEnd, autoMaintenance, autoOperational, tellAtBegin, tellAtEnd } = onlyOne(house);
  assert.deepEqual(
    new Set([autoBegin, autoEnd, autoMaintenance, autoOperational, tellAtBegin, tellAtEnd]),
    new Set([false]),
  );
  await house.close();
});

test("a plan that can't be comes back filled in, with every sentence beside its field", async () => {
  const house = await openTestHouse();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/maintenance/new");
  const send = async (fields: object, step = "preview") =>
    await paul.send("/admin/maintenance", { ...plannedHere(house), ...fields, step });
  const empty = await send({ name: "", from: "", until: "soon" });
  assert.equal(empty.status, 422);
  for (const field of ["name", "from", "until"]) assert.match(empty.text, new RegExp(`id="${field}-error"`), field);
  assert.match(empty.text, /Payments pause for \*\*a minute\*\*\./);
  assert.match(empty.text, new RegExp(`value="${house.parts.Checkout}" checked`));
  assert.match(
    (await send({ until: "2026-11-29T02:00" })).text,
    /id="until-error">The maintenance must end after it begins/,
  );
  const past = await send({ from: "2026-11-20T03:00", until: "2026-11-20T05:00" });
  assert.match(past.text, /id="until-error">The maintenance would have ended already/);
  const back = await send({}, "edit");
  assert.match(back.text, /name="from" type="datetime-local"[^>]*value="2026-11-29T03:00"/);
  await house.close();
});

test("an update moves a maintenance, and its letter says the new times", async () => {
  const house = await openTestHouse();
  const { db, keys, clock } = house.deps;
  const wish = { wholePage: true, componentIds: [] };
  const reader = { pageId: house.page.id, keys, now: clock.now(), by: { kind: "system" } as const, wish };
  addSubscriber(db, { ...reader, address: "ada@example.com", confirm: "vouched", source: "api" });
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/maintenance/new");
  await paul.send("/admin/maintenance", { ...plannedHere(house), notify: [], step: "publish" });
  const path = `/admin/incidents/${onlyOne(house).id}`;
  const form = await paul.open(path);
  assert.match(form.text, /name="from" type="datetime-local"[^>]*value="2026-11-29T03:00"/);
  const deeds = () => listDeeds(db, { limit: 100 }).filter((deed) => deed.action === "incident.change").length;

  const word = { status: "scheduled", body: "We need an hour more to prepare.", notify: "1" };
  const same = await paul.send(`${path}/updates`, { ...word, ...sunday, step: "preview" });
  assert.doesNotMatch(same.text, /It moves/);
  const wrong = await paul.send(`${path}/updates`, {
    ...word,
    from: "2026-11-29T06:00",
    until: sunday.until,
    step: "preview",
  });
  assert.equal(wrong.status, 422);
  assert.match(wrong.text, /id="until-error"/);
  const moved = { ...word, from: "2026-11-29T04:00", until: "2026-11-29T06:30" };
  const review = await paul.send(`${path}/updates`, { ...moved, step: "preview" });
  assert.match(review.text, /Planned from <time[^>]*>29 Nov 2026, 04:00 CET/);
  assert.equal(onlyOne(house).scheduledFor, Date.parse("2026-11-29T02:00:00Z"), "a review moves nothing");
  assert.equal(deeds(), 0);
  await paul.send(`${path}/updates`, { ...hiddenIn(review.text), step: "publish" });
  assert.equal(onlyOne(house).scheduledFor, Date.parse("2026-11-29T03:00:00Z"));
  assert.equal(onlyOne(house).scheduledUntil, Date.parse("2026-11-29T05:30:00Z"));
  assert.equal(deeds(), 1);
  await house.settle();
  assert.match((await openLetter(house)).text, /Scheduled for Sun 29 Nov 2026, 04:00 to 06:30 CET/);
  assert.match((await house.visit("/")).text, /29 Nov 2026, <time[^>]*>04:00|29 Nov 2026, 04:00/);

  house.pass(Date.parse("2026-11-29T03:10:00Z") - clock.now());
  tick(house);
  const later = await house.signIn(house.publisher);
  const underway = await later.open(path);
  assert.match(underway.text, /name="until"/);
  assert.doesNotMatch(underway.text, /name="from"/, "what has begun doesn't begin again");
  const longer = { status: "in_progress", body: "It takes longer.", until: "2026-11-29T08:00", step: "publish" };
  await later.send(`${path}/updates`, longer);
  assert.equal(onlyOne(house).scheduledUntil, Date.parse("2026-11-29T07:00:00Z"));
  assert.equal(onlyOne(house).scheduledFor, Date.parse("2026-11-29T03:00:00Z"));
  await house.close();
});
