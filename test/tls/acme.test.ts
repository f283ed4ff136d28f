/** Certificates by ACME, against Let's Encrypt's own test authority: obtained, renewed, refused, and never lost. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connect } from "node:tls";
import type { SettingName } from "../../src/config.ts";
import { removeHost } from "../../src/pages/pages.ts";
import { hosts } from "../../src/schema.ts";
import { forgetRegistration } from "../../src/tls/accounts.ts";
import { host, serveByAcme } from "../support/acme-house.ts";
import { createAuthority } from "../support/authority.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { heldMemory } from "../support/memory.ts";
import { needs } from "../support/need.ts";
import { type Pebble, startPebble } from "../support/pebble.ts";
import { freePort } from "../support/ports.ts";
import { fetchFrom } from "../support/program.ts";

const skip = needs("pebble", "pebble-challtestsrv");

async function serve(
  t: TestContext,
  pebble: Pebble,
  options: { hosts: string[]; settings?: Partial<Record<SettingName, string>> },
) {
  const house = await serveByAcme(t, pebble, options.settings, options.hosts);
  const isServed = async (name: string) => {
    const root = await pebble.root();
    return house.handshake(root, name).then(
      () => true,
      () => false,
    );
  };
  return { ...house, isServed };
}

const hour = 3_600_000;
const day = 24 * hour;

test("a host gets its certificate by itself, and is served with it at once", { skip }, async (t) => {
  const pebble = await startPebble(t, { environment: { PEBBLE_ALTERNATE_ROOTS: "2" } });
  const house = await serve(t, pebble, { hosts: [host] });
  await house.until(() => house.certificates().length === 1);
  assert.equal(await house.isServed(host), true);
  const [order] = house.orders(host);
  assert.equal(order?.state, "done");
  assert.equal(order?.challenge, "http-01");
  assert.equal(order?.privateKey, null, "its key is the certificate's now");
});

test("where the authority can't come in over http, it is let in by a handshake the next time", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const house = await serve(t, pebble, { hosts: [host], settings: { listen: "127.0.0.1:0" } });
  await house.until(() => house.orders(host)[0]?.state === "failed");
  assert.equal(house.orders(host)[0]?.problem, "connection");
  house.skipAhead(10 * 60_000);
  await house.until(() => house.certificates().length === 1);
  assert.equal(house.orders(host)[0]?.challenge, "tls-alpn-01");
  assert.equal(await house.isServed(host), true);
});

test("an authority that loses its memory in the middle of an order is told everything again", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  proxy.instead = ({ path }) => (path.startsWith("/chalZ/") ? "cut" : undefined);
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.orders(host)[0]?.problem === "unreachable");
  pebble.kill();
  await pebble.start();
  proxy.instead = () => undefined;
  house.skipAhead(60_000);
  await house.until(() => house.certificates().length === 1);
  assert.equal(await house.isServed(host), true);
  assert.equal(house.orders(host).length, 1, "it is still the same order");
  assert.equal(house.lines.filter((line) => line.includes("certificate.account_made")).length, 2);
});

test("an order is begun anew where an authority forgets one that it may have issued a certificate for", {
  skip,
}, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  proxy.instead = ({ path }) => (path.startsWith("/finalize-order") ? "cut" : undefined);
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.orders(host)[0]?.problem === "unreachable");
  pebble.kill();
  await pebble.start();
  proxy.instead = () => undefined;
  house.skipAhead(60_000);
  await house.until(() => house.orders(host)[0]?.state === "failed");
  house.skipAhead(90_000);
  await house.until(() => house.certificates().length === 1);
  assert.equal(house.orders(host).filter(({ issuedAt }) => issuedAt !== null).length, 2, "both count");
});

const json = { "content-type": "application/json" };
const inAnHour = () => new Date(Date.now() + hour).toUTCString();
for (const [words, fault] of [
  ["is down for a while", () => ({ status: 503, body: "busy" })],
  ["closes connections", () => "cut" as const],
  ["answers half a sentence", () => ({ status: 200, body: '{"status": "pend', headers: json })],
  ["answers without end", () => ({ status: 200, body: "x".repeat(2_000_000) })],
  ["asks for patience in seconds", () => problem(429, "rateLimited", { "retry-after": "1800" })],
  ["asks for patience with a date", () => problem(429, "rateLimited", { "retry-after": inAnHour() })],
] as const) {
  test(`an authority that ${words} is asked again later, and only then`, { skip }, async (t) => {
    const pebble = await startPebble(t);
    const proxy = await startFaultProxy(t, pebble);
    const instead = fault();
    proxy.instead = ({ path }) => (path.startsWith("/order-plz") ? instead : undefined);
    const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
    await house.until(() => house.orders(host)[0]?.problem !== null && house.orders(host).length === 1);
    const waits = (house.orders(host)[0]?.goOnAt ?? 0) - Date.now();
    const said = words.includes("seconds") ? 1800_000 : words.includes("date") ? hour : 10_000;
    assert.ok(waits > said - (words.includes("date") ? 60_000 : 15_000), `it waits ${waits} ms`);
    const asked = proxy.orders().length;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.equal(proxy.orders().length, asked);
    proxy.instead = () => undefined;
    house.skipAhead(2 * hour);
    await house.until(() => house.certificates().length === 1);
    assert.equal(await house.isServed(host), true);
    assert.equal(house.orders(host).length, 1);
  });
}

test("an authority that never answers is given up on in half a minute, and asked again", {
  skip,
  timeout: 90_000,
}, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  proxy.instead = ({ path }) => (path.startsWith("/order-plz") ? "hang" : undefined);
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.orders(host)[0]?.asked === 1);
  await new Promise((resolve) => setTimeout(resolve, 15_000));
  proxy.instead = () => undefined;
  await house.until(() => house.orders(host)[0]?.problem === "unreachable");
  house.skipAhead(60_000);
  await house.until(() => house.certificates().length === 1);
});

test("an order that an authority never comes to an end with is given up after a day, and the next one works", {
  skip,
}, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  proxy.change = (given, { path }) => {
    if (path.startsWith("/my-order"))
      given.body = Buffer.from(given.body.toString().replace('"pending"', '"processing"'));
  };
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.orders(host)[0]?.url != null);
  house.skipAhead(21 * hour);
  await house.until(() => house.orders(host)[0]?.state === "failed");
  assert.equal(house.orders(host)[0]?.problem, "stuck");
  proxy.change = () => {};
  house.skipAhead(hour);
  await house.until(() => house.certificates().length === 1);
});

test("a certificate that isn't the one that was ordered is not served", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  const [stranger, weak] = [await createAuthority(), await createAuthority(Date.now(), "weak")];
  type Wrong = { words: RegExp; make: (request: Buffer) => Promise<string> };
  const wrong: Wrong[] = [
    { words: /another key/, make: async () => (await stranger.issue([host], {})).certificate },
    {
      words: /for other\.example\.com, not for status\.example\.com/,
      make: async (request) => (await stranger.issue(["other.example.com"], { request })).certificate,
    },
    {
      words: /^It expired on/,
      make: async (request) => (await stranger.issue([host], { request, days: [-90, -1] })).certificate,
    },
    {
      words: /^It is valid only from/,
      make: async (request) => (await stranger.issue([host], { request, days: [40, 100] })).certificate,
    },
    {
      words: /chain is broken/,
      make: async (request) => (await stranger.issue([host], { request })).certificate + (await createAuthority()).root,
    },
    { words: /./, make: async () => "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" },
    {
      words: /^OpenSSL doesn't take it \(.*too small\)/,
      make: async (request) => (await weak.issue([host], { request })).certificate + weak.intermediate,
    },
    { words: /no certificate chain/, make: async () => "no certificate at all" },
  ];
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  let current = 0;
  proxy.change = async (given, { path }) => {
    if (!path.startsWith("/certZ")) return;
    const { payload } = proxy.asked.findLast((asked) => asked.path.startsWith("/finalize-order")) as { payload: any };
    given.body = Buffer.from((await wrong[current]?.make(Buffer.from(payload.csr, "base64url"))) ?? "");
  };
  for (current = 0; current < wrong.length; current++) {
    await house.until(() => house.orders(host).filter((order) => order.state === "failed").length === current + 1);
    const [order] = house.orders(host);
    assert.equal(order?.problem, "badCertificate");
    assert.match(order?.detail ?? "", wrong[current]?.words ?? /never/);
    assert.equal(order?.privateKey, null);
    house.skipAhead(2 * day); // It was issued, and counts as one.
  }
  assert.equal(house.certificates().length, 0);
  assert.equal(await house.isServed(host), false);
});

test("what the authority refuses is told in its words, and tried again less and less often", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  // What would write to a terminal is left out.
  const badRequest = problem(400, "badCSR", {}, "The key\u001b is on a list\u202e of\r\nbad ones.");
  proxy.instead = ({ path }) => (path.startsWith("/finalize-order") ? badRequest : undefined);
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  const pauses: number[] = [];
  for (let count = 1; count <= 4; count++) {
    await house.until(() => house.orders(host).filter((order) => order.state === "failed").length === count);
    const [order] = house.orders(host);
    assert.equal(order?.detail, "The key is on a list of bad ones.");
    pauses.push((order?.goOnAt ?? 0) - (order?.endedAt ?? 0));
    house.skipAhead(hour + 1);
  }
  assert.deepEqual(
    pauses,
    pauses.toSorted((a, b) => a - b),
  );
});

test("an authority that has closed our account is asked with a new one", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  const closed = problem(403, "unauthorized", {}, 'Account is not valid, has status "deactivated".');
  proxy.instead = ({ path }) => (/^\/(order-plz|my-account)/.test(path) ? closed : undefined);
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.orders(host)[0]?.state === "failed");
  const [row]: any[] = await house.operate("GET", "/hosts");
  assert.match(row.certificate.words, /^localhost:\d+ has closed the account that Candor had there\. It says: Account/);
  assert.match(row.certificate.advice, /A new account is made then/);
  proxy.instead = () => undefined;
  house.skipAhead(hour);
  await house.until(() => house.certificates().length === 1);
  const made = proxy.asked.filter(({ path, status }) => path.startsWith("/sign-me-up") && status === 201);
  assert.equal(made.length, 2, "a closed account is known by its key: only another one makes a new account");
});

test("a closed account is replaced once, however many hosts wait for it, and what it had ordered is ordered anew", {
  skip,
}, async (t) => {
  const pebble = await startPebble(t, { environment: { PEBBLE_AUTHZREUSE: "0" } });
  const proxy = await startFaultProxy(t, pebble);
  const closed = problem(403, "unauthorized", {}, 'Account is not valid, has status "deactivated".');
  const hosts = [host, "https://two.example.com", "https://three.example.com"];
  let isClosed = false;
  // The first host's order stands when the account is closed; the others haven't begun.
  proxy.instead = ({ path, payload }) => {
    if (path.startsWith("/my-order")) return "cut";
    if (path.startsWith("/my-account")) return closed;
    const first = payload?.identifiers?.[0].value === "status.example.com";
    return path.startsWith("/order-plz") && (!first || isClosed) ? closed : undefined;
  };
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts });
  await house.until(() => house.orders(host)[0]?.url != null);
  isClosed = true;
  const others = ["two.example.com", "three.example.com"];
  await house.until(() => others.every((name) => house.orders(name)[0]?.problem === "accountClosed"));
  proxy.instead = () => undefined;
  for (let hours = 0; hours < 5 && house.certificates().length < 3; hours++) {
    house.skipAhead(hour);
    await new Promise((resolve) => setTimeout(resolve, 4_000));
  }
  assert.equal(house.certificates().length, 3);
  const made = proxy.asked.filter(({ path, status }) => path.startsWith("/sign-me-up") && status === 201);
  assert.equal(made.length, 2);
});

test("an authority that wants other terms agreed to is told of in its words, and asked again when a person says so", {
  skip,
}, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.certificates().length === 1);
  const terms = problem(403, "userActionRequired", {}, "The terms have changed: see https://ca.test/terms.");
  proxy.instead = ({ path }) => (path.startsWith("/order-plz") ? terms : undefined);
  await house.operate("POST", `/hosts/${host}/orders`, { order: {} });
  await house.until(() => house.orders(host)[0]?.state === "failed");
  const [row]: any[] = await house.operate("GET", "/hosts");
  assert.match(row.certificate.words, /userActionRequired.*It says: The terms have changed: see https:\/\/ca\.test/);
  assert.match(row.certificate.advice, /^Do what the authority asks for, then: candor host renew/);
  assert.equal(row.certificate.state, "valid", "the old certificate stays in service");
  proxy.instead = () => undefined;
  await house.operate("POST", `/hosts/${host}/orders`, { order: {} });
  await house.until(() => house.certificates().length === 2);
});

test("an authority that wants an external account gets one, and says so where it isn't given", { skip }, async (t) => {
  const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
  const config = { externalAccountBindingRequired: true, externalAccountMACKeys: { "kid-1": key } };
  const pebble = await startPebble(t, { config });
  const house = await serve(t, pebble, { hosts: [host] });
  await house.until(() => house.orders(host)[0]?.state === "failed");
  assert.equal(house.orders(host)[0]?.problem, "externalAccountRequired");
  const now = Date.now();
  house.deps.config.set("acme.eab_kid", "kid-1", now);
  house.deps.config.set("acme.eab_key", key, now);
  house.skipAhead(hour);
  await house.until(() => house.certificates().length === 1);
});

test("the next certificate is ordered in the authority's window, says which it replaces, and takes over by itself", {
  skip,
}, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  proxy.profiles = ["classic", "tlsserver"];
  const at = (ms: number) => new Date(Date.now() + ms).toISOString();
  proxy.window = () => ({ body: JSON.stringify({ suggestedWindow: { start: at(400 * day), end: at(401 * day) } }) });
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.certificates()[0]?.renewalWindow != null);
  const [first] = house.certificates();
  assert.ok((first?.renewAt ?? 0) > Date.now() + 400 * day);
  assert.deepEqual(proxy.orders(), [{ name: host, profile: "tlsserver" }]);
  proxy.window = () => ({
    body: JSON.stringify({ suggestedWindow: { start: "soon", end: "later" } }),
    retryAfter: "3600",
  });
  house.skipAhead(200 * day);
  await house.until(() => house.certificates()[0]?.renewalWindow === null);
  assert.equal(house.certificates().length, 1, "what can't be meant moves nothing but the window");
  proxy.window = () => ({ body: JSON.stringify({ suggestedWindow: { start: at(-3 * day), end: at(-2 * day) } }) });
  house.skipAhead(6 * hour);
  await house.until(() => house.certificates().length === 2);
  assert.deepEqual(proxy.orders()[1], { name: host, profile: "tlsserver", replaces: first?.renewalId });
});

test("an authority that has replaced a certificate already is asked without naming it", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.certificates().length === 1);
  const conflict = problem(409, "alreadyReplaced", {});
  proxy.instead = ({ payload }) => (payload?.replaces ? conflict : undefined);
  house.skipAhead(5 * 365 * day - 30 * day);
  await house.until(() => house.certificates().length === 2);
  assert.deepEqual(
    proxy.orders().map(({ replaces }) => replaces !== undefined),
    [false, true, false],
  );
});

test("the second authority is asked while the first is down", { skip }, async (t) => {
  const [dead, pebble] = [await freePort(), await startPebble(t)];
  const settings = { "acme.directory": `https://127.0.0.1:${dead}/dir`, "acme.second_directory": pebble.directory };
  const house = await serve(t, pebble, { hosts: [host], settings });
  const waits = () => {
    const [order] = house.orders(host);
    return order !== undefined && order.goOnAt > house.deps.clock.now();
  };
  for (let tries = 1; house.certificates().length === 0 && tries < 8; tries++) {
    await house.until(() => house.certificates().length === 1 || waits());
    if (house.certificates().length === 0) house.skipAhead(7 * 60_000);
  }
  assert.equal(house.certificates()[0]?.directory, pebble.directory);
});

test("a name that the DNS doesn't know waits, costs no failure, and is certified when it is there", {
  skip,
}, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  await pebble.tellDns("/set-default-ipv4", { ip: "" });
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.orders(host)[0]?.problem === "noAddress");
  assert.deepEqual(proxy.orders(), []);
  await pebble.tellDns("/set-default-ipv4", { ip: "127.0.0.1" });
  house.skipAhead(60_000);
  await house.until(() => house.certificates().length === 1);
});

test("a name whose owner allows only another authority is not asked for", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  proxy.change = (given, { path }) => {
    if (!path.endsWith("/dir")) return;
    const directory = JSON.parse(given.body.toString());
    directory.meta.caaIdentities = ["pebble.example"];
    given.body = Buffer.from(JSON.stringify(directory));
  };
  await pebble.tellDns("/add-caa", { host: "example.com.", policies: [{ tag: "issue", value: "other.example" }] });
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.orders(host)[0]?.state === "failed");
  assert.equal(house.orders(host)[0]?.problem, "caa");
  assert.match(house.orders(host)[0]?.detail ?? "", /allows other\.example, not pebble\.example/);
  assert.deepEqual(proxy.orders(), []);
});

test("hosts of one domain share a wildcard that a program puts into the DNS", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const hook = join(mkdtempSync(join(tmpdir(), "candor-hook-")), "hook.mjs");
  const script = `#!${process.execPath}
const [deed, record, value] = process.argv.slice(2);
const [path, body] = deed === "present" ? ["/set-txt", { host: record + ".", value }] : ["/clear-txt", { host: record + "." }];
const answer = await fetch("http://${pebble.dnsManagement}" + path, { method: "POST", body: JSON.stringify(body) });
if (!answer.ok) { console.error("The DNS answers " + answer.status); process.exit(1); }
`;
  writeFileSync(hook, script, { mode: 0o755 });
  const settings = { "acme.dns_hook": hook, "acme.wildcards": "example.com" };
  const house = await serve(t, pebble, {
    hosts: [host, "https://help.example.com", "https://status.example.net"],
    settings,
  });
  await house.until(() => house.certificates().length === 2);
  const names = house.certificates().flatMap((certificate) => certificate.names);
  assert.deepEqual(names.toSorted(), ["*.example.com", "status.example.net"]);
  for (const name of [host, "help.example.com", "status.example.net"]) assert.equal(await house.isServed(name), true);
});

test("an order for a host that is removed ends with it", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  proxy.instead = ({ path }) => (path.startsWith("/my-order") ? "cut" : undefined);
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host, "https://old.example.com"] });
  await house.until(() => house.orders("old.example.com")[0]?.url != null);
  const pageId = house.deps.db.$client.prepare("SELECT id FROM pages").pluck().get() as string;
  removeHost(house.deps.db, { pageId, host: "old.example.com", now: Date.now(), by: { kind: "operator" } });
  await house.until(() => house.orders("old.example.com")[0]?.state === "dropped");
  assert.equal(house.orders("old.example.com")[0]?.problem, "unwanted");
});

test("an order whose authority is no longer chosen gives way to the one that is, at once and without blame", {
  skip,
}, async (t) => {
  const [dead, pebble] = [await freePort(), await startPebble(t)];
  const house = await serve(t, pebble, {
    hosts: [host],
    settings: { "acme.directory": `https://127.0.0.1:${dead}/dir` },
  });
  await house.until(() => house.orders(host)[0]?.problem === "unreachable");
  const [row]: any[] = await house.operate("GET", "/hosts");
  assert.match(row.certificate.words, /can't be reached: .*\.$/);
  house.deps.config.set("acme.directory", pebble.directory, Date.now());
  const made = await house.operate("POST", `/hosts/${host}/orders`, { order: {} });
  assert.deepEqual([made.authority, made.words], [pebble.directory, null]);
  await house.until(() => house.certificates().length === 1);
  const [newest, before] = house.orders(host);
  assert.deepEqual([newest?.state, before?.problem], ["done", "unwanted"]);
});

test("an authority that didn't hear that it may look is told again", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  let unheard = 0;
  proxy.instead = ({ path }) => {
    if (!path.startsWith("/chalZ") || unheard > 0) return undefined;
    unheard += 1;
    return "cut";
  };
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.orders(host)[0]?.problem === "unreachable");
  house.skipAhead(60_000);
  await house.until(() => house.certificates().length === 1);
  assert.equal(unheard, 1);
});

test("who asks for more certificates than the authority's limits allow is told so, and doesn't wait in vain", {
  skip,
}, async (t) => {
  const pebble = await startPebble(t);
  const house = await serve(t, pebble, { hosts: [host] });
  for (let count = 1; count <= 4; count++) {
    await house.until(() => house.certificates().length === count);
    await house.operate("POST", `/hosts/${host}/orders`, { order: {} });
  }
  await house.until(() => house.orders(host)[0]?.problem === "limit");
  const [row]: any[] = await house.operate("GET", "/hosts");
  assert.match(
    row.certificate.words,
    /isn't asked for another certificate of status\.example\.com now: so many were ordered/,
  );
  assert.equal(row.certificate.state, "valid");
  assert.ok(Date.parse(row.certificate.next_at) > Date.now() + 6 * day);
});

test("whoever asks again is told of this attempt and not of the one before", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  proxy.instead = () => "cut";
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.orders(host)[0]?.problem === "unreachable");
  proxy.instead = () => undefined;
  const made = await house.operate("POST", `/hosts/${host}/orders`, { order: {} });
  assert.deepEqual([made.state, made.words], ["open", null]);
  await house.until(() => house.certificates().length === 1);
});

test("the operator sees how it stands with a host, and orders or tests a certificate by hand", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  const refusal = problem(400, "badCSR", {}, "The key is on a list of bad ones.");
  proxy.instead = ({ path }) => (path.startsWith("/finalize-order") ? refusal : undefined);
  const hosts = [host, "http://127.0.0.1", "https://10.0.0.7"];
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts });
  await house.until(() => house.orders(host)[0]?.state === "failed");
  const [failing, address, plain]: any[] = (await house.operate("GET", "/hosts")).map((row: any) => row.certificate);
  assert.equal(failing.state, "none");
  assert.match(
    failing.words,
    /^localhost:\d+ refused the order \(badCSR\)\. It says: The key is on a list of bad ones\.$/,
  );
  assert.match(failing.advice, /tried again by itself/);
  assert.ok(Date.parse(failing.next_at) > Date.now());
  assert.equal(plain, null);
  assert.match(address.words, /this is an address/);
  await assert.rejects(house.operate("POST", "/hosts/10.0.0.7/orders", { order: {} }), /409.*candor host add/);
  proxy.instead = () => undefined;
  const test = await house.operate("POST", `/hosts/${host}/orders`, { order: { purpose: "test" } });
  const find = async (id: string) =>
    (await house.operate("GET", `/hosts/${host}/orders`)).find((row: any) => row.id === id);
  for (let tries = 0; tries < 300 && (await find(test.id)).state === "open"; tries++)
    await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal((await find(test.id)).state, "done");
  assert.equal(house.certificates().length, 0, "a test leaves nothing");
  const renewal = await house.operate("POST", `/hosts/${host}/orders`, { order: {} });
  await house.until(() => house.certificates().length === 1);
  assert.equal((await find(renewal.id)).state, "done");
  const shown = await house.operate("GET", `/hosts/${host}`);
  assert.equal(shown.certificate.state, "valid");
  assert.equal(shown.certificate.words, null);
  assert.match(shown.obstacles.join(), /can't be reached on port 80|leads to another server/);
});

test("browsers are bound to https only after a day of it", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const house = await serve(t, pebble, { hosts: [host] });
  await house.until(() => house.certificates().length === 1);
  const said = () => {
    house.deps.press.pressAll();
    return house.deps.press.transportOf(host)[1];
  };
  assert.equal(said(), undefined);
  house.skipAhead(25 * hour);
  assert.equal(said(), "max-age=31536000");
  house.deps.config.set("https.hsts", "subdomains", Date.now());
  assert.equal(said(), "max-age=31536000; includeSubDomains");
  house.deps.config.set("https.hsts", "off", Date.now());
  assert.equal(said(), undefined);
  house.deps.config.set("https.hsts", "release", Date.now());
  assert.equal(said(), "max-age=0");
  house.deps.db
    .update(hosts)
    .set({ origin: `http://${host}` })
    .run();
  assert.equal(said(), "max-age=0", "who is bound comes by https all the same");
});

test("strangers' names in handshakes and requests never reach the authority", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.certificates().length === 1);
  const before = proxy.asked.length;
  const shake = (servername: string, ALPNProtocols: string[]) =>
    new Promise<string>((resolve) => {
      const socket = connect({
        port: pebble.tlsPort,
        host: "127.0.0.1",
        servername,
        ALPNProtocols,
        rejectUnauthorized: false,
      });
      socket.once("secureConnect", () => {
        resolve("served");
        socket.destroy();
      });
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  const name = () => `${randomBytes(6).toString("hex")}.${randomBytes(3).toString("hex")}.com`;
  let started = 0;
  for (let round = 0; round < 50; round++) {
    if (round === 10) started = await heldMemory();
    const protocols = round % 2 === 0 ? ["http/1.1"] : ["acme-tls/1"];
    const said = await Promise.all(Array.from({ length: 100 }, () => shake(name(), protocols)));
    assert.deepEqual([...new Set(said)], ["ERR_SSL_TLSV1_UNRECOGNIZED_NAME"]);
    const answers = await Promise.all(
      Array.from({ length: 100 }, () =>
        fetchFrom(house.origin, `/.well-known/acme-challenge/${name()}`, { headers: { host: name() } }),
      ),
    );
    assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [421]);
  }
  assert.equal(proxy.asked.length, before);
  const grown = (await heldMemory()) - started;
  assert.ok(grown < 10_000_000, `${grown} bytes more`);
});

function pick(proxy: FaultProxy) {
  return { directory: proxy.directory, caFile: proxy.caFile };
}

function problem(status: number, type: string, headers: Record<string, string>, detail = "Not now.") {
  const body = JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail, status });
  return { status, headers: { "content-type": "application/problem+json", ...headers }, body };
}

test("what an authority says moves no cursor, whatever part of it says so", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  const body = JSON.stringify({ type: "\u001b]0;owned\u0007\u001b[2Jx", detail: "y\u001b[2J\u009b", status: 400 });
  const headers = { "content-type": "application/problem+json" };
  proxy.instead = ({ path }) => (path.startsWith("/order-plz") ? { status: 400, headers, body } : undefined);
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.orders(host)[0]?.state === "failed");
  const { problem, detail } = house.orders(host)[0] ?? {};
  assert.doesNotMatch(`${problem}${detail}`, /\p{C}/u);
});

test("an authority that names no account isn't asked for one without end, and keeps nobody from the other", {
  skip,
}, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  proxy.change = (given, { path }) => {
    if (!path.startsWith("/sign-me-up")) return;
    given.status = 200;
    delete given.headers.location;
  };
  const settings = { "acme.second_directory": pebble.directory };
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host], settings });
  await house.until(() => {
    house.skipAhead(60_000);
    return house.certificates().length === 1;
  });
  assert.ok(proxy.asked.filter(({ path }) => path.startsWith("/sign-me-up")).length <= 8);
});

test("an account that the authority knew before is told our address all the same", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const proxy = await startFaultProxy(t, pebble);
  const house = await serve(t, { ...pebble, ...pick(proxy) }, { hosts: [host] });
  await house.until(() => house.certificates().length === 1);
  const told = () => proxy.asked.filter(({ path }) => path.startsWith("/my-account/")).length;
  assert.equal(told(), 0);
  forgetRegistration(house.deps.db, proxy.directory);
  house.skipAhead(25 * hour); // What it was told of the authority is old then.
  await house.operate("POST", `/hosts/${host}/orders`, { order: {} });
  await house.until(() => house.certificates().length === 2);
  assert.equal(told(), 1, proxy.asked.map(({ path }) => path).join());
});
