/**
 * The page over TLS against a bare node:https server with the same certificate and the same bytes: on connections that
 * stay, and with a handshake for each request. Then the page for ordinary visitors while one request in ten is hostile.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { get as getPlain } from "node:http";
import { get } from "node:https";
import { join } from "node:path";
import { openKeyring, readKeyFile } from "../../src/crypto/keyring.ts";
import { addHost } from "../../src/pages/pages.ts";
import { openHouse } from "../../src/server.ts";
import { importCertificate } from "../../src/tls/certificates.ts";
import { createAuthority } from "../support/authority.ts";
import { type Load, load, median, serve, startPinned, type World } from "./world.ts";

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
  attack: { perSecond: number; p99Ms: number; serverErrors: number; worstPauseMs: number };
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
  // A new one, because to have been stopped counts as a pause.
  const attacked = await serve(world, { CANDOR_HTTPS_LISTEN: `127.0.0.1:${secure}` });
  const attack = await measureAttack(world, {
    secure,
    etag: String(headers.etag),
    script: file("attack.lua", attackScript),
  });
  await attacked.stop();
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

async function measureAttack(world: World, input: { secure: number; etag: string; script: string }) {
  const args = ["-c", "1", "wrk", "-t1", "-c32", `-d${attackSeconds}s`, "--latency", "-s", input.script];
  const out = execFileSync("taskset", [...args, `https://localhost:${input.secure}/`], {
    encoding: "utf8",
    env: { ...process.env, ETAG: input.etag },
  });
  const p99 = /99%\s+([\d.]+)(us|ms|s)/.exec(out);
  const unit = { us: 0.001, ms: 1, s: 1000 }[p99?.[2] ?? "ms"] ?? 1;
  const health = await new Promise<string>((resolve, reject) => {
    getPlain({ port: world.port, path: "/healthz", agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(out)?.[1]),
    p99Ms: Number(p99?.[1]) * unit,
    serverErrors: out.match(/SERVER ERROR/g)?.length ?? 0,
    worstPauseMs: Number(JSON.parse(health).worstPauseMs),
  };
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
