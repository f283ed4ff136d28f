/** How orders end: what is final, what is counted, what is left standing, and what a person is told of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addHost, removeHost } from "../../src/pages/pages.ts";
import { accountFor } from "../../src/tls/accounts.ts";
import { AuthorityUnreachable } from "../../src/tls/authority.ts";
import { forgetUnused, listCertificates, removeCertificate } from "../../src/tls/certificates.ts";
import { forgetOldOrders, listOrdersOf } from "../../src/tls/orders.ts";
import { always, by, day, host, hour, makeWorld, minute, one, problem, two } from "../support/acme-world.ts";

for (const type of ["serverInternal", "rateLimited"]) {
  test(`an order that the authority has ended for ${type} isn't asked about again, and a new one begins soon`, async () => {
    const { world, live, opened, served, howOften } = makeWorld();
    world.tells = (view) => ({ ...view, status: "invalid", error: { type, detail: "It went wrong." } });
    await live(minute, 10_000);
    assert.equal(howOften("viewOrder"), 1);
    world.tells = (view) => view;
    await live(10 * minute, minute);
    assert.equal(opened().length, 2);
    assert.ok(served());
  });
}

test("certificates that are issued and can't be served count against the authority's limits", async () => {
  const { world, live, opened } = makeWorld();
  world.hands = () => "no certificate";
  await live(6 * day, 10 * minute);
  assert.ok(opened().length <= 5, `${opened().length} certificates of one name were asked for in a week`);
});

test("what is counted against a limit isn't forgotten before its time, however long ago it began", async () => {
  const { house, live, now, orders } = makeWorld();
  await live(hour, minute);
  const [order] = orders();
  house.db.$client.prepare("UPDATE acme_orders SET created_at = created_at - ?").run(20 * day);
  forgetOldOrders(house.db, { now: now() });
  assert.equal(orders()[0]?.id, order?.id);
  forgetOldOrders(house.db, { now: now() + 16 * day });
  assert.deepEqual(orders(), []);
});

test("what one authority asks for is kept while the other is asked", async () => {
  const { world, live, opened, now } = makeWorld({ authorities: [one, two] });
  const begun = now();
  world.refuse = ({ deed, directory }) => {
    if (deed !== "openOrder") return;
    throw directory === one.directory ? problem("rateLimited", 429, "86400") : problem("rejectedIdentifier", 400);
  };
  await live(23 * hour, 10 * minute);
  const first = opened().filter(({ directory }) => directory === one.directory);
  assert.equal(first.length, 1);
  assert.ok(opened().length > 5, "the other is asked again and again");
  await live(6 * hour, 10 * minute);
  const second = opened().filter(({ directory }) => directory === one.directory)[1];
  assert.ok((second?.at ?? 0) >= begun + day);
});

test("an authority that takes no order of the account says so, and isn't said to have looked for the host", async () => {
  const { world, live, standing } = makeWorld();
  world.refuse = always("openOrder", () => problem("unauthorized", 403));
  await live(minute, 10_000);
  const { words, advice } = await standing();
  assert.equal(words, "one.test takes no order from this server's account. It says: It said so.");
  assert.doesNotMatch(advice, /port 80/);
});

test("an account that was closed before its address was known is replaced", async () => {
  const { world, live, served, howOften } = makeWorld();
  let closed = "";
  world.refuse = ({ deed }, key) => {
    closed ||= key;
    if (deed === "register" && key === closed) throw problem("unauthorized", 403);
  };
  await live(hour, minute);
  assert.ok(served());
  assert.equal(howOften("register"), 2);
});

test("two who want an account at the same moment get the same one", async () => {
  const { house, now } = makeWorld();
  const wanted = { directory: one.directory, keys: house.keys, now: now() };
  const [first, second] = await Promise.all([accountFor(house.db, wanted), accountFor(house.db, wanted)]);
  assert.equal(first.privateKey, second.privateKey);
});

test("a text that is shown for a host isn't put up once the host is gone", async () => {
  const { world, live, house, page, now, keeper } = makeWorld();
  world.challenge = "http-01";
  addHost(house.db, { pageId: page.id, host: "two.example.com", now: now() + 1, by });
  world.thinks = async (name) => {
    if (name !== host) return;
    removeHost(house.db, { pageId: page.id, host, now: now(), by });
    keeper.wake();
  };
  await live(3_000, 1_000);
  assert.equal(keeper.challenges.answerFor("token of order 0"), undefined);
});

test("a way that is shut while an order is open gives way to another", async () => {
  const { world, live, wishes, served, orders } = makeWorld({
    dnsHook: async () => {
      throw new Error("The DNS can't be changed.");
    },
  });
  world.offers = ["dns-01", "http-01"];
  world.challenge = "dns-01";
  await live(2_000, 1_000);
  assert.equal(orders()[0]?.challenge, "dns-01");
  wishes.dnsHook = undefined;
  await live(minute, 10_000);
  assert.equal(orders()[0]?.challenge, "http-01");
  assert.ok(served());
});

test("who brings a certificate is told that it made the order needless", async () => {
  const { world, live, bring, house, now, orders } = makeWorld();
  world.refuse = always("openOrder", () => problem("serverInternal", 500));
  await live(minute, 10_000);
  await bring(now() - hour, now() + 90 * day);
  await live(10_000, 5_000);
  const [order] = orders();
  assert.deepEqual([order?.state, order?.problem], ["dropped", "overtaken"]);
  assert.equal(listOrdersOf(house.db, { name: host, purpose: "serve" }).length, 1);
});

test("a person's order is gone through with also when the clock was ahead as the certificate came", async () => {
  const { live, setClock, now, keeper, opened, orders } = makeWorld();
  const right = now();
  setClock(right + 12 * hour);
  await live(minute, 10_000);
  setClock(right + hour);
  await keeper.orderNow({ host, purpose: "serve" });
  await live(minute, 5_000);
  assert.equal(opened().length, 2);
  assert.equal(orders()[0]?.state, "done");
});

test("a test of a host that has no address ends at once, and one of a removed host with it", async () => {
  let addresses: string[] = [];
  const lookup = { addresses: async () => addresses, allowedIssuers: async () => undefined };
  const { house, page, world, live, keeper, orders, now } = makeWorld({ lookup, testDirectory: two.directory });
  await keeper.orderNow({ host, purpose: "test" });
  await live(5_000, 1_000);
  assert.deepEqual([orders("test")[0]?.state, orders("test")[0]?.problem], ["failed", "noAddress"]);
  addresses = ["192.0.2.1"];
  world.refuse = always("openOrder", () => problem("serverInternal", 500), two.directory);
  await keeper.orderNow({ host, purpose: "test" });
  await live(2_000, 1_000);
  assert.equal(orders("test")[0]?.state, "open");
  addHost(house.db, { pageId: page.id, host: "two.example.com", now: now() + 1, by });
  removeHost(house.db, { pageId: page.id, host, now: now(), by });
  await live(2_000, 1_000);
  assert.deepEqual([orders("test")[0]?.state, orders("test")[0]?.problem], ["dropped", "unwanted"]);
});

test("an order isn't overtaken by a certificate that was there before it", async () => {
  const { world, house, live, bring, now, keeper, orders, served } = makeWorld();
  await bring(now() - 10 * day, now() + 200 * day);
  const newer = await bring(now() - day, now() + 90 * day);
  world.refuse = always("openOrder", () => problem("serverInternal", 500));
  await keeper.orderNow({ host, purpose: "serve" });
  await live(10_000, 5_000);
  removeCertificate(house.db, newer);
  await live(10_000, 5_000);
  assert.equal(orders()[0]?.state, "open");
  world.refuse = () => undefined;
  await live(10 * minute, minute);
  assert.equal(served()?.directory, one.directory);
});

test("an order is overtaken also by a certificate that came after the newest was removed", async () => {
  const { world, house, live, bring, now, keeper, orders, served } = makeWorld();
  const expired = await bring(now() - 90 * day, now() - day);
  world.refuse = always("openOrder", () => problem("serverInternal", 500));
  await keeper.orderNow({ host, purpose: "serve" });
  await live(10_000, 5_000);
  removeCertificate(house.db, expired);
  const own = await bring(now() - day, now() + 300 * day);
  world.refuse = () => undefined;
  await live(3 * hour, minute);
  assert.deepEqual([orders()[0]?.state, orders()[0]?.problem, served()?.id], ["dropped", "overtaken", own]);
});

test("a certificate isn't deleted because an older wildcard serves its host for a while", async () => {
  const { house, world, wishes, live, served, now, keeper } = makeWorld({
    dnsHook: async () => {},
    wildcards: ["example.com"],
  });
  world.lifeMs = 90 * day;
  await live(9 * day);
  wishes.wildcards = [];
  world.lifeMs = 45 * day;
  await keeper.orderNow({ host, purpose: "serve" });
  await live(day);
  assert.deepEqual(served()?.names, [host]);
  const own = served()?.id;
  world.refuse = always("openOrder", () => problem("serverInternal", 500));
  await live(33 * day, 6 * hour);
  assert.deepEqual(served()?.names, ["*.example.com"]);
  forgetUnused(house.db, { now: now(), isUnusable: () => false });
  assert.ok(listCertificates(house.db).some(({ id }) => id === own));
});

test("a certificate counts also when its order is dropped before it is taken", async () => {
  const { house, page, world, live, now, keeper, orders } = makeWorld();
  addHost(house.db, { pageId: page.id, host: "two.example.com", now: now() + 1, by });
  world.tells = (view) => {
    if (view.status !== "valid") return view;
    removeHost(house.db, { pageId: page.id, host, now: now(), by });
    keeper.wake();
    addHost(house.db, { pageId: page.id, host, now: now(), by });
    return view;
  };
  await live(10 * minute, 10_000);
  assert.ok(orders().length <= 5, `${orders().length} certificates of one name in ten minutes`);
});

test("no certificate is asked for once its order is dropped", async () => {
  const { world, live, house, page, now, keeper, asked, orders } = makeWorld();
  addHost(house.db, { pageId: page.id, host: "http://two.example.com", now: now() + 1, by });
  world.tells = (view) => {
    removeHost(house.db, { pageId: page.id, host, now: now(), by });
    keeper.wake();
    world.tells = (other) => other;
    return view;
  };
  await live(minute, 5_000);
  assert.equal(orders()[0]?.state, "dropped");
  assert.deepEqual(
    asked.filter(({ deed }) => deed === "finalize"),
    [],
  );
});

for (const [words, isLost] of [
  ["its order is dropped between its request and the next look", false],
  ["its answer was lost and its order then dropped", true],
] as const)
  test(`a certificate counts also when ${words}`, async () => {
    const { house, page, world, live, now, setClock, keeper, orders, asked } = makeWorld();
    addHost(house.db, { pageId: page.id, host: "two.example.com", now: now() + 1, by });
    const made = () => asked.filter(({ deed, name }) => deed === "finalize" && name === host).length;
    world.refuse = ({ deed, name }) => {
      if (isLost && deed === "finalize" && name === host) throw new AuthorityUnreachable("It hung up.");
    };
    for (let times = 0; times < 10; times++) {
      const before = made();
      keeper.wake();
      await keeper.idle();
      if (made() === before) break;
      removeHost(house.db, { pageId: page.id, host, now: now(), by });
      keeper.wake();
      addHost(house.db, { pageId: page.id, host, now: now(), by });
      keeper.scanSoon();
      setClock(now() + 10_000);
    }
    assert.deepEqual([made(), orders()[0]?.state], [5, "dropped"]);
    await live(day);
    assert.equal(made(), 5);
  });

test("a certificate counts also when nobody heard that it was asked for, and it can't be served", async () => {
  const { world, live, howOften } = makeWorld();
  world.refuse = always("finalize", () => new AuthorityUnreachable("It hung up."));
  world.hands = () => "nonsense";
  await live(6 * day, 5 * minute);
  assert.equal(howOften("finalize"), 5);
});

test("certificates that can't be served count against what a domain may have", async () => {
  const { house, page, world, live, now, howOften } = makeWorld();
  for (let index = 1; index < 60; index++)
    addHost(house.db, { pageId: page.id, host: `status${index}.example.com`, now: now(), by });
  world.hands = () => "nonsense";
  await live(3 * hour, 5 * minute);
  const made = howOften("finalize");
  assert.ok(made >= 40 && made < 50, `${made} of one domain`);
});

test("an external account that is refused keeps its key", async () => {
  const binding = { kid: "once", key: "a2V5" };
  const { world, live, served, asked } = makeWorld({ authorities: [{ ...one, binding }] });
  const keys = new Set<string>();
  world.refuse = ({ deed }, key) => {
    keys.add(key);
    if (deed === "register" && asked.filter((known) => known.deed === "register").length < 3)
      throw problem("unauthorized", 403);
  };
  await live(day, minute);
  assert.ok(served());
  assert.equal(keys.size, 1);
});

test("what an authority asked for isn't kept for longer because the clock was set back", async () => {
  const { world, live, now, setClock, opened } = makeWorld();
  setClock(now() + 20 * hour);
  world.refuse = always("openOrder", () => problem("rejectedIdentifier", 400, "3600"));
  await live(minute, 10_000);
  setClock(now() - 20 * hour);
  await live(2 * hour, minute);
  assert.equal(opened().length, 2);
});

test("what an authority couldn't issue after all counts against no limit, however often it tried", async () => {
  const { world, live, opened, served } = makeWorld();
  world.tells = (view) =>
    view.status === "valid" ? { ...view, status: "invalid", error: { type: "serverInternal", detail: "No." } } : view;
  await live(day, 10 * minute);
  assert.ok(opened().length > 6);
  world.tells = (view) => view;
  await live(3 * hour, 10 * minute);
  assert.ok(served());
});

for (const [status, words] of [
  ["invalid", "one.test ended the order. Its authorization is invalid."],
  ["expired", "one.test ended the order. Its authorization is expired."],
  ["deactivated", "one.test ended the order. Its authorization is deactivated."],
] as const) {
  test(`of an authorization that is ${status} it isn't said that the host wasn't found`, async () => {
    const { world, live, standing } = makeWorld();
    world.challenge = "http-01";
    world.authorization = status;
    await live(minute, 10_000);
    const { words: said, advice } = await standing();
    assert.equal(said, words);
    assert.doesNotMatch(advice, /port 80/);
    world.authorization = "pending";
    await live(10 * minute, minute);
    assert.equal((await standing()).state, "valid");
  });
}

test("of an order that ends without a reason it isn't said that the host wasn't found", async () => {
  const { world, live, standing } = makeWorld();
  world.tells = (view) => ({ ...view, status: "invalid" });
  await live(minute, 10_000);
  assert.equal((await standing()).words, "one.test ended the order and doesn't say why.");
});

test("of an order that is forgotten once it was asked for its certificate it is said that one may have come", async () => {
  const { world, live, standing, asked } = makeWorld();
  world.refuse = ({ deed }) => {
    if (deed === "viewOrder" && asked.some((known) => known.deed === "finalize")) throw problem("malformed", 404);
  };
  await live(minute, 10_000);
  const { words, advice } = await standing();
  assert.equal(
    words,
    "one.test may have issued a certificate, and doesn't know the order any more. It says: It said so.",
  );
  assert.match(advice, /^It is tried again by itself\./);
});

test("a finalize that fails in turns, each time refused in the end, counts as no certificate", async () => {
  const { world, live, now, served, standing, howOften } = makeWorld();
  const until = now() + 12 * hour;
  const times = new Map<number, number>();
  let order = 0;
  world.tells = (view) =>
    view.status === "valid" && now() < until ? { ...view, status: "ready", certificate: undefined } : view;
  world.refuse = ({ deed }) => {
    if (deed === "openOrder") order += 1;
    if (deed !== "finalize" || now() >= until) return;
    times.set(order, (times.get(order) ?? 0) + 1);
    throw times.get(order) === 1 ? problem("serverInternal", 503) : problem("caa", 403);
  };
  await live(2 * day, 5 * minute);
  const { words, nextAt } = await standing();
  assert.ok(served(), `${howOften("finalize")} finalized; ${words} ${new Date(nextAt ?? 0).toISOString()}`);
});

test("a certificate that a person brings while the authority is asked isn't replaced by what it hands out", async () => {
  const { world, live, now, bring, served, asked } = makeWorld();
  let isBrought = false;
  world.refuse = async ({ deed }) => {
    if (deed !== "viewOrder" || isBrought || !asked.some((known) => known.deed === "finalize")) return;
    isBrought = true;
    await bring(now() - day, now() + 300 * day);
  };
  await live(minute, 10_000);
  assert.ok(isBrought);
  assert.equal(served()?.directory, null);
});

test("certificates of a day that can't be served, each of them, keep one that can from nobody for longer than a day", async () => {
  const { world, live, now, served, howOften } = makeWorld();
  world.lifeMs = day;
  let isBroken = true;
  world.hands = (pem) => (isBroken ? `${pem}${pem}` : pem);
  await live(6 * hour, 5 * minute);
  assert.ok(howOften("finalize") >= 4);
  isBroken = false;
  await live(day, 10 * minute);
  assert.ok((served()?.notAfter ?? 0) > now());
});
