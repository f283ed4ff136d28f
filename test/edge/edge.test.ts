import assert from "node:assert/strict";
import { BlockList } from "node:net";
import { after, before, test } from "node:test";
import { parseNetworks } from "../../src/config.ts";
import { networkOf, peerOf } from "../../src/network.ts";
import { type DoorName, doorNames, good, type RealServer, startRealServer } from "./real-server.ts";

let server: RealServer;
before(async () => {
  server = await startRealServer();
  // On a busy machine the server makes new subscribers wait, which is tested elsewhere.
  server.deps.pressure.strain = () => 0;
});
after(() => server.stop());

const cases: [what: string, request: string, status: number][] = [
  ["an ordinary request", `GET / HTTP/1.1\r\n${good}\r\n`, 200],
  ["a host in capitals with a port and a dot", "GET / HTTP/1.1\r\nHost: STATUS.example.com.:8443\r\n\r\n", 200],
  ["no host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["two hosts", `GET / HTTP/1.1\r\n${good}Host: evil.test\r\n\r\n`, 400],
  ["the same host twice", `GET / HTTP/1.1\r\n${good}${good}\r\n`, 400],
  ["an unknown host", "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", 421],
  ["a host with a user", "GET / HTTP/1.1\r\nHost: a@status.example.com\r\n\r\n", 400],
  ["a host with a path", "GET / HTTP/1.1\r\nHost: status.example.com/x\r\n\r\n", 400],
  ["an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400],
  ["an absolute target for another host", `GET http://evil.test/ HTTP/1.1\r\n${good}\r\n`, 400],
  ["an absolute target for this host", `GET http://status.example.com/ HTTP/1.1\r\n${good}\r\n`, 400],
  ["an asterisk", `OPTIONS * HTTP/1.1\r\n${good}\r\n`, 400],
  ["TRACE", `TRACE / HTTP/1.1\r\n${good}\r\n`, 405],
  ["HTTP/1.0, as nginx speaks it unless told otherwise", `GET / HTTP/1.0\r\n${good}Connection: close\r\n\r\n`, 200],
  ["HTTP/1.0 from an old health check", `HEAD / HTTP/1.0\r\n${good}\r\n`, 200],
  ["HTTP/1.0 without a host", "GET / HTTP/1.0\r\n\r\n", 400],
  ["HTTP/1.0 that wants to stay", `GET / HTTP/1.0\r\n${good}Connection: Keep-Alive\r\n\r\n`, 505],
  ["HTTP/1.0 in chunks", `POST /subscribe HTTP/1.0\r\n${good}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  ["a second request after HTTP/1.0", `GET / HTTP/1.0\r\n${good}\r\nGET / HTTP/1.0\r\n${good}\r\n`, 200],
  [
    "a second request after the last",
    `GET / HTTP/1.1\r\n${good}Connection: close\r\n\r\nGET / HTTP/1.1\r\n${good}\r\n`,
    200,
  ],
  [
    "a second request after the last, which the app answers",
    `GET /admin/sign-in HTTP/1.1\r\n${good}Connection: close\r\n\r\nGET / HTTP/1.1\r\n${good}\r\n`,
    200,
  ],
  ["nonsense after the last request", `GET / HTTP/1.1\r\n${good}Connection: close\r\n\r\nNONSENSE\r\n\r\n`, 200],
  ["HTTP/2.0 in words", `GET / HTTP/2.0\r\n${good}\r\n`, 505],
  ["a body on GET", `GET / HTTP/1.1\r\n${good}Content-Length: 5\r\n\r\nhello`, 400],
  ["a chunked body on GET", `GET / HTTP/1.1\r\n${good}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  [
    "both lengths",
    `POST /subscribe HTTP/1.1\r\n${good}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ["two lengths", `POST /subscribe HTTP/1.1\r\n${good}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`, 400],
  ["a negative length", `POST /subscribe HTTP/1.1\r\n${good}Content-Length: -1\r\n\r\n`, 400],
  ["an upgrade", `GET / HTTP/1.1\r\n${good}Upgrade: tls/1.2\r\n\r\n`, 400],
  ["an upgrade to more than is known", `GET / HTTP/1.1\r\n${good}Upgrade: h2c, websocket\r\n\r\n`, 400],
  ["an old check without a host", "GET /healthz HTTP/1.0\r\n\r\n", 200],
  ["a check without a host", "GET /healthz HTTP/1.1\r\n\r\n", 400],
  ["a compressed body", `POST /subscribe HTTP/1.1\r\n${good}Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx`, 415],
  ["a space before the colon", "GET / HTTP/1.1\r\nHost : status.example.com\r\n\r\n", 400],
  ["a bare line feed in a header", `GET / HTTP/1.1\nHost: status.example.com\n\n`, 400],
  ["a folded header", `GET / HTTP/1.1\r\n${good}X: a\r\n b\r\n\r\n`, 400],
  ["a NUL in a header", `GET / HTTP/1.1\r\n${good}X: a\0b\r\n\r\n`, 400],
  ["a very long address", `GET /${"a".repeat(9000)} HTTP/1.1\r\n${good}\r\n`, 400],
  ["a header of 20 kB", `GET / HTTP/1.1\r\n${good}X: ${"a".repeat(20_000)}\r\n\r\n`, 431],
  ["a host with a tab in it", "GET / HTTP/1.1\r\nHost: status.exam\tple.com\r\n\r\n", 400],
  ["a host with a comma", "GET / HTTP/1.1\r\nHost: status.example.com, evil.test\r\n\r\n", 400],
  ["a host with an underscore", "GET / HTTP/1.1\r\nHost: status_example.com\r\n\r\n", 400],
  ["a host with a port that is none", "GET / HTTP/1.1\r\nHost: status.example.com:99999999\r\n\r\n", 400],
  ["an address that nobody listed", "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", 421],
  ["an address in brackets", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 421],
  ["a name that ends like ours", "GET / HTTP/1.1\r\nHost: evil-status.example.com\r\n\r\n", 421],
  ["a name below ours", "GET / HTTP/1.1\r\nHost: a.status.example.com\r\n\r\n", 421],
  ["a forwarded host", `GET / HTTP/1.1\r\n${good}X-Forwarded-Host: evil.test\r\n\r\n`, 200],
  ["a method that nobody knows", `BREW / HTTP/1.1\r\n${good}\r\n`, 400],
  ["a method in small letters", `get / HTTP/1.1\r\n${good}\r\n`, 400],
  ["PROPFIND", `PROPFIND / HTTP/1.1\r\n${good}\r\n`, 405],
  ["HTTP/0.9", "GET /\r\n\r\n", 505],
  ["HTTP/3.0 in words", `GET / HTTP/3.0\r\n${good}\r\n`, 400],
  ["a preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
  ["a handshake on the plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  ["a length in hexadecimal", `POST /subscribe HTTP/1.1\r\n${good}Content-Length: 0x5\r\n\r\nhello`, 400],
  ["a length with a sign", `POST /subscribe HTTP/1.1\r\n${good}Content-Length: +5\r\n\r\nhello`, 400],
  ["two lengths in one header", `POST /subscribe HTTP/1.1\r\n${good}Content-Length: 5, 5\r\n\r\nhello`, 400],
  ["chunks under a false name", `POST /subscribe HTTP/1.1\r\n${good}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 400],
  [
    "chunked twice",
    `POST /subscribe HTTP/1.1\r\n${good}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    "chunked and something",
    `POST /subscribe HTTP/1.1\r\n${good}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    "a chunk with a size that is none",
    `POST /subscribe HTTP/1.1\r\n${good}Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n`,
    400,
  ],
  [
    "a second request hidden in a body of GET",
    `GET / HTTP/1.1\r\n${good}Content-Length: 60\r\n\r\nGET /admin HTTP/1.1\r\n${good}\r\n`,
    400,
  ],
  ["a header without a name", `GET / HTTP/1.1\r\n${good}: x\r\n\r\n`, 400],
  ["a header without a colon", `GET / HTTP/1.1\r\n${good}nonsense\r\n\r\n`, 400],
  ["a carriage return in a header", `GET / HTTP/1.1\r\n${good}X: a\rHost: evil.test\r\n\r\n`, 400],
  ["two hundred headers of 100 bytes", `GET / HTTP/1.1\r\n${good}${`X: ${"a".repeat(96)}\r\n`.repeat(200)}\r\n`, 431],
  ["a websocket", `GET / HTTP/1.1\r\n${good}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`, 400],
  ["a space in the address", `GET /a b HTTP/1.1\r\n${good}\r\n`, 400],
  ["a program without a token", `POST /v1/pages HTTP/1.1\r\n${good}Content-Length: 0\r\n\r\n`, 405],
  ["a form without its fields", `POST /subscribe HTTP/1.1\r\n${good}Content-Length: 0\r\n\r\n`, 422],
  ["an expectation", `POST /subscribe HTTP/1.1\r\n${good}Expect: x\r\nContent-Length: 5\r\n\r\n`, 417],
  ["an expectation of an unknown host", "POST / HTTP/1.1\r\nHost: evil.test\r\nExpect: x\r\n\r\n", 417],
  ["two expectations", `POST / HTTP/1.1\r\n${good}Expect: 100-continue\r\nExpect: x\r\n\r\n`, 417],
  ["an expectation in a list", `POST / HTTP/1.1\r\n${good}Expect: 100-continue, x\r\n\r\n`, 417],
  ["leave to go on without a host", "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", 400],
  [
    "leave to go on with two lengths",
    `POST / HTTP/1.1\r\n${good}Expect: 100-continue\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n`,
    400,
  ],
  [
    "leave to go on to an unknown host",
    "POST / HTTP/1.1\r\nHost: evil.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    421,
  ],
  [
    "leave to go on with a packed body",
    `POST /subscribe HTTP/1.1\r\n${good}Expect: 100-continue\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n`,
    415,
  ],
  ["leave to go on where nothing follows", `GET / HTTP/1.1\r\n${good}Expect: 100-Continue\r\n\r\n`, 200],
  [
    "leave to go on in HTTP/1.0, which doesn't know it",
    `POST /subscribe HTTP/1.0\r\n${good}Expect: 100-continue\r\nContent-Length: 0\r\n\r\n`,
    422,
  ],
  ["a path that climbs", `GET /../../etc/passwd HTTP/1.1\r\n${good}\r\n`, 404],
  ["a path that climbs in disguise", `GET /assets/%2e%2e%2fpackage.json HTTP/1.1\r\n${good}\r\n`, 404],
];

for (const door of doorNames) {
  for (const [what, request, status] of cases) {
    test(`over ${door}, ${what} gets one answer, ${status}`, async () => {
      const answer = await speak(door, request);
      assert.deepEqual(statusesOf(answer), [status], answer.slice(0, 200));
      if (status !== 200 || /HTTP\/1\.0|Connection: close/.test(request))
        assert.match(answer, /^connection: close\r$/im);
    });
  }
}

for (const door of doorNames) {
  test(`over ${door}, whoever asks whether to go on with a body is told so once the gate lets them through, and then answered`, async () => {
    const request = `POST /subscribe HTTP/1.1\r\n${good}Expect: 100-continue\r\nContent-Length: 0\r\n\r\n`;
    assert.match(await speak(door, request), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 422 /);
  });

  test(`over ${door}, thirty requests in one packet are answered in their order, and a thousand aren't taken`, async () => {
    const ask = (path: string) => `GET ${path} HTTP/1.1\r\n${good}\r\n`;
    for (let times = 0; times < 2; times++) {
      const answers = await speak(door, ask("/").repeat(29) + ask("/nowhere"));
      assert.deepEqual(statusesOf(answers), [...Array(29).fill(200), 404]);
    }
    const many = await speak(door, ask("/").repeat(1000)).catch(() => "");
    assert.ok(statusesOf(many).length < 100);
    assert.deepEqual(statusesOf(await speak(door, ask("/"))), [200]);
  });

  test(`over ${door}, who offers to speak HTTP/2, as Java does, gets the page and the end of the connection`, async () => {
    const offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n";
    for (const path of ["/", "/healthz"]) {
      const answer = await speak(door, `GET ${path} HTTP/1.1\r\n${good}${offer}\r\nGET / HTTP/1.1\r\n${good}\r\n`);
      assert.deepEqual(statusesOf(answer), [200], path);
      assert.match(answer, /^connection: close\r$/im, path);
    }
  });

  test(`over ${door}, what isn't a request is refused after what was asked before it is answered`, async () => {
    for (const path of ["/", "/admin/sign-in"]) {
      const answer = await speak(door, `GET ${path} HTTP/1.1\r\n${good}\r\nNONSENSE\r\n\r\n`);
      assert.deepEqual(statusesOf(answer), [200, 400], path);
    }
  });

  test(`over ${door}, a body that breaks off in nonsense after its request was answered gets nothing more`, async () => {
    const begin = `POST /nope HTTP/1.1\r\n${good}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`;
    const nonsense = "zz\r\nhello\r\n0\r\n\r\n";
    assert.deepEqual(statusesOf(await speak(door, begin, nonsense)), [404]);
    assert.deepEqual(statusesOf(await speak(door, begin + nonsense)), [404], "in one packet");
  });

  test(`over ${door}, CONNECT is hung up on`, async () => {
    assert.equal(await speak(door, `CONNECT evil.test:443 HTTP/1.1\r\n${good}\r\n`), "");
  });
}

test("who is behind a trusted proxy is known, and nobody can claim to be somebody else", () => {
  const request = (remoteAddress: string, forwarded?: string) => ({
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
  });
  const none = new BlockList();
  assert.equal(peerOf(request("198.51.100.7", "203.0.113.9"), none), "198.51.100.7");
  const proxies = parseNetworks("10.0.0.0/8, ::1") as BlockList;
  assert.equal(peerOf(request("10.1.1.1", "203.0.113.9"), proxies), "203.0.113.9");
  assert.equal(peerOf(request("::ffff:10.1.1.1", "1.2.3.4, 203.0.113.9, 10.2.2.2"), proxies), "203.0.113.9");
  assert.equal(peerOf(request("198.51.100.7", "203.0.113.9"), proxies), "198.51.100.7");
  assert.equal(peerOf(request("::1"), proxies), "::1");
});

test("a customer's /64 counts as one network, however it is written", () => {
  assert.equal(networkOf("192.0.2.1"), "192.0.2.1");
  const one = networkOf("2001:db8:0:1::5");
  for (const same of ["2001:db8:0:1:ffff::1", "2001:0DB8:0000:0001:0:0:0:9"]) assert.equal(networkOf(same), one);
  assert.notEqual(networkOf("2001:db8:0:2::5"), one);
  assert.equal(networkOf("::1"), "0:0:0:0::/64");
});

const statusesOf = (answers: string) => [...answers.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, code]) => Number(code));

/** Everything that comes back until the server hangs up, or says nothing more for a while. @param rest said once an answer came */
async function speak(door: DoorName, request: string, rest?: string): Promise<string> {
  const socket = await server.enter(door);
  return new Promise((resolve, reject) => {
    let answer = "";
    socket.setTimeout(1500, () => socket.destroy());
    socket.on("data", (chunk) => {
      if (answer === "" && rest !== undefined) socket.write(rest, "latin1");
      answer += chunk.toString("latin1");
      setTimeout(() => socket.end(), 100);
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(answer));
    socket.write(request, "latin1");
  });
}
