import assert from "node:assert/strict";
import { test } from "node:test";
import { eq, sql } from "drizzle-orm";
import { countAudience, createExpander, decideHeld, outcomeOf } from "../../src/announcements/announcements.ts";
import { createLetters } from "../../src/announcements/letters.ts";
import { createComponent } from "../../src/components/components.ts";
import { changeIncident, correctUpdate, deleteIncident } from "../../src/incidents/amendments.ts";
import { openIncident, postUpdate } from "../../src/incidents/incidents.ts";
import { claimDeliveries } from "../../src/mail/queue.ts";
import { announcements, deliveries } from "../../src/schema.ts";
import { addSubscriber, unsubscribe } from "../../src/subscribers/subscribers.ts";
import { startMailServer } from "../mail/mail-server.ts";
import { type House, openTestHouse } from "../support/house.ts";
import { linksIn, openLetter, readLetter } from "../support/letterbox.ts";

const by = { kind: "system" as const };

function add(house: House, address: string, componentIds: string[] = []) {
  const { db, keys, clock } = house.deps;
  const wish = { wholePage: componentIds.length === 0, componentIds };
  return addSubscriber(db, {
    pageId: house.page.id,
    address,
    wish,
    confirm: "vouched",
    source: "api",
    keys,
    now: clock.now(),
    by,
  });
}

function open(house: House, components: Record<string, any>, notify = true, burstFactor = 5) {
  const input = {
    pageId: house.page.id,
    name: "Trouble",
    body: "Words.",
    components,
    notify,
    burstFactor,
    now: house.deps.clock.now(),
    by,
  };
  return openIncident(house.deps.db, input);
}

test("each subscriber concerned gets exactly one letter about an update", async () => {
  const house = await openTestHouse();
  const { db } = house.deps;
  for (let index = 0; index < 1234; index++) add(house, `all${index}@example.com`);
  for (let index = 0; index < 40; index++) add(house, `api${index}@example.com`, [house.parts.API, house.parts.Search]);
  for (let index = 0; index < 40; index++) add(house, `shop${index}@example.com`, [house.parts.Checkout]);
  const gone = add(house, "gone@example.com");
  unsubscribe(db, { subscriber: gone, now: 0, by });
  assert.equal(countAudience(db, { pageId: house.page.id, componentIds: [house.parts.API, house.parts.Search] }), 1274);
  const { update } = open(house, { [house.parts.API]: "partial_outage", [house.parts.Search]: "degraded_performance" });
  add(house, "late@example.com");
  await house.deps.announcer.idle();
  const rows = db.select({ seq: deliveries.subscriberSeq }).from(deliveries).all();
  assert.equal(rows.length, 1274);
  assert.equal(new Set(rows.map((row) => row.seq)).size, 1274);
  assert.equal(outcomeOf(db, update.id)?.announcement.state, "expanded");
  await house.close();
});

test("a crash between two slices neither loses nor repeats a letter", async () => {
  const house = await openTestHouse();
  for (let index = 0; index < 1200; index++) add(house, `s${index}@example.com`);
  open(house, {});
  const { db } = house.deps;
  const now = house.deps.clock.now();
  const expandSlice = createExpander(db);
  assert.equal(expandSlice({ now }), 125);
  // The same slice again, as if the cursor had been lost.
  db.update(announcements).set({ cursor: 0 }).run();
  while (expandSlice({ now }) !== undefined);
  assert.equal(db.select({ count: sql<number>`count(*)` }).from(deliveries).get()?.count, 1200);
  await house.close();
});

test("a burst is held with its reason, tells nobody, and goes out when a person says so", async () => {
  const house = await openTestHouse();
  const { db } = house.deps;
  for (let index = 0; index < 60; index++) add(house, `s${index}@example.com`);
  open(house, {}, true, 1);
  open(house, {}, true, 1);
  await house.settle();
  const held = db.select().from(announcements).where(eq(announcements.state, "held")).get();
  assert.match(held?.reason ?? "", /120 letters within an hour for 60 subscribers/);
  assert.equal(db.select().from(deliveries).all().length, 60);
  decideHeld(db, { pageId: house.page.id, id: held?.id as number, decision: "send", now: house.deps.clock.now(), by });
  await house.settle();
  assert.equal(db.select().from(deliveries).all().length, 120);
  assert.throws(
    () => decideHeld(db, { pageId: house.page.id, id: held?.id as number, decision: "drop", now: 0, by }),
    /isn't held/,
  );
  await house.close();
});

test("an update that is posted silently tells nobody", async () => {
  const house = await openTestHouse();
  add(house, "a@example.com");
  const { incident } = open(house, {}, false);
  const now = house.deps.clock.now();
  postUpdate(house.deps.db, {
    pageId: house.page.id,
    incidentId: incident.id,
    body: "More.",
    components: {},
    notify: false,
    burstFactor: 5,
    now,
    by,
  });
  await house.settle();
  assert.equal(house.deps.db.select().from(deliveries).all().length, 0);
  await house.close();
});

test("the letter says the state and the part, reads as text, and leads to the incident and to the reader's own settings", async () => {
  const house = await openTestHouse();
  const { db } = house.deps;
  add(house, "reader@example.com");
  const evil = "Zahlungen fällt aus\u202e <b>&";
  const { incident } = openIncident(db, {
    pageId: house.page.id,
    name: evil,
    body: "**Bold** and <script>alert(1)</script> and a [link](https://example.com).",
    components: { [house.parts.Checkout]: "partial_outage" },
    notify: true,
    burstFactor: 5,
    now: house.deps.clock.now(),
    by,
  });
  await house.settle();
  const letter = await readLetter(house, db.select().from(deliveries).get()?.id as number);
  assert.equal(letter.subject, `Investigating: ${evil} (Checkout)`);
  assert.equal(letter.to, "reader@example.com");
  assert.match(letter.text, /Checkout: Partial outage/);
  assert.match(letter.text, /\nBold and <script>alert\(1\)<\/script> and a link \(https:\/\/example\.com\)\.\n/);
  assert.match(letter.html, /<strong>Bold<\/strong> and &lt;script&gt;/);
  assert.doesNotMatch(letter.html, /<script>|<b>&/);
  const links = linksIn(letter);
  assert.ok(links.includes(`/incidents/${incident.id}`));
  const manage = links.find((link) => link.startsWith("/subscription/")) as string;
  assert.match((await house.visit(manage)).text, /reader@example\.com/);
  assert.ok(letter.html.includes(`https://status.example.com${manage}`));
  assert.match(letter.text, /\n-- \nYou asked Acme/, "mail programs fold what follows this line");
  assert.match(letter.html, /overflow-wrap:anywhere/, "a long address in the words makes no phone scroll sideways");
  assert.doesNotMatch(letter.raw, /[^\r]\n/);
  for (const line of letter.raw.split("\r\n")) assert.ok(line.length <= 998);
  await house.close();
});

test("the letter, the page and the API name the parts in the page's order, and the letter like its subject", async () => {
  const house = await openTestHouse();
  const { db, press, clock } = house.deps;
  add(house, "reader@example.com");
  // Drawn by chance, so that any other order would show.
  const names = ["Zeta", "Beta", "Omega", "Alpha", "Gamma", "Delta", "Kappa", "Sigma"];
  const ids = names.map((name) => createComponent(db, { pageId: house.page.id, name, now: clock.now(), by }).id);
  const { incident } = open(house, Object.fromEntries(ids.toReversed().map((id) => [id, "partial_outage"])));
  press.press(house.page.id, incident.id);
  await house.settle();
  const letter = await readLetter(house, db.select().from(deliveries).get()?.id as number);
  const inOrder = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name);
  assert.deepEqual(inOrder(letter.text, /^- (\w+): Partial outage$/gm), names);
  assert.deepEqual(inOrder(letter.html, /<li>(\w+): Partial outage<\/li>/g), names);
  const onPage = async (path: string) => inOrder((await house.visit(path)).text, /<bdi>([^<]+)<\/bdi>: <span/g);
  assert.deepEqual(await onPage(`/incidents/${incident.id}`), [names.join(", ")]);
  assert.deepEqual(await onPage("/"), [`${names.slice(0, 6).join(", ")} and 2 more`]);
  const { incidents } = (await house.visit("/api/v2/summary.json")).json();
  assert.deepEqual(
    incidents[0].incident_updates[0].affected_components.map((row: { name: string }) => row.name),
    names,
  );
  await house.close();
});

test("the letters about one incident make a thread, and those about another one another", async () => {
  const house = await openTestHouse();
  const { db, clock } = house.deps;
  add(house, "one@example.com");
  add(house, "two@example.com");
  const { incident } = open(house, {});
  const common = { pageId: house.page.id, components: {}, notify: true, burstFactor: 5, now: clock.now(), by };
  postUpdate(db, { ...common, incidentId: incident.id, body: "More." });
  open(house, {});
  await house.settle();
  const rows = db.select({ id: deliveries.id }).from(deliveries).orderBy(deliveries.announcementId).all();
  const letters = await Promise.all(rows.map((row) => readLetter(house, row.id)));
  assert.equal(letters.length, 6);
  const thread = `<incident-${incident.id}@status.example.com>`;
  for (const letter of letters.slice(0, 4)) {
    assert.equal(letter.headers.get("references"), thread);
    assert.equal(letter.headers.get("in-reply-to"), thread);
  }
  const ids = letters.map((letter) => letter.headers.get("message-id"));
  assert.equal(new Set([...ids, ...letters.map((letter) => letter.headers.get("references"))]).size, 8);
  await house.close();
});

test("a letter that was taken up as its incident was deleted goes to nobody, and is no fault of ours", async () => {
  const house = await openTestHouse();
  const { db, clock } = house.deps;
  add(house, "a@example.com");
  const { incident } = open(house, {});
  const expandSlice = createExpander(db);
  while (expandSlice({ now: clock.now() }) !== undefined);
  const [claimed] = claimDeliveries(db, { now: clock.now(), limit: 1 });
  assert.ok(claimed);
  deleteIncident(db, { pageId: house.page.id, incidentId: incident.id, now: clock.now(), by });
  const letters = createLetters(house.deps);
  assert.deepEqual(letters(claimed), { outcome: "suppressed", reason: "Its incident was deleted." });
  await house.close();
});

test("an update without words, as programs post it, leaves no hole in its letter", async () => {
  const house = await openTestHouse();
  add(house, "a@example.com");
  const input = { pageId: house.page.id, name: "Quiet", body: "", burstFactor: 5, notify: true, by };
  openIncident(house.deps.db, {
    ...input,
    components: { [house.parts.API]: "major_outage" },
    now: house.deps.clock.now(),
  });
  await house.settle();
  const { text } = await readLetter(house, house.deps.db.select().from(deliveries).get()?.id as number);
  assert.doesNotMatch(text, /\n\n\n/);
  assert.match(text, /Investigating.*\n\nParts:\n- API: Major outage\n\nRead it/);
  await house.close();
});

test("a letter put off gives way to a newer one about the same incident only when its reader gets that one", async () => {
  const house = await openTestHouse();
  const { db, clock } = house.deps;
  for (let index = 0; index < 60; index++) add(house, `s${index}@example.com`);
  const { incident } = open(house, {}, true, 1);
  await house.settle();
  const first = db.select().from(deliveries).get();
  assert.ok(first);
  const again = () => {
    const { id, pageId, announcementId, subscriberSeq, createdAt } = first;
    const waiting = { id, pageId, kind: "update" as const, attempts: 1, createdAt, address: undefined };
    const letters = createLetters(house.deps);
    const named = { announcementId: announcementId ?? undefined, subscriberSeq: subscriberSeq ?? undefined };
    return letters({ ...waiting, ...named }).outcome;
  };
  const common = { pageId: house.page.id, incidentId: incident.id, components: {}, notify: true, burstFactor: 1, by };
  postUpdate(db, { ...common, body: "More.", now: clock.now() });
  await house.settle();
  const held = db.select().from(announcements).where(eq(announcements.state, "held")).get();
  assert.ok(held);
  assert.equal(again(), "send", "the newer one is held, and may be dropped");
  decideHeld(db, { pageId: house.page.id, id: held.id, decision: "send", now: clock.now(), by });
  await house.settle();
  assert.equal(again(), "superseded");
  await house.close();
});

test("a letter names every part of its incident with the state it is in, whatever its own update changed", async () => {
  const house = await openTestHouse();
  const { db, clock } = house.deps;
  const { API, Checkout, Search } = house.parts;
  const { incident } = open(house, { [API]: "major_outage", [Checkout]: "degraded_performance" });
  add(house, "late@example.com");
  const common = { pageId: house.page.id, incidentId: incident.id, notify: true, burstFactor: 5, by };
  postUpdate(db, { ...common, body: "More.", components: { [Search]: "partial_outage" }, now: clock.now() });
  await house.settle();
  const { text, html } = await openLetter(house);
  const states = ["API: Major outage", "Checkout: Degraded", "Search: Partial outage"];
  assert.deepEqual(
    [...text.matchAll(/^- (.*)$/gm)].map(([, line]) => line),
    states,
  );
  assert.deepEqual(
    [...html.matchAll(/<li>(.*)<\/li>/g)].map(([, line]) => line),
    states,
  );
  await house.close();
});

test("a letter begins with what mail programs show beside its subject: the words of the update", async () => {
  const house = await openTestHouse();
  add(house, "reader@example.com");
  open(house, { [house.parts.API]: "major_outage" });
  await house.settle();
  const { html } = await openLetter(house);
  const shown = html
    .replace(/[\s\S]*<body[^>]*>/, "")
    .replaceAll(/<[^>]*>/g, " ")
    .trim();
  assert.match(shown, /^Words\./);
  await house.close();
});

test("a letter about what is planned says for when, with the day of the week, and not when it was written", async () => {
  const house = await openTestHouse();
  add(house, "reader@example.com");
  const { Checkout, Search } = house.parts;
  const plan = async (from: string, until: string) => {
    openIncident(house.deps.db, {
      pageId: house.page.id,
      kind: "maintenance",
      name: "Database upgrade",
      status: "scheduled",
      body: "Writes pause.",
      components: {},
      componentIds: [Checkout, Search],
      scheduledFor: Date.parse(from),
      scheduledUntil: Date.parse(until),
      notify: true,
      burstFactor: 5,
      now: house.deps.clock.now(),
      by,
    });
    await house.settle();
    return openLetter(house);
  };
  const first = await plan("2026-11-29T01:00Z", "2026-11-29T03:30Z");
  assert.match(first.text, /^Scheduled for Sun 29 Nov 2026, 02:00 to 04:30 CET$/m);
  assert.match(first.html, /Scheduled<\/strong> for Sun 29 Nov 2026, 02:00 to 04:30 CET/);
  assert.doesNotMatch(first.text, /23 Nov/);
  assert.deepEqual(
    [...first.text.matchAll(/^- (.*)$/gm)].map(([, line]) => line),
    ["Checkout", "Search"],
  );
  const second = await plan("2026-11-29T22:30Z", "2026-11-29T23:30Z");
  assert.match(second.text, /^Scheduled for Sun 29 Nov 2026, 23:30 CET to Mon 30 Nov 2026, 00:30 CET$/m);
  await house.close();
});

test("the letter that says that it is over says how long it took, and no other does", async () => {
  const house = await openTestHouse();
  const { db, clock } = house.deps;
  add(house, "reader@example.com");
  const { incident } = open(house, { [house.parts.API]: "major_outage" });
  await house.settle();
  assert.match((await openLetter(house)).text, /^Investigating – 23 Nov 2026, 10:00 CET$/m);
  house.pass(140 * 60_000);
  const common = { pageId: house.page.id, incidentId: incident.id, components: {}, notify: true, burstFactor: 5, by };
  postUpdate(db, { ...common, status: "resolved", body: "Over.", now: clock.now() });
  await house.settle();
  const { text, html } = await openLetter(house);
  assert.match(text, /^Resolved – 23 Nov 2026, 12:20 CET, after 2 h 20 min$/m);
  assert.match(html, /12:20 CET, after 2 h 20 min/);
  await house.close();
});

test("letters that still wait when the words are corrected leave with the corrected words", async (t) => {
  const gone = await startMailServer(t);
  await gone.stop();
  const house = await openTestHouse({ "mail.smtp_url": `smtp://127.0.0.1:${gone.port}` });
  const { db, clock } = house.deps;
  add(house, "ada@example.com");
  const { incident, update } = open(house, { [house.parts.API]: "partial_outage" });
  await house.settle();
  assert.match(house.deps.mailer.state().paused ?? "", /ECONNREFUSED/, "the letter was written and couldn't leave");

  const doing = { pageId: house.page.id, incidentId: incident.id, by };
  house.pass(60_000);
  correctUpdate(db, { ...doing, updateId: update.id, body: "Better words.", now: clock.now() });
  changeIncident(db, { ...doing, name: "Real trouble", now: clock.now() });
  const back = await startMailServer(t, { port: gone.port });
  await house.settle();
  const [letter] = back.received.map(({ raw }) => raw.toString("utf8"));
  assert.match(letter ?? "", /^Subject: Investigating: Real trouble/m);
  assert.match(letter ?? "", /Better words\./);
  assert.doesNotMatch(letter ?? "", /Words\./);
  await house.close();
});
