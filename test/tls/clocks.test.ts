/** What a clock that is wrong for a while must neither leave behind nor take away. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addHost } from "../../src/pages/pages.ts";
import { listCertificates, removeCertificate } from "../../src/tls/certificates.ts";
import { always, by, day, findsNobody, host, hour, makeWorld, minute, problem } from "../support/acme-world.ts";

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

test("certificates of this week still count when the server was started by a clock that was slow for a minute", async () => {
  const { live, now, setClock, keeper, begin, opened, orderMore } = makeWorld();
  await live(minute, 10_000);
  await orderMore(3);
  assert.equal(opened().length, 4);
  await keeper.stop();
  const right = now();
  setClock(right - 8 * day); // As at a start, before the time is had.
  const next = begin();
  next.wake();
  await next.idle();
  setClock(right + minute);
  for (let times = 0; times < 6; times++) {
    await next.orderNow({ host, purpose: "serve" });
    await next.idle();
    setClock(now() + minute);
  }
  assert.ok(
    opened().length <= 5,
    `${opened().length} certificates of one name within ${(now() - right) / minute + 10} minutes`,
  );
});

test("failures of this hour still count when the server was started by a clock that was slow for a minute", async () => {
  const { world, now, setClock, begin, opened } = makeWorld();
  world.challenge = "http-01";
  world.tells = findsNobody;
  const since = now();
  let next = begin();
  for (let round = 0; round < 4; round++) {
    for (const end = now() + 14 * minute; now() < end; setClock(now() + 10_000)) {
      next.wake();
      await next.idle();
      next.scanSoon();
    }
    await next.stop();
    const right = now();
    setClock(right - 2 * day);
    next = begin();
    next.wake();
    await next.idle();
    setClock(right + 10_000);
  }
  assert.ok(now() - since < hour);
  assert.ok(opened().length <= 5, `${opened().length} failures of one name in an hour`);
});

test("a clock that is slow for a minute takes nothing from what counts", async () => {
  const { live, now, setClock, keeper, opened, orderMore } = makeWorld();
  await live(minute, 10_000);
  await orderMore(3);
  assert.equal(opened().length, 4);
  const right = now();
  setClock(right - 8 * day);
  keeper.wake();
  await keeper.idle();
  setClock(right + minute);
  await orderMore(6);
  assert.ok(opened().length <= 5, `${opened().length} certificates of one name`);
});

for (const restarts of [false, true])
  test(`an authority is left alone for as long as it asks ${restarts ? "also after a restart" : "(control)"}, when an order was once begun by a clock that was ahead`, async () => {
    const { world, live, now, setClock, keeper, begin, opened } = makeWorld();
    const right = now();
    // One that was begun by a clock that was ahead by three days, ended since.
    setClock(right + 3 * day);
    world.challenge = "http-01";
    world.tells = findsNobody;
    await live(30_000, 10_000);
    assert.equal(opened().length, 1);
    setClock(right);
    await live(10_000, 10_000);
    world.refuse = always("openOrder", () => problem("rateLimited", 429, String(20 * 3600)));
    await live(10 * minute, 10_000);
    const before = opened().length;
    assert.equal(before, 2);
    let next = keeper;
    if (restarts) {
      await keeper.stop();
      next = begin();
    }
    for (const end = now() + hour; now() < end; setClock(now() + minute)) {
      next.wake();
      await next.idle();
      next.scanSoon();
    }
    assert.equal(
      opened().length,
      before,
      `asked ${opened().length - before} times in the hour after, though it asked for 20 hours`,
    );
  });

test("a certificate that is revoked on its second day is replaced soon also when it came while the clock was a day ahead", async () => {
  const { world, live, now, setClock, opened } = makeWorld();
  world.aheadMs = day;
  const right = now();
  setClock(right + day);
  await live(minute, 10_000);
  world.aheadMs = 0;
  setClock(right + minute);
  await live(25 * hour, 10 * minute);
  assert.equal(opened().length, 1);
  world.window = { start: now() - 2 * day, end: now() - day };
  await live(14 * hour, 10 * minute);
  assert.equal(opened().length, 2, "replaced within 14 hours");
});

test("a certificate that came while the clock was a day slow counts for the week also when the clock is a day ahead", async () => {
  const { world, live, now, setClock, orderMore, howOften } = makeWorld();
  world.aheadMs = -day;
  await live(minute, 10_000);
  await live(5 * day);
  setClock(now() + 2 * day);
  world.aheadMs = day;
  await orderMore(3);
  // The authority wants each replaced at once.
  world.window = { start: now() - 3 * day, end: now() - 2 * day };
  await live(day + 23 * hour + 20 * minute, 10 * minute); // Until half an hour before the week is over.
  const made = howOften("finalize");
  assert.equal(made, 5, `${made} certificates of one name in less than seven days`);
});

test("what a domain got while the clock was a day slow counts for the week also when the clock is a day ahead", async () => {
  const { world, live, now, setClock, addHosts, howOften } = makeWorld();
  addHosts(59);
  world.aheadMs = -day;
  await live(30 * minute, minute);
  await live(6 * day, 3 * hour);
  setClock(now() + 2 * day);
  world.aheadMs = day;
  await live(20 * hour, 20 * minute);
  const made = howOften("finalize");
  assert.equal(made, 40, `${made} certificates of one registered domain in less than seven days`);
});

test("of certificates that live a day a person gets no more than four in half of one, also while the clock is a day slow", async () => {
  const { world, live, orderMore, howOften } = makeWorld();
  world.lifeMs = day;
  world.aheadMs = -day;
  await live(minute, 10_000);
  await orderMore(8);
  assert.equal(howOften("finalize"), 4);
});
