/** Connections that a proxy passes on: HAProxy itself, and what no proxy would say. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { request as requestPlain } from "node:http";
import { request as requestSecure } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { parsePassage } from "../../src/proxy-protocol.ts";
import { createAuthority } from "../support/authority.ts";
import { needs } from "../support/need.ts";
import { freePort } from "../support/ports.ts";
import { importIssued, startFounded } from "../support/started.ts";

const host = "status.example.com";

/** A page with a certificate, whose visitors may subscribe twice an hour from one network. */
async function serve(t: TestContext) {
  const [plain, secure] = [await freePort(), await freePort()];
  const authority = await createAuthority();
  const issued = await authority.issue([host], {});
  const { folder, stop } = await startFounded({
    host: `https://${host}:${secure}`,
    overrides: {
      listen: `127.0.0.1:${plain}`,
      "https.listen": `127.0.0.1:${secure}`,
      trusted_proxies: "127.0.0.1",
      proxy_protocol: "on",
      "subscribe.per_network_per_hour": "2",
    },
    first: (founded) => importIssued(founded, authority, issued),
  });
  t.after(stop);
  const pem = join(folder, "proxy.pem");
  writeFileSync(pem, issued.certificate + authority.intermediate + issued.key);
  return { folder, plain, secure, pem, root: authority.root };
}

type House = Awaited<ReturnType<typeof serve>>;

/** In front of both doors, each way that HAProxy knows to say whose a connection is. */
async function startHaproxy(t: TestContext, house: House) {
  const { plain, secure, pem } = house;
  const doors = {
    first: { bind: "", server: `127.0.0.1:${plain} send-proxy` },
    second: { bind: "", server: `127.0.0.1:${plain} send-proxy-v2` },
    opened: { bind: `ssl crt ${pem}`, server: `127.0.0.1:${plain} send-proxy-v2-ssl` },
    passed: { bind: "", server: `127.0.0.1:${secure} send-proxy-v2` },
    silent: { bind: "", server: `127.0.0.1:${plain}` },
  };
  const ports: Record<string, number> = {};
  const lines = ["defaults", " mode tcp", " timeout connect 5s", " timeout client 10s", " timeout server 10s"];
  for (const [name, { bind, server }] of Object.entries(doors)) {
    const port = await freePort();
    ports[name] = port;
    lines.push(`listen ${name}`, ` bind 127.0.0.1:${port} ${bind}`, ` server candor ${server} source 127.0.0.1`);
  }
  const file = join(house.folder, "haproxy.cfg");
  writeFileSync(file, `${lines.join("\n")}\n`);
  const child = spawn("haproxy", ["-db", "-f", file], { stdio: ["ignore", "ignore", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  for (let tries = 0; !(await canConnect(ports.silent as number)); tries++) {
    if (tries > 1000) throw new Error("HAProxy doesn't answer.");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return ports as Record<keyof typeof doors, number>;
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

type Asked = { port: number; from: string; root?: string; email?: string };

function ask(house: House, { port, from, root, email }: Asked): Promise<{ status: number; location?: string }> {
  const origin = `https://${host}:${house.secure}`;
  const form = { "content-type": "application/x-www-form-urlencoded", origin };
  const options = {
    ...{ port, host: "127.0.0.1", localAddress: from, agent: false as const },
    ...(root ? { ca: root, servername: host } : {}),
    path: email ? "/subscribe" : "/",
    method: email ? "POST" : "GET",
    headers: { host: `${host}:${house.secure}`, ...(email ? form : {}) },
  };
  return new Promise((resolve, reject) => {
    const call = (root ? requestSecure : requestPlain)(options, (response) => {
      response.resume();
      const { location } = response.headers;
      resolve({ status: response.statusCode ?? 0, ...(location === undefined ? {} : { location }) });
    });
    call.on("error", reject);
    call.end(email ? `email=${encodeURIComponent(email)}&scope=all` : undefined);
  });
}

test("what HAProxy passes on is its client's: limits count networks, and http leads to https", {
  skip: needs("haproxy"),
}, async (t) => {
  const house = await serve(t);
  const doors = await startHaproxy(t, house);
  const { root } = house;
  for (const [port, from] of [
    [doors.first, "127.0.0.2"],
    [doors.second, "127.0.0.3"],
  ] as const) {
    const answer = await ask(house, { port, from });
    assert.deepEqual(answer, { status: 301, location: `https://${host}:${house.secure}/` });
  }
  for (const [port, from] of [
    [doors.passed, "127.0.1"],
    [doors.opened, "127.0.2"],
  ] as const) {
    const asks = async (last: number, name: string) =>
      (await ask(house, { port, from: `${from}.${last}`, root, email: `${name}${port}@example.com` })).status;
    assert.equal((await ask(house, { port, from: `${from}.1`, root })).status, 200, "it isn't sent to https again");
    assert.deepEqual([await asks(1, "a"), await asks(1, "b"), await asks(1, "c")], [303, 303, 429]);
    assert.equal(await asks(2, "d"), 303, "another client of the same proxy has limits of its own");
  }
});

test("a proxy that doesn't say whose a connection is gets no answer, and who isn't a proxy gets none by saying it", {
  skip: needs("haproxy"),
}, async (t) => {
  const house = await serve(t);
  const doors = await startHaproxy(t, house);
  await assert.rejects(ask(house, { port: doors.silent, from: "127.0.0.2" }));
  assert.equal((await ask(house, { port: house.plain, from: "127.0.0.9" })).status, 301);
  const said = await say(
    house.plain,
    "127.0.0.9",
    `PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  );
  assert.match(said, /^HTTP\/1\.1 400 /);
  assert.doesNotMatch(said, /HTTP\/1\.1 [235]/);
});

test("a proxy may send its word in pieces, and with the request; what is none ends the connection", async (t) => {
  const house = await serve(t);
  const question = `GET / HTTP/1.1\r\nHost: ${host}:${house.secure}\r\nConnection: close\r\n\r\n`;
  assert.match(
    await say(house.plain, "127.0.0.1", `PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n${question}`),
    /^HTTP\/1\.1 301 /,
  );
  const pieces = [..."PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", question];
  assert.match(await say(house.plain, "127.0.0.1", ...pieces), /^HTTP\/1\.1 301 /);
  // The proxy's own connection, to see whether we are there, is not sent anywhere.
  assert.match(await say(house.plain, "127.0.0.1", `PROXY UNKNOWN\r\n${question}`), /^HTTP\/1\.1 200 /);
  assert.equal(await say(house.plain, "127.0.0.1", "\x16\x03\x01 not a word of the protocol"), "");
  assert.equal(await say(house.plain, "127.0.0.1", "PROXY TCP4 10.0.0.1\r\n", question), "");
  const began = performance.now();
  assert.equal(await say(house.plain, "127.0.0.1", "PROXY "), "", "who says no more is let go");
  assert.ok(performance.now() - began < 20_000);
});

/** What comes back on a connection until it ends. */
function say(port: number, from: string, ...pieces: string[]): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ port, host: "127.0.0.1", localAddress: from }, async () => {
      socket.setNoDelay();
      for (const piece of pieces) {
        socket.write(Buffer.from(piece, "latin1"));
        await new Promise((next) => setTimeout(next, 2));
      }
    });
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}

const mark = "\r\n\r\n\0\r\nQUIT\n";
const second = (command: number, family: number, body: number[], length = body.length) =>
  Buffer.concat([Buffer.from(mark, "latin1"), Buffer.from([command, family, length >> 8, length & 255, ...body])]);

test("the protocol is read as its specification has it, and refused where it isn't kept", () => {
  const four = [10, 0, 0, 1, 10, 0, 0, 2, 0, 7, 0, 80];
  const six = [...Array(10).fill(0), 255, 255, 10, 0, 0, 9, ...Array(16).fill(0), 1, 0, 0, 80];
  const peerOf = (bytes: Buffer | string) => {
    const seen = parsePassage(Buffer.from(bytes));
    return typeof seen === "object" ? seen.passage.peer : seen;
  };
  assert.deepEqual(peerOf("PROXY TCP4 10.0.0.1 10.0.0.2 65535 443\r\n"), { address: "10.0.0.1", port: 65535 });
  assert.deepEqual(peerOf("PROXY TCP6 ::ffff:10.0.0.1 ::1 5 443\r\n"), { address: "10.0.0.1", port: 5 });
  assert.deepEqual(peerOf(second(0x21, 0x11, four)), { address: "10.0.0.1", port: 7 });
  assert.deepEqual(peerOf(second(0x21, 0x21, six)), { address: "10.0.0.9", port: 256 });
  for (const whose of [second(0x20, 0, []), second(0x20, 0x11, four), second(0x21, 0x31, Array(216).fill(0))])
    assert.equal(peerOf(whose), undefined);
  const tls = (bits: number) => parsePassage(second(0x21, 0x11, [...four, 4, 0, 1, 9, 0x20, 0, 5, bits, 0, 0, 0, 0]));
  assert.deepEqual(
    [tls(1), tls(6)].map((seen) => (seen as { passage: object }).passage),
    [
      { peer: { address: "10.0.0.1", port: 7 }, cameOverTls: true },
      { peer: { address: "10.0.0.1", port: 7 }, cameOverTls: false },
    ],
  );
  for (const start of ["", "P", "PROXY TCP4 10.0.0.1", mark, mark.slice(0, 3)])
    assert.equal(parsePassage(Buffer.from(start, "latin1")), undefined, start);
  const wrong = [
    ...["GET / HTTP/1.1\r\n", "PROXY\r\n", "PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n"],
    ...["PROXY TCP4 10.0.0.1 10.0.0.2 x 2\r\n", "PROXY TCP5 10.0.0.1 10.0.0.2 1 2\r\n", `PROXY ${"x".repeat(200)}`],
    ...[
      second(0x11, 0x11, four),
      second(0x22, 0x11, four),
      second(0x21, 0x11, four.slice(1)),
      second(0x21, 0x11, [], 5000),
    ],
  ];
  for (const bytes of wrong) assert.equal(parsePassage(Buffer.from(bytes)), "refused", String(bytes));
});
