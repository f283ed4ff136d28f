/** What belongs to the operator's socket alone: settings, hosts, members, tokens, snapshots, the audit. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { takeSnapshot } from "../../src/backup/snapshots.ts";
import { createKeyring, openKeyring } from "../../src/crypto/keyring.ts";
import { openStore } from "../../src/db.ts";
import { createPage, listPages } from "../../src/pages/pages.ts";
import { type House, monday, openTestHouse } from "../support/house.ts";

let house: House;
let base: string;
before(async () => {
  house = await openTestHouse();
  base = `/v1/pages/${house.page.id}`;
});
after(() => house.close());

test("settings are read, set and unset; a secret one is never told", async () => {
  const list = (await house.operate("GET", "/v1/settings")).json();
  assert.ok(list.length >= 10);
  assert.equal(Object.keys(list[0]).join(" "), "name value is_set from default meaning secret at_start variable");
  const set = await house.operate("PUT", "/v1/settings/mail.burst_factor", { value: 7 });
  assert.deepEqual([set.status, set.json().value, set.json().from], [200, "7", "database"]);
  assert.equal(house.deps.config.number("mail.burst_factor"), 7);
  const url = "smtp://candor:hunter2@127.0.0.1:9";
  const secret = await house.operate("PUT", "/v1/settings/mail.smtp_url", { value: url });
  assert.deepEqual([secret.json().value, secret.json().is_set, secret.json().secret], [null, true, true]);
  assert.equal(house.deps.config.text("mail.smtp_url"), url);
  const everything = (await house.operate("GET", "/v1/settings")).text + (await house.operate("GET", "/v1/audit")).text;
  assert.ok(!everything.includes("hunter2"));
  assert.equal((await house.operate("DELETE", "/v1/settings/mail.smtp_url")).json().is_set, false);
  assert.equal((await house.operate("GET", "/v1/settings/mail.burst_factor")).json().value, "7");

  const wrong = await house.operate("PUT", "/v1/settings/mail.from", { value: "nobody" });
  assert.deepEqual([wrong.status, wrong.json().field], [422, "value"]);
  assert.match((await house.operate("PUT", "/v1/settings/mail.fron", { value: "x" })).json().message, /mail\.from/);
  assert.equal((await house.operate("PUT", "/v1/settings/mail.from", {})).json().field, "value");
  assert.equal((await house.operate("GET", "/v1/settings/__proto__")).status, 422);
});

test("what is believed of a proxy, and what it is exempt from, is told where it is named", async () => {
  const { meaning } = (await house.operate("GET", "/v1/settings/trusted_proxies")).json();
  for (const word of ["X-Forwarded-For", "X-Forwarded-Proto", "PROXY protocol", "connections.per_network", "rest"])
    assert.ok(meaning.includes(word), word);
});

test("the sender's address is the page's", async () => {
  await house.operate("PUT", "/v1/settings/mail.from", { value: "news@example.com" });
  assert.equal((await house.operate("GET", base)).json().notifications_from_email, "news@example.com");
  await house.operate("DELETE", "/v1/settings/mail.from");
});

test("a host is added and leads to the page at once", async () => {
  assert.equal((await house.visit("/", { host: "status.example.net" })).status, 421);
  const added = await house.operate("POST", `${base}/hosts`, { host: { name: "status.example.net" } });
  assert.equal(added.status, 201, added.text);
  assert.equal(added.json().origin, "https://status.example.net");
  assert.equal((await house.visit("/", { host: "status.example.net" })).status, 200);
  const names = (await house.operate("GET", `${base}/hosts`)).json().map((host: any) => host.name);
  assert.deepEqual(names.toSorted(), ["status.example.com", "status.example.net"]);
  assert.equal((await house.operate("POST", `${base}/hosts`, { host: { name: "not a host" } })).json().field, "host");
});

test("a host that leads to another page stays there until it is removed there", async (t) => {
  const own = await openTestHouse();
  t.after(() => own.close());
  const { db } = own.deps;
  const other = createPage(db, { name: "Other", timeZone: "UTC", now: monday, by: { kind: "system" } });
  const add = (pageId: string, name: string) => own.operate("POST", `/v1/pages/${pageId}/hosts`, { host: { name } });
  assert.equal((await add(other.id, "status.example.net")).status, 201);
  const row = () => db.$client.prepare("SELECT * FROM hosts WHERE name = 'status.example.net'").get();
  const before = row();
  for (const name of ["status.example.net", "http://status.example.net:8080"]) {
    const refused = await add(own.page.id, name);
    assert.deepEqual([refused.status, refused.json().field], [409, "host"]);
    assert.equal(
      refused.json().message,
      "status.example.net leads to another page already. Remove it there first: candor host remove, with --page.",
    );
    assert.deepEqual(row(), before);
  }
});

test("a member is added and enters by the link that was made for them", async () => {
  const added = await house.operate("POST", "/v1/members", {
    member: { email: "Nora@example.com", roles: ["publisher", "team"] },
  });
  assert.equal(added.status, 201, added.text);
  assert.deepEqual(added.json().roles, [
    { role: "publisher", page_id: null },
    { role: "team", page_id: null },
  ]);
  assert.equal(
    (await house.operate("POST", "/v1/members", { member: { email: "x@example.com", roles: ["king"] } })).json().field,
    "role",
  );
  assert.equal(
    (await house.operate("POST", "/v1/members", { member: { email: "x@example.com" } })).json().field,
    "roles",
  );
  const link = await house.operate("POST", `/v1/members/${encodeURIComponent("nora@example.com")}/link`);
  assert.equal(link.status, 201, link.text);
  assert.match(link.json().url, /^https:\/\/status\.example\.com\/admin\/enter\/[\w-]{43}$/);
  assert.equal(link.json().expires_at, "2026-11-23T09:30:00.000Z");
  assert.equal((await house.operate("POST", "/v1/members/nobody@example.com/link")).status, 404);
  const list = (await house.operate("GET", "/v1/members")).json();
  assert.equal(list.length, 3);
  assert.equal(Object.keys(list[0]).join(" "), "id email name roles suspended has_password");
});

test("links begin with the host that was put first, and a removed one is refused, but never the last", async () => {
  const first = await house.operate("PUT", `${base}/hosts/first`, { host: { name: "status.example.net" } });
  assert.equal(first.status, 200, first.text);
  const names = (await house.operate("GET", `${base}/hosts`)).json().map((one: any) => one.name);
  assert.deepEqual(names, ["status.example.net", "status.example.com"]);
  const address = async () => (await house.visit("/api/v2/summary.json")).json().page.url;
  assert.equal(await address(), "https://status.example.net");
  const link = await house.operate("POST", "/v1/members/olive@example.com/link");
  assert.match(link.json().url, /^https:\/\/status\.example\.net\//);

  assert.equal((await house.operate("DELETE", `${base}/hosts/nowhere.example.com`)).status, 404);
  const gone = encodeURIComponent("https://status.example.net");
  assert.equal((await house.operate("DELETE", `${base}/hosts/${gone}`)).json().name, "status.example.net");
  assert.equal((await house.visit("/", { host: "status.example.net" })).status, 421);
  assert.equal(await address(), "https://status.example.com");
  const last = await house.operate("DELETE", `${base}/hosts/status.example.com`);
  assert.deepEqual([last.status, /only host/.test(last.text)], [409, true]);
  const deeds = (await house.operate("GET", "/v1/audit?limit=3")).json().map((deed: any) => deed.action);
  assert.deepEqual(deeds, ["host.remove", "member.link", "host.first"]);
});

test("a suspended member is out at once by every way, and comes back when restored", async () => {
  const browser = await house.signIn(house.publisher);
  assert.equal((await browser.open("/admin/incidents")).status, 200);
  const link = (await house.operate("POST", "/v1/members/paul@example.com/link")).json();
  const suspended = await house.operate("PUT", "/v1/members/Paul@example.com/suspension");
  assert.deepEqual([suspended.status, suspended.json().suspended], [200, true]);
  assert.match((await browser.open("/admin/incidents")).text, /Sign in/);
  assert.equal((await house.operate("POST", "/v1/members/paul@example.com/link")).status, 409);
  assert.equal((await house.operate("PUT", "/v1/members/paul@example.com/suspension")).status, 409);

  const restored = await house.operate("DELETE", "/v1/members/paul@example.com/suspension");
  assert.equal(restored.json().suspended, false);
  assert.match((await browser.open("/admin/incidents")).text, /Sign in/, "the old session stays ended");
  assert.match((await house.stranger().open(new URL(link.url).pathname)).text, /too old|used already|Ask for a new/);
  assert.equal((await house.operate("DELETE", "/v1/members/paul@example.com/suspension")).status, 409);
  assert.equal((await (await house.signIn(house.publisher)).open("/admin/incidents")).status, 200);
  assert.equal((await house.operate("PUT", "/v1/members/nobody@example.com/suspension")).status, 404);
});

test("the last owner who can sign in can't be suspended", async () => {
  const refused = await house.operate("PUT", "/v1/members/olive@example.com/suspension");
  assert.deepEqual([refused.status, /last owner/.test(refused.text)], [409, true]);
  await house.operate("POST", "/v1/members", { member: { email: "ola@example.com", roles: ["owner"] } });
  assert.equal((await house.operate("PUT", "/v1/members/olive@example.com/suspension")).status, 200);
  assert.equal((await house.operate("PUT", "/v1/members/ola@example.com/suspension")).status, 409);
  assert.equal((await house.operate("DELETE", "/v1/members/olive@example.com/suspension")).status, 200);
});

test("a member's roles are changed at once, and the last owner keeps theirs", async () => {
  const member = (
    await house.operate("POST", "/v1/members", { member: { email: "rae@example.com", roles: ["team"] } })
  ).json();
  const put = (address: string, roles: string[]) =>
    house.operate("PUT", `/v1/members/${address}/roles`, { member: { roles } });
  const changed = await put("rae@example.com", ["publisher", "page_config", "publisher"]);
  assert.equal(changed.status, 200, changed.text);
  const rolesOf = (shape: any) => shape.roles.map((grant: any) => grant.role).sort();
  assert.deepEqual(rolesOf(changed.json()), ["page_config", "publisher"]);
  const listed = (await house.operate("GET", "/v1/members")).json().find((one: any) => one.id === member.id);
  assert.deepEqual(rolesOf(listed), ["page_config", "publisher"]);
  assert.equal((await house.operate("GET", "/v1/audit?limit=1")).json()[0].action, "member.roles");

  assert.equal((await put("rae@example.com", [])).json().field, "roles");
  assert.equal((await put("nobody@example.com", ["team"])).status, 404);
  assert.equal((await put("ola@example.com", ["publisher"])).status, 200, "there is another owner");
  const last = await put("olive@example.com", ["publisher"]);
  assert.deepEqual([last.status, /last owner/.test(last.text)], [409, true]);
  assert.equal((await put("olive@example.com", ["owner", "publisher"])).status, 200);
});

test("a token is shown once, works, and is revoked", async () => {
  const made = await house.operate("POST", "/v1/tokens", {
    token: { name: "deploy", role: "publisher", page_id: house.page.id },
  });
  assert.equal(made.status, 201, made.text);
  const { id, secret } = made.json();
  assert.equal((await house.api(secret, "GET", `${base}/incidents`)).status, 200);
  const list = (await house.operate("GET", "/v1/tokens")).text;
  assert.ok(list.includes(id) && !list.includes(secret));
  assert.equal((await house.operate("DELETE", `/v1/tokens/${id}`)).status, 204);
  assert.equal((await house.operate("DELETE", `/v1/tokens/${id}`)).status, 404);
  assert.equal((await house.api(secret, "GET", `${base}/incidents`)).status, 401);
  assert.equal(
    (await house.operate("POST", "/v1/tokens", { token: { name: "x", role: "publisher", page_id: "aaaaaaaaaaaa" } }))
      .status,
    404,
  );
});

test("what was done is in the audit, newest first", async () => {
  const list = (await house.operate("GET", "/v1/audit?limit=1")).json();
  assert.equal(list.length, 1);
  assert.deepEqual([list[0].action, list[0].actor], ["token.revoke", { kind: "operator", id: null }]);
  assert.equal((await house.operate("GET", "/v1/audit?limit=0")).status, 400);
});

test("a house in memory has nothing to take a snapshot of", async () => {
  assert.equal((await house.operate("POST", "/v1/snapshots", {})).status, 409);
});

test("a snapshot is a whole database with its keyring, and never replaces a file", () => {
  const folder = mkdtempSync(join(tmpdir(), "candor-test-"));
  const dataFolder = join(folder, "data");
  const kek = Buffer.alloc(32, 7);
  createKeyring(join(dataFolder, "keyring.json"), kek, monday);
  const clock = { now: () => monday };
  const store = openStore({ where: dataFolder, keys: openKeyring(join(dataFolder, "keyring.json"), kek), clock });
  try {
    createPage(store.db, { name: "Kept", timeZone: "UTC", now: monday, by: { kind: "system" } });
    const made = takeSnapshot({ store, dataFolder, file: undefined, now: monday });
    assert.equal(made.file, join(dataFolder, "snapshots", "candor-2026-11-23T09-00-00-000Z.db"));
    assert.ok(made.bytes > 4096);
    assert.throws(() => takeSnapshot({ store, dataFolder, file: undefined, now: monday }), /exists already/);
    const file = join(folder, "elsewhere", "candor.db");
    const given = takeSnapshot({ store, dataFolder, file, now: monday });
    assert.equal(given.keyring, join(folder, "elsewhere", "candor.keyring.json"));
    for (const path of [given.file, given.keyring]) assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.ok(!readFileSync(file).includes("Kept"));
    assert.throws(() => takeSnapshot({ store, dataFolder, file: "candor.db", now: monday }), /whole path/);
    writeFileSync(join(folder, "file"), "");
    assert.throws(
      () => takeSnapshot({ store, dataFolder, file: join(folder, "file", "x.db"), now: monday }),
      /can't be written/,
    );

    // What was taken is a house again: the two files under their own names.
    const again = join(folder, "again");
    createKeyring(join(again, "keyring.json"), kek, monday);
    writeFileSync(join(again, "keyring.json"), readFileSync(given.keyring));
    writeFileSync(join(again, "candor.db"), readFileSync(given.file));
    const second = openStore({ where: again, keys: openKeyring(join(again, "keyring.json"), kek), clock });
    assert.equal(listPages(second.db)[0]?.name, "Kept");
    second.close();
  } finally {
    store.close();
    rmSync(folder, { recursive: true });
  }
});
