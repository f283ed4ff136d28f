/** What the settings say of the certificates of hosts: what a browser meets, what went wrong, and what a person can do. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { SettingName } from "../../src/config.ts";
import { addHost } from "../../src/pages/pages.ts";
import { failOrder } from "../../src/tls/orders.ts";
import { loadSuffixes } from "../../src/tls/suffixes.ts";
import { monday, openTestHouse } from "../support/house.ts";
import { beginIdle, keepNew } from "../support/issuing.ts";

const day = 86_400_000;
const by = { kind: "system" } as const;
const acme = { "https.listen": "127.0.0.1:8443", "acme.contact": "o@example.com" } as const;

async function open(t: TestContext, settings: Partial<Record<SettingName, string>>) {
  const house = await openTestHouse(settings);
  t.after(() => house.close());
  await loadSuffixes();
  const { db, keys } = house.deps;
  return {
    addHost: (name: string) => addHost(db, { pageId: house.page.id, host: name, now: monday, by }),
    /** In days from now. */
    bring: (name: string, from: number, to: number) =>
      keepNew({ db, keys }, { name, from: monday + from * day, to: monday + to * day, now: monday }),
    fail: (name: string, type: string, detail: string) => {
      failOrder(db, beginIdle({ db, keys }, { name, now: monday }), {
        type,
        detail,
        mayAskOther: false,
        now: monday,
        chance: 0,
      });
    },
    /** The lines below a host's name, as they are read. */
    read: async () => {
      const text = (await (await house.signIn(house.owner)).open("/admin/settings")).text;
      const list = /<h2>Hosts<\/h2>\s*<ul[^>]*>([\s\S]*?)<\/ul>/.exec(text)?.[1] ?? assert.fail("No hosts are shown.");
      const told = list.split("<h3>").slice(1);
      const lines = told.map((part) =>
        part
          .replaceAll(/<[^>]+>/g, "")
          .replaceAll("&#x27;", "'")
          .replaceAll("&quot;", '"')
          .split("\n")
          .map((line) => line.trim())
          .filter(Boolean),
      );
      return Object.fromEntries(lines.map(([name = "", ...said]) => [name, said]));
    },
  };
}

test("the settings say of each host whether it has a certificate, until when, and what is wrong", async (t) => {
  const { addHost, bring, fail, read } = await open(t, acme);
  for (const name of ["valid", "expiring", "expired", "failing"]) addHost(`${name}.example.com`);
  addHost("http://127.0.0.1:8080");
  await bring("valid.example.com", -10, 80);
  await bring("expiring.example.com", -80, 10);
  await bring("expired.example.com", -91, -1);
  fail("failing.example.com", "caa", "A CAA record of example.com allows other.test alone.");
  const said = await read();
  assert.deepEqual(said["valid.example.com"], [
    "Its certificate is valid until 11 Feb 2027, 10:00 CET. Issued by Simulated",
    "It will be renewed 12 Jan 2027, 10:00 CET.",
  ]);
  assert.deepEqual(said["expiring.example.com"], [
    "Its certificate is overdue for renewal. It is valid until 3 Dec 2026, 10:00 CET. Issued by Simulated",
    "It will be renewed 23 Nov 2026, 10:00 CET.",
  ]);
  assert.deepEqual(said["expired.example.com"], [
    "Its certificate expired on 22 Nov 2026, 10:00 CET. Issued by Simulated",
    "It will be renewed 23 Nov 2026, 10:00 CET.",
  ]);
  assert.deepEqual(said["status.example.com"], [
    "It has no certificate yet, and is served without one.",
    "It is ordered 23 Nov 2026, 10:00 CET.",
  ]);
  assert.deepEqual(said["failing.example.com"], [
    "It has no certificate yet, and is served without one.",
    "A CAA record of example.com allows other.test alone.",
    "Change that record, or add one that allows this, or choose another authority with acme.directory.",
    "It is tried again 23 Nov 2026, 10:01 CET.",
  ]);
  assert.deepEqual(said["127.0.0.1"], ["It is served over plain http, as its address says."]);
});

test("a host whose renewal fails keeps its certificate, and the authority's words stand below it", async (t) => {
  const { bring, fail, read } = await open(t, acme);
  await bring("status.example.com", -80, 10);
  fail("status.example.com", "malformed", "No such profile");
  assert.deepEqual((await read())["status.example.com"], [
    "Its certificate is overdue for renewal. It is valid until 3 Dec 2026, 10:00 CET. Issued by Simulated",
    "ca.test refused the order (malformed). It says: No such profile.",
    "It is tried again by itself. If it stays so, choose another authority with acme.directory, or bring a certificate with candor cert import.",
    "It is tried again 23 Nov 2026, 10:01 CET.",
  ]);
});

test("a server that listens for https without a contact says how to agree, and of an address what helps", async (t) => {
  const { addHost, read } = await open(t, { "https.listen": "127.0.0.1:8443" });
  addHost("10.0.0.7");
  const said = await read();
  assert.deepEqual(said["status.example.com"], [
    "It has no certificate, and is served without one.",
    "No certificate is ordered, because nobody has agreed to the authority's terms.",
    "Agree to them by giving your address: candor config set acme.contact you@example.com",
  ]);
  assert.equal(said["10.0.0.7"]?.[1], "Authorities certify host names, and this is an address.");
});

for (const [words, settings] of [
  ["", {}],
  [", also where a contact was set before", { "acme.contact": "o@example.com" }],
] as [string, Partial<Record<SettingName, string>>][]) {
  test(`behind a proxy the settings say nothing of certificates${words}`, async (t) => {
    const { addHost, read } = await open(t, settings);
    addHost("10.0.0.7");
    assert.deepEqual(await read(), { "status.example.com": [], "10.0.0.7": [] });
  });
}

test("the settings tell of a certificate that is held also where this server doesn't listen for https", async (t) => {
  const { addHost, bring, read } = await open(t, {});
  for (const name of ["held", "other"]) addHost(`${name}.example.com`);
  await bring("held.example.com", -10, 80);
  const said = await read();
  assert.deepEqual(said["held.example.com"], [
    "Its certificate is valid until 11 Feb 2027, 10:00 CET. Issued by Simulated",
    "This server doesn't listen for https.",
  ]);
  assert.deepEqual(said["other.example.com"], [], "a proxy has it");
});
