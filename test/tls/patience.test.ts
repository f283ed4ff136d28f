/** How long an authority is waited for, what counts meanwhile against what it allows, and whose turn it is then. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addHost } from "../../src/pages/pages.ts";
import { AuthorityUnreachable } from "../../src/tls/authority.ts";
import { chooserOf, listCertificates } from "../../src/tls/certificates.ts";
import { mayAskAt } from "../../src/tls/limits.ts";
import {
  beginOrder,
  completeOrder,
  forgetOldOrders,
  noteAsked,
  noteChallenge,
  noteOpened,
} from "../../src/tls/orders.ts";
import { loadSuffixes } from "../../src/tls/suffixes.ts";
import { always, by, day, host, hour, makeWorld, minute, one, problem, two } from "../support/acme-world.ts";

test("a new host of a domain whose certificates live a day gets one", async () => {
  const { house, page, world, live, now, keeper } = makeWorld();
  world.lifeMs = day;
  for (const name of ["two.example.com", "three.example.com"])
    addHost(house.db, { pageId: page.id, host: name, now: now(), by });
  await live(7 * day);
  addHost(house.db, { pageId: page.id, host: "four.example.com", now: now(), by });
  await live(3 * day);
  const [plan] = await keeper.planFor(["four.example.com"]);
  assert.ok(
    plan?.certificate,
    `next at ${new Date(plan?.nextAt ?? 0).toISOString()}, now ${new Date(now()).toISOString()}`,
  );
});

test("renewals that count against no domain stay with the first authority", async () => {
  const { house, world, live, now, asked, addHosts } = makeWorld({ authorities: [one, two] });
  world.lifeMs = 160 * hour;
  // As many as a domain is given in a week.
  const names = [host, ...addHosts(39)];
  world.refuse = always("openOrder", () => problem("rejectedIdentifier", 400), two.directory);
  await live(2 * hour, 10 * minute);
  await live(162 * hour);
  const expired = names.filter((name) => (chooserOf(listCertificates(house.db))(name, now())?.notAfter ?? 0) < now());
  assert.deepEqual(
    expired,
    [],
    `${asked.filter((a) => a.deed === "openOrder" && a.directory === two.directory).length} asked of two`,
  );
});

test("an order whose replaced certificate is refused, and which a limit holds, gives way to the other authority", async () => {
  const { house, world, live, now, addHosts } = makeWorld({ authorities: [one, two] });
  world.lifeMs = 160 * hour;
  const names = [host, ...addHosts(24)];
  world.refuse = ({ deed, directory, replaces }) => {
    if (deed === "openOrder" && directory === one.directory && replaces) throw problem("alreadyReplaced", 409);
  };
  await live(2 * hour, 10 * minute);
  await live(162 * hour);
  const expired = names.filter((name) => (chooserOf(listCertificates(house.db))(name, now())?.notAfter ?? 0) < now());
  assert.deepEqual(expired, []);
});

test("an order that became ready late is gone through with", async () => {
  const { world, live, now, setClock, orders, howOften } = makeWorld({ authorities: [one, two] });
  world.tells = (view) => ({ ...view, status: view.status === "ready" ? "pending" : view.status });
  await live(10_000, 5_000);
  setClock(now() + 2 * hour); // The machine slept.
  world.tells = (view) => view;
  await live(5 * minute, 5_000);
  assert.deepEqual(
    orders().map(({ state, problem, directory }) => [state, problem, directory]),
    [["done", null, one.directory]],
  );
  assert.equal(howOften("finalize"), 1);
});

for (const [title, wanted, refused] of [
  ["one authority and an expired certificate", {}, false],
  ["two authorities of which one refuses", { authorities: [one, two] }, true],
] as const)
  test(`an authority that takes ten hours once gives a certificate then: ${title}`, async () => {
    const { world, live, bring, now, served, standing, howOften } = makeWorld({
      ...wanted,
      ...(refused ? { authorities: [one, two] } : {}),
    } as never);
    if (!refused) await bring(now() - 90 * day, now() - hour);
    if (refused) world.refuse = always("openOrder", () => problem("rejectedIdentifier", 400), two.directory);
    const until = now() + (refused ? 16 : 10) * hour;
    world.tells = (view) =>
      view.status === "valid" && now() < until ? { ...view, status: "processing", certificate: undefined } : view;
    await live(2 * day, 5 * minute);
    assert.ok(
      (served()?.notAfter ?? 0) > now(),
      `${howOften("finalize")} finalized; ${JSON.stringify(await standing())} ${new Date((await standing()).nextAt ?? 0).toISOString()}`,
    );
  });

test("orders that waited longer than a day count among those of three hours", async () => {
  const { house, now } = makeWorld();
  await loadSuffixes();
  const { directory } = one;
  for (let index = 0; index < 300; index++) {
    const name = `status.customer-${index}.com`;
    const begun = now() - 30 * hour;
    const order = beginOrder(house.db, {
      name,
      purpose: "serve",
      directory,
      privateKey: "key",
      keys: house.keys,
      now: begun,
    });
    noteAsked(house.db, order, { now: now() });
    noteOpened(house.db, order, { url: `order ${index}`, now: now() });
    completeOrder(house.db, order, { certificateId: null, now: now() });
  }
  assert.ok(mayAskAt(house.db, { name: host, purpose: "serve", directory, best: chooserOf([]), now: now() }) > now());
});

test("after the clock was set back, an authority that keeps an order is still left after an hour", async () => {
  const { world, live, now, setClock, served, orders } = makeWorld({ authorities: [one, two] });
  const right = now();
  setClock(right + 20 * hour);
  let first: string | undefined;
  world.tells = (view) => {
    first ??= view.url;
    return view.url === first ? { ...view, status: "processing", certificate: undefined } : view;
  };
  await live(minute, 10_000);
  setClock(right);
  await live(4 * hour, 5 * minute);
  assert.ok(served(), JSON.stringify(orders().map(({ state, problem }) => [state, problem])));
});

test("of fifty hosts whose certificates live a day the last ten come after a day, as the docs say", async () => {
  const { house, world, live, now, addHosts } = makeWorld();
  world.lifeMs = day;
  const names = [host, ...addHosts(49)];
  await live(2 * day, 10 * minute);
  const choose = chooserOf(listCertificates(house.db));
  assert.equal(names.filter((name) => !choose(name, now())).length, 0);
});

test("of every name and purpose the last order that was looked at is kept, and no other old one", async () => {
  const { house, now } = makeWorld();
  await loadSuffixes();
  const { directory } = one;
  const kept = new Set<string>();
  let expected = 0;
  for (const name of [host, "*.example.com", ...Array.from({ length: 50 }, (_, index) => `s${index}.example.com`)])
    for (const purpose of ["serve", "test"] as const) {
      expected += 1;
      for (const ago of [200, 30, 100, 60]) {
        const at = now() - ago * day;
        const order = beginOrder(house.db, { name, purpose, directory, privateKey: "key", keys: house.keys, now: at });
        if (ago !== 30) noteChallenge(house.db, order, { challenge: "http-01", token: "t", keyAuthorization: "t.k" });
        completeOrder(house.db, order, { certificateId: null, now: at + 1 });
        if (ago === 60) kept.add(order.id);
      }
    }
  forgetOldOrders(house.db, { now: now() });
  const left = house.db.$client.prepare("SELECT id FROM acme_orders").all() as { id: string }[];
  assert.equal(kept.size, expected);
  assert.deepEqual(new Set(left.map(({ id }) => id)), kept);
});

test("a finalize that fails, after which the order is ready still, counts as no certificate", async () => {
  const { world, live, now, served, standing, howOften } = makeWorld({ authorities: [one, two] });
  const until = now() + 12 * hour;
  world.tells = (view) =>
    view.status === "valid" && now() < until ? { ...view, status: "ready", certificate: undefined } : view;
  world.refuse = ({ deed, directory }) => {
    if (deed === "openOrder" && directory === two.directory) throw problem("rejectedIdentifier", 400);
    if (deed === "finalize" && now() < until) throw problem("serverInternal", 500);
  };
  await live(2 * day, 5 * minute);
  assert.ok(
    served(),
    `${howOften("finalize")} finalized; ${JSON.stringify(await standing())} ${new Date((await standing()).nextAt ?? 0).toISOString()}`,
  );
});

test("an order that stays ready, whatever it is asked for, counts as no certificate", async () => {
  const { world, live, now, opened, served } = makeWorld();
  const until = now() + 6 * day;
  world.tells = (view) =>
    view.status === "valid" && now() < until ? { ...view, status: "ready", certificate: undefined } : view;
  await live(6 * day);
  assert.ok(opened().length > 5, `${opened().length} orders in six days`);
  await live(day);
  assert.ok(served());
});

test("an order that becomes pending again after a long sleep isn't taken down right after the authority was told to look", async () => {
  const { world, live, now, setClock, keeper, orders, howOften } = makeWorld({ authorities: [one, two] });
  world.challenge = "http-01";
  world.refuse = always("accept", () => new AuthorityUnreachable("The line is cut."));
  await live(2_000, 1_000);
  assert.equal(orders()[0]?.state, "open");
  setClock(now() + 2 * hour); // The machine slept.
  world.refuse = () => undefined;
  keeper.wake();
  await keeper.idle();
  const told = howOften("accept");
  // The first time it wasn't heard.
  assert.ok(
    told === 1 || keeper.challenges.answerFor("token of order 0"),
    `gone; ${orders()[0]?.state} ${orders()[0]?.problem}`,
  );
});

test("an order that waited for the DNS while the limit of its authority was reached gives way to the other", async () => {
  const addresses = async (name: string) => (name === host && !isKnown ? [] : ["192.0.2.1"]);
  let isKnown = false;
  const { live, now, served, standing, asked, addHosts } = makeWorld({
    authorities: [one, two],
    lookup: { addresses, allowedIssuers: async () => undefined },
  });
  await live(minute, 10_000);
  addHosts(45);
  await live(hour, minute);
  assert.ok(asked.some(({ deed, directory }) => deed === "openOrder" && directory === two.directory));
  isKnown = true;
  await live(day, 5 * minute);
  const { nextAt, words } = await standing();
  assert.ok(
    served(),
    `after a day: ${words} ${new Date(nextAt ?? 0).toISOString()}, now ${new Date(now()).toISOString()}`,
  );
});

test("a first authority that keeps an order is left after an hour also when the host couldn't be found before", async () => {
  const { world, live, now, served, orders } = makeWorld({ authorities: [one, two] });
  world.challenge = "http-01";
  let isShut = true;
  world.tells = (view) => {
    if (isShut)
      return view.status === "ready" ? { ...view, status: "invalid", error: { type: "connection", detail: "" } } : view;
    return view.status === "valid" && view.url === last
      ? { ...view, status: "processing", certificate: undefined }
      : view;
  };
  let last = "";
  await live(100 * minute, 10_000);
  const failed = orders().length;
  isShut = false;
  world.refuse = ({ deed, directory }) => {
    if (deed === "finalize" && directory === one.directory) last = `order ${orders().length - 1}`;
  };
  const since = now();
  while (!served() && now() < since + 30 * hour) await live(hour, minute);
  const hours = (now() - since) / hour;
  assert.ok(
    hours <= 6,
    `${failed} failed; ${hours} hours: ${JSON.stringify(orders().map((o) => [o.directory, o.state, o.problem]))}`,
  );
});

for (const ahead of [0, 20])
  test(`an authority that keeps an order is left after an hour when three failed by a clock ${ahead} hours ahead`, async () => {
    const { world, live, now, setClock, served, orders } = makeWorld({ authorities: [one, two] });
    const right = now();
    setClock(right + ahead * hour);
    world.challenge = "http-01";
    let isShut = true;
    let kept = "";
    world.tells = (view) => {
      if (isShut)
        return view.status === "ready"
          ? { ...view, status: "invalid", error: { type: "connection", detail: "" } }
          : view;
      if (kept === "") kept = view.url;
      return view.url === kept ? { ...view, status: "processing", certificate: undefined } : view;
    };
    await live(50 * minute, 10_000);
    setClock(right + hour);
    await live(10_000, 10_000);
    isShut = false;
    const since = now();
    while (!served() && now() < since + 40 * hour) await live(10 * minute, minute);
    const hours = (now() - since) / hour;
    assert.ok(
      hours <= 6,
      `${hours} hours: ${JSON.stringify(orders().map((o) => [o.directory, o.state, o.problem, ((o.endedAt ?? 0) - (o.openedAt ?? 0)) / hour]))}`,
    );
  });

for (const others of [38, 39])
  test(`an order that an authority never looks at is given up after 20 hours, with ${others} others of its domain issued`, async () => {
    const { house, world, live, now, served, orders, standing, addHosts } = makeWorld();
    world.challenge = "http-01";
    const names = addHosts(others);
    // It lost what it was told of the first order of this host; another would do.
    let lost: string | undefined;
    world.refuse = ({ deed, name }) => {
      if (deed === "accept" && name === host && lost === undefined) lost = "next";
    };
    world.tells = (view) => {
      const url = orders().at(-1)?.url;
      return view.url === url && view.status === "ready" ? { ...view, status: "pending" } : view;
    };
    await live(10 * minute, 10_000);
    await live(30 * hour, 10 * minute);
    const choose = chooserOf(listCertificates(house.db));
    assert.equal(names.filter((name) => !choose(name, now())).length, 0);
    const { words, nextAt } = await standing();
    assert.ok(
      served(),
      `after 30 hours: ${words} ${new Date(nextAt ?? 0).toISOString()} ${JSON.stringify(orders().map((o) => [o.state, o.problem]))}`,
    );
  });

test("where two authorities want to be left alone, the list names the moment when the first of them may be asked again", async () => {
  const { world, live, now, standing, opened } = makeWorld({ authorities: [one, two] });
  world.refuse = ({ deed, directory }) => {
    if (deed === "openOrder") throw problem("rateLimited", 429, String((directory === one.directory ? 9 : 3) * 3600));
  };
  await live(40 * minute, minute);
  const asked = opened().length;
  assert.deepEqual(new Set(opened().map(({ directory }) => directory)), new Set([one.directory, two.directory]));
  const { nextAt = 0 } = await standing();
  world.refuse = () => undefined;
  while (opened().length === asked) await live(minute, minute);
  const lateMs = now() - nextAt;
  assert.ok(lateMs >= 0 && lateMs < 5 * minute, `${lateMs / minute} minutes after the moment that was named`);
});
