/** What the owner of a domain asks for beyond the authority (RFC 8657): an account, and a way to look. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { issuersIn } from "../../src/tls/caa.ts";
import { createLookup } from "../../src/tls/lookup.ts";
import { adviceFor } from "../../src/tls/plans.ts";
import type { Wishes } from "../../src/tls/wishes.ts";
import { host, hour, makeWorld, minute, one, two } from "../support/acme-world.ts";
import { needs } from "../support/need.ts";
import { startPebble } from "../support/pebble.ts";

const account = `${one.directory}account`;

/** The authority of the world, where the owner of the host says so. */
async function order(records: string[], wanted: Partial<Wishes> = {}) {
  const issuers = issuersIn(
    records.map((issue) => ({ critical: 0, issue })),
    host,
  );
  const lookup = { addresses: async () => ["192.0.2.1"], allowedIssuers: async () => issuers };
  const lived = makeWorld({ lookup, ...wanted });
  lived.world.caaIdentities = ["One.test"];
  await lived.live(minute, 10_000);
  const { words } = await lived.standing();
  return { words, opened: lived.opened().length, served: lived.served() !== undefined };
}

for (const records of [
  ["one.test"],
  [`one.test; accounturi=${account}`],
  [`one.test;AccountURI=${account};validationmethods=dns-01,tls-alpn-01`],
  ["one.test; validationmethods=HTTP-01"],
  [
    "other.test; accounturi=https://other.test/1",
    `one.test; accounturi=${account}1`,
    `one.test; accounturi=${account}`,
  ],
])
  test(`a record that says "${records.join('" and "')}" lets the certificate be ordered`, async () => {
    assert.deepEqual(await order(records), { words: "", opened: 1, served: true });
  });

for (const [records, words] of [
  [["other.test"], `A CAA record for ${host} allows other.test, not one.test.`],
  [[";"], `A CAA record for ${host} allows nobody, not one.test.`],
  [
    ["one.test; AccountURI = https://one.test/2"],
    `A CAA record for ${host} lets one.test certify it for the account https://one.test/2 alone, and this server's at one.test is ${account}.`,
  ],
  [
    [`one.test; accounturi=${account}; accounturi=https://one.test/2`],
    `A CAA record for ${host} lets one.test certify it for the account ${account} and https://one.test/2 alone, and this server's at one.test is ${account}.`,
  ],
  [
    [`one.test; accounturi=${account}1`, "one.test; accounturi=https://one.test/2; validationmethods=http-01"],
    `A CAA record for ${host} lets one.test certify it for the account ${account}1 alone, and this server's at one.test is ${account}.`,
  ],
  [
    [`one.test; accounturi=${account}; validationmethods=dns-01`, "one.test; accounturi=https://one.test/2"],
    `A CAA record for ${host} lets one.test look by dns-01 alone, and this server can show ${host} by http-01 or tls-alpn-01.`,
  ],
  [
    [`one.test; accounturi=${account}; validationmethods=dns-01`],
    `A CAA record for ${host} lets one.test look by dns-01 alone, and this server can show ${host} by http-01 or tls-alpn-01.`,
  ],
] as const)
  test(`a record that says "${records.join()}" costs no order, and is told of`, async () => {
    assert.deepEqual(await order([...records]), { words, opened: 0, served: false });
  });

test("who may only be looked up in the DNS is certified where a program changes it", async () => {
  const { served } = await order(["one.test; validationmethods=dns-01"], { dnsHook: async () => {} });
  assert.ok(served);
});

test("a host is certified once its record names the right account", async () => {
  let issue = "one.test; accounturi=https://one.test/2";
  const allowedIssuers = async () => issuersIn([{ critical: 0, issue }], host);
  const { world, live, served } = makeWorld({ lookup: { addresses: async () => ["192.0.2.1"], allowedIssuers } });
  world.caaIdentities = ["one.test"];
  await live(hour, minute);
  assert.equal(served(), undefined);
  issue = `one.test; accounturi=${account}`;
  await live(3 * hour, minute);
  assert.ok(served());
});

test("accounts and ways are read from a real DNS", { skip: needs("pebble", "pebble-challtestsrv") }, async (t) => {
  const pebble = await startPebble(t);
  const value = "one.example; accounturi=https://one.example/acct/1; validationmethods=dns-01,http-01";
  await pebble.tellDns("/add-caa", { host: "example.com.", policies: [{ tag: "issue", value }] });
  assert.deepEqual(await createLookup({ servers: [pebble.dns], isPublic: false }).allowedIssuers(host), [
    { domain: "one.example", accountUri: "https://one.example/acct/1", methods: ["dns-01", "http-01"] },
  ]);
});

test("a way that a CAA record forbids isn't tried", async () => {
  const issuers = issuersIn([{ critical: 0, issue: "one.test; validationmethods=tls-alpn-01" }], host);
  const lookup = { addresses: async () => ["192.0.2.1"], allowedIssuers: async () => issuers };
  const { world, live, orders } = makeWorld({ lookup });
  world.caaIdentities = ["one.test"];
  world.challenge = "http-01";
  world.offers = ["http-01", "tls-alpn-01"];
  await live(minute, 5_000);
  assert.equal(orders()[0]?.challenge, "tls-alpn-01");
});

test("a test at another directory says whose account it tells of", async () => {
  const issuers = issuersIn([{ critical: 0, issue: `one.test; accounturi=${account}` }], host);
  const lookup = { addresses: async () => ["192.0.2.1"], allowedIssuers: async () => issuers };
  const { world, live, keeper, orders, served } = makeWorld({ lookup, testDirectory: two.directory });
  world.caaIdentities = ["one.test"];
  await live(minute, 5_000);
  assert.ok(served(), "the record names this server's account");
  await keeper.orderNow({ host, purpose: "test" });
  await live(minute, 5_000);
  const [tried] = orders("test");
  assert.ok(tried);
  assert.match(tried.detail ?? "", /and this server's at two\.test is https:\/\/two\.test\/account\.$/);
  assert.match(adviceFor(tried), /^Where it names the account at acme\.directory, it is right/);
});

for (const [words, record, testDirectory] of [
  ["refuses the ways in which it looks", "one.test; validationmethods=ca-foo-99", two.directory],
  [
    "names another account of the authority that certificates are had from",
    "one.test; accounturi=https://one.test/else",
    one.directory,
  ],
] as const) {
  test(`a test isn't told that a record may be right which ${words}`, async () => {
    const issuers = issuersIn([{ critical: 0, issue: record }], host);
    const lookup = { addresses: async () => ["192.0.2.1"], allowedIssuers: async () => issuers };
    const { world, live, keeper, orders } = makeWorld({ lookup, testDirectory });
    world.caaIdentities = ["one.test"];
    await keeper.orderNow({ host, purpose: "test" });
    await live(minute, 5_000);
    const [tried] = orders("test");
    assert.ok(tried?.detail);
    assert.equal(adviceFor(tried), "Change that record, or add one that allows this. Then ask again.");
  });
}
