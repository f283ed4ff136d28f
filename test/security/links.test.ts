/** The links in letters: looking changes nothing, and each opens exactly what it was written for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { linkMac } from "../../src/crypto/fields.ts";
import { confirmationToken, manageToken } from "../../src/subscribers/links.ts";
import {
  addSubscriber,
  findByAddress,
  requestSubscription,
  type Subscriber,
} from "../../src/subscribers/subscribers.ts";
import { createSignInLink } from "../../src/team/members.ts";
import { type House, host, openTestHouse } from "../support/house.ts";
import { everything, otherHost, secondPage } from "./second-page.ts";

const wish = { wholePage: true, componentIds: [] };
const by = { kind: "system" } as const;

function subscriber(house: House, pageId: string, address: string): Subscriber {
  const { db, keys, clock } = house.deps;
  requestSubscription(db, { pageId, address, wish, keys, now: clock.now() });
  return findByAddress(db, { pageId, address, keys }) as Subscriber;
}

test("looking at any link, with GET or HEAD, as often as one likes, changes no row", async () => {
  const house = await openTestHouse();
  const { db, keys, clock } = house.deps;
  const waiting = subscriber(house, house.page.id, "w@example.com");
  const secret = createSignInLink(db, { memberId: house.owner.id, now: clock.now(), by });
  await house.settle();
  const { $client } = db;
  const rows = () => `${everything(house)}${JSON.stringify($client.prepare("SELECT * FROM sessions").all())}`;
  const before = rows();
  for (const path of [
    `/subscribe/confirm/${confirmationToken(keys, waiting)}`,
    `/subscription/${manageToken(keys, waiting.id)}`,
    `/subscription/${manageToken(keys, waiting.id)}?confirmed&saved`,
    `/unsubscribe/${manageToken(keys, waiting.id)}`,
    `/admin/enter/${secret}`,
  ]) {
    for (const method of ["GET", "HEAD", "GET", "OPTIONS"]) {
      const answer = await house.visit(path, { method });
      assert.equal(answer.status, method === "OPTIONS" ? 404 : 200, `${method} ${path}`);
      assert.equal(answer.headers["set-cookie"], undefined);
      if (method === "HEAD") assert.equal(answer.text, "");
      if (method !== "OPTIONS") assert.equal(answer.headers["cache-control"], "no-store");
    }
  }
  assert.ok(rows() === before);
  await house.close();
});

test("a link opens nothing but what it was written for", async () => {
  const house = await openTestHouse();
  const { db, keys, clock } = house.deps;
  const other = secondPage(house);
  const mine = subscriber(house, house.page.id, "m@example.com");
  const theirs = subscriber(house, house.page.id, "t@example.com");
  const foreign = subscriber(house, other.id, "m@example.com");
  const secret = createSignInLink(db, { memberId: house.owner.id, now: clock.now(), by });
  const [confirm, manage] = [confirmationToken(keys, mine), manageToken(keys, mine.id)];
  const mac = (token: string) => token.split(".")[1] as string;
  const bad = [
    `${theirs.id}.${mac(manage)}`,
    `${theirs.id}.${mac(confirm)}`,
    `${mine.id}.${linkMac(keys, "csrf", mine.id)}`,
    `${mine.id}.${linkMac(keys, "message-id", mine.id)}`,
    `${manage}.`,
    `${manage}.x`,
    `${manage}%0d%0aX-Evil:1`,
    `${manage}.%0d%0aX`,
    `.${manage}`,
    manage.slice(0, -1),
    `${manage}A`,
    mine.id,
    `${mine.id}.`,
    secret,
    manageToken(keys, foreign.id),
    confirmationToken(keys, foreign),
  ];
  const before = everything(house);
  for (const token of bad) {
    for (const path of [`/subscription/${token}`, `/unsubscribe/${token}`, `/subscribe/confirm/${token}`]) {
      for (const method of ["GET", "POST"]) {
        assert.equal((await house.visit(path, { method })).status, 404, `${method} ${path}`);
      }
    }
  }
  for (const path of [`/subscribe/confirm/${manage}`, `/subscription/${confirm}`, `/unsubscribe/${confirm}`]) {
    assert.equal((await house.visit(path, { method: "POST" })).status, 404, path);
  }
  for (const path of [`/subscription/${manage}`, `/unsubscribe/${manage}`, `/subscribe/confirm/${confirm}`]) {
    assert.equal((await house.visit(path, { method: "POST", host: otherHost })).status, 404, path);
  }
  assert.ok(everything(house) === before);
  assert.deepEqual(house.lines, []);
  await house.close();
});

test("a mail program's POST leaves by either form type and without a cookie, and a second one is as good as the first", async () => {
  const house = await openTestHouse();
  const { db, keys, clock } = house.deps;
  const boundary = "candor7f3a";
  const multipart = `--${boundary}\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--${boundary}--\r\n`;
  for (const [type, body] of [
    ["application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"],
    [`multipart/form-data; boundary=${boundary}`, multipart],
  ] as const) {
    const added = addSubscriber(db, {
      pageId: house.page.id,
      address: `r${type.length}@example.com`,
      wish,
      confirm: "vouched",
      source: "api",
      keys,
      now: clock.now(),
      by,
    });
    const path = `/unsubscribe/${manageToken(keys, added.id)}`;
    for (let time = 0; time < 2; time++) {
      const answer = await house.visit(path, { method: "POST", headers: { "content-type": type }, body });
      assert.equal(answer.status, 200, `${type}: ${answer.text}`);
      assert.equal(answer.headers["set-cookie"], undefined);
    }
    const gone = findByAddress(db, { pageId: house.page.id, address: `r${type.length}@example.com`, keys });
    assert.equal(gone?.state, "unsubscribed");
    assert.equal(gone?.address, null);
  }
  await house.close();
});

test("asking to subscribe answers alike whether the address is new, known, waiting or gone", async () => {
  const house = await openTestHouse();
  const { db, keys, clock } = house.deps;
  const input = { pageId: house.page.id, wish, source: "api", keys, now: clock.now(), by } as const;
  addSubscriber(db, { ...input, address: "known@example.com", confirm: "vouched" });
  subscriber(house, house.page.id, "waiting@example.com");
  const left = addSubscriber(db, { ...input, address: "gone@example.com", confirm: "vouched" });
  await house.visit(`/unsubscribe/${manageToken(keys, left.id)}`, { method: "POST" });
  const form = { "content-type": "application/x-www-form-urlencoded", origin: `https://${host}` };
  const seen = new Set<string>();
  for (const name of ["new", "known", "waiting", "gone"]) {
    const body = new URLSearchParams({ email: `${name}@example.com`, scope: "all" }).toString();
    const { status, headers, text } = await house.visit("/subscribe", { method: "POST", headers: form, body });
    seen.add(JSON.stringify([status, { ...headers, date: "" }, text]));
    const json = JSON.stringify({ subscriber: { email: `${name}@example.com` } });
    const answer = await house.visit("/api/v2/subscribers.json", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: json,
    });
    assert.equal(answer.status, 201);
    const shape = answer.json().subscriber;
    seen.add(JSON.stringify({ ...shape, id: "", email: "" }));
  }
  assert.equal(seen.size, 2);
  await house.close();
});

test("asking in vain is as much work as asking with success, and leaves no row behind", async () => {
  const house = await openTestHouse({ "subscribe.per_network_per_hour": "100000" });
  const { db, keys, clock } = house.deps;
  const input = { pageId: house.page.id, wish, source: "api", keys, now: clock.now(), by } as const;
  addSubscriber(db, { ...input, address: "known@example.com", confirm: "vouched" });
  subscriber(house, house.page.id, "waiting@example.com");
  await house.settle();
  const rows = () => everything(house).replace(/\["sqlite_sequence",.*?\]\]/, "");
  const changes = () => db.$client.prepare("SELECT total_changes()").pluck().get() as number;
  const work = (name: string) => {
    const before = changes();
    requestSubscription(db, { ...input, address: `${name}@example.com` });
    return changes() - before;
  };
  const fresh = work("new");
  await house.settle();
  const before = rows();
  for (const name of ["waiting", "new"]) assert.ok(work(name) >= fresh, name);
  await house.settle();
  assert.ok(rows() === before);
  assert.ok(work("known") >= fresh, "who is subscribed gets a letter that says so");
  await house.close();
});

test("whoever leaves leaves no letter behind that names them", async () => {
  const house = await openTestHouse();
  const { db, keys, clock } = house.deps;
  const input = { pageId: house.page.id, wish, source: "api", keys, now: clock.now(), by } as const;
  const reader = addSubscriber(db, { ...input, address: "reader@example.com", confirm: "vouched" });
  addSubscriber(db, { ...input, address: "stays@example.com", confirm: "vouched" });
  const token = house.token("publisher");
  const mail = `/v1/pages/${house.page.id}/mail`;
  await house.api(token, "POST", `/v1/pages/${house.page.id}/incidents`, { incident: { name: "x", body: "y" } });
  await house.settle();
  const letters = (await house.api(token, "GET", mail)).json() as { id: number }[];
  const told = async () => {
    const all = await Promise.all(letters.map(({ id }) => house.api(token, "GET", `${mail}/${id}`)));
    return all.map((answer) => answer.text).join("");
  };
  assert.match(await told(), /reader@example\.com/);
  await house.visit(`/unsubscribe/${manageToken(keys, reader.id)}`, { method: "POST" });
  assert.doesNotMatch(await told(), /reader@example\.com/);
  assert.match(await told(), /stays@example\.com/);
  await house.close();
});
