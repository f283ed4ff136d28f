/** What becomes of a certificate when another takes its place: who is told of it, and how long it is kept. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eq } from "drizzle-orm";
import { timetable } from "../../src/jobs.ts";
import { certificates, hosts } from "../../src/schema.ts";
import { listCertificates } from "../../src/tls/certificates.ts";
import { beginOrder, completeOrder, listOrdersOf } from "../../src/tls/orders.ts";
import { loadSuffixes } from "../../src/tls/suffixes.ts";
import { always, day, host, makeWorld, one, problem, two } from "../support/acme-world.ts";
import { openTestHouse } from "../support/house.ts";
import { keepNew } from "../support/issuing.ts";

test("an authority is told of the certificate that it replaces where it issued that itself, and no other one is", async () => {
  const { world, house, live, opened } = makeWorld({ authorities: [one, two] });
  await live(day);
  world.refuse = always("openOrder", () => problem("connection", 400), one.directory);
  await live(44 * day);
  world.refuse = () => undefined;
  await live(60 * day);
  const issuedBy = new Map(listCertificates(house.db).map(({ renewalId, directory }) => [renewalId, directory]));
  const replacing = opened().filter(({ replaces }) => replaces !== undefined);
  for (const { replaces, directory } of replacing) assert.equal(issuedBy.get(replaces ?? ""), directory);
  const last = opened().slice(-3);
  assert.deepEqual(
    last.map(({ directory, replaces }) => [directory, replaces !== undefined]),
    [
      [two.directory, false],
      [one.directory, false],
      [one.directory, true],
    ],
  );
});

test("the timetable forgets certificates and orders that are of no more use, and keeps what is served", async (t) => {
  const house = await openTestHouse();
  t.after(() => house.close());
  const { db, keys, clock } = house.deps;
  await loadSuffixes();
  const obtain = async () => {
    const now = clock.now();
    const order = beginOrder(db, { name: host, purpose: "serve", ...one, privateKey: "", keys, now });
    const { directory } = one;
    const certificateId = await keepNew(house.deps, {
      name: host,
      from: now - day,
      to: now + 44 * day,
      now,
      directory,
    });
    completeOrder(db, order, { certificateId, now });
    return certificateId;
  };
  const kept = async () => {
    for (const job of timetable) await job.run(house.deps);
    return [listCertificates(db).map(({ id }) => id), listOrdersOf(db, { name: host, purpose: "serve" }).length];
  };
  const old = await obtain();
  house.pass(9 * day);
  const served = await obtain();
  assert.deepEqual(await kept(), [[served, old], 2]);
  house.pass(8 * day);
  assert.deepEqual(await kept(), [[served], 1]);
  house.pass(100 * day);
  assert.deepEqual(await kept(), [[served], 0], "it has expired long ago, but the clock may be wrong");
});

test("the timetable deletes no certificate that is served because a newer one can't be read", async (t) => {
  const house = await openTestHouse();
  t.after(() => house.close());
  const { db, clock, certificates: shelf } = house.deps;
  const { name = "" } = db.select().from(hosts).get() ?? {};
  const keep = () => {
    const now = clock.now();
    return keepNew(house.deps, { name, from: now - day, to: now + 44 * day, now, directory: one.directory });
  };
  const served = await keep();
  const unreadable = await keep();
  db.update(certificates)
    .set({ privateKey: Buffer.from("unreadable") })
    .where(eq(certificates.id, unreadable))
    .run();
  house.pass(8 * day);
  for (const job of timetable) await job.run(house.deps);
  assert.deepEqual([shelf.find(name) !== undefined, shelf.isUnusable(unreadable)], [true, true]);
  assert.ok(listCertificates(db).some(({ id }) => id === served));
});

test("a certificate that couldn't be read is served again when it can be", async (t) => {
  const house = await openTestHouse();
  t.after(() => house.close());
  const { db, clock, certificates: shelf } = house.deps;
  const { name = "" } = db.select().from(hosts).get() ?? {};
  const now = clock.now();
  const id = await keepNew(house.deps, { name, from: now - day, to: now + 44 * day, now });
  const [sealed] = db.select({ privateKey: certificates.privateKey }).from(certificates).all();
  db.update(certificates)
    .set({ privateKey: Buffer.from("unreadable") })
    .run();
  shelf.reload();
  assert.deepEqual([shelf.find(name), shelf.isUnusable(id)], [undefined, true]);
  db.update(certificates).set({ privateKey: sealed?.privateKey }).run();
  for (const job of timetable) await job.run(house.deps);
  assert.deepEqual([shelf.find(name) !== undefined, shelf.isUnusable(id)], [true, false]);
});
