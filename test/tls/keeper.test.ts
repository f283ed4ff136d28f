/** The keeper of certificates with an authority that does as it is told, and a clock that is set: what takes days in life. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { addHost, removeHost } from "../../src/pages/pages.ts";
import { AuthorityUnreachable } from "../../src/tls/authority.ts";
import { forgetUnused, insertCertificate, listCertificates } from "../../src/tls/certificates.ts";
import { createChallenges } from "../../src/tls/challenges.ts";
import { forgetOldOrders, listOrdersOf } from "../../src/tls/orders.ts";
import { findObstacles } from "../../src/tls/reach.ts";
import { always, by, day, host, hour, makeWorld, minute, one, problem, two } from "../support/acme-world.ts";
import { issue, makeKey } from "../support/issuing.ts";

test("a new certificate is served also when it ends before the one whose place it takes", async () => {
  const late = makeWorld();
  late.world.lifeMs = 20 * day;
  await late.bring(late.now() - 340 * day, late.now() + 25 * day);
  await late.live(4 * day);
  assert.equal(late.opened().length, 1, "one order took over from the one that a person forgot to renew");
  assert.equal(late.served()?.directory, one.directory);

  const revoked = makeWorld();
  revoked.world.lifeMs = 90 * day;
  await revoked.live(20 * day);
  const before = revoked.served()?.id;
  revoked.world.lifeMs = 45 * day;
  revoked.world.window = { start: revoked.now() - 2 * day, end: revoked.now() - day };
  await revoked.live(8 * hour);
  revoked.world.window = { start: Number.NaN, end: Number.NaN };
  await revoked.live(14 * day);
  assert.notEqual(revoked.served()?.id, before);
  assert.equal(revoked.opened().length, 2);
});

test("a certificate that the authority wants gone on its first day goes within a day", async () => {
  const { world, live, opened, now } = makeWorld();
  world.window = { start: now(), end: now() + hour };
  world.lifeMs = 90 * day;
  await live(1.2 * day);
  assert.equal(opened().length, 2);
});

for (const [words, type, status] of [
  ["a certificate that it doesn't know", "malformed", 404],
  ["a certificate for other names", "malformed", 400],
  ["another account's certificate", "unauthorized", 403],
  ["a certificate that was replaced before", "alreadyReplaced", 409],
] as const) {
  test(`an authority that won't replace ${words} is asked without naming it, and keeps its account`, async () => {
    const { world, live, opened, howOften } = makeWorld();
    await live(day);
    world.refuse = ({ replaces }) => {
      if (replaces !== undefined) throw problem(type, status);
    };
    await live(31 * day);
    assert.deepEqual(
      opened().map(({ replaces }) => replaces !== undefined),
      [false, true, false],
    );
    assert.equal(howOften("register"), 1);
  });
}

test("a contact address that the authority refuses keeps nobody from renewing, and is told again", async () => {
  const { world, wishes, live, opened, howOften } = makeWorld();
  await live(day);
  wishes.contact = "o@typo.invalid";
  world.refuse = always("changeContact", () => problem("invalidContact", 400));
  await live(40 * day);
  assert.equal(opened().length, 2);
  assert.ok(howOften("changeContact") >= 2);
});

test("a closed account is found out also when its address was changed at the same time", async () => {
  const { world, wishes, live, served, now, howOften } = makeWorld();
  let closed = "";
  world.refuse = (_asked, key) => {
    closed = key;
  };
  await live(day);
  wishes.contact = "new@example.com";
  world.refuse = ({ deed }, key) => {
    if (key === closed && ["changeContact", "isAccountOpen", "openOrder"].includes(deed))
      throw problem("unauthorized", 403);
  };
  await live(40 * day);
  assert.equal(howOften("register"), 2);
  assert.ok((served()?.createdAt ?? 0) > now() - 30 * day);
});

test("an authority that refuses one name keeps the account that it still takes", async () => {
  const { world, live, howOften } = makeWorld();
  world.refuse = always("openOrder", () => problem("unauthorized", 403));
  await live(2 * day, 10 * minute);
  assert.equal(howOften("register"), 1);
});

test("the authority is asked for the window of what is served alone, and one that isn't chosen any more for nothing", async () => {
  const { wishes, live, asked, house, now, howOften } = makeWorld();
  // The first has been replaced, and would be valid for days.
  await live(33 * day);
  assert.deepEqual(
    listCertificates(house.db).map(({ notAfter }) => notAfter > now() + 3 * day),
    [true, true],
  );
  asked.length = 0;
  await live(2 * day);
  const windows = howOften("renewalWindow");
  assert.ok(windows >= 4 && windows <= 10, `${windows} in two days`);
  wishes.authorities = [two];
  wishes.contact = "secret@example.com";
  asked.length = 0;
  await live(2 * day);
  assert.deepEqual(
    asked.filter(({ directory }) => directory === one.directory),
    [],
  );
});

test("a clock that ran two years ahead for an hour stops nothing, and costs no certificate", async () => {
  const { world, live, now, setClock, opened, served } = makeWorld();
  const right = now();
  setClock(right + 730 * day);
  world.refuse = always("describe", () => new AuthorityUnreachable("certificate has expired"));
  await live(hour, 10 * minute);
  setClock(right + hour);
  world.refuse = () => undefined;
  await live(day);
  assert.equal(opened().length, 1);
  assert.ok(served());

  const held = makeWorld();
  await held.live(day);
  forgetUnused(held.house.db, { now: held.now() + 365 * day, isUnusable: () => false });
  assert.ok(held.served(), "what a host is served with stays, whatever the clock says");
  await held.live(100 * day);
  forgetUnused(held.house.db, { now: held.now(), isUnusable: () => false });
  assert.ok(listCertificates(held.house.db).length <= 2, "what was replaced long ago goes, with its key");
});

test("what waits goes on after its time when the clock is set back by a day", async () => {
  const { world, live, now, setClock, opened, served } = makeWorld();
  world.refuse = always("openOrder", () => problem("serverInternal", 500));
  await live(minute, 10_000);
  setClock(now() - day);
  world.refuse = () => undefined;
  const asked = opened().length;
  await live(10 * minute, minute);
  assert.equal(opened().length, asked + 1);
  assert.ok(served());
});

test("looking whether a host leads here takes no challenge down that is under way", async () => {
  const { house } = makeWorld();
  const challenges = createChallenges(house.db);
  await challenges.showInHandshake({ name: host, keyAuthorization: "token.thumb" });
  const lookup = { addresses: async () => ["127.0.0.1"], allowedIssuers: async () => undefined };
  await findObstacles({ host, lookup, challenges, port: 1 });
  assert.ok(challenges.contextFor(host));
  challenges.takeDown({ name: host, token: "token" });
  assert.equal(challenges.contextFor(host), undefined);
});

test("a host that is removed while the authority is asked for it isn't ordered again", async () => {
  const { world, house, page, keeper, opened, now } = makeWorld();
  const name = "two.example.com";
  addHost(house.db, { pageId: page.id, host: name, now: now(), by });
  world.refuse = async ({ deed, name: given }) => {
    if (deed !== "openOrder" || given !== name) return;
    removeHost(house.db, { pageId: page.id, host: name, now: now(), by });
    keeper.wake();
  };
  keeper.wake();
  await keeper.idle();
  assert.equal(opened(name).length, 1);
});

test("what failed before a person brought a certificate is told of no more", async () => {
  const { world, live, bring, now, standing } = makeWorld();
  world.refuse = always("openOrder", () => problem("rejectedIdentifier", 400));
  await live(hour, minute);
  assert.match((await standing()).words, /refused the order/);
  await bring(now() - hour, now() + 90 * day);
  assert.deepEqual(await standing().then(({ words, advice }) => ({ words, advice })), { words: "", advice: "" });
});

test("an order that fails gives way to a certificate that a person brings", async () => {
  const { world, live, bring, house, now, standing } = makeWorld();
  world.refuse = always("openOrder", () => problem("serverInternal", 500));
  await live(hour, minute);
  assert.match((await standing()).words, /out of order/);
  await bring(now() - hour, now() + 90 * day);
  await live(minute, minute);
  assert.equal(listOrdersOf(house.db, { name: host, purpose: "serve" })[0]?.problem, "overtaken");
  assert.deepEqual(await standing().then(({ state, words }) => ({ state, words })), { state: "valid", words: "" });
});

test("a DNS that doesn't answer is told of as that, and after a while the authority is asked all the same", async () => {
  const { live, opened, standing } = makeWorld({
    lookup: {
      addresses: async () => {
        throw Object.assign(new Error("queryA ESERVFAIL"), { code: "ESERVFAIL" });
      },
      allowedIssuers: async () => undefined,
    },
  });
  await live(10_000, 5_000);
  const { words, advice } = await standing();
  assert.equal(words, `The DNS doesn't answer for ${host} (ESERVFAIL).`);
  assert.match(advice, /name servers/);
  await live(hour, minute);
  assert.equal(opened().length, 1);
});

test("who asks again within the time that an authority wants to be left alone doesn't reach it", async () => {
  const { world, live, keeper, opened } = makeWorld();
  world.refuse = always("openOrder", () => problem("rateLimited", 429, "7200"));
  await live(minute, minute);
  for (let times = 0; times < 3; times++) {
    await keeper.orderNow({ host, purpose: "serve" });
    await keeper.idle();
  }
  assert.equal(opened().length, 1);
});

test("where the limit of one authority is reached, the other is asked", async () => {
  const { keeper, live, opened } = makeWorld({ authorities: [one, two] });
  for (let times = 0; times < 6; times++) {
    await keeper.orderNow({ host, purpose: "serve" });
    await live(3_000, 1_000);
  }
  assert.deepEqual(
    opened().map(({ directory }) => directory),
    [...Array(4).fill(one.directory), ...Array(2).fill(two.directory)],
  );
});

test("an authority that wants to be left alone for a day keeps nobody from the other", async () => {
  const { world, live, opened, now } = makeWorld({ authorities: [one, two] });
  world.refuse = always("openOrder", () => problem("rateLimited", 429, "86400"), one.directory);
  const begun = now();
  await live(hour, minute);
  const [first, second] = opened();
  assert.deepEqual([first?.directory, second?.directory], [one.directory, two.directory]);
  assert.ok((second?.at ?? 0) - begun < 10 * minute);
});

for (const type of ["connection", "caa"]) {
  test(`where the first authority refuses a host for ${type}, the other is asked before it is too late`, async () => {
    const { world, live, served, now } = makeWorld({ authorities: [one, two] });
    await live(day);
    world.refuse = always("openOrder", () => problem(type, 400), one.directory);
    await live(44 * day);
    assert.equal(served()?.directory, two.directory);
    assert.ok((served()?.notAfter ?? 0) > now());
  });
}

test("a record that was put into the DNS is taken out when the order is asked for anew", async () => {
  const deeds: string[] = [];
  const { world, live } = makeWorld({ dnsHook: async (deed, _record, value) => void deeds.push(`${deed} ${value}`) });
  world.challenge = "dns-01";
  let forgets = true;
  world.refuse = ({ deed }) => {
    if (deed !== "viewOrder" || !forgets || deeds.length === 0) return;
    forgets = false;
    throw problem("malformed", 404);
  };
  await live(minute, 2_000);
  const values = ["token of order 0.thumb", "token of order 1.thumb"];
  assert.deepEqual(deeds.toSorted(), values.flatMap((value) => [`cleanup ${value}`, `present ${value}`]).toSorted());
});

test("a program that can't change a host's DNS doesn't keep the authority from finding it elsewhere", async () => {
  const { world, live, served, house } = makeWorld({
    dnsHook: async (deed) => {
      if (deed === "present") throw new Error("hook present ended with an error: not my zone");
    },
  });
  world.challenge = "dns-01";
  const offered = ["dns-01", "http-01"] as const;
  world.refuse = ({ deed }) => {
    const failed = listOrdersOf(house.db, { name: host, purpose: "serve" }).some(({ state }) => state === "failed");
    if (deed === "viewOrder") world.challenge = offered[failed ? 1 : 0];
  };
  await live(hour, minute);
  assert.ok(served());
});

test("a wildcard without a program that changes the DNS isn't ordered, and says what it wants", async () => {
  const { live, asked, standing } = makeWorld({ wildcards: ["example.com"] });
  await live(hour, minute);
  assert.deepEqual(asked, []);
  assert.match((await standing()).advice, /Set acme\.dns_hook/);
});

test("a certificate that OpenSSL refuses takes no other's place, and keeps nobody from renewing", async () => {
  const { house, live, now, served, opened } = makeWorld();
  await live(day);
  const before = served()?.id;
  const life = { from: now() - hour, to: now() + 90 * day };
  const pem = await issue({ privateKey: makeKey(), name: host, serial: 99, ...life });
  const other = { path: [new X509Certificate(pem)], names: [host], privateKey: makeKey() };
  insertCertificate(house.db, { ...other, keys: house.keys, now: now() });
  house.certificates.reload();
  await live(8 * day);
  const isUnusable = house.certificates.isUnusable;
  forgetUnused(house.db, { now: now(), isUnusable });
  assert.ok(listCertificates(house.db).some(({ id }) => id === before));
  await live(30 * day);
  assert.equal(opened().length, 2);
});

test("a certificate that couldn't be read for a while isn't deleted", async () => {
  const { house, live, now, served } = makeWorld();
  await live(20 * day);
  const { id } = served() ?? {};
  forgetUnused(house.db, { now: now(), isUnusable: () => true });
  assert.deepEqual(
    listCertificates(house.db).map((known) => known.id),
    [id],
  );
});

test("a host goes over to a wildcard when its own certificate isn't renewed any more, and not before", async () => {
  const { wishes, live, now, served, house } = makeWorld({ dnsHook: async () => {} });
  await live(day);
  wishes.wildcards = ["example.com"];
  await live(2 * day);
  assert.deepEqual(
    listCertificates(house.db).flatMap(({ names }) => names),
    ["*.example.com", host],
  );
  assert.deepEqual(served()?.names, [host]);
  await live(29 * day, 6 * hour);
  assert.deepEqual(served()?.names, ["*.example.com"]);
  assert.ok((served()?.notAfter ?? 0) > now() + 10 * day);
});

test("what can't be noted is tried again after a minute, not at every look", async () => {
  let looks = 0;
  const addresses = async () => {
    looks += 1;
    return ["192.0.2.1"];
  };
  const { house, live } = makeWorld({ lookup: { addresses, allowedIssuers: async () => undefined } });
  house.db.$client.exec(
    "CREATE TEMP TRIGGER full BEFORE UPDATE ON acme_orders BEGIN SELECT RAISE(ABORT, 'disk is full'); END",
  );
  await live(10 * minute, 1_000);
  assert.ok(looks >= 8 && looks <= 12, `${looks} in ten minutes`);
  house.db.$client.exec("DROP TRIGGER full");
  await live(2 * minute, 1_000);
  assert.equal(listCertificates(house.db).length, 1);
});

test("without a server a person is told what will keep it from ordering, and only else that none runs", async () => {
  const words = async (wanted: Parameters<typeof makeWorld>[0]) =>
    (await makeWorld({ ...wanted, runs: false }).standing()).words;
  assert.match(await words({ contact: "" }), /nobody has agreed to the authority's terms/);
  assert.match(await words({ listens: false }), /doesn't listen for https/);
  assert.match(await words({}), /No server runs here now/);
});

test("a first authority that never comes to an end keeps nobody from the second before it is too late", async () => {
  const { world, live, served, now } = makeWorld({ authorities: [one, two] });
  world.lifeMs = 3 * day;
  await live(hour, minute);
  assert.equal(served()?.directory, one.directory);
  const hung = new Set<string>();
  let directory = "";
  world.refuse = (asked) => {
    directory = asked.directory;
  };
  world.tells = (view) => {
    if (directory !== one.directory) return view;
    hung.add(view.url);
    return { ...view, status: "processing", certificate: undefined };
  };
  for (let at = 0; at < 4 * 24; at++) {
    await live(hour, 10 * minute);
    assert.ok((served()?.notAfter ?? 0) > now(), `expired after ${at} hours; ${hung.size} orders hung`);
  }
});

test("an authority that answers again isn't said to be unreachable", async () => {
  const { world, live, standing, orders } = makeWorld();
  world.tells = (view) => (view.status === "valid" ? { ...view, status: "processing", certificate: undefined } : view);
  let looks = 0;
  world.refuse = ({ deed }) => {
    if (deed === "viewOrder" && ++looks === 3) throw new AuthorityUnreachable("It hung up.");
  };
  await live(10 * minute, 5_000);
  assert.equal(orders().length, 1);
  assert.ok(looks > 10);
  assert.equal((await standing()).words, "A certificate is being ordered.");
});

test("where a handshake let the authority in, it is tried first at the next renewal", async () => {
  const { house, world, live, orders, now, served } = makeWorld();
  world.challenge = "tls-alpn-01";
  world.offers = ["http-01", "tls-alpn-01"];
  const shut = new Set<string>();
  world.refuse = ({ deed }) => {
    const [open] = orders();
    if (deed === "accept" && open?.challenge === "http-01" && open.url) shut.add(open.url);
  };
  world.tells = (view) =>
    shut.has(view.url) ? { ...view, status: "invalid", error: { type: "connection", detail: "No." } } : view;
  await live(hour, minute);
  assert.equal(orders()[0]?.challenge, "tls-alpn-01");
  const first = served()?.id;
  const failed = shut.size;
  for (let days = 0; days < 34; days++) {
    forgetOldOrders(house.db, { now: now() });
    await live(day);
  }
  assert.notEqual(served()?.id, first);
  assert.equal(shut.size, failed);
});

test("a certificate that comes while an order's key is made makes it needless", async () => {
  const { house, keeper, now, live, served, opened } = makeWorld();
  await keeper.planFor([host]); // The suffixes are there.
  const privateKey = makeKey();
  const life = { from: now() - hour, to: now() + 90 * day };
  const path = [new X509Certificate(await issue({ privateKey, name: host, serial: 7, ...life }))];
  keeper.wake();
  const own = insertCertificate(house.db, { path, names: [host], privateKey, keys: house.keys, now: now() });
  await live(minute, 1_000);
  assert.deepEqual([opened().length, served()?.id === own], [0, true]);
});
