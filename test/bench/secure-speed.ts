/**
 * The page over TLS against a bare node:https server with the same certificate and the same bytes: on connections that
 * stay, and with a handshake for each request. Then the page for ordinary visitors while one request in ten is hostile.
 */
import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get as getPlain } from "node:http";
import { get } from "node:https";
import { join } from "node:path";
import { buildExecutable } from "../../build.ts";
import { openKeyring, readKeyFile } from "../../src/crypto/keyring.ts";
import { addHost } from "../../src/pages/pages.ts";
import { openHouse } from "../../src/server.ts";
import { importCertificate } from "../../src/tls/imported.ts";
import { createAuthority } from "../support/authority.ts";
import { forgetCached, type Load, load, median, serve, startPinned, type World, wrk } from "./world.ts";

const rounds = 5;
const seconds = 4;
const attackSeconds = 20;

export type SecureSpeed = {
  page: number;
  handshakes: number;
  candor: number;
  bare: number;
  candorHandshakes: number;
  bareHandshakes: number;
  attack: {
    perSecond: number;
    p99Ms: number;
    serverErrors: number;
    socketErrors: number;
    worstPauseMs: number;
    /** How late the event loop came round, at the 99th percentile. */
    lateP99Ms: number;
  };
};

export async function measureSecure(world: World): Promise<SecureSpeed> {
  const [secure, barePort, barePlain] = [world.port + 2, world.port + 3, world.port + 4];
  const folder = join(world.data, "..");
  const authority = await createAuthority();
  const { certificate, key } = await authority.issue(["localhost"], {});
  const chain = certificate + authority.intermediate;
  giveCertificate(world, { chain, key, authority: authority.root, origin: `https://localhost:${secure}` });
  const file = (name: string, text: string | Buffer) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  const server = await serve(world, { CANDOR_HTTPS_LISTEN: `127.0.0.1:${secure}` });
  const { headers, body } = await fetchPage(secure, authority.root);
  const copied = Object.entries(headers).filter(([name]) => !["date", "connection", "keep-alive"].includes(name));
  const bare = await startPinned(
    process.execPath,
    [
      join(import.meta.dirname, "bare.mjs"),
      String(barePlain),
      file("secure-body", body),
      file("secure-headers.json", JSON.stringify(copied.flat())),
      ...[String(barePort), file("secure.pem", chain), file("secure.key", key)],
    ],
    barePlain,
  );
  const alone = (which: "ours" | "theirs") => {
    server.child.kill(which === "ours" ? "SIGCONT" : "SIGSTOP");
    bare.child.kill(which === "theirs" ? "SIGCONT" : "SIGSTOP");
  };
  const gzip = "accept-encoding: gzip";
  const each = "connection: close";
  const ours: Load[] = [];
  const theirs: Load[] = [];
  const oursNew: Load[] = [];
  const theirsNew: Load[] = [];
  for (let round = -1; round < rounds; round++) {
    alone("ours");
    const a = load(`https://localhost:${secure}/`, seconds, [gzip]);
    const b = load(`https://localhost:${secure}/`, seconds, [gzip, each]);
    alone("theirs");
    const c = load(`https://localhost:${barePort}/`, seconds, [gzip]);
    const d = load(`https://localhost:${barePort}/`, seconds, [gzip, each]);
    if (round < 0) continue;
    ours.push(a);
    oursNew.push(b);
    theirs.push(c);
    theirsNew.push(d);
  }
  bare.child.kill("SIGCONT");
  server.child.kill("SIGCONT");
  await Promise.all([server.stop(), bare.stop()]);
  const attack = await measureAttack(world, { secure, etag: String(headers.etag) });
  const rate = (list: Load[]) => median(list.map((one) => one.perSecond));
  const ratio = (a: Load[], b: Load[]) => median(a.map((one, index) => one.perSecond / (b[index]?.perSecond ?? 1)));
  return {
    page: ratio(ours, theirs),
    handshakes: ratio(oursNew, theirsNew),
    candor: rate(ours),
    bare: rate(theirs),
    candorHandshakes: rate(oursNew),
    bareHandshakes: rate(theirsNew),
    attack,
  };
}

function giveCertificate(world: World, input: { chain: string; key: string; authority: string; origin: string }): void {
  const keys = openKeyring(join(world.data, "keyring.json"), readKeyFile(world.keyFile));
  const house = openHouse({ data: world.data, keys, environment: {}, write: () => {}, delivers: false });
  const now = Date.now();
  addHost(house.db, { pageId: world.pageId, host: input.origin, now, by: { kind: "system" } });
  importCertificate(house.db, { ...input, keys, now });
  void house.close();
}

/** 85 ordinary requests, 5 of who has the page, 10 of an enemy; whoever is refused begins with a new handshake. */
const attackScript = `
local hostile = {
  function() return wrk.format("GET", "/", { host = "evil.test" }) end,
  function() return wrk.format("TRACE", "/") end,
  function() return wrk.format("GET", "/" .. string.rep("a", 9000)) end,
  function() return wrk.format("GET", "/wp-login.php?" .. math.random()) end,
  function() return wrk.format("GET", "/../../etc/passwd") end,
  function() return wrk.format("GET", "/", { ["accept-encoding"] = "gzip", upgrade = "h2c" }) end,
  function() return wrk.format("GET", "/incidents/" .. math.random(1e9)) end,
  function() return wrk.format("POST", "/admin/sign-in", { ["content-type"] = "text/plain" }, "x") end,
  function() return wrk.format("GET", "/api/v2/summary.json?" .. string.rep("x", 4000)) end,
  function() return wrk.format("GET", "/", { cookie = string.rep("a=b; ", 1000) }) end,
}
local count = 0
request = function()
  count = count + 1
  local turn = count % 20
  if turn < 2 then return hostile[math.floor(count / 10) % #hostile + 1]() end
  if turn == 2 then return wrk.format("GET", "/", { ["accept-encoding"] = "gzip", ["if-none-match"] = os.getenv("ETAG") }) end
  return wrk.format("GET", "/", { ["accept-encoding"] = "gzip" })
end
local errors = 0
response = function(status)
  if status >= 500 and status ~= 505 then errors = errors + 1; print("SERVER ERROR " .. status) end
end
`;

/** The program as it is built, and beside it what tells the delay of its event loop: ordinary installs don't hear of it. */
async function buildWatched(folder: string): Promise<string> {
  const output = join(folder, "candor-watched");
  await buildExecutable({ entry: join(import.meta.dirname, "watched.ts"), output });
  forgetCached(output);
  return output;
}

async function measureAttack(world: World, input: { secure: number; etag: string }): Promise<SecureSpeed["attack"]> {
  const folder = join(world.data, "..");
  const script = join(folder, "attack.lua");
  writeFileSync(script, attackScript);
  const delays = join(folder, "delays");
  const environment = { CANDOR_HTTPS_LISTEN: `127.0.0.1:${input.secure}`, BENCH_DELAYS: delays };
  // A new one, because to have been stopped counts as a pause.
  const server = await serve(world, environment, await buildWatched(folder));
  await lateP99(server.child, delays); // What the start took isn't counted.
  const load = wrk(`https://localhost:${input.secure}/`, attackSeconds, ["-s", script], { ETAG: input.etag });
  const lateP99Ms = await lateP99(server.child, delays);
  const health = await new Promise<string>((resolve, reject) => {
    getPlain({ port: world.port, path: "/healthz", agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });
  await server.stop();
  return {
    perSecond: load.perSecond,
    p99Ms: load.p99Ms,
    serverErrors: load.out.match(/SERVER ERROR/g)?.length ?? 0,
    socketErrors: load.socketErrors,
    worstPauseMs: Number(JSON.parse(health).worstPauseMs),
    lateP99Ms,
  };
}

/** Milliseconds, since it was asked before; the server begins anew. */
async function lateP99(server: ChildProcess, file: string): Promise<number> {
  rmSync(file, { force: true });
  server.kill("SIGUSR2");
  for (const until = performance.now() + 5_000; performance.now() < until; ) {
    if (existsSync(file)) return Number(readFileSync(file, "utf8"));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("The server doesn't tell the delay of its event loop.");
}

function fetchPage(port: number, ca: string): Promise<{ headers: Record<string, unknown>; body: Buffer }> {
  return new Promise((resolve, reject) => {
    get({ port, host: "localhost", ca, path: "/", headers: { "accept-encoding": "gzip" } }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
    }).on("error", reject);
  });
}
