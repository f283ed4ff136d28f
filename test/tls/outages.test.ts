/** What was asked in vain while an authority was out of order keeps nobody from a certificate when it isn't any more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addHost } from "../../src/pages/pages.ts";
import { always, by, day, findsNobody, host, hour, iso, makeWorld, minute, problem } from "../support/acme-world.ts";
import { keepNew } from "../support/issuing.ts";

for (const [count, hours] of [
  [40, 3],
  [10, 30],
] as const)
  test(`${count} hosts whose authority was out of order for ${hours} hours get their certificates when it isn't any more`, async () => {
    const { house, page, world, live, now, served, standing, opened } = makeWorld();
    for (let index = 1; index < count; index++)
      addHost(house.db, { pageId: page.id, host: `status.customer-${index}.com`, now: now(), by });
    world.refuse = always("openOrder", () => problem("serverInternal", 503));
    await live(hours * hour, minute);
    world.refuse = () => undefined;
    const before = opened().length;
    await live(3 * day, 10 * minute);
    const { words, nextAt } = await standing();
    assert.ok(
      served(),
      `three days later; asked ${opened().length - before} times since; now ${iso(now())}, next at ${iso(nextAt)}: ${words}`,
    );
  });

test("a host that the authority refuses for a limit, again and again, keeps no other host from being renewed", async () => {
  const { house, page, world, live, now, served, standing, opened } = makeWorld();
  await live(hour, 10 * minute);
  assert.ok(served());
  addHost(house.db, { pageId: page.id, host: "paused.example.net", now: now(), by });
  world.refuse = ({ deed, name }) => {
    if (deed === "openOrder" && name === "paused.example.net") throw problem("rateLimited", 429);
  };
  const end = served()?.notAfter ?? 0;
  await live(end - now() + hour);
  const { words, nextAt } = await standing();
  assert.ok(
    (served()?.notAfter ?? 0) > now(),
    `${host} expired, asked for ${opened().length} times, the other ${opened("paused.example.net").length} times; now ${iso(now())}, next at ${iso(nextAt)}: ${words}`,
  );
});

test("four hundred hosts that an authority refuses don't keep a new one from its certificate for more than an hour", async () => {
  const { house, page, world, live, now, opened, asked } = makeWorld();
  const good = ["one.example.net", "two.example.org", "three.example.com"];
  for (let index = 0; index < 400; index++)
    addHost(house.db, { pageId: page.id, host: `status.customer-${index}.com`, now: now(), by });
  world.refuse = ({ deed, name = "" }) => {
    if (deed === "openOrder" && !good.includes(name)) throw problem("rejectedIdentifier", 400);
  };
  await live(6 * hour, minute);
  const askedLately = () => asked.filter(({ deed, at }) => deed === "openOrder" && at > now() - 3 * hour).length;
  for (const until = now() + 3 * hour; now() < until && askedLately() < 270; ) await live(minute, 20_000);
  for (const name of good) addHost(house.db, { pageId: page.id, host: name, now: now(), by });
  const begun = now();
  const waits = new Map<string, number>();
  while (now() < begun + hour && waits.size < good.length) {
    await live(minute, 10_000);
    for (const name of good) if (!waits.has(name) && opened(name).length > 0) waits.set(name, (now() - begun) / minute);
  }
  assert.equal(waits.size, good.length, `asked for after so many minutes: ${JSON.stringify([...waits])}`);
});

test("a new host gets its certificate within an hour while three hundred that have one for twenty days more fail to be renewed", async () => {
  const { house, page, world, live, now, asked } = makeWorld();
  const names = Array.from({ length: 300 }, (_, index) => `status.gone${index}.example`);
  for (const name of names) {
    addHost(house.db, { pageId: page.id, host: name, now: now(), by });
    await keepNew(house, { name, from: now() - 70 * day, to: now() + 20 * day, now: now() });
  }
  house.certificates.reload();
  world.challenge = "http-01";
  world.tells = (view) => (view.name.includes("gone") ? findsNobody(view) : view);
  await live(4 * hour, 20_000);
  const before = asked.filter(({ deed, at }) => deed === "openOrder" && at > now() - 3 * hour).length;
  const name = "status.fresh.example";
  addHost(house.db, { pageId: page.id, host: name, now: now(), by });
  const since = now();
  while (asked.every((known) => known.deed !== "finalize" || known.name !== name) && now() < since + 12 * hour)
    await live(2 * minute, 20_000);
  assert.ok(now() - since <= hour, `${(now() - since) / hour} h; ${before} asked in the three hours before`);
});

test("of two hundred hosts that come at once every fifth isn't found at first, and all have their certificates within two hours", async () => {
  const { world, live, asked, opened, addHosts, howOften } = makeWorld();
  const names = addHosts(200, (index) => `status.company${index}.example`);
  world.challenge = "http-01";
  world.tells = (view) =>
    names.indexOf(view.name) % 5 === 4 && opened(view.name).length === 1 ? findsNobody(view) : view;
  await live(2 * hour, 10_000);
  const got = new Set(asked.flatMap(({ deed, name = "" }) => (deed === "finalize" ? name : [])));
  const without = names.filter((name) => !got.has(name));
  assert.deepEqual(without, [], `${howOften("openOrder")} orders`);
});
