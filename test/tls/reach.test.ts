/** Whether a host leads here, as an operator is told when it is added: over real listeners and a real DNS. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { type TestContext, test } from "node:test";
import { createLookup } from "../../src/tls/lookup.ts";
import { findObstacles } from "../../src/tls/reach.ts";
import { host, serveByAcme } from "../support/acme-house.ts";
import { needs } from "../support/need.ts";
import { startPebble } from "../support/pebble.ts";
import { freePort } from "../support/ports.ts";

const skip = needs("pebble", "pebble-challtestsrv");

/** A server that orders nothing, and the DNS in which its host leads where the test says. */
async function serve(t: TestContext) {
  const pebble = await startPebble(t);
  const house = await serveByAcme(t, pebble, { "acme.contact": "" });
  const { challenges } = house.deps.keeper;
  return {
    port: pebble.httpPort,
    lead: (...addresses: string[]) => pebble.tellDns("/add-a", { host: `${host}.`, addresses }),
    tellDns: pebble.tellDns,
    find: (input: { port?: number; dns?: string } = {}) =>
      findObstacles({
        host,
        challenges,
        lookup: createLookup({ servers: [input.dns ?? pebble.dns], isPublic: false }),
        port: input.port ?? pebble.httpPort,
      }),
  };
}

async function listenAt(t: TestContext, address: string, port: number, answer: RequestListener): Promise<void> {
  const server = createServer(answer).listen(port, address);
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
}

test("nothing is said against a host that leads here", { skip }, async (t) => {
  const { lead, find } = await serve(t);
  await lead("127.0.0.1");
  assert.deepEqual(await find(), []);
});

test("each address at which another server answers is named, and what it answered", { skip }, async (t) => {
  const { lead, find, port } = await serve(t);
  await listenAt(t, "127.0.0.2", port, (_request, response) => response.writeHead(404).end("Not here."));
  // As a catch-all does it, with something of any length.
  await listenAt(t, "127.0.0.3", port, (_request, response) => {
    response.on("error", () => {});
    response.end("x".repeat(10_000_000));
  });
  await lead("127.0.0.1", "127.0.0.2", "127.0.0.3");
  const said = (await find()).toSorted();
  assert.equal(said.length, 2, said.join("\n"));
  for (const [index, [address, status]] of [
    ["127.0.0.2", 404],
    ["127.0.0.3", 200],
  ].entries())
    assert.match(
      said[index] ?? "",
      new RegExp(`^${host} \\(${address}\\) leads to another server: on port ${port} it answered HTTP ${status}, `),
    );
});

test("an address where nobody listens is named, and what to do", { skip }, async (t) => {
  const { lead, find } = await serve(t);
  await lead("127.0.0.1");
  const port = await freePort();
  const said = await find({ port });
  assert.equal(said.length, 1);
  assert.match(
    said[0] ?? "",
    new RegExp(
      `^${host} \\(127\\.0\\.0\\.1\\) can't be reached on port ${port} \\(ECONNREFUSED\\)\\. Open it in the fire`,
    ),
  );
});

test("an address that takes the connection and says nothing is named after five seconds", { skip }, async (t) => {
  const { lead, find, port } = await serve(t);
  await listenAt(t, "127.0.0.2", port, () => {});
  await lead("127.0.0.1", "127.0.0.2");
  const said = await find();
  assert.equal(said.length, 1);
  assert.match(said[0] ?? "", /\(127\.0\.0\.2\) can't be reached on port \d+ \(no answer\)/);
});

test("a host that the DNS doesn't know gets the record that it lacks", { skip }, async (t) => {
  const { find, tellDns } = await serve(t);
  await tellDns("/set-default-ipv4", { ip: "" });
  assert.deepEqual(await find(), [
    `The DNS knows no address of ${host}. Add an A or AAAA record with this server's public address.`,
  ]);
});

test("a DNS that fails is told of as such, and not as a host without address", { skip }, async (t) => {
  const { find, tellDns } = await serve(t);
  await tellDns("/set-servfail", { host: `${host}.` });
  assert.deepEqual(await find(), [`The DNS doesn't answer for ${host} (ESERVFAIL). Check the name servers.`]);
  const dns = `127.0.0.1:${await freePort()}`;
  assert.deepEqual(await find({ dns }), [`The DNS doesn't answer for ${host} (ECONNREFUSED). Check the name servers.`]);
});
