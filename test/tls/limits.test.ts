/** What an authority allows one account, kept however much there is to order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addHost } from "../../src/pages/pages.ts";
import { always, by, host, hour, makeWorld, minute, problem } from "../support/acme-world.ts";

test("of three hundred hosts that come at once, 270 are ordered in three hours, and the others after them", async () => {
  const { house, page, live, asked, now } = makeWorld();
  const names = Array.from({ length: 300 }, (_, index) => `status.customer-${index}.com`);
  for (const name of names) addHost(house.db, { pageId: page.id, host: name, now: now(), by });
  const ordered = () => asked.filter(({ deed }) => deed === "openOrder").length;
  await live(3 * hour, 2 * minute);
  assert.equal(ordered(), 270);
  await live(hour, 2 * minute);
  assert.equal(ordered(), 301);
});

test("an authority that forgets our account again and again gets no more than eight in three hours", async () => {
  const { house, page, world, live, asked, served, now } = makeWorld();
  for (const name of ["one.example.net", "two.example.org"])
    addHost(house.db, { pageId: page.id, host: name, now: now(), by });
  let forgotten = 0;
  const forget = always("openOrder", () => problem("accountDoesNotExist", 400));
  world.refuse = (question) => {
    if (question.deed === "openOrder") forgotten += 1;
    forget(question);
  };
  const registered = () => asked.filter(({ deed }) => deed === "register").length;
  await live(3 * hour, minute);
  assert.ok(forgotten >= 12, `${forgotten} times`);
  assert.equal(registered(), 8);
  world.refuse = () => undefined;
  await live(4 * hour, minute);
  assert.equal(registered(), 9);
  assert.ok(served(), `${host} has its certificate when the authority remembers`);
});
