/** Handshakes that begin like one and go wrong: cut, flipped, stretched, sent in crumbs. The server outlives them all. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, type Server } from "node:net";
import { test } from "node:test";
import { connect as connectSecurely, createSecureContext } from "node:tls";
import { parseHello } from "../../src/tls/hello.ts";
import { createTlsServer } from "../../src/tls/listener.ts";
import { createAuthority } from "../support/authority.ts";
import { helloFor } from "../support/hello.ts";
import { heldMemory } from "../support/memory.ts";
import { emptyShelf } from "../support/wishes.ts";

const host = "status.example.com";
const many = process.env.CI ? 10_000 : 2_000;

/** Whole numbers below `most`, the same at each run: xorshift32. */
function chance(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % most;
  };
}

function spoil(hello: Buffer, pick: (most: number) => number): Buffer[] {
  let bytes = Buffer.from(hello);
  for (let count = 1 + pick(4); count > 0; count--) {
    const at = pick(bytes.length);
    switch (pick(6)) {
      case 0:
        bytes[at] = pick(256);
        break;
      case 1: // Lengths, most likely: everything behind is read otherwise.
        bytes[3 + pick(Math.min(60, bytes.length - 3))] = [0, 1, 0x7f, 0x80, 0xff][pick(5)] ?? 0;
        break;
      case 2:
        bytes = bytes.subarray(0, Math.max(1, at));
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.alloc(pick(300), pick(256)), bytes.subarray(at)]);
        break;
      case 4:
        bytes = Buffer.concat([bytes, bytes.subarray(at)]);
        break;
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + pick(40)))]);
    }
    if (bytes.length === 0) bytes = Buffer.of(pick(256));
  }
  const cut = pick(bytes.length);
  return pick(3) === 0 ? [bytes.subarray(0, cut), bytes.subarray(cut)] : [bytes];
}

function say(server: Server, parts: Buffer[]): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1", () => {
      for (const part of parts) socket.write(part);
      setTimeout(() => socket.destroy(), 20);
    });
    socket.on("data", () => {});
    socket.on("error", () => {});
    socket.on("close", () => resolve());
  });
}

test("a hello is read when it is whole, however it comes, and says which host and protocols are wanted", async () => {
  const hello = await helloFor("Status.Example.com", ["h2", "http/1.1"]);
  for (let length = 0; length < hello.length; length++) assert.equal(parseHello(hello.subarray(0, length)), undefined);
  assert.deepEqual(parseHello(hello), { name: host, protocols: ["h2", "http/1.1"] });
  assert.deepEqual(parseHello(Buffer.from("GET / HTTP/1.1\r\n")), { name: undefined, protocols: [] });
});

test(`${many} spoilt hellos end no process, leave no memory behind, and keep nobody else out`, {
  timeout: 180_000,
}, async (t) => {
  const authority = await createAuthority();
  const { certificate, key } = await authority.issue([host], {});
  const context = createSecureContext({ cert: certificate + authority.intermediate, key });
  const shelf = { ...emptyShelf, find: (name: string) => (name === host ? context : undefined) };
  const challenges = {
    answerFor: () => undefined,
    contextFor: (name: string) => (name === host ? context : undefined),
    show: () => {},
    showInHandshake: async () => {},
    takeDown: () => {},
  };
  const server = createTlsServer({ shelf, challenges, limits: {} });
  server.on("request", (_request, response) => response.end("ok"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const hellos = [
    await helloFor(host, ["http/1.1"]),
    await helloFor(host, ["acme-tls/1"]),
    await helloFor("other.example.net", ["h2", "http/1.1"]),
  ];
  const pick = chance(20261124);
  let started = 0;
  for (let sent = 0; sent < many; sent += 100) {
    if (sent === Math.floor(many / 400) * 100) started = await heldMemory();
    await Promise.all(
      Array.from({ length: 100 }, () => say(server, spoil(hellos[pick(hellos.length)] as Buffer, pick))),
    );
  }
  const grown = (await heldMemory()) - started;
  assert.ok(grown < 5_000_000, `${grown} bytes more`);
  const visitor = connectSecurely({
    port: (server.address() as AddressInfo).port,
    host: "127.0.0.1",
    servername: host,
    ca: authority.root,
  });
  await once(visitor, "secureConnect");
  assert.equal(visitor.authorized, true);
  visitor.destroy();
  const left = await new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count)));
  assert.ok(left <= 2, `${left} connections are still held`);
});
