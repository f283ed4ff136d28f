/** That the real server asks its settings, its event loop and its peers: what each of them does is tested beside it. */
import assert from "node:assert/strict";
import { request } from "node:http";
import type { Socket } from "node:net";
import { type TestContext, test } from "node:test";
import type { SettingName } from "../../src/config.ts";
import { listPages } from "../../src/pages/pages.ts";
import { createToken } from "../../src/team/tokens.ts";
import { doorNames, good, startRealServer } from "./real-server.ts";

async function serve(t: TestContext, settings: Partial<Record<SettingName, string>> = {}) {
  const server = await startRealServer(settings);
  t.after(() => server.stop());
  const ask = (
    path: string,
    options: { method?: string; headers?: Record<string, string>; body?: string; localAddress?: string } = {},
  ): Promise<number> =>
    new Promise((resolve, reject) => {
      const { method = "GET", localAddress = "127.0.0.1", body } = options;
      const headers = { host: "status.example.com", ...options.headers };
      const call = request(`${server.origin}${path}`, { method, localAddress, headers, agent: false }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      });
      call.on("error", reject);
      call.end(body);
    });
  return { ...server, ask };
}

/** What a connection is answered; "closed" where it is closed instead. */
async function hear(entering: Promise<Socket>): Promise<string> {
  const socket = await entering.catch(() => undefined);
  if (!socket || socket.destroyed) return "closed";
  return new Promise((resolve) => {
    socket.on("error", () => {});
    socket.on("close", () => resolve("closed"));
    socket.once("data", (chunk) => {
      resolve(String(chunk).slice(9, 12));
      socket.destroy();
    });
    socket.write(`GET / HTTP/1.1\r\n${good}\r\n`);
  });
}

for (const door of doorNames) {
  test(`over ${door}, a network has as many connections as the setting says`, async (t) => {
    const { enter } = await serve(t, { "connections.per_network": "10" });
    const held: Socket[] = [];
    for (let count = 0; count < 10; count++) held.push(await enter(door, "127.0.0.2"));
    assert.equal(await hear(enter(door, "127.0.0.2")), "closed");
    assert.equal(await hear(enter(door, "127.0.0.3")), "200");
    for (const socket of held) assert.equal(await hear(Promise.resolve(socket)), "200");
  });

  test(`over ${door}, all together have as many connections as the setting says`, async (t) => {
    const { enter } = await serve(t, { "connections.in_all": "100" });
    const held: Socket[] = [];
    for (let count = 0; count < 100; count++) held.push(await enter(door, `127.0.0.${2 + (count % 10)}`));
    assert.equal(await hear(enter(door, "127.0.0.200")), "closed");
    for (const socket of held) assert.equal(await hear(Promise.resolve(socket)), "200");
  });
}

test("while the event loop is held, lists give way and the page doesn't", async (t) => {
  const { deps, ask } = await serve(t);
  const [page] = listPages(deps.db);
  const by = { kind: "system" } as const;
  const { secret } = createToken(deps.db, { name: "test", role: "publisher", now: Date.now(), by });
  const list = () => ask(`/v1/pages/${page?.id}/subscribers`, { headers: { authorization: `OAuth ${secret}` } });
  assert.equal(await list(), 200);
  const hold = (ms: number) => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  };
  for (const until = performance.now() + 5_000; deps.pressure.strain() < 2 && performance.now() < until; ) {
    hold(300);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual([await list(), await ask("/")], [503, 200]);
});

test("whoever isn't a trusted proxy can't be somebody else to the limit of subscriptions", async (t) => {
  const { ask, deps } = await serve(t, { "subscribe.per_network_per_hour": "3", trusted_proxies: "127.0.0.2" });
  deps.pressure.strain = () => 0;
  let asked = 0;
  const subscribe = (localAddress: string) => {
    asked += 1;
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      origin: "http://status.example.com",
      "x-forwarded-for": `198.51.100.${asked}`,
    };
    const body = `email=reader${asked}%40example.com&scope=all`;
    return ask("/subscribe", { method: "POST", headers, body, localAddress });
  };
  const four = async (localAddress: string) => {
    const statuses: number[] = [];
    while (statuses.length < 4) statuses.push(await subscribe(localAddress));
    return statuses;
  };
  assert.deepEqual(await four("127.0.0.1"), [303, 303, 303, 429]);
  assert.deepEqual(await four("127.0.0.2"), [303, 303, 303, 303], "behind a proxy everybody is counted alone");
});
