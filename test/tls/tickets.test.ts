/** Tickets, with which a client comes back without a full handshake, and the key that opens them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { connect } from "node:tls";
import { createTlsServer } from "../../src/tls/listener.ts";
import { createAuthority } from "../support/authority.ts";
import { openTestHouse } from "../support/house.ts";

const servername = "status.example.com";
const hour = 3_600_000;

/** The listener itself, whose timetable runs when the test says so. */
async function listen(t: TestContext) {
  const house = await openTestHouse();
  const authority = await createAuthority(house.deps.clock.now());
  const { certificate, key } = await authority.issue([servername]);
  const chain = certificate + authority.intermediate;
  await house.operate("POST", "/v1/certificates", { certificate: { chain, key, authority: authority.root } });
  t.mock.timers.enable({ apis: ["setInterval"] });
  const { certificates: shelf, keeper } = house.deps;
  const answer = (_request: unknown, response: { end(text: string): void }) => response.end("ok");
  const server = createTlsServer({ shelf, challenges: keeper.challenges, limits: {} });
  server.on("request", answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await house.close();
  });
  const { port } = server.address() as AddressInfo;
  /** Whether the ticket was taken, and the next one. */
  const visit = (version: "TLSv1.2" | "TLSv1.3", ticket?: Buffer): Promise<{ isReused: boolean; ticket: Buffer }> =>
    new Promise((resolve, reject) => {
      const socket = connect({
        ...{ port, host: "127.0.0.1", servername, rejectUnauthorized: false },
        ...{ minVersion: version, maxVersion: version },
        ...(ticket ? { session: ticket } : {}),
      });
      let next: Buffer | undefined;
      socket.on("session", (session: Buffer) => {
        next = session;
      });
      socket.on("secureConnect", () => socket.write(`GET / HTTP/1.1\r\nhost: ${servername}\r\n\r\n`));
      // By then the ticket has come, in 1.3 after the handshake.
      socket.on("data", () => {
        resolve({ isReused: socket.isSessionReused(), ticket: next ?? ticket ?? Buffer.alloc(0) });
        socket.destroy();
      });
      socket.on("error", reject);
    });
  return { visit };
}

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`a ticket of ${version} opens nothing once the key that was new with it is six hours old`, async (t) => {
    const { visit } = await listen(t);
    const first = await visit(version);
    assert.equal(first.isReused, false);
    const second = await visit(version, first.ticket);
    assert.equal(second.isReused, true, "at once");
    t.mock.timers.tick(6 * hour - 1);
    const third = await visit(version, second.ticket);
    assert.equal(third.isReused, true, "just before the key is changed");
    t.mock.timers.tick(1);
    const fourth = await visit(version, third.ticket);
    assert.equal(fourth.isReused, false, "once it is changed");
    assert.equal((await visit(version, first.ticket)).isReused, false);
    assert.equal((await visit(version, fourth.ticket)).isReused, true, "one under the new key");
    t.mock.timers.tick(6 * hour);
    assert.equal((await visit(version, fourth.ticket)).isReused, false);
  });
}
