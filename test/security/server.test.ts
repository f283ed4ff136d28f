/** The real server in a folder: what strangers on the network and on the same machine can do to it. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, statSync } from "node:fs";
import { type BlockList, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseNetworks } from "../../src/config.ts";
import { peerOf } from "../../src/network.ts";
import { openTestHouse } from "../support/house.ts";
import { startFounded } from "../support/started.ts";

async function serve(t: TestContext, folder?: string) {
  const server = await startFounded({ host: "http://127.0.0.1:1", ...(folder === undefined ? {} : { folder }) });
  t.after(() => server.stop().catch(() => {}));
  return { ...server, port: Number(new URL(server.origin).port) };
}

test("whoever else has an account on the machine reads no file of the data folder, however open the folder was", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "candor-security-"));
  mkdirSync(join(folder, "data"));
  chmodSync(join(folder, "data"), 0o755);
  const { data, keyFile, deps } = await serve(t, folder);
  deps.store.snapshot(join(data, "copy.db"));
  const files = readdirSync(data).map((name) => join(data, name));
  assert.ok(files.length >= 6, files.join(" "));
  for (const file of [...files, keyFile]) assert.equal(statSync(file).mode & 0o077, 0, file);
});

test("while the database can't be read the page is served and health says so, asked however often", async (t) => {
  const { origin, deps, lines } = await serve(t);
  const { $client } = deps.db;
  assert.equal((await fetch(`${origin}/healthz`)).status, 200);
  const prepare = $client.prepare.bind($client);
  t.after(() => Object.assign($client, { prepare }));
  Object.assign($client, {
    prepare: () => {
      throw Object.assign(new Error("database disk image is malformed"), { code: "SQLITE_CORRUPT" });
    },
  });
  await sleep(1_050);
  for (let asked = 0; asked < 20; asked++) {
    const health = await fetch(`${origin}/healthz`);
    assert.equal(health.status, 503);
    assert.equal(((await health.json()) as { ok: boolean }).ok, false);
  }
  assert.equal(lines.filter((line) => line.includes("health.failed")).length, 1);
  const page = await fetch(`${origin}/`);
  assert.equal(page.status, 200);
  assert.match(await page.text(), /Acme/);
  assert.equal((await fetch(`${origin}/admin`)).status, 500);
  Object.assign($client, { prepare });
  await sleep(1_050);
  assert.equal((await fetch(`${origin}/healthz`)).status, 200);
});

test("what can't be pressed is logged, and ends neither the process nor what is pressed", async () => {
  const house = await openTestHouse();
  const token = house.token("publisher");
  const incident = { name: "Payments fail", body: "We look into it." };
  const { id } = (await house.api(token, "POST", `/v1/pages/${house.page.id}/incidents`, { incident })).json();
  house.deps.press.pressAll();
  const { $client } = house.deps.db;
  const prepare = $client.prepare.bind($client);
  Object.assign($client, {
    prepare: () => {
      throw new Error("disk I/O error");
    },
  });
  assert.equal((await house.visit("/")).status, 200);
  assert.equal((await house.visit("/subscribe")).status, 500);
  assert.equal((await house.visit(`/incidents/${id}`)).status, 500, "not pressed yet, and not to be had");
  assert.ok(house.lines.some((line) => line.includes("page.press_failed")));
  Object.assign($client, { prepare });
  assert.equal((await house.visit("/subscribe")).status, 200);
  assert.equal((await house.visit(`/incidents/${id}`)).status, 200);
  await house.close();
});

test("what was published but couldn't be pressed is answered as published, and shown within a second", async () => {
  const house = await openTestHouse();
  const token = house.token("publisher");
  const { $client } = house.deps.db;
  const prepare = $client.prepare.bind($client);
  const broken = (source: string) => {
    if (/^select .* from "status_changes" .* order by/i.test(source)) throw new Error("disk I/O error");
    return prepare(source);
  };
  Object.assign($client, { prepare: broken });
  const incident = { name: "Payments fail", body: "We look into it." };
  const answer = await house.api(token, "POST", `/v1/pages/${house.page.id}/incidents`, { incident });
  assert.equal(answer.status, 201, answer.text);
  assert.ok(house.lines.some((line) => line.includes("page.press_failed")));
  assert.doesNotMatch((await house.visit("/")).text, /Payments fail/);
  assert.equal(house.deps.press.pressNewDay(), false);
  Object.assign($client, { prepare });
  assert.equal(house.deps.press.pressNewDay(), true);
  assert.match((await house.visit("/")).text, /Payments fail/);
  assert.equal(house.deps.press.pressNewDay(), false);
  await house.close();
});

test("nobody's path is not found, nobody's host is refused, and no header changes what a visitor gets", async () => {
  const house = await openTestHouse();
  for (let index = 0; index < 100; index++) {
    assert.equal((await house.visit(`/incidents/${String(index).padStart(12, "a")}`)).status, 404);
    assert.equal((await house.visit("/", { host: `x${index}.example.com` })).status, 421);
  }
  for (const host of ["status.example.com:443", "STATUS.example.com", "status.example.com."]) {
    assert.equal((await house.visit("/", { host })).status, 200, host);
    assert.equal((await house.visit("/admin/sign-in", { host })).status, 200, host);
    assert.match((await house.visit("/nothing", { host })).text, /<h1/, host);
  }
  const usual = await house.visit("/");
  const spoofed = await house.visit("/", {
    headers: {
      "x-forwarded-host": "evil.example",
      "x-forwarded-proto": "gopher",
      "x-forwarded-for": "127.0.0.1",
      forwarded: "host=evil.example",
      "x-original-url": "/admin",
      "x-rewrite-url": "/admin",
      "x-http-method-override": "DELETE",
      cookie: "__Host-candor=x",
    },
  });
  assert.equal(spoofed.text, usual.text);
  assert.deepEqual({ ...spoofed.headers, date: "" }, { ...usual.headers, date: "" });
  await house.close();
});

test("who asks slowly is let go", { timeout: 30_000 }, async (t) => {
  const { port } = await serve(t);
  const good = "Host: 127.0.0.1\r\n";
  const seconds = (first: string, drip: string) =>
    new Promise<number>((resolve) => {
      const began = performance.now();
      const socket = connect(port, "127.0.0.1", () => socket.write(first));
      const timer = setInterval(() => drip && socket.write(drip), 500);
      socket.resume();
      socket.on("error", () => {});
      socket.on("close", () => {
        clearInterval(timer);
        resolve((performance.now() - began) / 1000);
      });
    });
  const body = `POST /subscribe HTTP/1.1\r\n${good}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n`;
  const [silent, headers, bodies] = await Promise.all([
    seconds("", ""),
    seconds(`GET / HTTP/1.1\r\n${good}`, "X: a\r\n"),
    seconds(body, "a"),
  ]);
  for (const taken of [silent, headers]) assert.ok(taken < 9, String(taken));
  assert.ok(bodies < 15, String(bodies));
});

test("behind a proxy that names ports, or nonsense, limits still count networks", () => {
  const proxies = parseNetworks("10.0.0.0/8") as BlockList;
  const from = (forwarded: string) =>
    peerOf({ socket: { remoteAddress: "10.0.0.9" }, headers: { "x-forwarded-for": forwarded } }, proxies);
  assert.equal(from("203.0.113.9:51234"), "203.0.113.9");
  assert.equal(from("[2001:db8::1]:51234"), "2001:db8::1");
  assert.equal(from("[2001:db8::1]"), "2001:db8::1");
  assert.equal(from("1.2.3.4, 203.0.113.9:51234, 10.2.2.2:80"), "203.0.113.9");
  for (const nonsense of ["unknown", "_hidden", "x".repeat(5000), "203.0.113.9, unknown"]) {
    assert.equal(from(nonsense), "10.0.0.9", nonsense.slice(0, 20));
  }
});
