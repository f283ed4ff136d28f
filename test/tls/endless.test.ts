/** An authority that says too much: what it sends is given up at a limit, and takes no memory. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { gzipSync } from "node:zlib";
import { serveByAcme } from "../support/acme-house.ts";
import { startEndless } from "../support/endless.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { heldMemory } from "../support/memory.ts";
import { needs } from "../support/need.ts";
import { startPebble } from "../support/pebble.ts";
import { freePort } from "../support/ports.ts";

const skip = needs("pebble", "pebble-challtestsrv");
const megabyte = 1024 * 1024;
const hour = 3_600_000;

function fileOf(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "candor-endless-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "root.pem"), text);
  return join(folder, "root.pem");
}

for (const place of ["directory", "account", "order"] as const) {
  test(`an answer about the ${place} that doesn't end is given up each time, and nothing of it stays`, async (t) => {
    const { directory, root, poured, going } = await startEndless(t, place);
    const ports = { httpPort: await freePort(), tlsPort: await freePort() };
    // Here the system's own DNS would be asked for the host: a program that puts records into one takes its place.
    const settings = { "acme.dns_hook": "/bin/true" };
    const dns = `127.0.0.1:${await freePort()}`;
    const house = await serveByAcme(t, { directory, caFile: fileOf(t, root), dns, ...ports }, settings);
    const times = 20;
    let started = 0;
    for (let count = 1; count <= times; count++) {
      await house.until(() => poured.length >= count && house.orders()[0]?.problem === "unreachable" && going() === 0);
      assert.match(house.orders()[0]?.detail ?? "", /maxContentLength/);
      if (count === 5) started = await heldMemory();
      house.skipAhead(2 * hour);
    }
    const most = Math.max(...poured);
    assert.ok(most < 8 * megabyte, `${most} bytes of an answer were taken`);
    const more = (await heldMemory()) - started;
    assert.ok(more < 5 * megabyte, `${more} bytes more`);
    assert.equal(house.orders().length, 1);
  });
}

const spaces = " ".repeat(64 * megabyte);
for (const [words, path] of [
  ["an order", "/order-plz"],
  ["an order that is looked at again", "/my-order"],
  ["a challenge", "/authZ"],
  ["a certificate", "/certZ"],
] as const) {
  test(`${words} with a megabyte behind it, or 64 packed into little, isn't taken`, { skip }, async (t) => {
    const pebble = await startPebble(t);
    const proxy = await startFaultProxy(t, pebble);
    let isPacked = false;
    proxy.change = (given, asked) => {
      if (!asked.path.startsWith(path)) return;
      given.body = Buffer.concat([given.body, Buffer.from(spaces.slice(0, isPacked ? spaces.length : megabyte))]);
      if (!isPacked) return;
      given.body = gzipSync(given.body);
      given.headers["content-encoding"] = "gzip";
    };
    const house = await serveByAcme(t, { ...pebble, directory: proxy.directory, caFile: proxy.caFile });
    const gaveUp = () => house.lines.filter((line) => line.includes("maxContentLength")).length;
    await house.until(() => gaveUp() === 1);
    isPacked = true;
    house.skipAhead(60_000);
    await house.until(() => gaveUp() === 2);
    assert.equal(house.certificates().length, 0);
    proxy.change = () => {};
    // The older an order, the more seldom it is looked at.
    await house.until(() => {
      house.skipAhead(10_000);
      return house.certificates().length === 1;
    });
    assert.equal(house.orders().length, 1);
  });
}
