/** Certificates that live for a day or a few: limits that are counted by the week, or a wrong clock, must not outlast them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { day, host, hour, iso, makeWorld, minute, one, problem } from "../support/acme-world.ts";

for (const life of [24, 36, 48])
  for (const ahead of [12, 24])
    test(`a certificate that lives ${life} hours is renewed in time when the clock was ${ahead} hours ahead for ten minutes`, async () => {
      const { world, live, now, setClock, served, standing, opened } = makeWorld();
      world.lifeMs = life * hour;
      world.aheadMs = ahead * hour;
      const right = now();
      setClock(right + ahead * hour);
      await live(10 * minute, 10_000);
      world.aheadMs = 0;
      setClock(right + 10 * minute);
      const count = opened().length;
      for (let at = 0; at < 6 * life; at++) {
        await live(hour, 10 * minute);
        const { words, nextAt } = await standing();
        assert.ok(
          (served()?.notAfter ?? 0) > now(),
          `expired at ${(now() - right) / hour} h; ${count} ordered at first, ${opened().length} now; next ${iso(nextAt)} now ${iso(now())} ${words}`,
        );
      }
    });

test("an authority whose certificates live a day gives one within three hours after a clock that was a day ahead for five hours is set right", async () => {
  const { world, live, now, setClock, served, standing, opened } = makeWorld();
  world.lifeMs = day;
  world.aheadMs = day;
  const right = now();
  setClock(right + day);
  await live(5 * hour, minute);
  world.aheadMs = 0;
  setClock(right + 5 * hour);
  const count = opened().length;
  await live(3 * hour, minute);
  const { words, nextAt } = await standing();
  assert.ok(
    (served()?.notAfter ?? 0) > now(),
    `${count} ordered at first, ${opened().length} now; next ${iso(nextAt)} now ${iso(now())} ${words}`,
  );
});

for (const life of [24, 48, 160])
  test(`a host that was tested four times before its first certificate of ${life} hours is renewed in time`, async () => {
    const { world, live, now, served, standing, opened, keeper } = makeWorld({ testDirectory: one.directory });
    world.lifeMs = life * hour;
    // At first it isn't found, and a person mends that and tests it, while the order that failed is paused after.
    world.challenge = "http-01";
    let isShut = true;
    world.tells = (view) =>
      isShut && view.status === "ready"
        ? { ...view, status: "invalid", error: { type: "connection", detail: "" } }
        : view;
    await live(40 * minute, 10_000);
    isShut = false;
    for (let times = 0; times < 4; times++) {
      await keeper.orderNow({ host, purpose: "test" });
      await keeper.idle();
      await live(minute, 10_000);
    }
    const tested = opened().length;
    await live(2 * hour, minute);
    assert.ok(served());
    const begun = now();
    for (let at = 0; at < 2 * life; at++) {
      await live(hour, 10 * minute);
      const { words, nextAt } = await standing();
      assert.ok(
        (served()?.notAfter ?? 0) > now(),
        `expired ${(now() - begun) / hour} h later; ${tested} asked at first, ${opened().length} now; next ${iso(nextAt)} now ${iso(now())} ${words}`,
      );
    }
  });

for (const hours of [5, 7])
  test(`an authority that forgets what it issued for ${hours} hours renews what lives a day once it doesn't any more`, async () => {
    const { world, live, now, served, standing } = makeWorld();
    world.lifeMs = day;
    await live(3 * day, 10 * minute);
    while (now() < (served()?.renewAt ?? 0)) await live(10 * minute, 10 * minute);
    const until = now() + hours * hour;
    let issued = false;
    world.refuse = ({ deed }) => {
      if (deed === "openOrder") issued = false;
      if (deed === "finalize") issued = true;
      if (deed === "viewOrder" && issued && now() < until) throw problem("malformed", 404);
    };
    for (let at = 0; at < 24; at++) {
      await live(hour, 10 * minute);
      const { words, nextAt } = await standing();
      assert.ok(
        (served()?.notAfter ?? 0) > now(),
        `expired ${(now() - until) / hour} h after it answers; next ${iso(nextAt)} now ${iso(now())} ${words}`,
      );
    }
  });
