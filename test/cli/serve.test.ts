import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect, createServer as createSocketServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { needsMount } from "../support/need.ts";
import { freePort } from "../support/ports.ts";
import { foundedPlace, isOneLine, makePlace, program } from "./program.ts";

test("serve answers, says so to a health check, logs one JSON line an event and ends well on SIGTERM", async (t) => {
  const place = await foundedPlace(t);
  const origin = `http://127.0.0.1:${place.port}`;
  const server = await place.start(["serve", "--listen", `127.0.0.1:${place.port}`]);
  assert.equal((await fetch(`${origin}/`)).status, 200);
  assert.equal(statSync(join(place.data, "candor.sock")).mode & 0o777, 0o600);
  if (process.platform === "linux")
    assert.equal(readFileSync(`/proc/${server.child.pid}/comm`, "utf8"), "candor\n", "its name for pgrep and top");
  for (const words of [["health"], ["health", "--url", `${origin}/healthz`]]) {
    const health = await place.run(words);
    assert.equal(health.code, 0, health.stderr);
    assert.match(health.stdout, /is well/);
  }
  const outcome = await server.stop("SIGTERM");
  assert.equal(outcome.code, 0);
  const events = outcome.stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).event);
  assert.deepEqual([events[0], events.at(-1)], ["server.started", "server.stopped"]);
  assert.equal(existsSync(join(place.data, "candor.sock")), false);
  const health = await place.run(["health"]);
  assert.ok(isOneLine(health));
  assert.match(health.stderr, /No server runs/);
});

test("clients are told to leave a resting connection before the server closes it, and it closes it", async (t) => {
  const place = await foundedPlace(t);
  await place.start(["serve", "--listen", `127.0.0.1:${place.port}`]);
  const socket = connect(place.port, "127.0.0.1");
  socket.write(`GET / HTTP/1.1\r\nhost: 127.0.0.1:${place.port}\r\n\r\n`);
  const [answer] = await once(socket, "data");
  const began = performance.now();
  const toldMs = Number(/^keep-alive: timeout=(\d+)/im.exec(String(answer))?.[1]) * 1000;
  socket.resume();
  await once(socket, "close");
  const keptMs = performance.now() - began;
  assert.ok(toldMs >= 5_000 && keptMs > toldMs + 1_000 && keptMs < 15_000, `told ${toldMs} ms, kept for ${keptMs}`);
});

test("a server that ends answers whoever just connected, and closes connections that rest", async (t) => {
  const place = await foundedPlace(t);
  const server = await place.start(["serve", "--listen", `127.0.0.1:${place.port}`]);
  const ask = `GET / HTTP/1.1\r\nhost: 127.0.0.1:${place.port}\r\n\r\n`;
  const resting = connect(place.port, "127.0.0.1");
  resting.write(ask);
  await once(resting, "data");
  const fresh = connect(place.port, "127.0.0.1");
  await once(fresh, "connect");
  // Who connects later is accepted later: once this one is answered, the server knows both.
  assert.equal((await fetch(`http://127.0.0.1:${place.port}/`)).status, 200);
  const ended = server.stop("SIGTERM");
  resting.resume();
  await once(resting, "close");
  fresh.write(ask);
  const [answer] = await once(fresh, "data");
  assert.match(String(answer), /^HTTP\/1\.1 200 OK/);
  assert.equal((await ended).code, 0);
});

test("serve ends well on SIGINT, also when npm passes it on a second time at once", async (t) => {
  const place = await foundedPlace(t);
  const server = await place.start(["serve", "--listen", `127.0.0.1:${place.port}`]);
  server.child.kill("SIGINT");
  const { code, stderr } = await server.stop("SIGINT");
  assert.equal(code, 0);
  assert.match(stderr, /server\.stopped/);
});

test("serve ends well when its terminal goes away, and no signal opens a debugger", async (t) => {
  const place = await foundedPlace(t);
  const server = await place.start(["serve", "--listen", `127.0.0.1:${place.port}`]);
  server.child.kill("SIGUSR1");
  assert.equal((await place.run(["health"])).code, 0);
  const { code, stderr } = await server.stop("SIGHUP");
  assert.equal(code, 0);
  assert.match(stderr, /server\.stopped/);
  assert.doesNotMatch(stderr, /Debugger/);
});

test("health is told by a server that expects the PROXY protocol of this machine", async (t) => {
  const place = await foundedPlace(t);
  await place.start(["serve", "--listen", `127.0.0.1:${place.port}`]);
  await place.run(["config", "set", "trusted_proxies", "127.0.0.1"]);
  await place.run(["config", "set", "proxy_protocol", "on"]);
  await assert.rejects(fetch(`http://127.0.0.1:${place.port}/healthz`));
  const health = await place.run(["health"]);
  assert.equal(health.code, 0, health.stderr);
});

test("health isn't taken in by another program's answer, and says what an address is", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  let answer = "";
  const stranger = createServer((_request, response) => response.end(answer)).listen(0, "127.0.0.1");
  t.after(() => stranger.close());
  await once(stranger, "listening");
  const url = `http://127.0.0.1:${(stranger.address() as { port: number }).port}/healthz`;
  for (answer of ["OK", "null", "{}", '{"ok":true}']) {
    const { code, stdout, stderr } = await run(["health", "--url", url]);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.equal(stderr, `Something else than Candor answers at ${url} (HTTP 200).\n`);
  }
  for (const wrong of ["localhost:8080/healthz", "health", "ftp://127.0.0.1/"]) {
    const { code, stderr } = await run(["health", "--url", wrong]);
    assert.deepEqual([code, stderr], [1, "Give --url as a whole address, like http://127.0.0.1:8080/healthz.\n"]);
  }
});

test("health tells how many certificates are late, and isn't a failure by it", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  let late = 0;
  // As a server answers that nobody wants to wait an hour for.
  const elder = createServer((_request, response) =>
    response.end(JSON.stringify({ ok: true, version: "0.1.0", certificates: { late } })),
  ).listen(0, "127.0.0.1");
  t.after(() => elder.close());
  await once(elder, "listening");
  const url = `http://127.0.0.1:${(elder.address() as { port: number }).port}/healthz`;
  const should = "no certificate, or one that should have been renewed long ago: candor host list says why.";
  for (const [count, words] of [
    [0, ""],
    [1, ` 1 host has ${should}`],
    [2, ` 2 hosts have ${should}`],
  ] as const) {
    late = count;
    const { code, stdout } = await run(["health", "--url", url]);
    assert.deepEqual([code, stdout], [0, `Candor 0.1.0 is well at ${url}.${words}\n`]);
  }
  const help = (await run(["health", "--help"])).stdout.replaceAll(/\s+/g, " ");
  assert.match(help, /certificate is late or missing are told of, and the exit status stays 0\./);
  assert.doesNotMatch(help, /serves https/);
});

test("health says that a server hangs, soon", async (t) => {
  const place = await foundedPlace(t);
  const server = await place.start(["serve", "--listen", `127.0.0.1:${place.port}`]);
  server.child.kill("SIGSTOP");
  const hangs = await place.run(["health"]);
  server.child.kill("SIGCONT");
  assert.ok(isOneLine(hangs), hangs.stderr);
  assert.match(hangs.stderr, /hasn't answered for 4 seconds/);
  assert.equal((await place.run(["health"])).code, 0);
});

test("health doesn't say that no server runs to somebody who may not look", {
  skip: process.getuid?.() === 0 ? false : "needs root",
}, async (t) => {
  const place = await foundedPlace(t);
  await place.start(["serve", "--listen", `127.0.0.1:${place.port}`]);
  chmodSync(place.folder, 0o755);
  const nobody = { uid: 65534, gid: 65534, cwd: "/", encoding: "utf8" } as const;
  const { status, stderr } = spawnSync(process.execPath, [program, "health", "--data", place.data], nobody);
  assert.equal(status, 1);
  assert.match(stderr, /^The data folder .* can't be used by this user \(EACCES\)\. .*$/m);
});

test("a second server on the same folder, and a port in use, are refused in one sentence", async (t) => {
  const place = await foundedPlace(t);
  const blocker = createServer().listen(0, "127.0.0.1");
  t.after(() => blocker.close());
  await new Promise((resolve) => blocker.once("listening", resolve));
  const { port } = blocker.address() as { port: number };
  const inUse = await place.run(["serve", "--listen", `127.0.0.1:${port}`]);
  assert.ok(isOneLine(inUse), inUse.stderr);
  assert.match(inUse.stderr, /is in use by another program/);

  await place.start(["serve", "--listen", `127.0.0.1:${place.port}`]);
  const second = await place.run(["serve", "--listen", "127.0.0.1:0"]);
  assert.ok(isOneLine(second), second.stderr);
  assert.match(second.stderr, /Another Candor is using the data folder/);
  assert.equal((await fetch(`http://127.0.0.1:${place.port}/`)).status, 200, "the first goes on");
});

test("where the https port is taken the page is served over http, and https as soon as the port is free", {
  timeout: 60_000,
}, async (t) => {
  const place = await foundedPlace(t);
  const secure = await freePort();
  const blocker = createServer().listen(secure, "127.0.0.1");
  t.after(() => blocker.close());
  await once(blocker, "listening");
  const addresses = ["--http", `127.0.0.1:${place.port}`, "--https", `127.0.0.1:${secure}`];
  const server = await place.start(["serve", ...addresses]);
  assert.equal((await fetch(`http://127.0.0.1:${place.port}/`)).status, 200);
  await place.run(["host", "add", "https://status.example.com"]);
  const told = await place.run(["host", "list"]);
  const taken = "Nothing is served over https, because another program has its port.";
  assert.ok(
    told.stdout.includes(`${taken} No certificate is ordered, because nobody has agreed to the authority's terms`),
  );
  const refused = await place.run(["host", "renew", "status.example.com"]);
  assert.match(refused.stderr, /^No certificate is ordered, because nobody has agreed/);
  await place.run(["config", "set", "acme.directory", "https://127.0.0.1:1/directory"]);
  await place.run(["config", "set", "acme.contact", "olive@example.com"]);
  await place.run(["host", "renew", "status.example.com"]);
  const listed = await place.run(["host", "list"]);
  assert.ok(listed.stdout.includes(`${taken} 127.0.0.1:1 can't be reached: `), listed.stdout);
  assert.ok(listed.stdout.includes("Find it with ss -ltnp"));
  const health = () => place.run(["health"]);
  const ill = await health();
  assert.equal(ill.code, 1);
  assert.ok(ill.stderr.startsWith(`${taken} Find it with ss -ltnp`), ill.stderr);
  assert.equal(JSON.parse((await place.run(["health", "--json"])).stdout).trouble, "https_port_taken");
  blocker.close();
  const answers = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(secure, "127.0.0.1", () => resolve(true));
      socket.on("error", () => resolve(false)).on("connect", () => socket.destroy());
    });
  while (!(await answers())) await new Promise((resolve) => setTimeout(resolve, 100));
  while ((await health()).code !== 0) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.doesNotMatch((await place.run(["host", "list"])).stdout, /another program/);
  const { code, stderr } = await server.stop();
  assert.equal(code, 0);
  const lines = stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const [trouble, started, listening] = ["https.unavailable", "server.started", "https.listening"].map((event) =>
    lines.find((line) => line.event === event),
  );
  assert.equal(trouble.level, "error");
  assert.match(
    trouble.message,
    /^127\.0\.0\.1:\d+ is in use by another program\. Stop that one, .* --https ADDR:PORT\./,
  );
  assert.equal(started.https, "");
  assert.equal(listening.https, `127.0.0.1:${secure}`);
});

test("a server that is told to stop isn't kept by an authority that doesn't answer", async (t) => {
  const place = await foundedPlace(t);
  const silent = createSocketServer().listen(0, "127.0.0.1");
  t.after(() => silent.close());
  const asked = once(silent, "connection");
  await once(silent, "listening");
  const { port } = silent.address() as { port: number };
  const added = await place.run(["host", "add", "https://status.example.com"]);
  assert.equal(added.code, 0, added.stderr);
  const env = { CANDOR_ACME_DIRECTORY: `https://127.0.0.1:${port}/dir`, CANDOR_ACME_CONTACT: "olive@example.com" };
  const addresses = ["--http", `127.0.0.1:${place.port}`, "--https", `127.0.0.1:${await freePort()}`];
  const server = await place.start(["serve", ...addresses], { env });
  const [line] = await asked;
  t.after(() => line.destroy());
  const began = performance.now();
  assert.equal((await server.stop()).code, 0);
  assert.ok(performance.now() - began < 10_000, `${performance.now() - began} ms`);
});

test("serve takes a socket that was passed to it, and who comes during a restart waits instead of being refused", {
  skip: process.platform === "win32" ? "Windows passes no sockets" : false,
}, async (t) => {
  const place = await foundedPlace(t);
  const origin = `http://127.0.0.1:${place.port}`;
  const opener = createServer().listen(place.port, "127.0.0.1");
  await new Promise((resolve) => opener.once("listening", resolve));
  const { fd } = (opener as unknown as { _handle: { fd: number } })._handle;
  // The shell keeps the socket open as systemd does, and starts the server a second time once the first has ended.
  const twice = '"$@" & echo $!; wait $!; sleep 0.3; "$@" & echo $!; wait $!';
  const serve = [process.execPath, program, "serve", "--listen", "fd:3"];
  const holder = spawn("sh", ["-c", twice, "sh", ...serve], {
    cwd: place.folder,
    stdio: ["ignore", "pipe", "pipe", fd],
  });
  opener.close();
  const said = { out: "", err: "" };
  holder.stdout?.on("data", (chunk) => {
    said.out += chunk;
  });
  holder.stderr?.on("data", (chunk) => {
    said.err += chunk;
  });
  const pids = () => said.out.split("\n").filter(Boolean).map(Number);
  t.after(() => {
    if (holder.exitCode === null) for (const pid of [Number(holder.pid), ...pids()]) killHard(pid);
  });
  assert.equal((await fetch(origin)).status, 200, said.err);
  const health = await place.run(["health"]);
  assert.equal(health.code, 0, health.stderr);
  process.kill(pids()[0] as number, "SIGTERM");
  while (!said.err.includes("server.stopped")) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal((await fetch(origin)).status, 200, "the connection waited for the next server");
  assert.match(said.err, new RegExp(`"listen":"${origin}"`));
  const ended = new Promise((resolve) => holder.once("close", resolve));
  while (pids().length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  process.kill(pids()[1] as number, "SIGTERM");
  await ended;
});

test("a socket that nobody passed, and one that isn't a listener, are refused in one sentence", async (t) => {
  const place = await foundedPlace(t);
  for (const words of [
    ["--listen", "fd:9"],
    ["--listen", "127.0.0.1:0", "--https", "fd:77"],
  ]) {
    const refused = await place.run(["serve", ...words]);
    assert.ok(isOneLine(refused), refused.stderr);
    assert.match(refused.stderr, /No listening socket was passed as fd:\d+\. .*candor\.socket/);
  }
  const stdin = await place.run(["serve", "--listen", "fd:0"]);
  assert.match(stdin.stderr, /or a socket: fd:3/);
  const twice = await place.run(["serve", "--listen", "fd:3", "--https", "fd:3"]);
  assert.match(twice.stderr, /can't share one address/);
});

test("a server that was killed leaves nothing that keeps commands or the next one out", async (t) => {
  const place = await foundedPlace(t);
  const server = await place.start(["serve", "--listen", `127.0.0.1:${place.port}`]);
  await server.stop("SIGKILL");
  assert.ok(existsSync(join(place.data, "candor.sock")));
  assert.equal((await place.run(["page", "show"])).code, 0);
  const next = await place.start(["serve", "--listen", `127.0.0.1:${place.port}`]);
  assert.equal((await next.stop()).code, 0);
});

test("health says that the disk is full, and that it is well again", { skip: needsMount() }, async (t) => {
  const place = makePlace(t);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  mkdirSync(place.data);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", place.data]);
  try {
    await place.run(["init", "--host", url, "--owner", "olive@example.com", "--yes"]);
    const server = await place.start(["serve", "--listen", `127.0.0.1:${port}`]);
    const until = async (status: number) => {
      for (;;) {
        const answer = await fetch(`${url}/healthz`);
        const seen = (await answer.json()) as { trouble?: string };
        if (answer.status === status) return seen;
      }
    };
    assert.equal((await until(200)).trouble, undefined);
    const filler = join(place.data, "filler");
    assert.throws(() => writeFileSync(filler, Buffer.alloc(4 << 20, 1)), /ENOSPC/);
    assert.equal((await until(503)).trouble, "disk_full");
    const health = await place.run(["health", "--url", `${url}/healthz`]);
    assert.ok(isOneLine(health), health.stderr);
    assert.match(health.stderr, /disk .* is full/);
    assert.equal((await fetch(`${url}/`)).status, 200, "visitors are still served");
    rmSync(filler);
    await until(200);
    assert.equal((await place.run(["health"])).code, 0);
    const { stderr } = await server.stop();
    assert.equal(stderr.match(/health\.changed/g)?.length, 2, "said once each way");
  } finally {
    execFileSync("umount", ["-l", place.data]);
  }
});

test("commands wait for each other instead of failing", async (t) => {
  const place = await foundedPlace(t);
  const names = ["API", "Checkout", "Search", "Login"];
  const outcomes = await Promise.all(names.map((name) => place.run(["component", "create", name])));
  for (const { code, stderr } of outcomes) assert.equal(code, 0, stderr);
  const list = await place.run(["component", "list", "--json"]);
  assert.equal(JSON.parse(list.stdout).length, 4);
});

function killHard(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
