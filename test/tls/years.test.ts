/**
 * Two years of renewals, simulated: an authority that is down for hours or days or doesn't find the host, moves its renewal
 * windows, shortens its certificates' lives, loses answers, won't replace what it issued and wants patience, a server that is
 * killed, and a clock that is a day off. Each seed is a life of its own; SEEDS sets how many, FIRST where they begin.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Db } from "../../src/db.ts";
import { addHost, createPage } from "../../src/pages/pages.ts";
import { openHouse } from "../../src/server.ts";
import {
  type Authority,
  AuthorityProblem,
  AuthorityUnreachable,
  type ChallengeView,
  type OrderView,
} from "../../src/tls/authority.ts";
import { type Certificate, chooserOf, forgetUnused, listCertificates } from "../../src/tls/certificates.ts";
import { createKeeper } from "../../src/tls/keeper.ts";
import { forgetOldOrders, goesOnAt, listOpenOrders } from "../../src/tls/orders.ts";
import { loadSuffixes } from "../../src/tls/suffixes.ts";
import { testKeys } from "../support/house.ts";
import { issue } from "../support/issuing.ts";
import { emptyShelf, makeWishes } from "../support/wishes.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const begin = Date.parse("2027-01-01T00:00:00Z");
const end = begin + 730 * day;
const host = "status.example.com";
const seeds = Number(process.env.SEEDS ?? (process.env.CI ? 10 : 2));
const first = Number(process.env.FIRST ?? 1);

type Chance = () => number;

/** The same lives at each run: mulberry32. */
function seeded(seed: number): Chance {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Blind: it answers, and doesn't find the host. */
type Outage = { from: number; to: number; kind: (typeof kinds)[number] };
const kinds = ["silent", "busy", "limited", "blind"] as const;
/** What an authority did, by its own book. */
type Book = {
  issued: { from: number; to: number; at: number }[];
  opened: number[];
  refused: number[];
  outages: Outage[];
};

function outagesOf(chance: Chance): Outage[] {
  const found: Outage[] = [];
  for (let at = begin + chance() * 30 * day; at < end; at += (5 + chance() * 60) * day) {
    const length = [hour, day, 10 * day][Math.floor(chance() * 3)] ?? hour;
    const kind = kinds[Math.floor(chance() * kinds.length)] ?? "silent";
    found.push({ from: at, to: at + length, kind });
    at += length;
  }
  return found;
}

type Hardship = {
  /** Instead of outages by chance. */
  outages: Outage[];
  /** How far our clock is off, from beginning to end. */
  offset: number;
  /** The authority moves every window to the end of the life. */
  moves: boolean;
  until: number;
};

/** What is true at the authority; `truth` is its clock, which is right. */
function simulate(input: { lifeMs: number; chance: Chance; truth: () => number; hardship: Hardship | undefined }): {
  authority: Authority;
  book: Book;
} {
  const { chance, truth, hardship } = input;
  const book: Book = { issued: [], opened: [], refused: [], outages: hardship?.outages ?? outagesOf(chance) };
  // Authorities shorten them, without asking anybody; to less than a week they can't within their own limits.
  const shortensAt = input.lifeMs > 30 * day ? begin + chance() * 1460 * day : end;
  const lifeNow = () => (truth() < shortensAt ? input.lifeMs : input.lifeMs / 2);
  const outageNow = () => book.outages.find(({ from, to }) => truth() >= from && truth() < to);
  const orders = new Map<string, OrderView & { pem?: string; acceptedAt?: number; finalizedAt?: number }>();
  const replaced = new Set<string>();
  let serial = Math.floor(chance() * 1e6);
  const answer = () => {
    const outage = outageNow();
    if (!outage || outage.kind === "blind") {
      if (chance() < 0.02) throw new AuthorityUnreachable("It hung up.");
      return;
    }
    if (outage.kind === "silent") throw new AuthorityUnreachable("Nobody answers.");
    const patience = chance() < 0.5 ? String(Math.ceil(Math.min(outage.to - truth(), hour) / 1000)) : undefined;
    if (outage.kind === "busy") throw new AuthorityProblem({ type: "serverInternal", detail: "Busy." }, 503, patience);
    throw new AuthorityProblem({ type: "rateLimited", detail: "Too many." }, 429, patience);
  };
  const find = (url: string) => {
    const order = orders.get(url);
    if (!order) throw new AuthorityProblem({ type: "malformed", detail: "No such order." }, 404);
    return order;
  };
  const challenge: ChallengeView = { type: "http-01", url: "c", token: "t", status: "pending", error: undefined };
  const authority: Authority = {
    describe: async () => {
      answer();
      return { termsUrl: undefined, caaIdentities: [], profiles: [], needsBinding: false, tellsWindows: true };
    },
    register: async () => {
      answer();
      return "account";
    },
    changeContact: async () => answer(),
    isAccountOpen: async () => true,
    openOrder: async ({ replaces }) => {
      answer();
      if (replaces !== undefined && replaced.has(replaces))
        throw new AuthorityProblem({ type: "alreadyReplaced", detail: "It was replaced." }, 409);
      if (replaces !== undefined && chance() < 0.05)
        throw new AuthorityProblem({ type: "unauthorized", detail: "It isn't yours to replace." }, 403);
      book.opened.push(truth());
      const url = `order ${book.opened.length}`;
      const blank = { certificate: undefined, error: undefined, retryAfter: undefined };
      orders.set(url, { url, status: "pending", authorizations: [url], finalize: url, ...blank });
      if (replaces !== undefined && chance() < 0.5) replaced.add(replaces);
      if (chance() < 0.05) throw new AuthorityUnreachable("The answer was lost.");
      return find(url);
    },
    viewOrder: async (url) => {
      answer();
      const order = find(url);
      if (order.status === "pending" && order.acceptedAt !== undefined && outageNow()?.kind === "blind") {
        order.status = "invalid";
        order.error = { type: "connection", detail: "It found nobody." };
        book.refused.push(truth());
      }
      if (order.status === "pending" && order.acceptedAt !== undefined && truth() > order.acceptedAt + 2_000)
        order.status = "ready";
      if (order.finalizedAt !== undefined && truth() > order.finalizedAt + 3_000) order.status = "valid";
      return { ...order, certificate: order.status === "valid" ? url : undefined };
    },
    viewAuthorization: async (url) => {
      answer();
      return {
        status: find(url).acceptedAt === undefined ? "pending" : "valid",
        name: host,
        challenges: [{ ...challenge, url }],
      };
    },
    keyAuthorization: async () => "t.thumb",
    accept: async ({ url }) => {
      answer();
      find(url).acceptedAt ??= truth();
    },
    finalize: async ({ url }, { privateKey }) => {
      answer();
      const order = find(url);
      const [from, to] = [truth() - hour, truth() - hour + lifeNow()];
      serial += 1;
      order.pem = await issue({ privateKey, name: host, serial, from, to });
      order.status = "processing";
      order.finalizedAt = truth();
      book.issued.push({ from, to, at: truth() });
    },
    download: async ({ url }) => {
      answer();
      return find(url).pem ?? "";
    },
    renewalWindow: async () => {
      answer();
      const newest = book.issued.at(-1);
      const [from, to] = [newest?.from ?? truth(), newest?.to ?? truth()];
      const lifeMs = to - from;
      // As Let's Encrypt does.
      const [ideal, spread] = lifeMs < 10 * day ? [to - lifeMs / 2, hour / 2] : [to - lifeMs / 3, day];
      const usual = { start: ideal - spread, end: ideal + spread };
      const whim = hardship?.moves ? 1 : chance();
      const window =
        whim < 0.9
          ? usual
          : whim < 0.93
            ? { start: from - 2 * day, end: from - day }
            : whim < 0.96
              ? { start: Number.NaN, end: Number.NaN }
              : { start: to - lifeMs / 20, end: to + lifeMs };
      return { ...window, retryAfter: ["21600", "43200", undefined][Math.floor(chance() * 3)] };
    },
  };
  return { authority, book };
}

type Lived = { orders: number; certificates: number; worst: number };

async function live(seed: number, lifeMs: number, hardship?: Hardship): Promise<Lived> {
  const chance = seeded(seed);
  let truth = begin;
  let offset = hardship?.offset ?? 0;
  const clock = { now: () => Math.floor(truth + offset) };
  const house = openHouse({ data: undefined, keys: testKeys(), environment: {}, clock, write: () => {} });
  // A pass in which they aren't there yet does nothing else: a life must not depend on whether it is the first.
  await loadSuffixes();
  prepareOnce(house.db);
  const by = { kind: "system" } as const;
  const page = createPage(house.db, { name: "Acme", timeZone: "UTC", now: begin, by });
  addHost(house.db, { pageId: page.id, host, now: begin, by });
  const world = { lifeMs, chance, truth: () => truth, hardship };
  const first = simulate(world);
  const second = !hardship && chance() < 0.5 ? simulate(world) : undefined;
  const books = second ? [first.book, second.book] : [first.book];
  const choice = (directory: string) => ({ directory, binding: undefined });
  const authorities = second
    ? [choice("https://one.test/"), choice("https://two.test/")]
    : [choice("https://one.test/")];
  const wishes = makeWishes({ authorities });
  const open = () =>
    createKeeper({
      db: house.db,
      keys: house.keys,
      clock,
      log: house.log,
      shelf: emptyShelf,
      wishes: () => wishes,
      reach: async ({ directory }) => (directory === "https://two.test/" && second ? second : first).authority,
      chance,
    });
  let keeper = open();
  let worst = Number.POSITIVE_INFINITY;
  let planned = { rows: "", at: 0 };
  try {
    while (truth < (hardship?.until ?? end)) {
      keeper.wake();
      await keeper.idle();
      const best = chooserOf(listCertificates(house.db))(host, clock.now());
      if (best) {
        const [left, whole] = [best.notAfter - truth, best.notAfter - best.notBefore];
        worst = Math.min(worst, left / whole);
        if (left <= 0 && isOwed(best.notAfter, whole, books))
          assert.fail(`seed ${seed}: an expired certificate is served at ${new Date(truth).toISOString()}`);
      }
      if (chance() < 0.02) forgetUnused(house.db, { now: clock.now(), isUnusable: () => false });
      if (chance() < 0.02) forgetOldOrders(house.db, { now: clock.now() });
      keeper.scanSoon();
      if (chance() < 0.02) keeper = open(); // It was killed, and started again.
      if (!hardship && chance() < 0.001) offset = [0, day, -day][Math.floor(chance() * 3)] ?? 0;
      truth += Math.max(await nextIn(), 1_000);
    }
  } finally {
    await keeper.stop();
    await house.close();
  }
  for (const book of books) keepsLimits(seed, book);
  const sum = (of: (book: Book) => number) => books.reduce((total, book) => total + of(book), 0);
  return { orders: sum(({ opened }) => opened.length), certificates: sum(({ issued }) => issued.length), worst };

  /** Nothing happens before the next moment that stands in a row; half a day is the longest leap. */
  async function nextIn(): Promise<number> {
    const now = clock.now();
    const open = listOpenOrders(house.db);
    const times = open.map((order) => goesOnAt(order, now));
    if (times.some((at) => at <= now)) return 0; // The clock was set forward.
    const held = listCertificates(house.db);
    for (const certificate of held.slice(0, 1))
      for (const at of [certificate.askWindowAt, certificate.notAfter]) if (at !== null) times.push(at);
    if (open.length === 0) times.push(await plannedAt(held, now));
    return Math.min(...times.map((at) => at - now).filter((wait) => wait > 0), 12 * hour);
  }

  /** Until then it changes with the rows alone, and to work it out anew each time would be half of the time. */
  async function plannedAt(held: Certificate[], now: number): Promise<number> {
    const orders = house.db.$client
      .prepare("SELECT count(*), max(created_at), max(ended_at), sum(go_on_at), sum(leave_until) FROM acme_orders")
      .get();
    const rows = JSON.stringify([offset, orders, held.map(({ id, renewAt }) => [id, renewAt])]);
    if (rows !== planned.rows || planned.at <= now) {
      const [plan] = await keeper.planFor([host]);
      planned = { rows, at: plan?.nextAt ?? Number.POSITIVE_INFINITY };
    }
    return planned.at;
  }
}

/** Each question is put thousands of times in a life, and preparing it anew would be a third of the time. */
function prepareOnce({ $client }: Db): void {
  const prepare = $client.prepare.bind($client);
  const known = new Map<string, ReturnType<typeof prepare>>();
  const remember = (sql: string) => {
    const statement = known.get(sql) ?? prepare(sql);
    known.set(sql, statement);
    return statement;
  };
  Object.assign($client, { prepare: remember });
}

/** Whether an authority could be had for a while in the last third of the life: three hours, or where two take turns six. */
function isOwed(notAfter: number, lifeMs: number, books: Book[]): boolean {
  const from = notAfter - lifeMs / 3;
  const whileMs = books.length * 3 * hour;
  return books.some(({ outages }) => {
    for (let at = from; at + whileMs <= notAfter; at += hour / 2)
      if (!outages.some((outage) => outage.from < at + whileMs && outage.to > at)) return true;
    return false;
  });
}

/** What Let's Encrypt allows, by the authority's own book. */
function keepsLimits(seed: number, book: Book): void {
  const most = (times: number[], inMs: number) =>
    Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at < from + inMs).length));
  assert.ok(most(book.opened, 3 * hour) <= 300, `seed ${seed}: too many orders`);
  assert.ok(most(book.refused, hour) <= 5, `seed ${seed}: ${most(book.refused, hour)} failures in an hour`);
  const certificates = book.issued.map(({ at }) => at);
  assert.ok(most(certificates, 7 * day) <= 5, `seed ${seed}: ${most(certificates, 7 * day)} certificates in a week`);
}

for (const [words, lifeMs] of [
  ["45 days", 45 * day],
  ["160 hours", 160 * hour],
] as const) {
  test(`in two years of certificates of ${words} none expires while an authority can be had, and no limit is passed`, {
    timeout: 3_600_000,
  }, async (t) => {
    let orders = 0;
    let certificates = 0;
    let worst = 1;
    for (let seed = first; seed < first + seeds / 2; seed++) {
      const life = await live(seed * 7919 + Math.round(lifeMs / hour), lifeMs);
      orders += life.orders;
      certificates += life.certificates;
      worst = Math.min(worst, life.worst);
    }
    t.diagnostic(
      `${seeds / 2} lives, ${orders} orders, ${certificates} certificates, least life left ${worst.toFixed(3)}`,
    );
  });
}

test("a server whose clock is a day slow finds an authority that answers only as the last third begins, whatever window it tells", async () => {
  const lifeMs = 45 * day;
  const lastThird = begin - hour + (lifeMs * 2) / 3;
  const outages: Outage[] = [
    { from: begin + day, to: lastThird, kind: "silent" },
    { from: lastThird + 3 * hour, to: begin + lifeMs, kind: "silent" },
  ];
  for (let seed = 1; seed <= 5; seed++) {
    const { worst } = await live(seed, lifeMs, { outages, offset: -day, moves: true, until: begin + lifeMs + day });
    assert.ok(worst > 0, `seed ${seed}`);
  }
});
