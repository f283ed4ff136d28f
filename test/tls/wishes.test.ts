/** What is wanted of an authority as the settings stand, and when nothing is asked of anybody. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addHost } from "../../src/pages/pages.ts";
import { readWishes, type Wishes } from "../../src/tls/wishes.ts";
import { by, day, host, hour, makeWorld, minute } from "../support/acme-world.ts";
import { openTestHouse } from "../support/house.ts";

const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";
const staging = "https://acme-staging-v02.api.letsencrypt.org/directory";

for (const [words, off, on] of [
  ["nobody has agreed to its terms", { contact: "" }, { contact: "o@example.com" }],
  ["this server doesn't listen for https", { listens: false }, { listens: true }],
  ["no server runs", { runs: false }, { runs: true }],
] as [string, Partial<Wishes>, Partial<Wishes>][]) {
  test(`while ${words}, neither an authority nor the DNS is asked for anything`, async () => {
    const lookedUp: string[] = [];
    const lookup: Wishes["lookup"] = {
      addresses: async (name) => {
        lookedUp.push(name);
        return ["192.0.2.1"];
      },
      allowedIssuers: async (name) => {
        lookedUp.push(name);
        return undefined;
      },
    };
    const { wishes, live, asked, served } = makeWorld({ ...off, lookup });
    await live(day);
    assert.deepEqual([asked, lookedUp], [[], []]);
    Object.assign(wishes, on);
    await live(hour, minute);
    assert.ok(served(), "and from then on all by itself");
    assert.ok(lookedUp.includes(host));
  });
}

test("a name that the public DNS doesn't know is ordered of no public authority", async () => {
  const name = "status.intern";
  const { house, page, wishes, live, opened, asked, now } = makeWorld();
  addHost(house.db, { pageId: page.id, host: name, now: now(), by });
  wishes.isPublic = readWishes(house.config, { runs: true, listens: true }).isPublic;
  await live(day);
  assert.deepEqual(
    asked.filter(({ deed }) => deed === "openOrder").map((order) => order.name),
    [host],
  );
  wishes.isPublic = false;
  await live(hour, minute);
  assert.equal(opened(name).length, 1, "an authority of one's own is asked for it");
});

test("a host that no public authority certifies says so, and what can be done", async (t) => {
  const house = await openTestHouse({ "https.listen": "127.0.0.1:8443" });
  t.after(() => house.close());
  const hosts = `/v1/pages/${house.page.id}/hosts`;
  await house.operate("POST", hosts, { host: { name: "status.intern" } });
  const row = (await house.operate("GET", hosts)).json().find((one: any) => one.name === "status.intern");
  assert.equal(row.certificate.words, "It isn't a name of the public DNS, so no public authority certifies it.");
  assert.match(row.certificate.advice, /candor cert import.*acme\.directory and acme\.ca_file\.$/);
});

test("where nothing is said, certificates come from Let's Encrypt and tests go to its staging service", async (t) => {
  const house = await openTestHouse();
  t.after(() => house.close());
  const { config, clock } = house.deps;
  const shown = (await house.operate("GET", "/v1/settings/acme.directory")).json();
  assert.deepEqual([shown.value, shown.from], [letsEncrypt, "default"]);
  const wish = readWishes(config, { runs: true, listens: true });
  assert.deepEqual(wish.authorities, [{ directory: letsEncrypt, binding: undefined }]);
  assert.equal(wish.testDirectory, staging);
  config.set("acme.directory", "https://ca.example.net/directory", clock.now());
  assert.equal(readWishes(config, { runs: true, listens: true }).testDirectory, "https://ca.example.net/directory");
  config.set("acme.test_directory", "https://test.example.net/directory", clock.now());
  assert.equal(readWishes(config, { runs: true, listens: true }).testDirectory, "https://test.example.net/directory");
});
