import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { connect as connectSecurely } from "node:tls";
import { capConnections } from "../../src/connections.ts";
import { createAuthority } from "../support/authority.ts";

type Line = { event: string; detail: object | undefined };

/** Loopback has many addresses: each is a network of its own. */
async function open(
  t: TestContext,
  caps: { perNetwork: number; inAll: number; isProxy?: (address: string) => boolean },
  answer: RequestListener = (_request, response) => response.end("here"),
  identity?: { cert: string; key: string },
) {
  const lines: Line[] = [];
  const say = (event: string, detail?: object) => void lines.push({ event, detail });
  const server = identity ? createSecureServer(identity, answer) : createServer(answer);
  server.keepAliveTimeout = 60_000;
  capConnections(server, {
    isProxy: () => false,
    log: { debug: say, info: say, warn: say, error: say },
    ...caps,
  });
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const enter = (localAddress = "127.0.0.1", more: { host?: string; localPort?: number } = {}) =>
    new Promise<Socket>((resolve) => {
      const where = { port, host: "127.0.0.1", localAddress, ...more };
      const socket: Socket = identity
        ? connectSecurely({ ...where, rejectUnauthorized: false }, () => resolve(socket))
        : connect(where, () => resolve(socket));
      socket.on("error", () => {});
      t.after(() => socket.destroy());
    });
  /** How long the server keeps a connection. */
  const kept = new Map<number, Promise<number>>();
  server.prependListener("connection", (socket: Socket) => {
    const began = performance.now();
    const { remotePort = 0 } = socket;
    kept.set(remotePort, new Promise((resolve) => socket.once("close", () => resolve(performance.now() - began))));
  });
  return { enter, lines, keeps: (socket: Socket) => kept.get(socket.localPort ?? 0) as Promise<number> };
}

const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/** What comes back for a request; empty when the connection is closed instead. */
function ask(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let said = "";
    socket.on("data", (chunk) => {
      said += chunk;
      if (said.endsWith("0\r\n\r\n") || said.includes("here")) resolve(said);
    });
    socket.on("close", () => resolve(said));
    if (socket.destroyed) resolve("");
    socket.write(request);
  });
}

const isClosed = (socket: Socket) =>
  new Promise<boolean>((resolve) => {
    if (socket.destroyed) return resolve(true);
    socket.resume();
    socket.on("close", () => resolve(true));
    setTimeout(() => resolve(socket.destroyed), 300);
  });

test("one network that holds all its connections open keeps nobody else out", async (t) => {
  const { enter, lines } = await open(t, { perNetwork: 3, inAll: 100 });
  for (let count = 0; count < 3; count++) (await enter("127.0.0.2")).write("GET / HTTP/1.1\r\nX: ");
  assert.equal(await ask(await enter("127.0.0.2")), "");
  assert.match(await ask(await enter("127.0.0.3")), /here/);
  assert.deepEqual(lines, [{ event: "connections.refused", detail: { refused: 1, open: 3 } }]);
});

test("a connection that rests makes room for a new one of its network", async (t) => {
  const { enter } = await open(t, { perNetwork: 2, inAll: 100 });
  const [first, second] = [await enter(), await enter()];
  assert.match(await ask(first), /here/);
  assert.match(await ask(second), /here/);
  assert.match(await ask(await enter()), /here/);
  assert.ok(await isClosed(first), "the one that rests longest goes");
  assert.ok(!second.destroyed);
});

test("a request under way is never cut, however many want to enter", async (t) => {
  let finish = () => {};
  const { enter } = await open(t, { perNetwork: 1, inAll: 100 }, (incoming, response) => {
    if (incoming.url === "/") response.end("here");
    else finish = () => response.end("late, but here");
  });
  const patient = await enter();
  assert.match(await ask(patient), /here/);
  const late = new Promise<string>((resolve) => patient.on("data", (chunk) => resolve(String(chunk))));
  patient.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(await ask(await enter()), "");
  finish();
  assert.match(await late, /late, but here/);
});

test("a client's one port may lead to two of our addresses, and neither is taken for the other", async (t) => {
  const authority = await createAuthority();
  const { certificate: cert, key } = await authority.issue(["status.example.com"]);
  let finish = () => {};
  const answer: RequestListener = (incoming, response) => {
    if (incoming.url === "/") response.end("here");
    else finish = () => response.end("late, but here");
  };
  const { enter } = await open(t, { perNetwork: 2, inAll: 100 }, answer, { cert, key });
  const patient = await enter();
  const late = new Promise<string>((resolve) => {
    patient.on("data", (chunk) => resolve(String(chunk)));
    patient.on("close", () => resolve("cut"));
  });
  patient.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  const resting = await enter("127.0.0.1", { host: "127.0.0.2", localPort: patient.localPort as number });
  assert.match(await ask(resting), /here/);
  assert.match(await ask(await enter()), /here/);
  finish();
  assert.match(await late, /late, but here/);
});

test("a trusted proxy speaks for many, and all together have a limit as well", async (t) => {
  const { enter } = await open(t, { perNetwork: 1, inAll: 4, isProxy: (address) => address === "127.0.0.9" });
  const held: Socket[] = [];
  for (let count = 0; count < 4; count++) {
    const socket = await enter("127.0.0.9");
    socket.write("GET / HTTP/1.1\r\nX: ");
    held.push(socket);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(held.every((socket) => !socket.destroyed));
  assert.equal(await ask(await enter("127.0.0.5")), "");
  held[0]?.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.match(await ask(await enter("127.0.0.5")), /here/);
});

test("a connection that rests for long is closed, but a proxy's, and all that it was sent arrives", {
  timeout: 30_000,
}, async (t) => {
  const answer = `here${"x".repeat(60_000)}`;
  const caps = { perNetwork: 9, inAll: 9, isProxy: (address: string) => address === "127.0.0.9" };
  const { enter, keeps } = await open(t, caps, (_request, response) => response.end(answer));
  const [visitor, late, proxy] = [await enter(), await enter(), await enter("127.0.0.9")];
  for (const socket of [visitor, proxy]) assert.ok(await ask(socket));
  late.pause().write(request);
  for (const held of await Promise.all([keeps(visitor), keeps(late)])) assert.ok(held < 15_000, `${held} ms`);
  assert.ok(!proxy.destroyed);
  let taken = 0;
  late.on("data", (chunk) => {
    taken += chunk.length;
  });
  const ended = new Promise((resolve) => late.once("end", resolve));
  late.resume();
  await ended;
  assert.ok(taken > answer.length);
});

test("who asks and doesn't take the answers is let go, and who takes them slowly gets them all", {
  timeout: 60_000,
}, async (t) => {
  const authority = await createAuthority();
  const { certificate, key } = await authority.issue(["status.example.com"]);
  const large = Buffer.alloc(7_000_000, "x");
  const caps = { perNetwork: 100, inAll: 100 };
  await Promise.all(
    [undefined, { cert: certificate, key }].map(async (identity) => {
      const { enter, keeps } = await open(t, caps, (_request, response) => response.end(large), identity);
      const [never, hardly, slow] = [await enter(), await enter(), await enter()];
      for (const socket of [never, hardly, slow]) socket.pause().write(request);
      const sips = setInterval(() => hardly.read(200), 1_000);
      let taken = 0;
      const gulps = setInterval(() => {
        taken += (slow.read() as Buffer | null)?.length ?? 0;
      }, 50);
      t.after(() => [sips, gulps].map(clearInterval));
      for (const held of await Promise.all([keeps(never), keeps(hardly)])) assert.ok(held < 15_000, `${held} ms`);
      while (!slow.destroyed && taken < large.length) await new Promise((resolve) => setTimeout(resolve, 100));
      assert.ok(taken > large.length, "with its headers");
    }),
  );
});
