/** Records that the operator's program puts into the DNS: none is left there, and none taken out that is still looked for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog } from "../../src/log.ts";
import { addHost, removeHost } from "../../src/pages/pages.ts";
import { AuthorityUnreachable } from "../../src/tls/authority.ts";
import { createDnsRecords } from "../../src/tls/dns-records.ts";
import { always, by, host, makeWorld, minute } from "../support/acme-world.ts";

test("a host that is removed while its challenge is put up leaves nothing standing, and isn't looked for", async () => {
  const deeds: string[] = [];
  let remove = () => {};
  const { world, live, house, page, now, keeper, asked } = makeWorld({
    dnsHook: async (deed, name) => {
      if (!name.includes(host)) return;
      if (deed === "present") remove();
      deeds.push(deed);
    },
  });
  world.challenge = "dns-01";
  addHost(house.db, { pageId: page.id, host: "two.example.com", now: now() + 1, by });
  remove = () => {
    removeHost(house.db, { pageId: page.id, host, now: now(), by });
    keeper.wake();
    remove = () => {};
  };
  await live(5_000, 1_000);
  assert.equal(deeds.at(-1), "cleanup");
  assert.equal(asked.filter(({ deed, name }) => deed === "accept" && name === host).length, 0);
});

test("a record that was still in the DNS when the process was killed is taken out by the next one", async () => {
  const deeds: string[] = [];
  let hangs = true;
  const { world, live, begin, served } = makeWorld({
    dnsHook: async (deed) => {
      deeds.push(deed);
      if (deed === "cleanup" && hangs) await new Promise(() => {});
    },
  });
  world.challenge = "dns-01";
  await live(minute, 2_000);
  assert.ok(served());
  assert.deepEqual(deeds, ["present", "cleanup"]);
  hangs = false;
  for (const more of [["cleanup"], []]) {
    deeds.length = 0;
    const next = begin();
    next.wake();
    await next.idle();
    assert.deepEqual(deeds, more);
  }
});

test("a record that was taken out isn't taken out again after a restart", async () => {
  const deeds: string[] = [];
  const { world, live, begin } = makeWorld({ dnsHook: async (deed) => void deeds.push(deed) });
  world.challenge = "dns-01";
  await live(minute, 2_000);
  const next = begin();
  next.wake();
  await next.idle();
  assert.deepEqual(deeds, ["present", "cleanup"]);
});

test("a record that the authority is still to look at stays in the DNS over a restart", async () => {
  const deeds: string[] = [];
  const { world, live, begin } = makeWorld({ dnsHook: async (deed, _name, value) => void deeds.push(deed + value) });
  world.challenge = "dns-01";
  world.refuse = always("accept", () => new AuthorityUnreachable("It is down."));
  await live(minute, 2_000);
  const [presented = ""] = deeds;
  const next = begin();
  next.wake();
  await next.idle();
  assert.deepEqual([...new Set(deeds)], [presented]);
});

test("a record that can't be taken out is tried again after the next start, and given up then", async () => {
  const deeds: string[] = [];
  const { world, live, begin } = makeWorld({
    dnsHook: async (deed) => {
      deeds.push(deed);
      if (deed === "cleanup") throw new Error("The DNS can't be changed.");
    },
  });
  world.challenge = "dns-01";
  await live(minute, 2_000);
  for (const tries of [2, 2]) {
    const next = begin();
    next.wake();
    await next.idle();
    assert.equal(deeds.filter((deed) => deed === "cleanup").length, tries);
  }
});

test("a record that is still being put up when its order is dropped is taken out after a kill", async () => {
  const deeds: string[] = [];
  let remove = () => {};
  const { world, house, page, now, keeper, begin } = makeWorld({
    dnsHook: async (deed) => {
      deeds.push(deed);
      if (deed !== "present") return;
      remove();
      await new Promise(() => {}); // It waits until the record can be seen; the process is killed meanwhile.
    },
  });
  world.challenge = "dns-01";
  addHost(house.db, { pageId: page.id, host: "http://two.example.com", now: now() + 1, by });
  remove = () => {
    removeHost(house.db, { pageId: page.id, host, now: now(), by });
    remove = () => {};
  };
  for (let times = 0; times < 10; times++) {
    keeper.wake();
    keeper.scanSoon();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(deeds, ["present"], "it isn't taken out before it is there");
  deeds.length = 0;
  const next = begin();
  for (let times = 0; times < 10; times++) {
    next.wake();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(deeds, ["cleanup"]);
});

test("a record that a new order shows again isn't taken out by the clean-up of the one before", async () => {
  const dns = new Set<string>();
  const { world, house, page, now, keeper, live } = makeWorld({
    dnsHook: async (deed, _name, value) => {
      if (deed === "present") return void dns.add(value);
      await new Promise((resolve) => setTimeout(resolve, 50)); // The program needs a while.
      dns.delete(value);
    },
  });
  world.challenge = "dns-01";
  // As an authority does that gives an account its pending order or authorization again.
  world.token = () => "the same";
  const holds = true;
  world.refuse = ({ deed }) => {
    if (deed === "accept" && holds) throw new AuthorityUnreachable("It hung up.");
  };
  addHost(house.db, { pageId: page.id, host: "http://two.example.com", now: now() + 1, by });
  await live(2_000, 1_000);
  assert.equal(dns.size, 1);
  removeHost(house.db, { pageId: page.id, host, now: now(), by });
  keeper.wake();
  addHost(house.db, { pageId: page.id, host, now: now(), by });
  keeper.scanSoon();
  await live(2_000, 1_000);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const rows = house.db.$client.prepare("SELECT count(*) AS n FROM dns_records").get() as { n: number };
  assert.deepEqual([dns.size, rows.n], [1, 1], "it is in the DNS, and noted, while the order is open");
});

test("a program that did its work isn't blamed because the house closed meanwhile", async () => {
  const { house, now } = makeWorld();
  const said: unknown[] = [];
  const log = { ...house.log, warn: (event: string, more: object) => said.push([event, more]) } as typeof house.log;
  let done = () => {};
  const dnsHook = (deed: string) =>
    new Promise<void>((resolve) => {
      if (deed === "cleanup") done = resolve;
      else resolve();
    });
  const wishes = () => ({ dnsHook }) as never;
  const records = createDnsRecords({ db: house.db, clock: { now }, log, wishes });
  await records.present({ name: "_acme-challenge.a.example", value: "v" });
  const cleaning = records.cleanUp({ name: "_acme-challenge.a.example", value: "v" });
  await house.close();
  done();
  await cleaning;
  assert.deepEqual(said, []);
});

test("what a program says of the DNS steers no terminal by the log either", async () => {
  const { wishes, house, now } = makeWorld();
  const lines: string[] = [];
  const log = createLog({ clock: { now }, write: (line) => void lines.push(line) });
  wishes.dnsHook = async () => {
    throw new Error("\u009b2J\u009d0;owned\u009c");
  };
  const records = createDnsRecords({ db: house.db, clock: { now }, log, wishes: () => wishes });
  await records.cleanUp({ name: "_acme-challenge.status.example.com", value: "v" });
  assert.equal(lines.length, 1);
  assert.doesNotMatch(lines[0]?.trimEnd() ?? "", /\p{Cc}/u);
});
