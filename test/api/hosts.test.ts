/** How it stands with the certificates of hosts, for programs: what is said of a server that holds none, and what is asked. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import type { SettingName } from "../../src/config.ts";
import { accountFor, noteRegistered } from "../../src/tls/accounts.ts";
import { createChallenges } from "../../src/tls/challenges.ts";
import {
  beginOrder,
  completeOrder,
  dropOrder,
  failOrder,
  findOrder,
  type Order,
  type Purpose,
  stumble,
} from "../../src/tls/orders.ts";
import { findObstacles } from "../../src/tls/reach.ts";
import { monday, openTestHouse } from "../support/house.ts";
import { beginIdle, keepNew } from "../support/issuing.ts";

const name = "status.example.com";
const minute = 60_000;
const day = 24 * 60 * minute;

/** A DNS that knows no name, and notes what it is asked. */
async function listenAsDns(t: TestContext): Promise<{ address: string; asked: string[] }> {
  const asked: string[] = [];
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  socket.on("message", (query, from) => {
    asked.push(query.toString("latin1"));
    const answer = Buffer.from(query);
    answer.writeUInt16BE(0x8183, 2);
    socket.send(answer, from.port, from.address);
  });
  await once(socket, "listening");
  t.after(() => socket.close());
  return { address: `127.0.0.1:${socket.address().port}`, asked };
}

async function open(t: TestContext, settings: Partial<Record<SettingName, string>> = {}) {
  const dns = await listenAsDns(t);
  const nowhere = "https://127.0.0.1:1/directory";
  const house = await openTestHouse({ "acme.dns_servers": dns.address, "acme.directory": nowhere, ...settings });
  t.after(() => house.close());
  const hosts = `/v1/pages/${house.page.id}/hosts`;
  return {
    house,
    dns,
    ask: async (method: string, path = "", body?: unknown) => (await house.operate(method, hosts + path, body)).json(),
  };
}

const https = { "https.listen": "127.0.0.1:8443" };
const acme = { ...https, "acme.contact": "o@example.com" };

test("where a program changes the DNS, nobody is said to have to come in by port 80", async (t) => {
  const { dns, ask } = await open(t, { ...https, "acme.dns_hook": "/bin/true" });
  assert.equal((await ask("POST", "", { host: { name: "other.example.com" } })).obstacles, null);
  assert.equal((await ask("GET", `/${name}`)).obstacles, null);
  assert.deepEqual(dns.asked, []);
});

for (const [words, settings] of [
  ["", {}],
  [", also where a contact was set before", { "acme.contact": "o@example.com" }],
  [", whatever the name", { "acme.wildcards": "example.com" }],
] as [string, Partial<Record<SettingName, string>>][]) {
  test(`of a host behind a proxy nothing is said and nobody is asked${words}`, async (t) => {
    const { dns, ask } = await open(t, settings);
    const body = { host: { name: "other.example.com" } };
    const added = await ask("POST", "", body);
    assert.deepEqual([added.certificate, added.obstacles], [null, null]);
    const shown = await ask("GET", `/${name}`);
    assert.deepEqual([shown.certificate, shown.obstacles], [null, null]);
    assert.deepEqual(
      (await ask("GET")).map((host: any) => host.certificate),
      [null, null],
    );
    assert.match((await ask("POST", `/${name}/orders`, { order: {} })).message, /This server doesn't listen for https/);
    assert.deepEqual(dns.asked, []);
  });
}

for (const [words, settings] of [
  ["before a contact is set", https],
  ["with one", acme],
] as const) {
  test(`a server that listens for https looks whether a host leads to it, ${words}`, async (t) => {
    const { dns, ask } = await open(t, settings);
    const said = [
      "The DNS knows no address of two.example.com. Add an A or AAAA record with this server's public address.",
    ];
    assert.deepEqual((await ask("POST", "", { host: { name: "two.example.com" } })).obstacles, said);
    assert.deepEqual((await ask("GET", "/two.example.com")).obstacles, said);
    assert.ok(dns.asked.length >= 2);
  });
}

test("an IPv6 address at which nobody listens is told how to listen by IPv6", async (t) => {
  const { house } = await open(t);
  const challenges = createChallenges(house.deps.db);
  const lookup = { addresses: async () => ["127.0.0.1", "::1"], allowedIssuers: async () => undefined };
  const said = await findObstacles({ host: name, lookup, challenges, port: 1 });
  assert.equal(said.length, 2);
  assert.match(said[0] ?? "", /\(127\.0\.0\.1\) can't be reached .* let candor serve --http listen on it\./);
  assert.match(said[1] ?? "", /\(::1\) can't be reached .* let candor serve --http '\[::\]:80' listen on it\./);
});

test("a host without a contact is told how to agree, where this server would get the certificate", async (t) => {
  const { ask } = await open(t, https);
  const { certificate } = await ask("GET", `/${name}`);
  assert.deepEqual([certificate.state, certificate.next_at], ["none", null]);
  assert.match(certificate.advice, /candor config set acme\.contact/);
});

test("a certificate that is held is told of also where this server doesn't listen for https", async (t) => {
  const { house, ask } = await open(t);
  await keepNew(house.deps, { name, from: monday - day, to: monday + 40 * day, now: monday });
  const { certificate, served } = await ask("GET", `/${name}`);
  assert.deepEqual([certificate.state, certificate.words], ["valid", "This server doesn't listen for https."]);
  assert.equal(served, true, "by a proxy");
});

for (const [words, settings, served] of [
  ["behind a proxy", {}, true],
  ["without a certificate", acme, false],
] as const)
  test(`a host tells programs whether it is served: ${words}`, async (t) => {
    const { ask } = await open(t, settings);
    assert.equal((await ask("GET", `/${name}`)).served, served);
    assert.equal((await ask("POST", "", { host: { name: "http://10.0.0.7:8080" } })).served, true);
  });

test("a host isn't served while another program has the port for https", async (t) => {
  const { house, ask } = await open(t, acme);
  const shelf = house.deps.certificates;
  await keepNew(house.deps, { name, from: monday - day, to: monday + 40 * day, now: monday });
  shelf.beginServing();
  const isServed = async () => (await ask("GET", `/${name}`)).served;
  assert.equal(await isServed(), true);
  shelf.waitForPort();
  assert.equal(await isServed(), false);
  assert.match((await ask("GET", `/${name}`)).certificate.words, /^Nothing is served over https/);
  shelf.beginServing();
  assert.equal(await isServed(), true);
});

test("a host tells whether an order is under way for it, also while that waits", async (t) => {
  const { house, ask } = await open(t, acme);
  const { db, keys } = house.deps;
  const isOrdered = async () => (await ask("GET", `/${name}`)).certificate.ordered;
  assert.equal(await isOrdered(), false);
  const order = beginIdle({ db, keys }, { name, now: monday });
  assert.equal(await isOrdered(), true);
  const fault = { type: "rateLimited", detail: "", saidMs: day, mayAskOther: false, now: monday, chance: 0 };
  stumble(db, order, fault);
  assert.equal(await isOrdered(), true);
  failOrder(db, findOrder(db, order.id), fault);
  assert.equal(await isOrdered(), false);
});

test("an order tells whether its host is served with what it brought", async (t) => {
  const { house, ask } = await open(t, { ...acme, "acme.wildcards": "example.com" });
  const { db, keys, certificates: shelf } = house.deps;
  const dates = { from: monday - day, to: monday + 40 * day, now: monday };
  const wildcard = "*.example.com";
  const obtain = async () => {
    const order = beginIdle({ db, keys }, { name: wildcard, now: monday });
    assert.equal(await isServed(order), false);
    completeOrder(db, order, { certificateId: await keepNew(house.deps, { ...dates, name: wildcard }), now: monday });
    return order;
  };
  const isServed = async ({ id }: Order) =>
    (await ask("GET", `/${name}/orders`)).find((known: any) => known.id === id).served;
  const first = await obtain();
  assert.equal(await isServed(first), true);
  shelf.waitForPort();
  assert.equal(await isServed(first), false, "another program has the port");
  shelf.beginServing();
  const second = await obtain();
  assert.deepEqual([await isServed(first), await isServed(second)], [false, true]);
  await keepNew(house.deps, { ...dates, name });
  assert.equal(await isServed(second), false, "one for its very name goes before it");
  const tried = beginIdle({ db, keys }, { name: wildcard, now: monday, purpose: "test" });
  completeOrder(db, tried, { certificateId: null, now: monday });
  assert.equal(await isServed(tried), false);
});

test("a certificate that came before a proxy did isn't said to be served with", async (t) => {
  const { house, ask } = await open(t);
  const { db, keys } = house.deps;
  const order = beginIdle({ db, keys }, { name, now: monday });
  const certificateId = await keepNew(house.deps, { name, from: monday - day, to: monday + 40 * day, now: monday });
  completeOrder(db, order, { certificateId, now: monday });
  assert.equal((await ask("GET", `/${name}`)).served, true, "by the proxy");
  assert.equal((await ask("GET", `/${name}/orders`))[0].served, false);
});

test("a host tells which account is ours with the authority that is chosen, once there is one", async (t) => {
  const { house, ask } = await open(t, acme);
  const { db, keys } = house.deps;
  const [nowhere, other] = ["https://127.0.0.1:1/directory", "https://other.test/directory"];
  const account = async () => (await ask("GET", `/${name}`)).account;
  assert.equal(await account(), null);
  for (const directory of [other, nowhere]) {
    await accountFor(db, { directory, keys, now: monday });
    assert.equal(await account(), null, "its key is made before the authority hears of it");
    noteRegistered(db, { directory, url: `${directory}/acct/7`, contact: "o@example.com", keys });
  }
  assert.equal(await account(), `${nowhere}/acct/7`);
  assert.ok(!("account" in (await ask("GET"))[0]));
});

test("an address isn't advised to import what import refuses", async (t) => {
  const { ask, dns } = await open(t, acme);
  const { certificate, obstacles } = await ask("POST", "", { host: { name: "10.0.0.7" } });
  assert.match(certificate.words, /this is an address/);
  assert.match(certificate.advice, /host name .*candor host add.* proxy/);
  assert.doesNotMatch(certificate.advice, /import/);
  assert.deepEqual([obstacles, dns.asked], [null, []]);
});

test("an order that has a problem says what to do, and when it is tried again", async (t) => {
  const { house, ask } = await open(t, acme);
  const { db, keys } = house.deps;
  const begin = (purpose: Purpose) =>
    beginOrder(db, { name, purpose, directory: "https://ca.test/", privateKey: "", keys, now: monday });
  const again = (order: Order) => findOrder(db, order.id);
  const fault = (type: string) => ({ type, detail: "It said so.", mayAskOther: false, now: monday, chance: 0 });
  const find = async (order: Order) =>
    (await ask("GET", `/${name}/orders`)).find((known: any) => known.id === order.id);

  const open1 = begin("serve");
  assert.deepEqual([(await find(open1)).advice, (await find(open1)).next_at], [null, "2026-11-23T09:00:00.000Z"]);
  const at = stumble(db, open1, fault("hook"));
  const waiting = await find(open1);
  assert.equal(waiting.advice, "Mend the program of acme.dns_hook. It is tried again by itself.");
  assert.equal(waiting.next_at, new Date(at).toISOString());
  failOrder(db, again(open1), fault("caa"));
  const failed = await find(open1);
  assert.match(failed.advice, /^Change that record/);
  assert.equal(failed.goes_on_at, null);
  assert.equal(failed.next_at, new Date(monday + minute).toISOString());
  assert.equal(failed.next_at, (await ask("GET", `/${name}`)).certificate.next_at);

  const tried = begin("test");
  stumble(db, tried, fault("unreachable"));
  assert.match((await find(tried)).advice, /It is tried again by itself\.$/);
  const types = ["unreachable", "malformed", "hook", "noAnswer", "limit", "accountClosed", "rateLimited", "notAllowed"];
  for (const type of types) {
    const one = type === "unreachable" ? again(tried) : begin("test");
    failOrder(db, one, fault(type));
    const ended = await find(one);
    assert.ok(ended.advice.length > 15);
    assert.doesNotMatch(ended.advice, /by itself/, "a test that failed is over");
    assert.equal(ended.next_at, null);
  }
  const dropped = begin("test");
  dropOrder(db, dropped, { why: "unwanted", now: monday });
  assert.deepEqual([(await find(dropped)).advice, (await find(dropped)).next_at], [null, null]);
  const last = begin("test");
  failOrder(db, last, fault("userActionRequired"));
  assert.match((await find(last)).advice, /candor host test status\.example\.com$/);
});
