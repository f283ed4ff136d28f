import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { deliveries, subscribers } from "../../src/schema.ts";
import { listSubscribers, quarantineSubscriber } from "../../src/subscribers/subscribers.ts";
import { type House, openTestHouse } from "../support/house.ts";
import { openLetter } from "../support/letterbox.ts";

let house: House;
let base: string;
let secret: string;
before(async () => {
  house = await openTestHouse({ "api.requests_per_minute": "10000" });
  base = `/v1/pages/${house.page.id}/subscribers`;
  secret = house.token("publisher");
});
after(() => house.close());

const ask = (method: string, path: string, body?: unknown) => house.api(secret, method, base + path, body);
const add = (email: string, more: object = {}) => ask("POST", "", { subscriber: { email, ...more } });
const vouched = async (email: string) => (await add(email, { skip_confirmation_notification: true })).json();
const stateOf = (id: string) =>
  listSubscribers(house.deps.db, {
    pageId: house.page.id,
    states: ["unconfirmed", "active", "quarantined", "unsubscribed"],
    limit: 1000,
  }).find((one) => one.id === id)?.state;

test("somebody added by a program is sent a confirmation letter, and is nobody before they confirm", async () => {
  const added = await add("New@Example.com", { component_ids: [house.parts.API] });
  assert.equal(added.status, 201, added.text);
  const subscriber = added.json();
  assert.equal(subscriber.email, "New@example.com");
  assert.equal(subscriber.skip_confirmation_notification, false);
  assert.deepEqual(subscriber.components, [house.parts.API]);
  assert.equal(stateOf(subscriber.id), "unconfirmed");
  await house.settle();
  const letter = await openLetter(house);
  assert.equal(letter.to, "New@example.com");
  assert.match(letter.subject, /Confirm/);
  assert.deepEqual((await ask("GET", "")).json(), []);
  assert.equal((await ask("GET", "?state=unconfirmed")).json()[0].id, subscriber.id);
  const again = await ask("POST", `/${subscriber.id}/resend_confirmation`);
  assert.equal(again.status, 429, "one letter a day, whoever asks");
  house.pass(86_400_001);
  assert.equal((await ask("POST", `/${subscriber.id}/resend_confirmation.json`)).status, 201);
});

test("deleting and adding again isn't a way around the bounds on letters", async () => {
  const { id } = (await add("bombed@example.com")).json();
  assert.equal((await ask("DELETE", `/${id}`)).status, 200);
  const answer = await add("bombed@example.com");
  assert.equal(answer.status, 429, answer.text);
  assert.equal(stateOf(id), "unsubscribed");
});

test("somebody vouched for is active at once, chooses parts, and leaves without a trace of the address", async () => {
  const subscriber = await vouched("sure@example.com");
  assert.equal(subscriber.skip_confirmation_notification, true);
  assert.equal(stateOf(subscriber.id), "active");
  const chosen = await ask("PATCH", `/${subscriber.id}`, { component_ids: [house.parts.API, house.parts.Search] });
  assert.deepEqual(chosen.json().components.toSorted(), [house.parts.API, house.parts.Search].toSorted());
  assert.equal((await ask("PATCH", `/${subscriber.id}`, { component_ids: [] })).status, 422);
  assert.deepEqual((await ask("PATCH", `/${subscriber.id}`, { whole_page: true })).json().components, []);
  const gone = await ask("DELETE", `/${subscriber.id}?skip_unsubscription_notification=true`);
  assert.equal(gone.status, 200);
  assert.equal(gone.json().email, "sure@example.com");
  assert.equal((await ask("DELETE", `/${subscriber.id}`)).json().email, null);
  const left = (await ask("GET", "/unsubscribed")).json().find((one: any) => one.id === subscriber.id);
  assert.equal(left.email, null);
  const back = await vouched("sure@example.com");
  assert.equal(back.id, subscriber.id);
});

test("only e-mail is taken", async () => {
  for (const other of [{ endpoint: "https://example.com/hook" }, { phone_number: "5551234", phone_country: "us" }]) {
    assert.equal((await ask("POST", "", { subscriber: { ...other, email: "x@example.com" } })).status, 422);
  }
  assert.equal((await ask("POST", "", { subscriber: {} })).json().field, "email");
});

test("many at once: letters again, leaving, coming back from quarantine", async () => {
  const ids: string[] = [];
  for (let count = 0; count < 4; count++) ids.push((await vouched(`bulk${count}@example.com`)).id);
  const rows = house.deps.db.select().from(subscribers).all();
  for (const id of ids.slice(0, 2)) {
    quarantineSubscriber(house.deps.db, {
      seq: rows.find((row) => row.id === id)?.seq as number,
      now: house.deps.clock.now(),
    });
  }
  assert.equal((await ask("GET", "/histogram_by_state")).json().email.quarantined, 2);
  const one = await ask("POST", "/reactivate", { subscribers: [ids[0], ids[3]] });
  assert.equal(one.status, 201);
  assert.deepEqual(one.json(), { changed: 1 });
  assert.deepEqual((await ask("POST", "/reactivate.json", { subscribers: "all", type: "email" })).json(), {
    changed: 1,
  });
  assert.deepEqual((await ask("POST", "/reactivate", { subscribers: "all", type: "webhook" })).json(), { changed: 0 });

  const waiting = (await add("waits@example.com")).json();
  house.pass(2 * 86_400_000);
  const resent = (await ask("POST", "/resend_confirmation", { subscribers: "all" })).json();
  assert.ok(resent.changed >= 1);
  assert.deepEqual((await ask("POST", "/resend_confirmation", { subscribers: [waiting.id] })).json(), { changed: 0 });

  const unknown = await ask("POST", "/unsubscribe", { subscribers: [ids[0], "aaaaaaaaaaaa"] });
  assert.equal(unknown.status, 404);
  assert.equal(stateOf(ids[0] as string), "active");
  assert.deepEqual((await ask("POST", "/unsubscribe", { subscribers: [ids[0], ids[0]] })).json(), { changed: 1 });
  assert.equal((await ask("POST", "/unsubscribe", { subscribers: [] })).status, 422);
  assert.equal(
    (await ask("POST", "/unsubscribe", { subscribers: Array.from({ length: 101 }, () => "x") })).status,
    404,
  );
  const active = (await ask("GET", "/count")).json().email;
  assert.deepEqual((await ask("POST", "/unsubscribe", { subscribers: "all" })).json(), { changed: active });
  assert.equal((await ask("GET", "/count")).json().email, 0);
});

test("everybody can be unsubscribed at once only while they are few", async () => {
  for (let count = 0; count < 100; count++) await vouched(`many${count}@example.com`);
  const answer = await ask("POST", "/unsubscribe", { subscribers: "all" });
  assert.equal(answer.status, 422);
  assert.equal((await ask("GET", "/count")).json().email, 100);
});

const knock = (body: string, headers: Record<string, string> = {}) =>
  house.visit("/api/v2/subscribers.json", {
    method: "POST",
    body,
    headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
  });
const knockFor = (email: string) => knock(new URLSearchParams({ "subscriber[email]": email }).toString());

test("a visitor's subscription is answered the same whatever is known about the address", async () => {
  const active = await knockFor("many1@example.com");
  const fresh = await knockFor("visitor@example.com");
  const again = await knockFor("visitor@example.com");
  assert.equal(fresh.status, 201, fresh.text);
  const shapeOf = (text: string) =>
    text.replace(/"id":"[a-z0-9]{12}"/, "id").replace(/[a-z0-9]+@example\.com/, "address");
  for (const answer of [active, again]) {
    assert.equal(answer.status, 201);
    assert.equal(shapeOf(answer.text), shapeOf(fresh.text));
  }
  assert.equal(
    Object.keys(fresh.json().subscriber).join(" "),
    "created_at skip_confirmation_notification quarantined_at id mode purge_at email",
  );
  assert.equal(fresh.headers["cache-control"], "no-store");
  assert.equal(fresh.headers["set-cookie"], undefined);
  const { db } = house.deps;
  const { seq } = db.select().from(subscribers).all().at(-1) as { seq: number };
  assert.equal(
    db
      .select()
      .from(deliveries)
      .all()
      .filter((row) => row.subscriberSeq === seq).length,
    1,
  );
});

test("a visitor chooses a component, by form or JSON, and is told what can't be", async () => {
  const part = await knock(`subscriber[email]=part@example.com&subscriber[component_id]=${house.parts.API}`);
  assert.equal(part.status, 201);
  assert.equal(house.deps.db.select().from(subscribers).all().at(-1)?.wholePage, false);
  const json = { subscriber: { email: "json@example.com" } };
  assert.equal((await knock(JSON.stringify(json), { "content-type": "application/json" })).status, 201);
  assert.equal((await knockFor("nonsense")).status, 422);
  assert.equal((await knock("subscriber[email]=x@example.com&subscriber[component_id]=aaaaaaaaaaaa")).status, 422);
  assert.equal((await knock("subscriber[email]=x@example.com&subscriber[incident_id]=aaaaaaaaaaaa")).status, 422);
  assert.equal((await knock("subscriber[email]=x@example.com&subscriber[endpoint]=https://example.com")).status, 422);
  assert.equal((await house.visit("/api/v2/subscribers.json")).status, 404, "reading subscribes nobody");
});

test("pages on other sites may ask and read the answer", async () => {
  const origin = { origin: "https://shop.example.net", "sec-fetch-site": "cross-site" };
  const asked = await knock("subscriber[email]=widget@example.com", origin);
  assert.equal(asked.status, 201, asked.text);
  assert.equal(asked.headers["access-control-allow-origin"], "*");
  const refused = await knock("subscriber[email]=no", origin);
  assert.equal(refused.status, 422);
  assert.equal(refused.headers["access-control-allow-origin"], "*");
  const before = await house.visit("/api/v2/subscribers.json", {
    method: "OPTIONS",
    headers: { ...origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type" },
  });
  assert.equal(before.status, 204);
  assert.equal(before.headers["access-control-allow-origin"], "*");
  assert.match(String(before.headers["access-control-allow-methods"]), /POST/);
  assert.equal(
    (await house.visit("/api/v2/summary.json", { headers: origin })).headers["access-control-allow-origin"],
    "*",
  );
  assert.equal(
    (await house.visit("/api/v2/nothing.json", { headers: origin })).headers["access-control-allow-origin"],
    "*",
  );
  assert.equal(
    (await house.visit(`/v1/pages?api_key=${secret}`, { headers: origin })).headers["access-control-allow-origin"],
    undefined,
  );
});

test("one network asks so often an hour, its neighbours not counted", async () => {
  const small = await openTestHouse({ "subscribe.per_network_per_hour": "2" });
  const from = (peer: string, email: string) =>
    small.visit("/api/v2/subscribers.json", {
      method: "POST",
      body: `subscriber[email]=${email}`,
      headers: { "content-type": "application/x-www-form-urlencoded", "x-test-peer": peer },
    });
  assert.equal((await from("2001:db8:1:2::1", "a@example.com")).status, 201);
  assert.equal((await from("2001:db8:1:2:ffff::9", "b@example.com")).status, 201);
  const third = await from("2001:db8:1:2::3", "c@example.com");
  assert.equal(third.status, 429);
  assert.equal(third.headers["retry-after"], "1800");
  assert.equal((await from("2001:db8:1:3::1", "d@example.com")).status, 201);
  assert.equal((await from("192.0.2.7", "e@example.com")).status, 201);
  await small.close();
});
