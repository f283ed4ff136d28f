/** What a clock that was wrong must not leave behind once it is set right. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addHost } from "../../src/pages/pages.ts";
import { listCertificates, removeCertificate } from "../../src/tls/certificates.ts";
import { always, by, day, host, hour, makeWorld, minute, problem } from "../support/acme-world.ts";

test("failures are paused after also when the clock was ahead as the certificate before them came", async () => {
  const { house, world, live, now, setClock, opened } = makeWorld();
  const right = now();
  setClock(right + 23 * hour);
  await live(minute, 10_000);
  setClock(right + minute);
  // A person takes it away, because its key was lost, say.
  for (const { id } of listCertificates(house.db)) removeCertificate(house.db, id);
  world.refuse = always("openOrder", () => problem("rejectedIdentifier", 400));
  const before = opened().length;
  await live(hour, 10_000);
  const tries = opened().length - before;
  assert.ok(tries <= 6, `${tries} orders in an hour`);
});

test("a renewal that is refused is paused after also when the clock was ahead as the order before was begun", async () => {
  const { house, page, world, live, now, setClock, served, opened, keeper } = makeWorld();
  world.lifeMs = day;
  const right = now();
  setClock(right + 23 * hour);
  world.refuse = ({ deed }) => void (deed === "viewOrder" && setClock(right)); // As at a start, before the time is had.
  for (let looks = 0; looks < 3; looks++) {
    keeper.wake();
    await keeper.idle();
  }
  assert.equal(now(), right);
  await live(minute, 10_000);
  assert.ok(served());
  world.refuse = always("openOrder", () => problem("rejectedIdentifier", 400));
  await live(12 * hour, 10 * minute);
  // Nor does another host get its own meanwhile.
  addHost(house.db, { pageId: page.id, host: "two.example.org", now: now(), by });
  world.refuse = () => undefined;
  await live(20 * minute, minute);
  assert.ok(opened().length <= 8, `${opened().length} orders`);
  assert.equal(opened("two.example.org").length, 1);
});

test("failures counted by a clock that was ahead keep no host from its certificate once it is set right", async () => {
  const { world, live, now, setClock, served, standing } = makeWorld();
  world.challenge = "http-01";
  const right = now();
  setClock(right + 20 * hour);
  world.tells = (view) => (view.status === "ready" ? { ...view, status: "invalid" } : view);
  await live(55 * minute, 10_000);
  setClock(right + hour);
  world.tells = (view) => view;
  await live(4 * hour, minute);
  const { nextAt, words } = await standing();
  assert.ok(served(), `${words} ${new Date(nextAt ?? 0).toISOString()}, now ${new Date(now()).toISOString()}`);
});

test("what waits goes on after its time also when the clock was set back while nothing ran", async () => {
  const { world, now, setClock, keeper, begin, live, served } = makeWorld();
  world.refuse = always("openOrder", () => problem("rejectedIdentifier", 400));
  setClock(now() + 20 * hour);
  await live(minute, 10_000);
  await keeper.stop();
  world.refuse = () => undefined;
  setClock(now() - 20 * hour);
  const next = begin();
  for (const end = now() + 4 * hour; now() < end; setClock(now() + minute)) {
    next.wake();
    await next.idle();
    next.scanSoon();
  }
  const [plan] = await next.planFor([host]);
  assert.ok(served(), `next at ${new Date(plan?.nextAt ?? 0).toISOString()}, now ${new Date(now()).toISOString()}`);
});
