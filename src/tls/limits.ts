/** What an authority gives in a time, counted from what it was asked: no order begins that would pass it. */
import { and, eq, gt, isNotNull, isNull, or, type SQL, sql, sum } from "drizzle-orm";
import type { Db, Tx } from "../db.ts";
import { acmeOrders, certificates } from "../schema.ts";
import { listCertificates } from "./certificates.ts";
import { believable, longestPauseMs } from "./renewal.ts";
import { registeredDomain } from "./suffixes.ts";

const hour = 3_600_000;
const day = 24 * hour;

/** Below what Let's Encrypt allows: 300 orders of an account in 3 hours, 5 failures of a name in one hour, 5 certificates for one name and 50 for one registered domain in 7 days. */
const limits = {
  orders: { most: 270, inMs: 3 * hour },
  failures: { most: 4, inMs: hour },
  duplicates: { most: 4, inMs: 7 * day },
  /** The fifth is kept for what is due to be renewed; a day more, because a clock may be set forward. */
  renewals: { most: 5, inMs: 8 * day },
  domain: { most: 40, inMs: 7 * day },
};

/** The moment from which on one more order for the name keeps below every limit. In the past: now. */
export function mayAskAt(
  db: Db | Tx,
  input: { name: string; directory: string; replaces?: string | null | undefined; now: number },
): number {
  const { name, directory, now } = input;
  const mine = listCounted(db, and(eq(acmeOrders.name, name), eq(acmeOrders.directory, directory)));
  const failed = mine.filter((order) => order.state === "failed" && order.url !== null);
  const issued = mine.filter((order) => order.state === "done" || order.issuedAt !== null);
  const mayTakeLast = issued.length >= limits.duplicates.most && isDue(db, input);
  const free = [
    ...mine.map((order) => believable(order.leaveUntil ?? 0, now, longestPauseMs)),
    fullUntil(askedTimes(db, { directory, since: now - limits.orders.inMs, now }), limits.orders, now),
    fullUntil(ends(failed), limits.failures, now),
    fullUntil(ends(issued), withinLives(mayTakeLast ? limits.renewals : limits.duplicates, issued), now),
  ];
  // An order that says what it replaces doesn't count against the domain.
  if (!input.replaces) {
    const ofDomain = listCounted(db, countsForDomain({ name, directory, now }));
    free.push(fullUntil(ends(ofDomain), withinLives(limits.domain, ofDomain), now));
  }
  return Math.max(...free);
}

/** A person may ask for another long before. */
function isDue(db: Db | Tx, { name, directory, now }: { name: string; directory: string; now: number }): boolean {
  const newest = listCertificates(db).find((held) => held.directory === directory && held.names.includes(name));
  return newest !== undefined && newest.renewAt !== null && newest.renewAt <= now;
}

type Counted = ReturnType<typeof listCounted>[number];

/** With the life of the certificate that came of it, as long as that is there. Asked often: nothing else is read. */
function listCounted(db: Db | Tx, which: SQL | undefined) {
  const { state, url, createdAt, issuedAt, endedAt, leaveUntil } = acmeOrders;
  const lifeMs = sql<number | null>`${certificates.notAfter} - ${certificates.notBefore}`;
  return db
    .select({ state, url, createdAt, issuedAt, endedAt, leaveUntil, lifeMs })
    .from(acmeOrders)
    .leftJoin(certificates, eq(certificates.id, acmeOrders.certificateId))
    .where(which)
    .all();
}

/**
 * An authority whose certificates live for less than six days counts by no week: where its next is due, it gives it. Let's
 * Encrypt's live for 160 hours, a twentieth less than a week, and count by one.
 */
function withinLives({ most, inMs }: Limit, counted: Counted[]): Limit {
  const lives = counted.length < most ? [] : counted.flatMap(({ lifeMs }) => lifeMs ?? []);
  return { most, inMs: Math.min(inMs, ...lives.map((lifeMs) => (1.05 * lifeMs * inMs) / (7 * day))) };
}

/** Counted first, because it is asked often and the limit is seldom near. */
function askedTimes(db: Db | Tx, input: { directory: string; since: number; now: number }): number[] {
  const { directory, since, now } = input;
  const recent = and(
    eq(acmeOrders.directory, directory),
    or(eq(acmeOrders.state, "open"), gt(acmeOrders.endedAt, since)),
  );
  const [counted] = db
    .select({ asked: sum(acmeOrders.asked) })
    .from(acmeOrders)
    .where(recent)
    .all();
  if (Number(counted?.asked ?? 0) < limits.orders.most) return [];
  const rows = db.select().from(acmeOrders).where(recent).all();
  return rows.flatMap((order) => Array<number>(order.asked).fill(order.endedAt ?? now));
}

/** What a certificate replaces was counted when it came: renewals aren't. */
function countsForDomain(input: { name: string; directory: string; now: number }): SQL | undefined {
  return and(
    eq(acmeOrders.domain, registeredDomain(input.name)),
    eq(acmeOrders.directory, input.directory),
    isNull(acmeOrders.replaces),
    or(gt(acmeOrders.endedAt, input.now - limits.domain.inMs), isNull(acmeOrders.endedAt)),
    // One that is open at the authority may come to one.
    or(
      eq(acmeOrders.state, "done"),
      isNotNull(acmeOrders.issuedAt),
      and(eq(acmeOrders.state, "open"), isNotNull(acmeOrders.url)),
    ),
  );
}

function ends(orders: Counted[]): number[] {
  return orders.map((order) => order.endedAt ?? order.issuedAt ?? order.createdAt);
}

type Limit = { most: number; inMs: number };

function fullUntil(times: number[], limit: Limit, now: number): number {
  // A clock may have been a day ahead; what lies further off never was.
  const within = times.filter((at) => at > now - limit.inMs && at < now + 2 * day).toSorted((a, b) => a - b);
  const oldest = within.at(-limit.most);
  return oldest === undefined ? now : oldest + limit.inMs;
}
