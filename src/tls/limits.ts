/** What an authority gives in a time, counted from what it was asked: no order begins that would pass it. */
import { and, desc, eq, gt, isNotNull, isNull, lt, or, type SQL } from "drizzle-orm";
import type { Db, Tx } from "../db.ts";
import { acmeAsks, acmeOrders } from "../schema.ts";
import { type Chooser, neededAt } from "./certificates.ts";
import type { Purpose } from "./orders.ts";
import { believable, isLate, longestPauseMs } from "./renewal.ts";
import { registeredDomain } from "./suffixes.ts";

const hour = 3_600_000;
const day = 24 * hour;

/**
 * Below what Let's Encrypt allows: 300 orders of an account in 3 hours, 5 failures of a name in one hour, 5 certificates for one name
 * and 50 for one registered domain in 7 days. A day more, because the clock may have been slow.
 */
const limits = {
  orders: { most: 270, inMs: 3 * hour },
  /** Of a name that failed lately, unless its certificate ends soon: the others are kept for those that didn't. */
  ordersAgain: { most: 250, inMs: 3 * hour },
  failures: { most: 4, inMs: hour },
  tests: { most: 3, inMs: 8 * day },
  duplicates: { most: 4, inMs: 8 * day },
  /** The fifth is kept for a name that has none, or is due to be renewed. */
  renewals: { most: 5, inMs: 8 * day },
  domain: { most: 40, inMs: 8 * day },
};

type Wanted = { name: string; purpose: Purpose; best: Chooser; now: number };

/** The moment from which on one more order for the name keeps below every limit, `now` where it does. */
export function mayAskAt(
  db: Db | Tx,
  input: Wanted & { directory: string; replaces?: string | null | undefined },
): number {
  const { name, directory, now } = input;
  const mine = listCounted(db, and(eq(acmeOrders.name, name), eq(acmeOrders.directory, directory)));
  // One that was asked for a certificate found the host.
  const failed = mine.filter(({ state, url, issuedAt }) => state === "failed" && url !== null && issuedAt === null);
  const free = [
    ...mine.map((order) => believable(order.leaveUntil ?? 0, now, longestPauseMs)),
    mayOpenAt(db, { directory, now, limit: mayWait(mine, input) ? limits.ordersAgain : limits.orders }),
    fullUntil(failed.map(endOf), limits.failures, now),
    mayIssueAt(mine, input),
  ];
  // An order that says what it replaces doesn't count against the domain.
  if (!input.replaces) {
    const ofDomain = listCounted(db, countsForDomain({ name, directory, now }));
    free.push(issuedUntil(ofDomain, limits.domain, now));
  }
  return Math.max(...free);
}

/** By what was issued for the name. A person may ask for another long before it is due, and a test's isn't served. */
function mayIssueAt(mine: Counted[], { name, purpose, best, now }: Wanted): number {
  // One that is open at the authority may come to one.
  const issued = mine.filter(
    ({ state, issuedAt, url }) => state === "done" || issuedAt !== null || (state === "open" && url !== null),
  );
  const until = (limit: Limit) => issuedUntil(issued, limit, now);
  if (purpose === "test") return until(limits.tests);
  const another = until(limits.duplicates);
  return another <= now ? now : Math.min(another, Math.max(until(limits.renewals), neededAt(best, name, now)));
}

/** It failed lately, and visitors have got no certificate that ends soon. */
function mayWait(mine: Counted[], { name, best, now }: Wanted): boolean {
  const certificate = best(name, now);
  if (certificate && now < certificate.notAfter && isLate(certificate, now)) return false;
  return mine.some(({ state, endedAt }) => state === "failed" && endedAt !== null && Math.abs(now - endedAt) < day);
}

type Counted = ReturnType<typeof listCounted>[number];

/** Asked often: nothing else is read. */
function listCounted(db: Db | Tx, which: SQL | undefined) {
  const { state, url, createdAt, openedAt, issuedAt, endedAt, leaveUntil, lifeMs } = acmeOrders;
  return db
    .select({ state, url, createdAt, openedAt, issuedAt, endedAt, leaveUntil, lifeMs })
    .from(acmeOrders)
    .where(which)
    .all();
}

/**
 * An authority whose certificates live for less than six days counts by no week: within half of a life, so that another comes in
 * time whatever was ordered, also by a clock that was ahead. Let's Encrypt's live for 160 hours at least.
 */
function issuedUntil(issued: Counted[], limit: Limit, now: number): number {
  const { most } = limit;
  const lives = issued.length < most ? [] : issued.flatMap(({ lifeMs }) => (lifeMs && lifeMs > 0 ? lifeMs : []));
  const shortestMs = Math.min(...lives);
  if (shortestMs < 6 * day) return fullUntil(issued.map(endOf), { most, inMs: shortestMs / 2, aheadMs: 0 }, now);
  // What came by a clock that was slow stands with the authority's time (orders.ts, noteLife).
  const times = issued.map((order) => Math.max(endOf(order), order.issuedAt ?? 0));
  return fullUntil(times, limit, now);
}

/** By what the authority was asked, whatever came of it. The limit is seldom near: one row is read. */
function mayOpenAt(db: Db | Tx, input: { directory: string; now: number; limit: Limit }): number {
  const { directory, now } = input;
  const { most, inMs } = input.limit;
  const recent = and(eq(acmeAsks.directory, directory), gt(acmeAsks.at, now - inMs), lt(acmeAsks.at, now + 2 * day));
  const oldest = db
    .select()
    .from(acmeAsks)
    .where(recent)
    .orderBy(desc(acmeAsks.at))
    .limit(1)
    .offset(most - 1)
    .get();
  return oldest ? oldest.at + inMs : now;
}

/** What a certificate replaces was counted when it came: renewals aren't. */
function countsForDomain(input: { name: string; directory: string; now: number }): SQL | undefined {
  const since = input.now - limits.domain.inMs;
  return and(
    eq(acmeOrders.domain, registeredDomain(input.name)),
    eq(acmeOrders.directory, input.directory),
    isNull(acmeOrders.replaces),
    or(gt(acmeOrders.endedAt, since), gt(acmeOrders.issuedAt, since), isNull(acmeOrders.endedAt)),
    // One that is open at the authority may come to one.
    or(
      eq(acmeOrders.state, "done"),
      isNotNull(acmeOrders.issuedAt),
      and(eq(acmeOrders.state, "open"), isNotNull(acmeOrders.url)),
    ),
  );
}

function endOf(order: Counted): number {
  return order.endedAt ?? order.issuedAt ?? order.openedAt ?? order.createdAt;
}

/** aheadMs: what lies further off than that isn't counted. A clock may have been a day ahead; or it is slow now, so that it must count. */
type Limit = { most: number; inMs: number; aheadMs?: number };

function fullUntil(times: number[], { most, inMs, aheadMs = 2 * day }: Limit, now: number): number {
  const within = times.filter((at) => at > now - inMs && at <= now + aheadMs).toSorted((a, b) => a - b);
  const oldest = within.at(-most);
  return oldest === undefined ? now : oldest + inMs;
}
