/** The real server over TLS: which certificate a name gets, what strangers' names get, and that nobody is cut off. */
import assert from "node:assert/strict";
import { get as getPlain } from "node:http";
import { Agent, request } from "node:https";
import { connect as connectPlain, createServer, type Socket } from "node:net";
import { before, type TestContext, test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { createApp } from "../../src/app.ts";
import { timetable } from "../../src/jobs.ts";
import { addHost, listPages } from "../../src/pages/pages.ts";
import { type Authority, createAuthority, type Kind } from "../support/authority.ts";
import { helloFor } from "../support/hello.ts";
import { freePort } from "../support/ports.ts";
import { importIssued, startFounded } from "../support/started.ts";

let authority: Authority;
before(async () => {
  authority = await createAuthority();
});

async function serve(
  t: TestContext,
  clock = { now: () => Date.now() },
  before: { imported?: string[]; start?: (port: number) => Promise<void>; origin?: string; stored?: boolean } = {},
) {
  const port = await freePort();
  const secureListen = `127.0.0.1:${port}`;
  const server = await startFounded({
    host: before.origin ?? `https://status.example.com:${port}`,
    clock,
    overrides: before.stored ? {} : { "https.listen": secureListen },
    first: async (founded) => {
      const [page] = listPages(founded.db);
      const now = clock.now() + 1; // Links begin with the oldest.
      for (const host of ["https://other.example.com", "https://bare.example.net", "http://127.0.0.1"])
        addHost(founded.db, { pageId: page?.id ?? "", host, now, by: { kind: "operator" } });
      if (before.imported) importIssued(founded, authority, await authority.issue(before.imported));
      if (before.stored) founded.config.set("https.listen", secureListen, now);
      await before.start?.(port);
    },
  });
  t.after(() => server.stop().catch(() => {}));
  const bring = async (hosts: string[], options: { days?: [number, number]; kind?: Kind } = {}) => {
    importIssued(server.deps, authority, await authority.issue(hosts, options));
    server.deps.certificates.reload();
  };
  const handshake = (servername: string | undefined, options: object = {}) =>
    new Promise<TLSSocket>((resolve, reject) => {
      const named = servername === undefined ? {} : { servername };
      const socket = connect({ port, host: "127.0.0.1", ca: authority.root, ...named, ...options }, () =>
        resolve(socket),
      );
      socket.on("error", reject);
      t.after(() => socket.destroy());
    });
  const ask = (
    host: string,
    options: { servername?: string; path?: string; agent?: Agent; method?: string } = {},
  ): Promise<{ status: number; headers: Record<string, unknown>; text: string }> =>
    new Promise((resolve, reject) => {
      const call = request(
        {
          port,
          host: "127.0.0.1",
          servername: options.servername ?? host,
          ca: authority.root,
          agent: options.agent ?? false,
          path: options.path ?? "/",
          method: options.method ?? "GET",
          headers: { host: `${host}:${port}` },
        },
        (response) => {
          let text = "";
          response.on("data", (chunk) => {
            text += chunk;
          });
          response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
        },
      );
      call.on("error", reject);
      call.end();
    });
  return { ...server, port, bring, handshake, ask };
}

const day = 86_400_000;

const codeOf = (attempt: Promise<unknown>) =>
  attempt.then(
    () => "no error",
    (error) => String(error.code ?? error.message),
  );

test("each name gets its own certificate, and the page over it", async (t) => {
  const { bring, ask, handshake } = await serve(t);
  await bring(["status.example.com"]);
  await bring(["*.example.com"], { days: [-1, 40] });
  const page = await ask("status.example.com");
  assert.equal(page.status, 200);
  assert.match(page.text, /Acme/);
  assert.equal(page.headers["strict-transport-security"], undefined, "nobody is bound on the first day");
  const exact = (await handshake("STATUS.example.com")).getPeerCertificate();
  assert.equal(exact.subjectaltname, "DNS:status.example.com");
  const wild = (await handshake("other.example.com")).getPeerCertificate();
  assert.equal(wild.subjectaltname, "DNS:*.example.com");
});

test("a stranger's name, or none, gets the alert that says so and no certificate", async (t) => {
  const { bring, handshake, ask } = await serve(t);
  await bring(["status.example.com"]);
  assert.equal(await codeOf(handshake("evil.test")), "ERR_SSL_TLSV1_UNRECOGNIZED_NAME");
  assert.equal(await codeOf(handshake("bare.example.net")), "ERR_SSL_TLSV1_UNRECOGNIZED_NAME");
  assert.equal(await codeOf(handshake(undefined)), "ERR_SSL_TLSV1_UNRECOGNIZED_NAME");
  assert.equal((await ask("status.example.com")).status, 200);
});

test("a host that is removed is a stranger from then on, whatever certificate would cover it", async (t) => {
  const { bring, handshake, deps } = await serve(t);
  await bring(["*.example.com"]);
  await handshake("other.example.com");
  const app = createApp(deps);
  const [page] = listPages(deps.db);
  const path = `http://candor/v1/pages/${page?.id}/hosts/other.example.com`;
  const operator = { peer: "operator", operator: true } as const;
  assert.equal((await app.fetch(new Request(path, { method: "DELETE" }), operator)).status, 200);
  assert.equal(await codeOf(handshake("other.example.com")), "ERR_SSL_TLSV1_UNRECOGNIZED_NAME");
  await handshake("status.example.com");
});

test("browsers aren't bound to https by a certificate that was imported days before https was listened on", async (t) => {
  let ahead = 3 * day;
  const clock = { now: () => Date.now() + ahead };
  const { ask, deps } = await serve(t, clock, {
    imported: ["status.example.com"],
    origin: "https://status.example.com",
  });
  const said = async () => (await ask("status.example.com")).headers["strict-transport-security"];
  ahead += day - 60_000;
  deps.press.pressAll();
  assert.equal(await said(), undefined);
  // The day has begun before, and nothing is pressed until the next one.
  ahead += 60_001;
  await timetable.find(({ name }) => name === "say what holds of https")?.run(deps);
  assert.match(String(await said()), /^max-age=31536000/);
});

test("a host on another port than 443 is never bound to https, because browsers would look for it there", async (t) => {
  let ahead = 0;
  const clock = { now: () => Date.now() + ahead };
  const { ask, deps } = await serve(t, clock, { imported: ["status.example.com"] });
  ahead += 3 * day;
  deps.press.pressAll();
  assert.equal((await ask("status.example.com")).headers["strict-transport-security"], undefined);
});

test("each of a page's hosts is bound when its own day is over", async (t) => {
  let ahead = 0;
  const clock = { now: () => Date.now() + ahead };
  const { ask, deps, bring } = await serve(t, clock, { origin: "https://status.example.com" });
  const said = async (host: string) => (await ask(host)).headers["strict-transport-security"];
  await bring(["status.example.com"]);
  ahead += 2 * day;
  await bring(["other.example.com"]);
  deps.press.pressAll();
  assert.deepEqual(
    [await said("status.example.com"), await said("other.example.com")],
    ["max-age=31536000", undefined],
  );
  ahead += day + 1;
  deps.press.pressAll();
  assert.equal(await said("other.example.com"), "max-age=31536000");
});

test("a setting that is taken up at the next start changes nothing before", async (t) => {
  let ahead = 0;
  const clock = { now: () => Date.now() + ahead };
  const { ask, deps, bring } = await serve(t, clock, { origin: "https://status.example.com", stored: true });
  await bring(["status.example.com"]);
  deps.config.set("https.listen", "", clock.now());
  deps.press.pressAll();
  const said = async () => (await ask("status.example.com")).headers["strict-transport-security"];
  assert.equal(await said(), undefined, "the first day isn't over");
  ahead += day + 1;
  deps.press.pressAll();
  assert.ok(await said());
});

test("browsers aren't bound to https by a certificate that they refuse", async (t) => {
  let now = Date.now();
  const { bring, deps } = await serve(t, { now: () => now });
  await bring(["status.example.com"], { days: [-80, 1] });
  const since = () => deps.certificates.servedSince("status.example.com");
  assert.equal(since(), now);
  deps.db.$client.exec("UPDATE hosts SET secure_since = NULL");
  now += 2 * day;
  deps.certificates.reload();
  assert.equal(since(), undefined);
});

test("a disk that takes nothing keeps no host from being served", async (t) => {
  const { bring, deps, handshake } = await serve(t);
  deps.db.$client.exec(
    "CREATE TEMP TRIGGER full BEFORE UPDATE OF secure_since ON hosts BEGIN SELECT RAISE(ABORT, 'disk is full'); END",
  );
  await bring(["status.example.com"]);
  assert.equal((await handshake("status.example.com")).authorized, true);
  assert.equal(deps.certificates.servedSince("status.example.com"), undefined);
  deps.db.$client.exec("DROP TRIGGER full");
  deps.certificates.reload();
  assert.ok(deps.certificates.servedSince("status.example.com"));
});

test("a connection made for one host isn't used for another", async (t) => {
  const { bring, ask } = await serve(t);
  await bring(["status.example.com", "other.example.com"]);
  const crossed = await ask("other.example.com", { servername: "status.example.com" });
  assert.equal(crossed.status, 421);
  assert.equal((await ask("other.example.com")).status, 200);
});

test("who comes back with a session of either version gets the page", async (t) => {
  const { bring, handshake, port } = await serve(t);
  await bring(["status.example.com"]);
  const visit = async (version: "TLSv1.2" | "TLSv1.3", session?: Buffer) => {
    const socket = await handshake("status.example.com", {
      ...{ minVersion: version, maxVersion: version },
      ...(session ? { session } : {}),
    });
    let kept: Buffer | undefined = socket.getSession(); // Of 1.2; of 1.3 it comes after the handshake.
    socket.on("session", (fresh: Buffer) => {
      kept = fresh;
    });
    const answer = new Promise<string>((resolve) => socket.once("data", (bytes) => resolve(String(bytes))));
    socket.write(`GET / HTTP/1.1\r\nhost: status.example.com:${port}\r\n\r\n`);
    return { answer: (await answer).split("\r\n")[0], isReused: socket.isSessionReused(), session: kept };
  };
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const first = await visit(version);
    const second = await visit(version, first.session);
    assert.deepEqual([second.isReused, second.answer], [true, "HTTP/1.1 200 OK"], version);
  }
});

test("who comes in clear is sent to https once the host has a certificate, and only then", async (t) => {
  const { origin, bring, port } = await serve(t);
  const ask = (host: string, method = "GET", path = "/history?x=1") =>
    new Promise<{ status: number; location: string | undefined }>((resolve, reject) => {
      const call = getPlain(`${origin}${path}`, { headers: { host }, method, agent: false }, (response) => {
        response.resume();
        resolve({ status: response.statusCode ?? 0, location: response.headers.location });
      });
      call.on("error", reject);
    });
  assert.equal((await ask("status.example.com")).status, 200);
  await bring(["status.example.com"]);
  assert.deepEqual(await ask("status.example.com"), {
    status: 301,
    location: `https://status.example.com:${port}/history?x=1`,
  });
  assert.equal((await ask("status.example.com", "POST", "/subscribe")).status, 308);
  assert.equal((await ask("status.example.com", "GET", "/healthz")).status, 200);
  assert.equal((await ask("bare.example.net")).status, 200);
  assert.equal((await ask("127.0.0.1")).status, 200);
  assert.equal((await ask("evil.test")).status, 421);
});

test("what a trusted proxy took over TLS isn't sent to https again, and what it took in clear is", async (t) => {
  const { deps, origin, bring } = await serve(t);
  await bring(["status.example.com"]);
  const status = (proto?: string) =>
    new Promise<number>((resolve, reject) => {
      const headers = { host: "status.example.com", ...(proto ? { "x-forwarded-proto": proto } : {}) };
      getPlain(origin, { headers, agent: false }, (response) => resolve(response.resume().statusCode ?? 0)).on(
        "error",
        reject,
      );
    });
  assert.equal(await status("https"), 301, "anybody may say so");
  // Taken up while the server runs.
  deps.config.set("trusted_proxies", "127.0.0.1", Date.now());
  assert.deepEqual([await status("https"), await status(), await status("http")], [200, 200, 301]);
});

test("once its certificate has expired nobody is sent to https, and whoever insists still gets it", async (t) => {
  let now = Date.now();
  const { origin, bring, handshake } = await serve(t, { now: () => now });
  await bring(["status.example.com"]);
  const status = () =>
    new Promise<number>((resolve, reject) => {
      const headers = { host: "status.example.com" };
      getPlain(origin, { headers, agent: false }, (response) => resolve(response.resume().statusCode ?? 0)).on(
        "error",
        reject,
      );
    });
  assert.equal(await status(), 301);
  now += 100 * 86_400_000;
  assert.equal(await status(), 200);
  assert.equal((await handshake("status.example.com")).getPeerCertificate().subjectaltname, "DNS:status.example.com");
});

test("a new certificate is taken up while connections stand, and cuts none", async (t) => {
  const { bring, ask, handshake } = await serve(t);
  await bring(["status.example.com"], { days: [-1, 20] });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  assert.equal((await ask("status.example.com", { agent })).status, 200);
  const before = (await handshake("status.example.com")).getPeerCertificate().serialNumber;
  await bring(["status.example.com"], { days: [-1, 89] });
  const kept = await ask("status.example.com", { agent });
  assert.equal(kept.status, 200);
  assert.notEqual((await handshake("status.example.com")).getPeerCertificate().serialNumber, before);
});

test("only TLS 1.3, and 1.2 with forward secrecy and AEAD, are spoken", async (t) => {
  const { bring, handshake } = await serve(t);
  await bring(["status.example.com"]);
  const with12 = (ciphers: string) =>
    handshake("status.example.com", { maxVersion: "TLSv1.2", minVersion: "TLSv1.2", ciphers });
  assert.equal((await handshake("status.example.com")).getProtocol(), "TLSv1.3");
  assert.equal((await with12("ECDHE-ECDSA-AES128-GCM-SHA256")).getProtocol(), "TLSv1.2");
  for (const weak of ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-GCM-SHA256"])
    assert.match(await codeOf(with12(weak)), /HANDSHAKE_FAILURE/, weak);
  const old = handshake("status.example.com", {
    maxVersion: "TLSv1.1",
    minVersion: "TLSv1",
    ciphers: "ALL@SECLEVEL=0",
  });
  assert.match(await codeOf(old), /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/);
});

test("keys are agreed on in ways that cost the server no more than the client", async (t) => {
  const { bring, handshake } = await serve(t);
  await bring(["status.example.com"], { kind: "rsa" });
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const by = (ecdhCurve: string) =>
      handshake("status.example.com", { minVersion: version, maxVersion: version, ecdhCurve });
    for (const cheap of ["X25519", "P-256"]) assert.equal((await by(cheap)).getProtocol(), version, cheap);
    for (const dear of ["P-384", "P-521", "X448"])
      assert.match(await codeOf(by(dear)), /HANDSHAKE_FAILURE/, `${dear} of ${version}`);
  }
  const by = (ecdhCurve: string) => handshake("status.example.com", { minVersion: "TLSv1.3", ecdhCurve });
  assert.equal((await by("X25519MLKEM768")).getProtocol(), "TLSv1.3", "safe from tomorrow's computers");
  for (const dear of ["ffdhe2048", "ffdhe3072"]) assert.match(await codeOf(by(dear)), /HANDSHAKE_FAILURE/, dear);
});

test("a certificate on P-384 is served over either version all the same", async (t) => {
  const { bring, handshake } = await serve(t);
  await bring(["status.example.com"], { kind: "p384" });
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const socket = await handshake("status.example.com", { minVersion: version, maxVersion: version });
    assert.equal((socket.getPeerCertificate() as { nistCurve?: string }).nistCurve, "P-384");
  }
});

test("what isn't TLS is closed, and a client that says nothing is let go", { timeout: 20_000 }, async (t) => {
  const { bring, port, ask } = await serve(t);
  await bring(["status.example.com"]);
  const life = (says: string) =>
    new Promise<number>((resolve) => {
      const began = performance.now();
      const socket = connectPlain(port, "127.0.0.1", () => says && socket.write(says));
      socket.resume();
      socket.on("error", () => {});
      socket.on("close", () => resolve(performance.now() - began));
    });
  const [plain, noise, half, silent] = await Promise.all([
    life("GET / HTTP/1.1\r\nHost: status.example.com\r\n\r\n"),
    life("\x16\x03\x01\x00\x05abcde"),
    life("\x16\x03\x01\x02\x00\x01"),
    life(""),
  ]);
  for (const taken of [plain, noise]) assert.ok(taken < 2_000, `${taken} ms`);
  for (const taken of [half, silent]) assert.ok(taken < 8_000, `${taken} ms`);
  assert.equal((await ask("status.example.com")).status, 200);
});

function reach(t: TestContext, port: number): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connectPlain({ port, host: "127.0.0.1" }, () => resolve(socket));
    socket.on("error", () => {});
    t.after(() => socket.destroy());
  });
}

test("strangers who break off in the middle of their hello's answer end nothing", async (t) => {
  const { bring, port, ask } = await serve(t);
  await bring(["status.example.com"]);
  const hello = await helloFor("stranger.example.org");
  for (let count = 0; count < 500; count++) {
    const socket = await reach(t, port);
    await new Promise<void>((resolve) => socket.write(hello, () => resolve()));
    socket.resetAndDestroy();
  }
  assert.equal((await ask("status.example.com")).status, 200);
});

test("a handshake that is begun and not finished is let go", { timeout: 20_000 }, async (t) => {
  const { bring, port } = await serve(t);
  await bring(["status.example.com"]);
  const hello = await helloFor("status.example.com");
  const socket = await reach(t, port);
  const began = performance.now();
  const left = new Promise<number>((resolve) => socket.once("close", () => resolve(performance.now() - began)));
  socket.resume().write(hello);
  const open = setTimeout(() => socket.destroy(), 12_000);
  const stayed = await left;
  clearTimeout(open);
  assert.ok(stayed < 10_000, `${stayed} ms`);
});

test("whoever is in the middle of a handshake doesn't keep the server from stopping", {
  timeout: 30_000,
}, async (t) => {
  const { bring, port, stop } = await serve(t);
  await bring(["status.example.com"]);
  const hello = await helloFor("status.example.com");
  for (let count = 0; count < 20; count++)
    (await reach(t, port)).write(count % 2 === 0 ? hello : hello.subarray(0, 50));
  await new Promise((resolve) => setTimeout(resolve, 200));
  const began = performance.now();
  await stop();
  assert.ok(performance.now() - began < 12_000, `${performance.now() - began} ms`);
});

test("the name of a handshake may be in capitals", async (t) => {
  const { bring, ask } = await serve(t);
  await bring(["status.example.com"]);
  const answer = await ask("status.example.com", { servername: "Status.Example.COM" });
  assert.equal(answer.status, 200);
});

test("who comes for a challenge gets its certificate over TLS 1.3, and may not stay", {
  timeout: 20_000,
}, async (t) => {
  const { deps, handshake } = await serve(t);
  await deps.keeper.challenges.showInHandshake({ name: "status.example.com", keyAuthorization: "abc.def" });
  const options = { ALPNProtocols: ["acme-tls/1"], rejectUnauthorized: false, allowHalfOpen: true };
  const socket = await handshake("status.example.com", options);
  assert.deepEqual([socket.getProtocol(), socket.alpnProtocol], ["TLSv1.3", "acme-tls/1"]);
  const stayed = new Promise<void>((resolve) => socket.once("close", resolve));
  // It never says goodbye, and goes on talking.
  const talk = setInterval(() => socket.write("x"), 500);
  socket.on("close", () => clearInterval(talk)).resume();
  // What the certificate says of its key's use is refused by clients of TLS 1.2 (RFC 5246, 7.4.2): they are told at once.
  assert.match(
    await codeOf(handshake("status.example.com", { ...options, maxVersion: "TLSv1.2" })),
    /PROTOCOL_VERSION/,
  );
  await stayed;
});

test("nobody is sent to https while another program has its port", async (t) => {
  const other = createServer();
  t.after(() => other.close());
  const hold = (port: number) => new Promise<void>((resolve) => other.listen(port, "127.0.0.1", resolve));
  const { origin, bring, https } = await serve(t, undefined, { start: hold });
  await bring(["status.example.com"]);
  const headers = { host: "status.example.com" };
  const status = await new Promise((resolve) =>
    getPlain(origin, { headers, agent: false }, (response) => resolve(response.resume().statusCode)),
  );
  assert.deepEqual([https, status], ["", 200]);
});

test("hosts whose certificate is late are counted in the server's health, which is well all the same", async (t) => {
  let now = Date.now();
  const { deps, origin, bring } = await serve(t, { now: () => now });
  const names = ["status.example.com", "other.example.com", "bare.example.net"];
  const late = () => deps.certificates.lateHosts(now).toSorted();
  assert.deepEqual(late(), [], "the first one may take an hour");
  await bring([names[0] ?? ""], { days: [-1, 89] });
  now += 2 * 3_600_000;
  assert.deepEqual(late(), names.slice(1).toSorted());
  await bring(names.slice(1), { days: [-60, 30] });
  assert.deepEqual(late(), [], "due, and nothing failed yet for long");
  now += 14 * day;
  assert.deepEqual(late(), []);
  now += 2 * day;
  assert.deepEqual(late(), names.slice(1).toSorted());
  now += 60 * day;
  assert.deepEqual(late(), names.toSorted());
  // What is known is a second old at most.
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const answer = await fetch(`${origin}/healthz`);
  const seen: any = await answer.json();
  assert.deepEqual([answer.status, seen.ok, seen.certificates], [200, true, { late: 3 }]);
});
