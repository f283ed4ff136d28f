/**
 * Months with an authority that keeps its limits, simulated: one that never finds this server, and one domain with more
 * hosts than it certifies in a week. Counted in the authority's own book.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { addHost, createPage } from "../../src/pages/pages.ts";
import { openHouse } from "../../src/server.ts";
import type { Authority, OrderView } from "../../src/tls/authority.ts";
import { forgetUnused, listCertificates } from "../../src/tls/certificates.ts";
import { createKeeper } from "../../src/tls/keeper.ts";
import { forgetOldOrders } from "../../src/tls/orders.ts";
import { testKeys } from "../support/house.ts";
import { issue } from "../support/issuing.ts";
import { emptyShelf, makeWishes } from "../support/wishes.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const begin = Date.parse("2027-01-01T00:00:00Z");
const lifeMs = 45 * day;

type Book = {
  opened: { name: string; at: number }[];
  failed: { name: string; at: number }[];
  issued: { name: string; at: number; isRenewal: boolean }[];
};

/** @param finds whether it comes in when it looks */
function scriptAuthority(input: { now: () => number; finds: boolean }): { authority: Authority; book: Book } {
  const { now, finds } = input;
  const book: Book = { opened: [], failed: [], issued: [] };
  const orders = new Map<string, OrderView & { name: string; isRenewal: boolean; pem: string }>();
  const error = finds ? undefined : { type: "connection", detail: "192.0.2.1: Connection refused" };
  const find = (url: string) => {
    const order = orders.get(url);
    assert.ok(order, `nobody has an order ${url}`);
    return order;
  };
  const authority: Authority = {
    describe: async () => ({
      ...{ termsUrl: undefined, caaIdentities: [], profiles: [], needsBinding: false, tellsWindows: false },
    }),
    register: async () => "account",
    changeContact: async () => {},
    isAccountOpen: async () => true,
    openOrder: async ({ name, replaces }) => {
      book.opened.push({ name, at: now() });
      const url = `order ${book.opened.length}`;
      orders.set(url, {
        ...{ url, name, isRenewal: replaces !== undefined, pem: "", status: "pending", authorizations: [url] },
        ...{ finalize: url, certificate: undefined, error: undefined, retryAfter: undefined },
      });
      return find(url);
    },
    viewOrder: async (url) => ({ ...find(url) }),
    viewAuthorization: async (url) => {
      const { name, status } = find(url);
      const challenge = { url, token: url.replace(" ", ""), status, error: status === "invalid" ? error : undefined };
      return {
        name,
        status: status === "ready" ? "valid" : status,
        challenges: [
          { ...challenge, type: "http-01" },
          { ...challenge, type: "tls-alpn-01" },
        ],
      };
    },
    keyAuthorization: async ({ token }) => `${token}.thumb`,
    accept: async ({ url }) => {
      const order = find(url);
      order.status = finds ? "ready" : "invalid";
      if (!finds) book.failed.push({ name: order.name, at: now() });
    },
    finalize: async ({ url }, { name, privateKey }) => {
      const order = find(url);
      book.issued.push({ name, at: now(), isRenewal: order.isRenewal });
      order.pem = await issue({
        name,
        privateKey,
        serial: book.issued.length,
        from: now() - hour,
        to: now() - hour + lifeMs,
      });
      order.certificate = url;
      order.status = "valid";
    },
    download: async ({ url }) => find(url).pem,
    renewalWindow: async () => assert.fail("It tells no windows."),
  };
  return { authority, book };
}

/** @param isPushed somebody asks for the first host's certificate by hand once a minute */
async function live(t: TestContext, input: { hosts: string[]; finds: boolean; days: number; isPushed?: boolean }) {
  const { hosts, finds, days, isPushed = false } = input;
  let now = begin;
  const clock = { now: () => now };
  const house = openHouse({ data: undefined, keys: testKeys(), environment: {}, clock, write: () => {} });
  const by = { kind: "system" } as const;
  const page = createPage(house.db, { name: "Acme", timeZone: "UTC", now, by });
  for (const host of hosts) addHost(house.db, { pageId: page.id, host, now, by });
  const { authority, book } = scriptAuthority({ now: clock.now, finds });
  const keeper = createKeeper({
    db: house.db,
    keys: house.keys,
    clock,
    log: house.log,
    shelf: emptyShelf,
    wishes: () => makeWishes(),
    reach: async () => authority,
  });
  t.after(async () => {
    await keeper.stop();
    await house.close();
  });
  let swept = now;
  /** On to the next moment that stands in a row; half a day is the longest leap. */
  while (now < begin + days * day) {
    if (isPushed) await keeper.orderNow({ host: hosts[0] ?? "", purpose: "serve" });
    keeper.scanSoon();
    keeper.wake();
    await keeper.idle();
    const plans = await keeper.planFor(hosts);
    const waits = plans.map((plan) => (plan.nextAt ?? now) - now);
    // Only so many are worked on at once: whoever is due already has their turn next.
    now += Math.min(...waits.map((wait) => Math.max(wait, 1_000)), isPushed ? minute : 12 * hour);
    if (now - swept > day) {
      swept = now;
      forgetUnused(house.db, { now, isUnusable: () => false });
      forgetOldOrders(house.db, { now });
    }
  }
  return { book, certificates: listCertificates(house.db), now: () => now };
}

/** The most in any time of that length. */
function most(times: number[], inMs: number): number {
  return Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at < from + inMs).length));
}

test("in a month of refusals an authority is never given more than it takes, and tried every two hours in the end", async (t) => {
  const host = "status.example.com";
  const { book } = await live(t, { hosts: [host], finds: false, days: 30 });
  const failed = book.failed.map(({ at }) => at);
  assert.ok(most(failed, hour) <= 5, `${most(failed, hour)} failures in an hour`);
  assert.equal(book.opened.length, book.failed.length, "each order was looked for");
  const pauses = failed.slice(1).map((at, index) => (at - (failed[index] ?? 0)) / minute);
  const rising = [1, 10, 30, 60, 120];
  for (const [index, pause] of pauses.entries()) {
    const least = rising[Math.min(index, rising.length - 1)] ?? 0;
    assert.ok(pause >= least && pause <= least * 1.2 + 1, `pause ${index} takes ${pause} minutes, not about ${least}`);
  }
  assert.ok(failed.length > 300, `it was tried ${failed.length} times only`);
});

test("whoever asks for a certificate once a minute by hand doesn't use up what the authority takes either", async (t) => {
  const { book } = await live(t, { hosts: ["status.example.com"], finds: false, days: 1 / 4, isPushed: true });
  const failed = book.failed.map(({ at }) => at);
  assert.ok(most(failed, hour) <= 5, `${most(failed, hour)} failures in an hour`);
  assert.ok(failed.length >= 20, `it was tried ${failed.length} times only`);
});

test("sixty hosts of one domain get their certificates in two weeks, never more in one than the domain is given", {
  timeout: 300_000,
}, async (t) => {
  const hosts = Array.from({ length: 60 }, (_, index) => `status${index}.example.com`);
  const { book, certificates, now } = await live(t, { hosts, finds: true, days: 40 });
  // One that says what it replaces isn't counted.
  const fresh = book.issued.filter(({ isRenewal }) => !isRenewal);
  assert.ok(
    most(
      fresh.map(({ at }) => at),
      7 * day,
    ) <= 50,
    "too many certificates in a week",
  );
  assert.ok(Math.max(...fresh.map(({ at }) => at)) < begin + 14 * day);
  assert.equal(new Set(fresh.map(({ name }) => name)).size, 60, "each has one");
  const valid = new Set(certificates.filter(({ notAfter }) => notAfter > now()).flatMap(({ names }) => names));
  assert.equal(valid.size, 60, "and still has");
  assert.equal(new Set(book.issued.filter(({ isRenewal }) => isRenewal).map(({ name }) => name)).size, 60);
  t.diagnostic(`${fresh.length} certificates and ${book.issued.length - fresh.length} renewals`);
});
