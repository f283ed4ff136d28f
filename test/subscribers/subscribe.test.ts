import assert from "node:assert/strict";
import { test } from "node:test";
import { eq } from "drizzle-orm";
import { createExpander } from "../../src/announcements/announcements.ts";
import { archiveComponent } from "../../src/components/components.ts";
import { openIncident } from "../../src/incidents/incidents.ts";
import { listDeliveries, readKeptLetter } from "../../src/mail/ledger.ts";
import { deliveries, subscribers } from "../../src/schema.ts";
import { manageToken } from "../../src/subscribers/links.ts";
import { unsubscribe } from "../../src/subscribers/subscribers.ts";
import { type House, host, openTestHouse } from "../support/house.ts";
import { linksIn, openLetter } from "../support/letterbox.ts";

const day = 86_400_000;

async function subscribe(house: House, email: string, fields: Record<string, string | string[]> = {}) {
  return house.stranger().send("/subscribe", { email, scope: "all", ...fields });
}

async function confirmationLink(house: House): Promise<string> {
  await house.settle();
  const letter = await openLetter(house);
  return linksIn(letter).find((link) => link.includes("/subscribe/confirm/")) as string;
}

const stateOf = (house: House) =>
  house.deps.db
    .select()
    .from(subscribers)
    .all()
    .map((row) => row.state);

test("a visitor subscribes, confirms by a click, is told once, and leaves with one click", async () => {
  const house = await openTestHouse();
  const asked = await subscribe(house, "Visitor@Example.com");
  assert.match(asked.text, /Check your inbox/);
  assert.deepEqual(stateOf(house), ["unconfirmed"]);
  const link = await confirmationLink(house);

  const opened = await house.visit(link);
  assert.equal(opened.status, 200);
  assert.deepEqual(stateOf(house), ["unconfirmed"], "a GET confirms nothing");
  const visitor = house.stranger();
  assert.match((await visitor.send(link, {})).text, /From now on we tell you/);
  assert.deepEqual(stateOf(house), ["active"]);

  const told = await house.operate("POST", `/v1/pages/${house.page.id}/incidents`, {
    incident: {
      name: "Payments fail",
      body: "We look into it.",
      components: { [house.parts.Checkout]: "major_outage" },
    },
  });
  assert.equal(told.status, 201, told.text);
  await house.settle();
  const letter = await openLetter(house);
  assert.equal(letter.subject, "Investigating: Payments fail (Checkout)");
  assert.equal(letter.headers.get("auto-submitted"), "auto-generated");
  const raw = letter.raw;
  assert.match(raw, /^List-Unsubscribe-Post: List-Unsubscribe=One-Click\r$/m);
  assert.match(raw, new RegExp(`^List-Id: <${host.replaceAll(".", "\\.")}>\r$`, "m"));
  const oneClick = new URL(/^List-Unsubscribe: <([^>]+)>\r$/m.exec(raw)?.[1] as string).pathname;

  assert.equal((await house.visit(oneClick)).status, 200);
  assert.deepEqual(stateOf(house), ["active"], "a GET leaves nothing");
  const gone = await house.visit(oneClick, {
    method: "POST",
    body: "List-Unsubscribe=One-Click",
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
  assert.equal(gone.status, 200);
  assert.deepEqual(stateOf(house), ["unsubscribed"]);
  const again = await house.visit(oneClick, {
    method: "POST",
    body: "List-Unsubscribe=One-Click",
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
  assert.equal(again.status, 200, "leaving twice is leaving once");
  assert.equal(house.deps.db.select().from(subscribers).get()?.address, null, "the address is forgotten");
  await house.close();
});

test("whoever asks for a known, an unknown or a departed address sees the same", async () => {
  const house = await openTestHouse();
  const answers: string[] = [];
  const ask = async (email: string) => {
    const { status, text, headers } = await subscribe(house, email);
    answers.push(JSON.stringify([status, text, Object.keys(headers).toSorted()]));
  };
  await ask("first@example.com");
  const link = await confirmationLink(house);
  await house.stranger().send(link, {});
  await ask("first@example.com");
  await ask("second@example.com");
  assert.equal(new Set(answers).size, 1);
  await house.settle();
  const letters = house.deps.db.select().from(deliveries).all();
  assert.equal(letters.length, 3, "one of them tells the active address that it is active");
  await house.close();
});

test("who asks twice before confirming gets what they asked for last, and the page of the link says what that is", async () => {
  const house = await openTestHouse();
  await subscribe(house, "eve@example.com", { scope: "some", components: house.parts.API });
  const link = await confirmationLink(house);
  assert.match((await house.visit(link)).text, /eve@example\.com[\s\S]*<li>API<\/li>/);
  await subscribe(house, "eve@example.com", { scope: "some", components: [house.parts.Checkout, house.parts.Search] });
  await house.settle();
  assert.equal(house.deps.db.select().from(deliveries).all().length, 1, "no second letter");
  const shown = (await house.visit(link)).text;
  assert.match(shown, /<li>Checkout<\/li><li>Search<\/li>/);
  assert.doesNotMatch(shown, /<li>API<\/li>/);
  await house.stranger().send(link, {});
  assert.deepEqual(stateOf(house), ["active"]);
  const again = (await house.visit(link)).text;
  assert.match(again, /You are subscribed/);
  assert.match(again, /href="\/subscription\//);
  await house.close();
});

test("who is subscribed and asks again is sent the link to change it or to leave, once a day and three times at most", async () => {
  const house = await openTestHouse();
  await subscribe(house, "frank@example.com");
  await house.stranger().send(await confirmationLink(house), {});
  for (let times = 0; times < 5; times++) {
    for (let asks = 0; asks < 3; asks++) await subscribe(house, "frank@example.com", { scope: "some", components: [] });
    for (let asks = 0; asks < 3; asks++) await subscribe(house, "frank@example.com");
    await house.settle();
    house.pass(day + 1);
  }
  assert.equal(house.deps.db.select().from(deliveries).all().length, 1 + 3);
  const letter = await openLetter(house);
  assert.equal(letter.subject, "You are subscribed to Acme");
  const link = linksIn(letter).find((one) => one.includes("/subscription/")) as string;
  assert.match((await house.visit(link)).text, /frank@example\.com/);
  assert.deepEqual(stateOf(house), ["active"]);
  await house.close();
});

test("an address gets one confirmation a day and three in ninety days, whoever asks", async () => {
  const house = await openTestHouse();
  for (let times = 0; times < 12; times++) {
    for (let asks = 0; asks < 3; asks++) await subscribe(house, "victim@example.com");
    house.pass(day + 1);
  }
  assert.equal(house.deps.db.select().from(deliveries).all().length, 3);
  await house.close();
});

test("one network may ask only so often, and a /64 is one network", async () => {
  const house = await openTestHouse({ "subscribe.per_network_per_hour": "5" });
  const post = (peer: string, index: number) =>
    house.visit("/subscribe", {
      method: "POST",
      body: `email=p${index}%40example.com&scope=all`,
      headers: { "content-type": "application/x-www-form-urlencoded", "x-test-peer": peer },
    });
  for (let index = 0; index < 5; index++) assert.equal((await post(`2001:db8:1:2::${index + 1}`, index)).status, 303);
  const refused = await post("2001:db8:1:2:ffff::1", 9);
  assert.equal(refused.status, 429);
  assert.ok(Number(refused.headers["retry-after"]) > 0);
  assert.equal((await post("2001:db8:1:3::1", 10)).status, 303);
  await house.close();
});

test("a wrong address comes back in the form with the sentence beside it and nothing lost", async () => {
  const house = await openTestHouse();
  for (const email of ["nobody", "a@b", "a@example.com\r\nBcc: evil@evil.test", `${"x".repeat(250)}@example.com`]) {
    const answer = await subscribe(house, email, { scope: "some", components: [house.parts.API] });
    assert.equal(answer.status, 422);
    assert.match(answer.text, /Give an e-mail address like name@example\.com\./);
    assert.match(answer.text, new RegExp(`value="${house.parts.API}" checked`));
  }
  const none = await subscribe(house, "a@example.com", { scope: "some" });
  assert.match(none.text, /Choose the whole page or at least one part of it\./);
  assert.deepEqual(stateOf(house), []);
  await house.close();
});

test("an address is taken with a domain in any script, and is refused with a reason when its name isn't ASCII", async () => {
  const house = await openTestHouse();
  await subscribe(house, "Mina@Bücher.example");
  await subscribe(house, "mina@xn--bcher-kva.example");
  await house.settle();
  assert.match((await openLetter(house)).raw, /^To: Mina@xn--bcher-kva\.example\r$/m);
  assert.deepEqual(stateOf(house), ["unconfirmed"], "both ways of writing it are one person");
  const answer = await subscribe(house, "jörg@example.com");
  assert.equal(answer.status, 422);
  assert.match(answer.text, /No letter can be sent to an address with “ö” before the @\. Give another one\./);
  await house.close();
});

test("who asks too often finds the form as it was and when to come back; what was mistyped doesn't count", async () => {
  const house = await openTestHouse({ "subscribe.per_network_per_hour": "2" });
  for (let times = 0; times < 5; times++) assert.equal((await subscribe(house, "mina@example")).status, 422);
  for (const email of ["one@example.com", "two@example.com"]) assert.equal((await subscribe(house, email)).status, 200);
  const fields = { scope: "some", components: house.parts.API };
  const refused = await subscribe(house, "three@example.com", fields);
  assert.equal(refused.status, 429);
  assert.equal(refused.headers["retry-after"], "1800");
  assert.match(refused.text, /Too many subscriptions came from your network\. Try again in 30 min\./);
  assert.match(refused.text, /value="three@example\.com"/);
  assert.match(refused.text, new RegExp(`value="${house.parts.API}" checked`));
  await house.close();
});

test("who chose a part that is no longer on the page finds it among their choices, and keeps it until they say otherwise", async () => {
  const house = await openTestHouse();
  const { db, clock } = house.deps;
  await subscribe(house, "search@example.com", { scope: "some", components: house.parts.Search });
  const asked = await house.stranger().send(await confirmationLink(house), {});
  assert.doesNotMatch(asked.text, /No longer on this page/);
  const doing = { pageId: house.page.id, now: clock.now(), by: { kind: "system" as const } };
  archiveComponent(db, { ...doing, id: house.parts.Search, archived: true });
  const { id } = db.select().from(subscribers).get() as { id: string };
  const path = `/subscription/${manageToken(house.deps.keys, id)}`;
  const page = await house.visit(path);
  assert.match(page.text, /No longer on this page[\s\S]*checked> Search/);
  assert.doesNotMatch((await house.visit("/subscribe")).text, /No longer on this page/);
  const saved = await house.stranger().send(path, { scope: "some", components: house.parts.API });
  assert.match(saved.text, /Saved\./);
  assert.doesNotMatch(saved.text, /No longer on this page/);
  await house.close();
});

test("an error is said in the whole frame of the page", async () => {
  const house = await openTestHouse();
  assert.match((await house.visit("/subscription/aaaaaaaaaaaa.x")).text, /Times are in Europe\/Berlin\./);
  await house.close();
});

test("a confirmation link holds for two days, and a forged one never", async () => {
  const house = await openTestHouse();
  await subscribe(house, "late@example.com");
  const link = await confirmationLink(house);
  const forged = link.slice(0, -1) + (link.endsWith("A") ? "B" : "A");
  assert.equal((await house.visit(forged)).status, 404);
  house.pass(2 * day + 1000);
  assert.equal((await house.visit(link)).status, 404);
  assert.match((await house.stranger().send(link, {})).text, /no longer valid/);
  assert.deepEqual(stateOf(house), ["unconfirmed"]);
  await house.close();
});

test("who chose parts is told about those alone", async () => {
  const house = await openTestHouse();
  await subscribe(house, "search@example.com", { scope: "some", components: [house.parts.Search] });
  await house.stranger().send(await confirmationLink(house), {});
  const open = (part: string) =>
    house.operate("POST", `/v1/pages/${house.page.id}/incidents`, {
      incident: { name: "Trouble", body: "x", components: { [part]: "partial_outage" } },
    });
  await open(house.parts.API);
  await house.settle();
  const letters = () =>
    listDeliveries(house.deps.db, { pageId: house.page.id, limit: 100 }).filter((row) => row.kind === "update");
  assert.equal(letters().length, 0);
  await open(house.parts.Search);
  await house.settle();
  assert.equal(letters().length, 1);
  await house.close();
});

test("who leaves between publishing and sending gets no letter", async () => {
  const house = await openTestHouse();
  await subscribe(house, "quick@example.com");
  const link = await confirmationLink(house);
  await house.stranger().send(link, {});
  const { db, keys, clock } = house.deps;
  const now = clock.now();
  const by = { kind: "system" as const };
  openIncident(db, {
    pageId: house.page.id,
    name: "Trouble",
    body: "x",
    components: {},
    notify: true,
    burstFactor: 5,
    now,
    by,
  });
  assert.equal(createExpander(db)({ now }), 1, "the letter is queued while its reader still wants it");
  // In the same turn of the event loop, so that the mailer can't have been there in between.
  const subscriber = db.select().from(subscribers).get();
  assert.ok(subscriber);
  unsubscribe(db, { subscriber, now, by: { kind: "subscriber", id: subscriber.id } });
  await house.settle();
  const letters = db.select().from(deliveries).where(eq(deliveries.kind, "update")).all();
  assert.deepEqual(
    letters.map((letter) => letter.state),
    ["suppressed"],
  );
  assert.equal(readKeptLetter(db, { keys, pageId: house.page.id, id: letters[0]?.id as number }), undefined);
  await house.close();
});

test("a link of one page says nothing on another, and no page sets a cookie", async () => {
  const house = await openTestHouse();
  for (const path of ["/", "/history", "/subscribe", "/subscription/aaaaaaaaaaaa.x", "/unsubscribe/x"]) {
    const answer = await house.visit(path);
    assert.equal(answer.headers["set-cookie"], undefined);
    assert.ok([200, 404].includes(answer.status));
  }
  await house.close();
});
