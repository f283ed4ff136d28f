/** When a host's certificate is said to be late: not because the host just came, or goes over to https. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addHost, putHostFirst } from "../../src/pages/pages.ts";
import { by, day, host, hour, makeWorld, minute } from "../support/acme-world.ts";

test("a host that came a minute ago isn't late because links begin with it", async () => {
  const { house, page, bring, now, setClock } = makeWorld();
  await bring(now() - day, now() + 90 * day);
  house.certificates.beginServing();
  setClock(now() + 10 * day);
  addHost(house.db, { pageId: page.id, host: "new.example.com", now: now(), by });
  house.certificates.reload();
  assert.deepEqual(house.certificates.lateHosts(now()), []);
  putHostFirst(house.db, { pageId: page.id, host: "new.example.com", now: now(), by });
  house.certificates.reload();
  assert.deepEqual(house.certificates.lateHosts(now()), []);
});

test("a host that goes over to https a minute ago isn't late", async () => {
  const { house, page, bring, now, setClock } = makeWorld();
  await bring(now() - day, now() + 90 * day);
  addHost(house.db, { pageId: page.id, host: "http://plain.example.com", now: now(), by });
  house.certificates.beginServing();
  setClock(now() + 10 * day);
  addHost(house.db, { pageId: page.id, host: "https://plain.example.com", now: now(), by });
  house.certificates.reload();
  assert.deepEqual(house.certificates.lateHosts(now()), []);
});

test("a year's certificate that a person brought is theirs to renew until a month before its end", async () => {
  const { house, bring, now, setClock, live, opened, standing } = makeWorld();
  const end = now() + 365 * day;
  await bring(now() - day, end);
  house.certificates.beginServing();
  setClock(end - 31 * day);
  await live(hour);
  assert.deepEqual([(await standing()).state, house.certificates.lateHosts(now()), opened()], ["valid", [], []]);
  setClock(end - 30 * day + hour);
  assert.equal((await standing()).state, "expiring");
  assert.deepEqual(house.certificates.lateHosts(now()), []);
  setClock(end - 14 * day);
  assert.deepEqual(house.certificates.lateHosts(now()), ["status.example.com"]);
  await live(hour);
  assert.equal(opened().length, 1);
});

test("a host without certificate is late an hour after it came, and an hour after the server began to listen", async () => {
  const { house, page, now, setClock } = makeWorld();
  const late = () => house.certificates.lateHosts(now());
  setClock(now() + 10 * day);
  house.certificates.beginServing();
  assert.deepEqual(late(), []);
  setClock(now() + hour + 1);
  assert.deepEqual(late(), ["status.example.com"]);
  addHost(house.db, { pageId: page.id, host: "new.example.com", now: now(), by });
  addHost(house.db, { pageId: page.id, host: "https://192.0.2.1", now: now(), by });
  house.certificates.reload();
  assert.deepEqual(late(), ["status.example.com"]);
  setClock(now() + hour + 1);
  assert.deepEqual(late(), ["status.example.com", "new.example.com"], "no authority certifies the address");
});

test("a host without certificate is late an hour after it came also when the clock was set back meanwhile", async () => {
  const { house, now, setClock } = makeWorld();
  house.certificates.reload();
  setClock(now() + day);
  house.certificates.beginServing();
  setClock(now() - day);
  assert.deepEqual(house.certificates.lateHosts(now()), []);
  setClock(now() + hour + minute);
  assert.deepEqual(house.certificates.lateHosts(now()), [host]);
});
