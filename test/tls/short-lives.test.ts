/** Certificates that live for a day or a few: limits that are counted by the week, or a wrong clock, must not outlast them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { AuthorityUnreachable } from "../../src/tls/authority.ts";
import { day, findsNobody, host, hour, iso, makeWorld, minute, one, problem, two } from "../support/acme-world.ts";

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
    world.tells = (view) => (isShut ? findsNobody(view) : view);
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

test("a certificate that lives a day is renewed in time also after an upgrade from a database that didn't note their lives", async () => {
  const { house, world, live, now, served, standing, opened } = makeWorld();
  world.lifeMs = day;
  await live(6 * day, 10 * minute);
  assert.ok((served()?.notAfter ?? 0) > now());
  // As it was before, and then the migration.
  house.db.$client.exec("DROP TABLE acme_asks; ALTER TABLE acme_orders DROP COLUMN life_ms");
  house.db.$client.exec(readFileSync("migrations/0008_acme_asks.sql", "utf8"));
  const since = now();
  const before = opened().length;
  for (let at = 0; at < 48; at++) {
    await live(hour, 10 * minute);
    const { words, nextAt } = await standing();
    assert.ok(
      (served()?.notAfter ?? 0) > now(),
      `expired ${(now() - since) / hour} h after the upgrade; ${opened().length - before} asked; next ${iso(nextAt)} now ${iso(now())} ${words}`,
    );
  }
});

for (const life of [8, 24])
  test(`where the first authority hands out nothing but expired certificates of ${life} hours, the second is asked`, async () => {
    const { world, live, now, served, standing, opened } = makeWorld({ authorities: [one, two] });
    world.lifeMs = life * hour;
    // The first one's clock is slow.
    world.refuse = ({ deed, directory }) => {
      if (deed === "viewOrder") world.aheadMs = directory === one.directory ? life * hour : 0;
    };
    await live(day, 5 * minute);
    const { words, nextAt, state } = await standing();
    const of = ({ directory }: { directory: string }) =>
      opened().filter((known) => known.directory === directory).length;
    assert.ok(
      (served()?.notAfter ?? 0) > now(),
      `${state} a day later; first asked ${of(one)} times, second ${of(two)}; next ${iso(nextAt)} now ${iso(now())}; words: "${words}"`,
    );
  });

for (const [life, off] of [
  [24, 25],
  [24, 22.5],
  [12, 20],
] as const)
  test(`a host whose certificate of ${life} hours was made ${off} hours before it could be fetched has a valid one within an hour`, async () => {
    const { world, now, setClock, served, standing, opened, keeper, begin, howOften } = makeWorld();
    world.lifeMs = life * hour;
    // The answer to the request is lost, and the network with it.
    world.refuse = ({ deed }) => {
      if (deed === "finalize") throw new AuthorityUnreachable("It hung up.");
    };
    for (let looks = 0; looks < 3; looks++) {
      keeper.wake();
      await keeper.idle();
    }
    assert.equal(howOften("finalize"), 1);
    await keeper.stop();
    world.refuse = () => undefined;
    setClock(now() + off * hour);
    const next = begin();
    for (let at = 0; at < 24; at++) {
      for (const end = now() + hour; now() < end; setClock(now() + minute)) {
        next.wake();
        await next.idle();
        next.scanSoon();
      }
      const { words, nextAt } = await standing();
      assert.ok(
        (served()?.notAfter ?? 0) > now(),
        `expired ${at + 1} h after the start; ${opened().length} asked; next ${iso(nextAt)} now ${iso(now())} "${words}"`,
      );
    }
  });

for (const hours of [6, 10])
  test(`a certificate that lives a day is renewed in time when the clock was a day ahead for ${hours} hours`, async () => {
    const { world, live, now, setClock, served, standing, opened } = makeWorld();
    world.lifeMs = day;
    world.aheadMs = day;
    const right = now();
    setClock(right + day);
    await live(hours * hour, minute);
    world.aheadMs = 0;
    setClock(right + hours * hour);
    const count = opened().length;
    for (let at = 0; at < 48; at++) {
      await live(hour, 10 * minute);
      const { words, nextAt } = await standing();
      assert.ok(
        (served()?.notAfter ?? 0) > now(),
        `expired ${(now() - right) / hour - hours} h after it was set right; ${count} ordered at first, ${opened().length} now; next ${iso(nextAt)} now ${iso(now())} ${words}`,
      );
    }
  });

test("a renewal that failed once is tried again in time also where others order more than 200 in three hours", async () => {
  const { house, world, live, now, served, standing, opened } = makeWorld();
  world.lifeMs = day;
  world.challenge = "http-01";
  // 1,000 hosts with certificates of a day: 250 orders in three hours, each of which works.
  const note = house.db.$client.prepare("INSERT INTO acme_asks VALUES (?, ?)");
  const others = async (ms: number) => {
    for (const end = now() + ms; now() < end; ) {
      for (let index = 0; index < 14; index++) note.run(one.directory, now() + index * 43_000);
      await live(10 * minute, minute);
    }
  };
  await others(day);
  assert.ok((served()?.notAfter ?? 0) > now());
  // One slip.
  const before = opened().length;
  world.tells = (view) => (opened().length === before + 1 ? findsNobody(view) : view);
  for (let at = 0; at < 30; at++) {
    await others(hour);
    const { words, nextAt } = await standing();
    assert.ok(
      (served()?.notAfter ?? 0) > now(),
      `expired; ${opened().length - before} asked since; next ${iso(nextAt)} now ${iso(now())} ${words}`,
    );
  }
});
