/** From the token to the letter: what programs say about incidents, what is told, and what a rehearsal leaves behind. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { rehearseForLater } from "../../src/incidents/rehearsal.ts";
import { addSubscriber } from "../../src/subscribers/subscribers.ts";
import { type House, monday, openTestHouse } from "../support/house.ts";
import { openLetter } from "../support/letterbox.ts";

let house: House;
let base: string;
let secret: string;
before(async () => {
  house = await openTestHouse({ "api.requests_per_minute": "10000" });
  base = `/v1/pages/${house.page.id}`;
  secret = house.token("publisher");
  const { db, keys } = house.deps;
  const common = {
    pageId: house.page.id,
    confirm: "vouched",
    source: "api",
    keys,
    now: monday,
    by: { kind: "system" },
  } as const;
  addSubscriber(db, { ...common, address: "all@example.com", wish: { wholePage: true, componentIds: [] } });
  addSubscriber(db, {
    ...common,
    address: "api@example.com",
    wish: { wholePage: false, componentIds: [house.parts.API] },
  });
});
after(() => house.close());

const send = (method: string, path: string, incident?: object) =>
  house.api(secret, method, base + path, incident && { incident });
const statusOf = (id: string) =>
  house
    .visit("/api/v2/components.json")
    .then((answer) => answer.json().components.find((one: any) => one.id === id).status);
const letters = async () => {
  await house.settle();
  return (await house.operate("GET", `${base}/mail`)).json();
};

test("what is published is on the page at once, is announced, and its letter is kept while no mail server is set", async () => {
  const components = { [house.parts.Checkout]: "partial_outage" };
  const answer = await send("POST", "/incidents", { name: "Payments fail", body: "We **look** into it.", components });
  assert.equal(answer.status, 201, answer.text);
  const incident = answer.json();
  assert.equal(incident.status, "investigating");
  assert.equal(incident.impact, "major");
  assert.equal(incident.incident_updates[0].deliver_notifications, true);
  const summary = (await house.visit("/api/v2/summary.json")).json();
  assert.equal(summary.incidents[0].id, incident.id);
  assert.deepEqual(summary.status, { indicator: "major", description: "Partial System Outage" });
  assert.equal((await house.visit(`/incidents/${incident.id}`)).status, 200);

  assert.equal((await letters()).length, 1, "only who asked about this part, or about everything, is told");
  const letter = await openLetter(house);
  assert.equal(letter.to, "all@example.com");
  assert.equal(letter.subject, "Investigating: Payments fail (Checkout)");
  assert.match(letter.text, /look/);
  const [announcement] = (await house.operate("GET", `${base}/announcements`)).json();
  assert.equal(announcement.incident_id, incident.id);
  assert.equal(announcement.audience, 1);
  assert.deepEqual(announcement.letters, { kept: 1 });

  const resolved = await send("PATCH", `/incidents/${incident.id}`, {
    status: "resolved",
    body: "It works again.",
    components: { [house.parts.Checkout]: "operational" },
  });
  assert.equal(resolved.status, 200, resolved.text);
  assert.equal(resolved.json().incident_updates.length, 2);
  assert.equal(resolved.json().incident_updates[0].body, "It works again.");
  assert.notEqual(resolved.json().resolved_at, null);
  assert.equal(await statusOf(house.parts.Checkout), "operational");
  assert.equal((await letters()).length, 2);
  assert.equal((await house.visit("/api/v2/summary.json")).json().status.indicator, "none");
});

test("a PATCH that brings no text and no other status tells nobody", async () => {
  const opened = (await send("POST", "/incidents", { name: "Quiet", body: "x", deliver_notifications: false })).json();
  const before = (await letters()).length;
  const { API, Search } = house.parts;
  const changed = await send("PUT", `/incidents/${opened.id}`, {
    name: "Quieter",
    status: "investigating",
    metadata: { crm: { id: "7" } },
    component_ids: [API, Search],
    components: { [Search]: "degraded_performance" },
  });
  assert.equal(changed.status, 200, changed.text);
  const incident = changed.json();
  assert.equal(incident.name, "Quieter");
  assert.equal(incident.impact, "minor");
  assert.equal(incident.incident_updates.length, 1);
  assert.deepEqual(incident.metadata, { crm: { id: "7" } });
  assert.deepEqual(incident.components.map((one: any) => one.id).toSorted(), [API, Search].toSorted());
  assert.equal(await statusOf(Search), "degraded_performance");
  assert.equal((await letters()).length, before);

  const fewer = (await send("PATCH", `/incidents/${opened.id}`, { component_ids: [] })).json();
  assert.deepEqual(fewer.components, []);
  const overridden = (await send("PATCH", `/incidents/${opened.id}`, { impact_override: "critical" })).json();
  assert.deepEqual([overridden.impact, overridden.impact_override], ["critical", "critical"]);
  const again = (await send("PATCH", `/incidents/${opened.id}`, { impact_override: null })).json();
  assert.equal(again.impact_override, null);

  const monitored = (
    await send("PATCH", `/incidents/${opened.id}`, { status: "monitoring", deliver_notifications: false })
  ).json();
  assert.deepEqual(
    monitored.incident_updates.map((one: any) => [one.status, one.body]),
    [
      ["monitoring", ""],
      ["investigating", "x"],
    ],
  );
  assert.equal((await letters()).length, before);
  await send("PATCH", `/incidents/${opened.id}`, {
    status: "resolved",
    deliver_notifications: false,
    components: { [Search]: "operational" },
  });
});

test("a PATCH is done whole or not at all", async () => {
  const opened = (await send("POST", "/incidents", { name: "Whole", deliver_notifications: false })).json();
  const answer = await send("PATCH", `/incidents/${opened.id}`, { name: "Half", body: "x".repeat(30_000) });
  assert.equal(answer.status, 422);
  assert.deepEqual((await send("GET", `/incidents/${opened.id}`)).json(), opened);
  await send("DELETE", `/incidents/${opened.id}`);
});

const everything = () =>
  [
    "incidents",
    "incident_updates",
    "incident_components",
    "update_components",
    "announcements",
    "deliveries",
    "audit_entries",
    "status_changes",
    "components",
    "subscribers",
  ].map((table) => JSON.stringify(house.deps.db.$client.prepare(`SELECT * FROM ${table}`).all()));

test("a rehearsal says who would read what, and writes nothing", async () => {
  await house.settle();
  const before = everything();
  const page = (await house.visit("/")).headers.etag;
  const incident = { name: "Rehearsed", body: "Nothing is wrong.", components: { [house.parts.API]: "major_outage" } };
  const answer = await send("POST", "/incidents?dry_run=true", incident);
  assert.equal(answer.status, 200, answer.text);
  const seen = answer.json();
  assert.equal(seen.audience, 2);
  assert.equal(seen.held, null);
  assert.equal(seen.letter.subject, "Investigating: Rehearsed (API)");
  assert.match(seen.letter.text, /Nothing is wrong\.[\s\S]*https:\/\/status\.example\.com\/incidents\/…/);
  assert.match(seen.letter.html, /<p>Nothing is wrong/);
  assert.equal(seen.incident.impact, "critical");
  assert.match(seen.headline, /API/);
  assert.deepEqual(everything(), before);
  assert.equal((await house.visit("/")).headers.etag, page);

  const silent = (await send("POST", "/incidents?dry_run=true", { ...incident, deliver_notifications: false })).json();
  assert.equal(silent.audience, 0);
  assert.equal((await send("POST", "/incidents?dry_run=1", { ...incident, name: "" })).status, 422);
  assert.equal((await send("POST", "/incidents?dry_run=perhaps", incident)).status, 400);
  assert.deepEqual(everything(), before);

  const opened = (await send("POST", "/incidents", { name: "Real", deliver_notifications: false })).json();
  const after = everything();
  const patched = (
    await send("PATCH", `/incidents/${opened.id}?dry_run=true`, { body: "More.", status: "identified" })
  ).json();
  assert.equal(patched.audience, 1);
  assert.equal(patched.letter.subject, "Identified: Real");
  assert.equal(patched.incident.incident_updates.length, 2);
  const renamed = (await send("PATCH", `/incidents/${opened.id}?dry_run=true`, { name: "Renamed" })).json();
  assert.deepEqual([renamed.audience, renamed.letter, renamed.incident.name], [0, null, "Renamed"]);
  assert.deepEqual(everything(), after);
  await send("DELETE", `/incidents/${opened.id}`);
});

test("a rehearsal that is asked for beside the incident publishes nothing either", async () => {
  await house.settle();
  const before = everything();
  const incident = { name: "Rehearsed", body: "Nothing is wrong.", components: { [house.parts.API]: "major_outage" } };
  const answer = await house.api(secret, "POST", `${base}/incidents`, { incident, dry_run: true });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.json().dry_run, true);
  assert.deepEqual(everything(), before);
});

test("a maintenance that would have ended already is refused, unless it is told as over", async () => {
  const past = { name: "Upgrade", scheduled_for: "2020-12-01T02:00:00Z", scheduled_until: "2020-12-01T04:00:00Z" };
  const answer = await send("POST", "/incidents", past);
  assert.equal(answer.status, 422);
  assert.match(answer.text, /would have ended already/);
  const told = await send("POST", "/incidents", { ...past, status: "completed", deliver_notifications: false });
  assert.equal(told.status, 201, told.text);
  await send("DELETE", `/incidents/${told.json().id}`);
});

test("the ledger keeps who was told of an incident that was deleted, and what waited goes to nobody", async () => {
  const { id } = (await send("POST", "/incidents", { name: "A mistake", body: "Never mind." })).json();
  await house.settle();
  const rows = () => house.operate("GET", `${base}/mail?limit=100`).then((answer) => answer.json() as { id: number }[]);
  const before = await rows();
  assert.equal((await send("DELETE", `/incidents/${id}`)).status, 200);
  assert.deepEqual(
    (await rows()).map((row) => row.id),
    before.map((row) => row.id),
  );
  const newest = before[0] as { id: number };
  await house.operate("POST", `${base}/mail/${newest.id}/retry`);
  await house.settle();
  const after = (await house.operate("GET", `${base}/mail/${newest.id}`)).json();
  assert.equal(after.state, "suppressed");
  assert.match(after.reply, /incident was deleted/);
});

test("the rehearsal that a server begins with writes nothing either", async () => {
  await house.settle();
  const before = everything();
  rehearseForLater(house.deps.db, { now: monday, burstFactor: 5 });
  assert.deepEqual(everything(), before);
});

test("a schedule makes a maintenance, which is found by what it is doing", async () => {
  const span = { scheduled_for: "2026-11-30T08:00:00+01:00", scheduled_until: "2026-11-30T10:00:00+01:00" };
  const planned = (await send("POST", "/incidents", { name: "Upgrade", ...span, deliver_notifications: false })).json();
  assert.equal(planned.status, "scheduled");
  assert.equal(planned.impact, "maintenance");
  assert.equal(planned.scheduled_for, "2026-11-30T07:00:00.000Z");
  const ids = async (path: string) => (await send("GET", `/incidents/${path}`)).json().map((one: any) => one.id);
  assert.deepEqual(await ids("upcoming"), [planned.id]);
  assert.deepEqual(await ids("scheduled"), [planned.id]);
  assert.deepEqual(await ids("active_maintenance"), []);
  assert.deepEqual(await ids("unresolved"), []);
  assert.equal((await send("PATCH", `/incidents/${planned.id}`, { status: "identified" })).status, 422);
  const early = await send("PATCH", `/incidents/${planned.id}`, { scheduled_until: "2026-11-30T06:00:00Z" });
  assert.equal(early.json().field, "scheduled_until");
  await send("PATCH", `/incidents/${planned.id}`, { status: "in_progress", deliver_notifications: false });
  assert.deepEqual(await ids("active_maintenance"), [planned.id]);
  assert.deepEqual(await ids("scheduled"), [planned.id]);
  assert.deepEqual(await ids("upcoming"), []);
  await send("PATCH", `/incidents/${planned.id}`, { status: "completed", deliver_notifications: false });
  assert.deepEqual(await ids("scheduled"), []);

  const plain = (await send("POST", "/incidents", { name: "Plain", deliver_notifications: false })).json();
  assert.equal((await send("PATCH", `/incidents/${plain.id}`, span)).status, 409);
  assert.equal(
    (await send("PATCH", `/incidents/${plain.id}`, { scheduled_for: null, scheduled_until: null, name: "Plain" }))
      .status,
    200,
  );
  await send("DELETE", `/incidents/${plain.id}`);
});

test("a record of the past changes no component and tells nobody", async () => {
  const before = (await letters()).length;
  const answer = await send("POST", "/incidents", {
    name: "Long ago",
    body: "It was the disk.",
    backfilled: true,
    backfill_date: "2026-10-01",
    components: { [house.parts.API]: "major_outage" },
  });
  assert.equal(answer.status, 201, answer.text);
  const incident = answer.json();
  assert.equal(incident.status, "resolved");
  assert.equal(incident.impact, "critical");
  assert.equal(incident.created_at, "2026-09-30T22:00:00.000Z", "the day begins in the page's zone");
  assert.equal(await statusOf(house.parts.API), "operational");
  await send("PATCH", `/incidents/${incident.id}`, { body: "And the other disk." });
  assert.equal((await letters()).length, before);
  assert.equal((await house.visit("/history/2026-10")).status, 200);
});

test("an update is corrected without telling anybody again, and an incident is taken away whole", async () => {
  const before = (await letters()).length;
  const opened = (
    await send("POST", "/incidents", { name: "Typo", body: "Databse", deliver_notifications: false })
  ).json();
  const path = `${base}/incidents/${opened.id}/incident_updates/${opened.incident_updates[0].id}`;
  for (const [method, body] of [
    ["PATCH", "Database"],
    ["PUT", "Databases"],
  ] as const) {
    const answer = await house.api(secret, method, `${path}.json`, {
      incident_update: { body, wants_twitter_update: true },
    });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json().body, body);
  }
  assert.match((await house.visit(`/incidents/${opened.id}`)).text, /Databases/);
  const missing = await house.api(secret, "PATCH", `${base}/incidents/${opened.id}/incident_updates/aaaaaaaaaaaa`, {
    incident_update: { body: "x" },
  });
  assert.equal(missing.status, 404);
  assert.equal((await letters()).length, before);

  const gone = await send("DELETE", `/incidents/${opened.id}`);
  assert.equal(gone.status, 200);
  assert.equal(gone.json().incident_updates[0].body, "Databases");
  assert.equal((await send("GET", `/incidents/${opened.id}`)).status, 404);
  assert.equal((await house.visit(`/incidents/${opened.id}`)).status, 404);
});

test("what is told afterwards lies in the past, and no update is dated ahead", async () => {
  const tomorrow = new Date(house.deps.clock.now() + 86_400_000).toISOString();
  const past = { name: "Told early", backfilled: true };
  for (const backfill_date of [tomorrow, tomorrow.slice(0, 10), "2126-01-01"]) {
    const answer = await send("POST", "/incidents", { ...past, backfill_date });
    assert.equal(answer.status, 422, answer.text);
    assert.equal(answer.json().field, "backfill_date");
  }
  const opened = (await send("POST", "/incidents", { name: "Dated", deliver_notifications: false })).json();
  const path = `${base}/incidents/${opened.id}/incident_updates/${opened.incident_updates[0].id}`;
  const date = (display_at: string) => house.api(secret, "PATCH", path, { incident_update: { display_at } });
  const ahead = await date(tomorrow);
  assert.equal(ahead.status, 422, ahead.text);
  assert.equal(ahead.json().field, "display_at");
  const now = house.deps.clock.now();
  // Clocks differ a little.
  for (const at of [now - 3_600_000, now, now + 30_000]) {
    assert.equal((await date(new Date(at).toISOString())).status, 200);
  }
});

test("a request that is sent again with its Idempotency-Key is done once, also by a bridge that never saw the answer", async () => {
  const sent = async (method: string, path: string, key: string, incident: object, token = secret) =>
    house.visit(base + path, {
      method,
      headers: { authorization: `OAuth ${token}`, "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ incident }),
    });
  const named = async () => (await send("GET", "/incidents?q=Twice")).json().length;
  const firing = { name: "Twice over", body: "It fires.", components: { [house.parts.API]: "major_outage" } };
  const before = (await letters()).length;
  const [first, second] = await Promise.all([1, 2].map(() => sent("POST", "/incidents", "alert-1", firing)));
  assert.ok(first && second);
  assert.deepEqual([first.status, second.status], [201, 201]);
  assert.equal(second.text, first.text);
  const { id } = first.json();
  assert.match(id, /^[a-z0-9]{12}$/);
  assert.equal(await named(), 1);
  const over = { status: "resolved", body: "It stopped.", components: { [house.parts.API]: "operational" } };
  for (let count = 0; count < 3; count++) {
    const answer = await sent("PATCH", `/incidents/${id}`, "alert-1", over);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json().incident_updates.length, 2);
  }
  assert.equal((await sent("POST", "/incidents", "alert-1", firing)).json().status, "resolved", "as it stands now");
  const told = (await letters()).slice(0, -before).map((one: any) => `${one.announcement_id} ${one.email}`);
  const readers = (await house.operate("GET", `${base}/subscribers/count`)).json().email;
  assert.ok(readers > 0);
  assert.equal(told.length, 2 * readers, "and everybody is told once");
  const worse = (await sent("PATCH", `/incidents/${id}`, "alert-1", { body: "It stopped for good." })).json();
  assert.equal(worse.incident_updates.length, 3, "other words are another request");
  assert.notEqual((await sent("POST", "/incidents", "alert-2", firing)).json().id, id);
  assert.notEqual((await sent("POST", "/incidents", "alert-1", firing, house.token("owner"))).json().id, id);
  assert.equal(await named(), 3);
  assert.equal((await sent("POST", "/incidents", "k".repeat(256), firing)).status, 400);
});
