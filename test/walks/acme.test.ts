/** The built program and a real authority: a newcomer's way to the padlock, kills at any moment, renewal under load. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { request as requestSocket } from "node:http";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { openHouse } from "../../src/server.ts";
import { listCertificates } from "../../src/tls/certificates.ts";
import { openBrowser } from "../support/browser.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { needs } from "../support/need.ts";
import { type Pebble, startPebble } from "../support/pebble.ts";
import { emptyPlace, type Place } from "../support/program.ts";

const pebbles = ["pebble", "pebble-challtestsrv"];
const host = "status.example.com";

/** As a sysadmin does it, with their own authority instead of Let's Encrypt. */
async function initialise(
  t: TestContext,
  pebble: Pick<Pebble, "directory" | "caFile" | "dns" | "tlsPort">,
): Promise<Place> {
  const place = emptyPlace(t);
  const run = async (...args: string[]) => {
    const { code, err } = await place.run(args);
    assert.equal(code, 0, err);
  };
  await run("init", "--page-name", "Acme", "--host", host, "--owner", "olive@example.com", "--yes");
  await run("config", "set", "https.listen", `127.0.0.1:${pebble.tlsPort}`);
  await run("config", "set", "acme.directory", pebble.directory);
  await run("config", "set", "acme.ca_file", pebble.caFile);
  await run("config", "set", "acme.dns_servers", pebble.dns);
  await run("config", "set", "acme.contact", "olive@example.com");
  return place;
}

async function hostsOf(place: Place) {
  const { out, err, code } = await place.run(["host", "list", "--json"]);
  assert.equal(code, 0, err);
  return JSON.parse(out) as { name: string; certificate: { state: string; not_after: string; words: string | null } }[];
}

async function until(what: () => Promise<boolean>, patienceMs = 60_000): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await what())) {
    if (performance.now() > end) assert.fail("It didn't come to it in time.");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

test("from init to a padlock in a browser, with nothing but the commands", {
  skip: needs(...pebbles, "chromium", "certutil"),
  timeout: 120_000,
}, async (t) => {
  const pebble = await startPebble(t);
  const place = await initialise(t, pebble);
  const server = await place.serve(pebble.httpPort);
  const tried = await place.run(["host", "test", host]);
  assert.equal(tried.code, 0, tried.err + tried.out);
  assert.match(tried.out, /^It works: .* by http-01, and thrown away\.$/m);
  await until(async () => (await hostsOf(place))[0]?.certificate.state === "valid");

  // What an operating system does for public authorities.
  const home = join(place.folder, "browser");
  const store = join(home, ".pki", "nssdb");
  mkdirSync(store, { recursive: true });
  const root = join(home, "root.pem");
  writeFileSync(root, await pebble.root());
  execFileSync("certutil", ["-N", "--empty-password", "-d", `sql:${store}`]);
  execFileSync("certutil", ["-A", "-d", `sql:${store}`, "-n", "root", "-t", "C,,", "-i", root]);
  const browser = await openBrowser({
    env: { HOME: home },
    args: [
      `--host-resolver-rules=MAP ${host}:80 127.0.0.1:${pebble.httpPort}, MAP ${host}:443 127.0.0.1:${pebble.tlsPort}`,
    ],
  });
  t.after(() => browser.close());
  const page = await browser.newPage();
  const answer = await page.goto(`http://${host}/`);
  assert.equal(page.url(), `https://${host}/`, "plain http leads to https");
  assert.equal(answer?.status(), 200);
  const details = await answer?.securityDetails();
  assert.match(details?.protocol ?? "", /TLS 1\.3/);
  assert.equal(details?.subjectName, host);
  assert.equal(await page.locator("h1").textContent(), "Nothing is reported.");
  await server.stop();
});

test("200 hosts get their certificates though half the nonces are refused and the program is killed again and again", {
  skip: needs(...pebbles),
  timeout: 1_200_000,
}, async (t) => {
  const many = 200;
  const pebble = await startPebble(t, { environment: { PEBBLE_WFE_NONCEREJECT: "50", PEBBLE_AUTHZREUSE: "0" } });
  const proxy = await startFaultProxy(t, pebble);
  const place = await initialise(t, { ...pebble, directory: proxy.directory, caFile: proxy.caFile });
  let server = await place.serve(pebble.httpPort);
  const ask = (method: string, path: string, body?: object) =>
    new Promise<string>((resolve, reject) => {
      const headers = { host: "candor", "content-type": "application/json" };
      const call = requestSocket({ socketPath: join(place.data, "candor.sock"), method, path, headers }, (response) => {
        let text = "";
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () => resolve(text));
      });
      call.on("error", reject);
      call.end(body && JSON.stringify(body));
    });
  const [page] = JSON.parse(await ask("GET", "/v1/pages"));
  for (let index = 1; index < many; index++)
    await ask("POST", `/v1/pages/${page.id}/hosts`, { host: { name: `https://status.company${index}.example` } });

  let kills = 0;
  let rows: Awaited<ReturnType<typeof hostsOf>> = [];
  const isDone = async () => {
    rows = JSON.parse(await ask("GET", `/v1/pages/${page.id}/hosts`));
    return rows.length === many && rows.every((row) => row.certificate.state === "valid");
  };
  const standing = () => {
    const said = Map.groupBy(rows, ({ certificate: { state, words } }) => `${state}: ${words}`);
    return [...said].map(([words, those]) => `${those.length} ${words}`).join("; ");
  };
  for (; kills < 40 && !(await isDone()); kills++) {
    await new Promise((resolve) => setTimeout(resolve, randomInt(300, 4_000)));
    await server.stop("SIGKILL");
    server = await place.serve(pebble.httpPort);
  }
  // Whoever was killed while the authority looked at it waits for a minute, or ten.
  for (const end = performance.now() + 900_000; !(await isDone()); ) {
    assert.ok(
      performance.now() < end,
      `not done after ${kills} kills and ${proxy.orders().length} orders: ${standing()}`,
    );
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    if (process.env.SHOW) console.log(kills, proxy.orders().length, standing());
  }
  await server.stop();

  const orders = proxy.orders();
  const perName = Map.groupBy(orders, (order) => order.name);
  assert.equal(perName.size, many);
  // A kill between a question and its answer leaves us to ask again; everything else is asked once.
  const doubled = orders.length - many;
  assert.ok(doubled <= kills * 8, `${doubled} orders more than certificates after ${kills} kills`);
  assert.ok(orders.length <= 270, `${orders.length} orders of 300 that three hours allow`);
  const house = openHouse({ data: place.data, keyFile: place.keyFile, environment: {}, delivers: false });
  t.after(() => house.close());
  const names = listCertificates(house.db).flatMap((certificate) => certificate.names);
  assert.equal(names.length, many, "one certificate for each");
  const orphans = house.db.$client
    .prepare("SELECT count(*) FROM acme_orders WHERE private_key IS NOT NULL")
    .pluck()
    .get();
  assert.equal(orphans, 0, "no key without its certificate");
  t.diagnostic(`${kills} kills, ${orders.length} orders for ${many} certificates`);
});

test("a renewal fails none of 500 requests a second on 200 connections", {
  skip: needs(...pebbles),
  timeout: 120_000,
}, async (t) => {
  const pebble = await startPebble(t);
  const place = await initialise(t, pebble);
  const server = await place.serve(pebble.httpPort);
  await until(async () => (await hostsOf(place))[0]?.certificate.state === "valid");
  const ca = await pebble.root();
  const agent = new Agent({ keepAlive: true, maxSockets: 200, ca });
  t.after(() => agent.destroy());
  const failures: string[] = [];
  const served = new Set<string>();
  let asked = 0;
  let answered = 0;
  let opened = 0;
  const visit = (own: Agent | false) =>
    new Promise<void>((resolve) => {
      asked += 1;
      const call = request(
        { host: "127.0.0.1", port: pebble.tlsPort, servername: host, headers: { host }, ca, agent: own },
        (response) => {
          const socket = response.socket as TLSSocket;
          if (own === false) served.add(socket.getPeerCertificate().serialNumber);
          else if (!call.reusedSocket) opened += 1;
          if (response.statusCode !== 200) failures.push(`status ${response.statusCode}`);
          response.resume();
          response.on("end", () => {
            answered += 1;
            resolve();
          });
        },
      );
      call.on("error", (error) => {
        failures.push(error.message);
        resolve();
      });
      call.end();
    });
  // All 200 are open before the renewal begins, and stay.
  await Promise.all(Array.from({ length: 200 }, () => visit(agent)));
  await visit(false);
  const [before, began] = [asked, performance.now()];
  // By the clock, because a busy machine's timers come late.
  const load = setInterval(() => {
    while (asked - before < (performance.now() - began) / 2) void visit(agent);
  }, 20);
  const renewed = await place.run(["host", "renew", host]);
  assert.equal(renewed.code, 0, renewed.err + renewed.out);
  await visit(false);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  clearInterval(load);
  const seconds = (performance.now() - began) / 1_000;
  const rate = (answered - before) / seconds;
  await until(async () => answered + failures.length === asked);
  assert.deepEqual(failures, []);
  assert.equal(opened, 200, "none of the 200 connections was closed");
  // Less what was still under way; a timer that came late on a busy machine costs some more.
  assert.ok(rate > 450, `${rate} answers a second`);
  assert.equal(served.size, 2, "the first and the second certificate were both served");
  t.diagnostic(`${answered} requests, ${Math.round(rate)} answers a second`);
  await server.stop();
});
