/** How an authority is let in where one way stops working: the other is tried, and the first again when that one fails. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { host, serveByAcme } from "../support/acme-house.ts";
import { needs } from "../support/need.ts";
import { startPebble } from "../support/pebble.ts";
import { freePort } from "../support/ports.ts";

const skip = needs("pebble", "pebble-challtestsrv");
const hour = 3_600_000;

/** A port of the firewall. @returns what opens and closes it */
function makeGate(t: TestContext, from: number, to: number) {
  const server = createServer((socket) => {
    const inner = connect(to, "127.0.0.1");
    const bound: [Socket, Socket][] = [
      [socket, inner],
      [inner, socket],
    ];
    for (const [one, other] of bound) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  const close = async () => {
    if (!server.listening) return;
    server.close();
    await once(server, "close");
  };
  t.after(close);
  return {
    open: async () => {
      server.listen(from, "127.0.0.1");
      await once(server, "listening");
    },
    close,
  };
}

test("where the handshake lets an authority in no more, it is let in over http again", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const inside = { httpPort: await freePort(), tlsPort: await freePort() };
  const overHttp = makeGate(t, pebble.httpPort, inside.httpPort);
  const overTls = makeGate(t, pebble.tlsPort, inside.tlsPort);
  await overTls.open();
  const house = await serveByAcme(t, { ...pebble, ...inside });
  const ended = (count: number) => house.until(() => house.orders().filter(({ endedAt }) => endedAt).length === count);
  await ended(1);
  house.skipAhead(hour);
  await ended(2);
  await overTls.close();
  await overHttp.open();
  // It would remember that it was let in before.
  pebble.kill();
  await pebble.start();
  await house.operate("POST", `/hosts/${host}/orders`, { order: {} });
  await ended(3);
  house.skipAhead(hour);
  await house.operate("POST", `/hosts/${host}/orders`, { order: {} });
  await ended(4);
  assert.deepEqual(
    house.orders().map(({ challenge, state }) => [challenge, state]),
    [
      ["http-01", "done"],
      ["tls-alpn-01", "failed"],
      ["tls-alpn-01", "done"],
      ["http-01", "failed"],
    ],
  );
});
