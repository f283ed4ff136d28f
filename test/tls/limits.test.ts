/** What an authority allows one account, kept however much there is to order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { createApp } from "../../src/app.ts";
import { addHost } from "../../src/pages/pages.ts";
import { standingOf } from "../../src/tls/plans.ts";
import {
  always,
  by,
  day,
  findsNobody,
  host,
  hour,
  iso,
  makeWorld,
  minute,
  one,
  problem,
} from "../support/acme-world.ts";

test("of three hundred hosts that come at once, 270 are ordered in three hours, and the others after them", async () => {
  const { live, addHosts, howOften } = makeWorld();
  addHosts(300, (index) => `status.customer-${index}.com`);
  const ordered = () => howOften("openOrder");
  await live(3 * hour, 2 * minute);
  assert.equal(ordered(), 270);
  await live(hour, 2 * minute);
  assert.equal(ordered(), 301);
});

test("an authority that forgets our account again and again gets no more than eight in three hours", async () => {
  const { house, page, world, live, served, now, howOften } = makeWorld();
  for (const name of ["one.example.net", "two.example.org"])
    addHost(house.db, { pageId: page.id, host: name, now: now(), by });
  let forgotten = 0;
  const forget = always("openOrder", () => problem("accountDoesNotExist", 400));
  world.refuse = (question) => {
    if (question.deed === "openOrder") forgotten += 1;
    forget(question);
  };
  const registered = () => howOften("register");
  await live(3 * hour, minute);
  assert.ok(forgotten >= 12, `${forgotten} times`);
  assert.equal(registered(), 8);
  world.refuse = () => undefined;
  await live(4 * hour, minute);
  assert.equal(registered(), 9);
  assert.ok(served(), `${host} has its certificate when the authority remembers`);
});

for (const life of [24, 12, 48])
  test(`certificates that live ${life} hours are renewed in time, whatever an authority of longer ones allows in a week`, async () => {
    const { world, live, served, now, standing } = makeWorld();
    world.lifeMs = life * hour;
    for (let at = 1; at <= 10 * 24; at++) {
      await live(hour, 10 * minute);
      assert.ok((served()?.notAfter ?? 0) > now(), `expired after ${at} hours: ${JSON.stringify(await standing())}`);
    }
  });

test("certificates that an authority issued and then forgot count, each of them", async () => {
  const { world, live, howOften } = makeWorld();
  let issued = false;
  world.refuse = ({ deed }) => {
    if (deed === "openOrder") issued = false;
    if (deed === "finalize") issued = true;
    if (deed === "viewOrder" && issued) throw problem("malformed", 404);
  };
  await live(6 * day, 10 * minute);
  const made = howOften("finalize");
  assert.ok(made <= 5, `${made} certificates of one name in a week`);
});

test("the list says why a host has no certificate where a limit is kept", async () => {
  const { house, live, keeper, now, addHosts } = makeWorld();
  addHosts(59);
  house.certificates.beginServing();
  await live(3 * hour, minute);
  house.certificates.reload();
  const late = house.certificates.lateHosts(now());
  assert.ok(late.length > 10);
  const plans = await keeper.planFor(late);
  for (const plan of plans) assert.notEqual(standingOf(plan, now()).words, "", JSON.stringify(standingOf(plan, now())));
});

test("renewals count against nothing that a domain may have, so that fifty are renewed on one day", async () => {
  const { world, live, opened, now, addHosts, howOften } = makeWorld();
  const names = addHosts(49);
  await live(9 * day, 2 * hour);
  const ordered = () => howOften("openOrder");
  assert.equal(ordered(), 50, "ten of them waited for eight days");
  world.window = { start: now() - day, end: now() - hour };
  await live(12 * hour, 10 * minute);
  const renewed = [host, ...names].filter((name) => opened(name).length > 1);
  assert.equal(renewed.length, 50);
});

test("hosts of one domain whose orders are pending together get no more certificates than a domain may have in a week", async () => {
  const { world, live, now, addHosts, howOften } = makeWorld();
  addHosts(59);
  // The authority takes a minute to look at the hosts.
  const until = now() + minute;
  world.challenge = "http-01";
  world.tells = (view) => (now() < until && view.status === "ready" ? { ...view, status: "pending" } : view);
  await live(minute, 1_000);
  await live(30 * minute, 10_000);
  const made = howOften("finalize");
  assert.ok(made <= 50, `${made} certificates of one registered domain in half an hour`);
});

test("an authority that comes to an end with nothing for two days renews what lives six days once it does again", async () => {
  const { world, live, now, served, standing, howOften } = makeWorld();
  world.lifeMs = 160 * hour;
  await live(hour, 10 * minute);
  const end = served()?.notAfter ?? 0;
  assert.ok(end > 0);
  const until = end - 12 * hour;
  world.tells = (view) =>
    view.status === "valid" && now() < until ? { ...view, status: "processing", certificate: undefined } : view;
  while (now() < end + hour) {
    await live(hour, 10 * minute);
    const { words, nextAt } = await standing();
    assert.ok(
      (served()?.notAfter ?? 0) > now(),
      `expired ${(now() - until) / hour} hours after it answers; ${howOften("finalize")} finalized; ${words} ${new Date(nextAt ?? 0).toISOString()} now ${new Date(now()).toISOString()}`,
    );
  }
});

test("of an authority that may make us no more accounts it isn't said that many certificates were ordered", async () => {
  const { world, live, standing, opened } = makeWorld();
  world.refuse = always("register", () => problem("serverInternal", 500));
  await live(2 * hour, minute);
  world.refuse = () => undefined;
  await live(10 * minute, minute);
  assert.equal(opened().length, 0);
  const { words } = await standing();
  assert.doesNotMatch(words, /so many were ordered/);
});

for (const refuses of [false, true])
  test(`a six-day certificate ordered three times more on its first day is renewed in time${refuses ? " by an authority that doesn't take what it replaces" : ""}`, async () => {
    const { world, live, now, served, standing, opened, orderMore } = makeWorld();
    world.lifeMs = 160 * hour; // Let's Encrypt's shortlived, from an hour before it is issued.
    world.refuse = ({ deed, replaces }) => {
      if (refuses && deed === "openOrder" && replaces) throw problem("malformed", 400);
    };
    await live(minute, 10_000);
    await orderMore(3);
    if (!refuses) assert.equal(opened().length, 4);
    const end = served()?.notAfter ?? 0;
    await live(end - now() - 2 * hour);
    while (now() < end + 2 * hour) {
      await live(10 * minute, minute);
      const { words, nextAt } = await standing();
      assert.ok(
        (served()?.notAfter ?? 0) > now(),
        `expired; ${opened().length} asked; next ${new Date(nextAt ?? 0).toISOString()}, now ${new Date(now()).toISOString()} ${words}`,
      );
    }
  });

test("ninety hosts of one domain with six-day certificates get no more than 50 new ones in a week", async () => {
  const { world, live, asked, addHosts } = makeWorld();
  world.lifeMs = 160 * hour;
  addHosts(89);
  await live(hour, minute);
  await live(158 * hour, 3 * hour);
  await live(8 * hour, 20 * minute);
  const made = asked.filter(({ deed, replaces }) => deed === "openOrder" && !replaces).length;
  assert.ok(made <= 50, `${made} new ones in 167 hours`);
});

test("of a thousand hosts that a limit holds, a pass looks at a few, each in its turn, and at new ones first", async (t) => {
  const { house, page, live, keeper, now, opened, addHosts, howOften } = makeWorld();
  addHosts(999);
  const ordered = () => howOften("openOrder");
  const begun = now();
  await live(20 * minute, minute);
  assert.equal(ordered(), 40);

  const prepare = t.mock.method(house.db.$client, "prepare");
  keeper.scanSoon();
  keeper.wake();
  assert.ok(prepare.mock.callCount() < 200, `${prepare.mock.callCount()} questions to the database in one pass`);
  prepare.mock.restore();

  await live(2 * hour, minute); // Until each was looked at.
  addHost(house.db, { pageId: page.id, host: "status.example.net", now: now(), by });
  keeper.scanSoon();
  await live(minute, minute);
  assert.equal(opened("status.example.net").length, 1);

  await live(begun + 8 * day - now(), day);
  await live(20 * minute, minute);
  assert.equal(ordered(), 40 + 1 + 40, "eight days later the next forty");
});

test("while two hundred hosts are listed, others are served", async () => {
  const { keeper, addHosts } = makeWorld();
  const names = addHosts(200);
  let isListed = false;
  const listing = keeper.planFor(names).then((plans) => {
    isListed = true;
    return plans;
  });
  let turns = 0;
  for (; !isListed; turns++) await setImmediate();
  assert.equal((await listing).length, 200);
  assert.ok(turns >= 40, `the others had ${turns} turns`);
});

test("a test that waits for a limit and a renewal that is due get no sixth certificate of a name together", async () => {
  const { world, live, now, served, orderMore, keeper, howOften } = makeWorld({ testDirectory: one.directory });
  world.lifeMs = 160 * hour;
  await live(minute, 10_000);
  await orderMore(3);
  await keeper.orderNow({ host, purpose: "test" });
  // From now on the authority looks at hosts only once an hour.
  world.challenge = "http-01";
  const since = new Map<string, number>();
  world.tells = (view) => {
    if (!since.has(view.url)) since.set(view.url, now());
    const isLooked = now() - (since.get(view.url) ?? 0) >= hour;
    return view.status === "ready" && !isLooked ? { ...view, status: "pending" } : view;
  };
  await live((served()?.notAfter ?? 0) - now(), 10 * minute);
  const made = howOften("finalize");
  assert.ok(made <= 5, `${made} certificates of one name in less than seven days`);
});

test("a test takes no certificate that is kept for renewal", async () => {
  const { world, live, now, served, orderMore, keeper, standing, howOften } = makeWorld({
    testDirectory: one.directory,
  });
  world.lifeMs = 160 * hour;
  await live(minute, 10_000);
  await orderMore(3);
  const end = served()?.notAfter ?? 0;
  // The host can't be found when its renewal is due.
  world.challenge = "http-01";
  let isShut = true;
  world.tells = (view) => (isShut ? findsNobody(view) : view);
  await live(end - now() - 70 * hour, 10 * minute);
  // A person mends that, and looks whether it works.
  isShut = false;
  await keeper.orderNow({ host, purpose: "test" });
  await keeper.idle();
  await live(end - now() + hour, 10 * minute);
  const { words, nextAt } = await standing();
  assert.ok(
    (served()?.notAfter ?? 0) > now(),
    `expired; ${howOften("finalize")} had; now ${iso(now())}, next at ${iso(nextAt)}: ${words}`,
  );
});

test("the next step that is told of a six-day certificate ordered three times more is when it is renewed", async () => {
  const { world, live, now, served, standing, opened, orderMore } = makeWorld();
  world.lifeMs = 160 * hour;
  await live(minute, 10_000);
  await orderMore(3);
  const { notAfter = 0 } = served() ?? {};
  const told = (await standing()).nextAt ?? 0;
  const before = opened().length;
  while (opened().length === before && now() < notAfter) await live(hour);
  assert.ok(
    Math.abs(told - now()) < 3 * hour,
    `${iso(told)} was told, ${iso(now())} it was renewed; the certificate ends at ${iso(notAfter)}`,
  );
});

for (const [what, more, most, wait] of [
  ["certificates of one name", "name", 5, 6 * day + hour],
  ["certificates of one domain", "domain", 50, 6 * day + 5 * hour],
] as const)
  test(`no more ${what} come in a week than the authority gives, when the clock was a day slow at first`, async () => {
    const { house, page, live, now, setClock, orderMore, howOften } = makeWorld();
    if (more === "domain")
      for (let index = 0; index < 89; index++)
        addHost(house.db, { pageId: page.id, host: `status${index}.example.com`, now: now(), by });
    await live(5 * minute, 10_000);
    if (more === "name") await orderMore(3);
    setClock(now() + day); // The time is had now.
    await live(wait, hour);
    if (more === "name") await orderMore(4);
    const made = howOften("finalize");
    assert.ok(made <= most, `${made} within ${(wait / day).toFixed(1)} days`);
  });

test("who asks for one more certificate than a limit allows is told when the next try is", async () => {
  const { house, page, live, now, keeper, orderMore, standing, opened } = makeWorld();
  await live(minute, 10_000);
  await orderMore(3);
  const app = createApp({ ...house, keeper });
  const path = `http://candor/v1/pages/${page.id}/hosts/${host}/orders`;
  const headers = { host: "candor", "content-type": "application/json" };
  const ask = async <Answer>(request: Request) =>
    (await app.fetch(request, { peer: "", operator: true })).json() as Promise<Answer>;
  type Row = { id: string; problem: string; next_at: string };
  const made = await ask<Row>(new Request(path, { method: "POST", headers, body: '{"order":{"purpose":"serve"}}' }));
  await keeper.idle();
  await live(minute, 10_000);
  const row = (await ask<Row[]>(new Request(path, { headers }))).find(({ id }) => id === made.id);
  assert.ok(row);
  assert.equal(row.problem, "limit");
  const { nextAt } = await standing();
  const before = opened().length;
  const since = now();
  while (opened().length === before) await live(hour);
  assert.ok(
    Math.abs(Date.parse(row.next_at) - now()) < 2 * hour,
    `"The next try is at ${row.next_at}." Of the host it is said: ${iso(nextAt)}. It was ${((now() - since) / day).toFixed(1)} days later, at ${iso(now())}.`,
  );
});

test("an authority that has forgotten our account is told anew what a renewal replaces, so that it doesn't count as a new host", async () => {
  const { world, live, now, served, opened } = makeWorld();
  await live(hour, 10 * minute);
  const renewAt = served()?.renewAt ?? 0;
  await live(renewAt - now() - hour);
  let forgets = true;
  world.refuse = ({ deed }) => {
    if (deed === "register") forgets = false;
    if (deed === "openOrder" && forgets) throw problem("accountDoesNotExist", 400);
  };
  await live(6 * hour, 10 * minute);
  assert.equal(forgets, false);
  assert.deepEqual(
    opened().map(({ replaces }) => replaces !== undefined),
    [false, true, true],
  );
});

for (const wait of [0, 9])
  test(`sixty orders of one domain that were begun ${wait} days before they can be asked for get no more certificates than a domain may have in a week`, async () => {
    let addresses: string[] = [];
    const lookup = { addresses: async () => addresses, allowedIssuers: async () => undefined };
    const { world, live, now, setClock, keeper, begin, addHosts, howOften } = makeWorld({ lookup });
    addHosts(59);
    await live(10 * minute, 10_000);
    assert.equal(howOften("openOrder"), 0);
    // The server stands still; when it runs again, the records are in the DNS.
    await keeper.stop();
    setClock(now() + wait * day + hour);
    addresses = ["192.0.2.1"];
    const next = begin();
    // The authority takes half a minute to look at a host.
    world.challenge = "http-01";
    const since = new Map<string, number>();
    world.tells = (view) => {
      if (!since.has(view.url)) since.set(view.url, now());
      const isLooked = now() - (since.get(view.url) ?? 0) >= minute / 2;
      return view.status === "ready" && !isLooked ? { ...view, status: "pending" } : view;
    };
    for (const end = now() + 10 * minute; now() < end; setClock(now() + 2_000)) {
      next.wake();
      await next.idle();
      next.scanSoon();
    }
    const made = howOften("finalize");
    assert.ok(made <= 50, `${made} certificates of one registered domain in ten minutes`);
  });
