/** `candor host` as a person reads it: what is said of hosts that have no certificate, and with no server. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { eq } from "drizzle-orm";
import type { Deps } from "../../src/deps.ts";
import { addHost, listPages } from "../../src/pages/pages.ts";
import { auditEntries } from "../../src/schema.ts";
import { openHouse } from "../../src/server.ts";
import { accountFor, noteRegistered } from "../../src/tls/accounts.ts";
import { beginOrder, completeOrder, failOrder, findOpenOrder, stumble } from "../../src/tls/orders.ts";
import { loadSuffixes } from "../../src/tls/suffixes.ts";
import { keepNew } from "../support/issuing.ts";
import { freePort } from "../support/ports.ts";
import { startFounded } from "../support/started.ts";
import { foundedPlace, makePlace } from "./program.ts";

const name = "status.example.com";
const directory = "https://127.0.0.1:1/directory";

/**
 * A house whose DNS and whose authority are dead.
 *
 * @param first what is done to it before its server starts
 */
async function makeHouse(t: TestContext, settings: Record<string, string> = {}, first?: (house: Deps) => unknown) {
  const place = await foundedPlace(t);
  const run = place.shell();
  const all = { "acme.dns_servers": "127.0.0.1:1", "acme.directory": directory, ...settings };
  for (const [setting, value] of Object.entries(all)) {
    const { code, stderr } = await run(["config", "set", setting, value]);
    assert.equal(code, 0, stderr);
  }
  if (first) {
    const { data, keyFile } = place;
    const opened = openHouse({ data, keyFile, environment: {}, delivers: false });
    await first(opened);
    await opened.close();
  }
  return { ...place, run };
}

async function serve(t: TestContext, settings: Record<string, string> = {}, first?: (house: Deps) => unknown) {
  const house = await makeHouse(t, settings, first);
  const [http, https] = [`127.0.0.1:${house.port}`, `127.0.0.1:${await freePort()}`];
  await house.start(["serve", "--http", http, "--https", https]);
  return house;
}

const dead = new RegExp(`^The DNS doesn't answer for ${name} \\(ECONNREFUSED\\)\\. Check the name servers\\.$`, "m");
const agree = "Agree to them by giving your address: candor config set acme.contact you@example.com";

test("a host that leads nowhere is said to when it is added and shown, and the list says what keeps its certificate", async (t) => {
  const { run } = await serve(t);
  const added = await run(["host", "add", name]);
  assert.equal(added.code, 0);
  assert.equal(added.stdout, `https://${name} is listed, and has no certificate.\n`);
  assert.match(added.stderr, dead);
  assert.ok(added.stderr.endsWith(`${agree}\n`), added.stderr);
  const shown = (await run(["host", "show", name])).stdout;
  assert.match(shown, new RegExp(`^Leads here +The DNS doesn't answer for ${name}`, "m"));
  assert.match(shown, /^Note +No certificate is ordered, because/m);
  assert.match(shown, /^What to do +Agree to them/m);
  assert.ok(
    (await run(["host", "list"])).stdout.includes(`\n${name}: No certificate is ordered, because nobody has agreed`),
  );
});

test("an order that fails says what to do and when it is tried again, and so do the list and the host", async (t) => {
  const { run } = await serve(t, { "acme.contact": "o@example.com" });
  const added = await run(["host", "add", name]);
  assert.equal(added.stdout, `https://${name} is listed, and a certificate is ordered for it.\n`);
  const words = "127.0.0.1:1 can't be reached: connect ECONNREFUSED 127.0.0.1:1 (ECONNREFUSED).";
  const advice =
    "Check that this machine can open https connections outwards, and acme.directory and acme.ca_file. It is tried again by itself.";
  for (const verb of ["renew", "test"]) {
    const { code, stdout, stderr } = await run(["host", verb, name]);
    assert.equal(code, 1);
    assert.equal(stderr, `Asking ${directory} for a certificate of ${name} …\n`);
    const [said, at] = stdout.split(" The next try is at ");
    assert.equal(said, `${words} ${advice}`);
    assert.match(at ?? "", /^20\d\d-.* UTC\.\n$/);
  }
  assert.ok((await run(["host", "list"])).stdout.includes(`\n${name}: ${words} ${advice}\n`));
  const shown = (await run(["host", "show", name])).stdout;
  assert.match(shown, /^Trouble +127\.0\.0\.1:1 can't be reached/m);
  assert.match(shown, /^Next step +20\d\d-/m);
});

test("the help says truly what a test asks, and the test names it", async (t) => {
  const { run } = await serve(t, { "acme.contact": "o@example.com", "acme.test_directory": "https://127.0.0.1:2/try" });
  const help = (await run(["host", "--help"])).stdout + (await run(["host", "test", "--help"])).stdout;
  assert.doesNotMatch(help, /the authority's test service|against no limit/);
  assert.match(help, /acme\.test_directory; .* staging service, .* else acme\.directory itself/s);
  await run(["host", "add", name]);
  const { stderr } = await run(["host", "test", name]);
  assert.equal(stderr, `Asking https://127.0.0.1:2/try for a certificate of ${name} …\n`);
});

test("a certificate whose order a limit holds back is said to be ordered when it will be", async (t) => {
  await loadSuffixes();
  const day = 86_400_000;
  const since = Date.now() - 2 * day;
  const { run } = await serve(t, { "acme.contact": "o@example.com" }, ({ db, keys }) => {
    const input = { name, purpose: "serve" as const, directory, privateKey: "", keys, now: since };
    for (let issued = 0; issued < 5; issued++)
      completeOrder(db, beginOrder(db, input), { certificateId: null, now: since });
  });
  const { stdout } = await run(["host", "add", name]);
  const at = new Date(since + 8 * day).toISOString().slice(0, 19).replace("T", " ");
  assert.equal(stdout, `https://${name} is listed, and a certificate is ordered for it at ${at} UTC.\n`);
  const free = await run(["host", "add", "free.example.com"]);
  assert.equal(free.stdout, "https://free.example.com is listed, and a certificate is ordered for it.\n");
});

/** Takes every connection and says nothing. @returns its directory */
async function listenAsSilent(t: TestContext): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on("error", () => {}))).listen(0, "127.0.0.1");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, "listening");
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/directory`;
}

test("a new certificate is said to be served only where its host is served with it", async (t) => {
  const run = makePlace(t).shell();
  const own = {
    "https.listen": `127.0.0.1:${await freePort()}`,
    "acme.contact": "o@example.com",
    "acme.directory": await listenAsSilent(t),
    "acme.dns_hook": "/bin/true",
  };
  const server = await startFounded({ host: name, overrides: own });
  t.after(() => server.stop());
  const { db, certificates, config } = server.deps;
  const flags = ["--data", server.data, "--key-file", server.keyFile];
  let asked = 0;
  const renew = async (ordered = name) => {
    const outcome = run(["host", "renew", name, ...flags]);
    asked += 1;
    const deeds = () => db.select().from(auditEntries).where(eq(auditEntries.action, "host.renew")).all();
    while (deeds().length < asked) await new Promise((resolve) => setTimeout(resolve, 20));
    const now = Date.now();
    const certificateId = await keepNew(server.deps, { name: ordered, from: now - 1e6, to: now + 4e9, now });
    const order = findOpenOrder(db, { name: ordered, purpose: "serve" });
    assert.ok(order);
    completeOrder(db, order, { certificateId, now });
    const { code, stdout } = await outcome;
    return [code, stdout];
  };
  const isThere = (ordered: string) =>
    `The new certificate of ${ordered} is there, but ${name} isn't served with it. To see why: candor host show ${[name, ...flags].join(" ")} and candor cert list ${flags.join(" ")}\n`;
  assert.deepEqual(await renew(), [0, `The new certificate of ${name} is served.\n`]);
  certificates.waitForPort();
  assert.deepEqual(await renew(), [0, isThere(name)]);
  const { stdout: shown } = await run(["host", "show", name, ...flags]);
  assert.match(shown, /Nothing is served over https, because another program has its port\./);
  certificates.beginServing();
  config.set("acme.wildcards", "example.com", Date.now());
  const begun = await run(["host", "renew", name, "--no-wait", ...flags]);
  asked += 1;
  assert.match(begun.stdout, /^The certificate of \*\.example\.com is being ordered\. See: candor host show status\./);
  assert.deepEqual(await renew("*.example.com"), [0, isThere("*.example.com")]);
});

test("an address is listed without a certificate, and isn't said to be served", async (t) => {
  const { run } = await serve(t, { "acme.contact": "o@example.com" });
  const { stdout, stderr } = await run(["host", "add", "10.0.0.7"]);
  assert.equal(stdout, "https://10.0.0.7 is listed, and has no certificate.\n");
  assert.match(stderr, /^Authorities certify host names, and this is an address\. Add a host name/);
});

for (const [words, settings] of [
  ["", {}],
  [", also where https and a contact are set", { "https.listen": "127.0.0.1:8443", "acme.contact": "o@example.com" }],
] as [string, Record<string, string>][]) {
  test(`without a server nothing is asked, ordered or blamed on the DNS${words}`, async (t) => {
    const { run } = await makeHouse(t, settings);
    const start = /Start it: candor serve --http '\[::\]:80' --https '\[::\]:443'/;
    const added = await run(["host", "add", name]);
    assert.match(added.stdout, /^https:\/\/status\.example\.com is listed/);
    assert.match(added.stderr, start);
    assert.match(added.stderr, new RegExp(`candor host show ${name}\\n$`));
    const shown = (await run(["host", "show", name])).stdout;
    assert.match(shown, /^Leads here +No server runs here, so this can't be tried\. Start it: /m);
    assert.match(shown, start);
    const listed = (await run(["host", "list"])).stdout;
    for (const said of [added.stderr, shown, listed]) assert.doesNotMatch(said, /DNS|firewall|terms/);
    for (const verb of ["renew", "test"]) {
      const { code, stdout, stderr } = await run(["host", verb, name]);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.equal(stderr, "No server runs here, so nothing was ordered. Start candor serve, then ask again.\n");
    }
    const plain = await run(["host", "show", "127.0.0.1"]);
    assert.doesNotMatch(plain.stdout, /Leads here/);
    const other = await run(["host", "add", "http://10.1.2.3:8080"]);
    assert.equal(other.stdout, "http://10.1.2.3:8080 is listed.\n");
  });
}

test("without a server nobody is looked for before the terms are agreed to either", async (t) => {
  const { run } = await makeHouse(t, { "https.listen": "127.0.0.1:8443" });
  await run(["host", "add", name]);
  const shown = (await run(["host", "show", name])).stdout;
  assert.match(shown, /^Leads here +No server runs here, so this can't be tried\./m);
  assert.match(shown, /^Note +No certificate is ordered, because nobody has agreed/m);
});

test("the command that starts a server elsewhere says where", async (t) => {
  const { run, data } = await makeHouse(t);
  await run(["host", "add", name]);
  const shown = (await run(["host", "show", name, "--data", data])).stdout;
  assert.ok(shown.includes(`Start it: candor serve --data ${data} --http '[::]:80' --https '[::]:443' (behind`), shown);
  const health = await run(["health", "--data", data]);
  assert.ok(health.stderr.endsWith(`Start one with: candor serve --data ${data}\n`), health.stderr);
});

test("a test that isn't waited for says how to hear what comes of it", async (t) => {
  const { run } = await serve(t, { "acme.contact": "o@example.com" });
  await run(["host", "add", name]);
  const { stdout, code } = await run(["host", "test", name, "--no-wait"]);
  assert.equal(code, 0);
  assert.match(stdout, /What comes of it: candor host test status\.example\.com\n$/);
});

test("a host behind a proxy is said to have no certificate here, and nothing else", async (t) => {
  const house = await makeHouse(t);
  await house.start(["serve", "--listen", `127.0.0.1:${house.port}`]);
  const added = await house.run(["host", "add", name]);
  assert.deepEqual([added.stdout, added.stderr], [`The page is served at https://${name} now.\n`, ""]);
  const shown = (await house.run(["host", "show", name])).stdout;
  assert.equal(shown, `Address      https://${name}\nCertificate  none is held by this server\n`);
});

test("a host whose certificate is had by ACME is shown with our account, which a CAA record may have to name", async (t) => {
  const https = `127.0.0.1:${await freePort()}`;
  const settings = { "acme.contact": "o@example.com", "https.listen": https };
  const url = "https://127.0.0.1:1/acct/7";
  const house = await makeHouse(t, settings, async ({ db, keys }) => {
    const now = Date.now();
    addHost(db, { pageId: listPages(db)[0]?.id ?? "", host: name, now, by: { kind: "operator" } });
    await accountFor(db, { directory, keys, now });
    noteRegistered(db, { directory, url, contact: "o@example.com", keys });
  });
  const account = new RegExp(`^Account +${url}$`, "m");
  const show = async (host: string) => (await house.run(["host", "show", host])).stdout;
  assert.match(await show(name), account, "without a server");
  await house.start(["serve", "--http", `127.0.0.1:${house.port}`]);
  assert.match(await show(name), account);
  assert.doesNotMatch(await show("127.0.0.1"), /Account/, "it is served over plain http");
  await house.run(["host", "add", "10.0.0.7"]);
  assert.doesNotMatch(await show("10.0.0.7"), /Account/, "no authority certifies it");
});

/** Controls of a terminal but line breaks: C0, DEL and C1. */
const steering = /[^\P{Cc}\n]/u;

test("what an authority says renames no window and moves no cursor, and programs get it as it came", async (t) => {
  await loadSuffixes();
  const [osc, csi] = ["\u001b]0;owned\u0007", "\u009b2J\u007f"];
  const [limited, refused] = ["limited.example.com", "refused.example.com"];
  const { run } = await serve(t, { "acme.contact": "o@example.com" }, ({ db, keys }) => {
    const now = Date.now();
    const pageId = listPages(db)[0]?.id ?? "";
    const begin = (host: string) => {
      addHost(db, { pageId, host, now, by: { kind: "operator" } });
      return beginOrder(db, { name: host, purpose: "serve", directory, privateKey: "", keys, now });
    };
    const said = { detail: `It is ${osc}over${csi}.\r\nTwice.`, saidMs: 3_600_000, now, chance: 0 };
    failOrder(db, begin(refused), { ...said, type: `bad${osc}${csi}`, mayAskOther: false });
    stumble(db, begin(limited), { ...said, type: "rateLimited" });
  });
  for (const words of [
    ["list"],
    ["show", refused],
    ["show", limited],
    ["renew", limited],
    ["add", `https://${refused}:8443`],
  ]) {
    const { stdout, stderr } = await run(["host", ...words]);
    assert.match(stdout + stderr, / ]0;owned over 2J /, words.join(" "));
    assert.doesNotMatch(stdout + stderr, steering, words.join(" "));
  }
  for (const words of [
    ["config", "get", osc + csi],
    ["host", "list", osc + csi],
    ["host", osc + csi],
  ]) {
    const { code, stderr } = await run(words);
    assert.equal(code, 1);
    assert.doesNotMatch(stderr, steering);
  }
  const { stdout } = await run(["host", "show", refused, "--json"]);
  assert.equal(JSON.parse(stdout).certificate.problem, `bad${osc}${csi}`);
  assert.doesNotMatch(stdout, steering);
});
