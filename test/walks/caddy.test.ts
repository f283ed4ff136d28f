/** The built program and an authority that isn't Let's Encrypt's kin: Caddy, which answers otherwise where it may. */
import assert from "node:assert/strict";
import type { X509Certificate } from "node:crypto";
import { type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { startCaddy } from "../support/caddy.ts";
import { needs, needsMount } from "../support/need.ts";
import { startPebble } from "../support/pebble.ts";
import { freePort } from "../support/ports.ts";
import { emptyPlace } from "../support/program.ts";

const host = "status.example.com";
const skip = needs("caddy", "pebble", "pebble-challtestsrv", "unshare") || needsMount();

async function initialise(t: TestContext) {
  const address = `127.${pick(1, 250)}.${pick(1, 250)}.${pick(1, 250)}`;
  const caddy = await startCaddy(t, { host, address });
  // Only its DNS is wanted here.
  const { dns } = await startPebble(t);
  const [plain, secure] = [await freePort(), await freePort()];
  const place = emptyPlace(t);
  const run = async (...args: string[]) => {
    const { code, err, out } = await place.run(args);
    assert.equal(code, 0, err + out);
    return out;
  };
  await run("init", "--page-name", "Acme", "--host", host, "--owner", "olive@example.com", "--yes");
  await run("config", "set", "https.listen", `127.0.0.1:${secure}`);
  await run("config", "set", "acme.directory", caddy.directory);
  await run("config", "set", "acme.ca_file", caddy.caFile);
  await run("config", "set", "acme.dns_servers", dns);
  await run("config", "set", "acme.contact", "olive@example.com");
  const served = () =>
    new Promise<X509Certificate>((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port: secure, servername: host, ca: caddy.root }, () => {
        resolve(socket.getPeerX509Certificate() as X509Certificate);
        socket.destroy();
      });
      socket.on("error", reject);
    });
  const standing = async () => JSON.parse(await run("host", "list", "--json"))[0].certificate;
  const isValid = async () => {
    for (let tries = 0; (await standing()).state !== "valid"; tries++) {
      assert.ok(tries < 100, `It has no certificate: ${JSON.stringify(await standing())}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  return { place, caddy, plain, run, served, isValid };
}

test("Caddy certifies the host over http, and again when a person asks", { skip, timeout: 120_000 }, async (t) => {
  const { place, caddy, plain, run, served, isValid } = await initialise(t);
  await caddy.lead(80, plain);
  const server = await place.serve(plain);
  await isValid();
  const first = await served();
  assert.equal(first.subjectAltName, `DNS:${host}`);
  assert.match(first.issuer, /Caddy Local Authority/);
  assert.match(await run("host", "renew", host), /^The new certificate of status\.example\.com is served\.$/m);
  assert.notEqual((await served()).serialNumber, first.serialNumber);
  assert.equal((await server.stop()).code, 0);
});

function pick(from: number, to: number): number {
  return from + Math.floor(Math.random() * (to - from));
}
