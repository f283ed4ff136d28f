/**
 * Orders as rows. For each name and purpose at most one is open, which the database itself sees to; what it needs to go on
 * after a crash is written before the authority is asked. Ended ones are kept for two weeks: they are what the limits of
 * an authority are counted from (limits.ts), and what a person is told of the failures. The last that worked is kept for longer: it tells
 * in which way the authority found the name.
 */
import { and, asc, desc, eq, gt, isNull, lt, ne, notInArray, or, sql } from "drizzle-orm";
import { seal, unseal } from "../crypto/fields.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db, Tx } from "../db.ts";
import { newId } from "../ids.ts";
import { acmeAsks, acmeOrders, type ChallengeType } from "../schema.ts";
import type { Problem } from "./authority.ts";
import { newestRow } from "./certificates.ts";
import {
  believable,
  type Life,
  longestPauseMs,
  longestPollMs,
  longestWaitMs,
  pauseAfter,
  stumblePause,
} from "./renewal.ts";
import { registeredDomain } from "./suffixes.ts";

export type Order = typeof acmeOrders.$inferSelect;
export type Purpose = Order["purpose"];

const hour = 3_600_000;
const day = 24 * hour;
const column = "acme_orders.private_key";

/** @throws the database's error when one is open already */
export function beginOrder(
  db: Db | Tx,
  input: {
    name: string;
    purpose: Purpose;
    directory: string;
    replaces?: string;
    privateKey: string;
    keys: Keys;
    now: number;
  },
): Order {
  const id = newId();
  const { name, purpose, directory, now } = input;
  const row = {
    id,
    name,
    domain: registeredDomain(name),
    purpose,
    directory,
    state: "open" as const,
    privateKey: seal(input.keys, { column, row: id }, input.privateKey),
    asked: 0,
    replaces: input.replaces ?? null,
    begunAfter: newestRow(db),
    stumbles: 0,
    goOnAt: now,
    createdAt: now,
  };
  return db.insert(acmeOrders).values(row).returning().get();
}

export function findOpenOrder(db: Db | Tx, input: { name: string; purpose: Purpose }): Order | undefined {
  const { name, purpose } = input;
  return db
    .select()
    .from(acmeOrders)
    .where(and(eq(acmeOrders.name, name), eq(acmeOrders.purpose, purpose), eq(acmeOrders.state, "open")))
    .get();
}

export function findOrder(db: Db | Tx, id: string): Order {
  const order = db.select().from(acmeOrders).where(eq(acmeOrders.id, id)).get();
  if (!order) throw new Error(`There is no order ${id}.`);
  return order;
}

export function listOpenOrders(db: Db | Tx): Order[] {
  return db.select().from(acmeOrders).where(eq(acmeOrders.state, "open")).orderBy(asc(acmeOrders.goOnAt)).all();
}

/** The one that was begun last first, the open one among them: by the order of the rows, because a clock may have been wrong. */
export function listOrdersOf(db: Db | Tx, input: { name: string; purpose: Purpose }): Order[] {
  const { name, purpose } = input;
  return db
    .select()
    .from(acmeOrders)
    .where(and(eq(acmeOrders.name, name), eq(acmeOrders.purpose, purpose)))
    .orderBy(desc(sql`rowid`))
    .all();
}

/** The key of the certificate to be, in clear. Never leaves the process. */
export function keyOf(order: Order, keys: Keys): string {
  if (!order.privateKey) throw new Error(`Order ${order.id} has no key any more.`);
  return unseal(keys, { column, row: order.id }, order.privateKey);
}

/** When it is gone on with, or after it another one begun. */
export function goesOnAt(order: Order, now: number): number {
  const longestMs = order.problem === null ? longestPollMs : order.problem === "limit" ? longestWaitMs : longestPauseMs;
  return believable(order.goOnAt, now, longestMs);
}

/**
 * The clock was set back: what waits goes on after the time that it was to wait, not when the clock comes there again. What was done
 * stays where it is, because the clock may be wrong now and not then: limits must hold in any case.
 */
export function bringForward(db: Db, input: { now: number; byMs: number }): void {
  for (const [name, column] of [
    ["goOnAt", acmeOrders.goOnAt],
    ["leaveUntil", acmeOrders.leaveUntil],
  ] as const)
    db.update(acmeOrders)
      .set({ [name]: sql`${column} - ${input.byMs}` })
      .where(gt(column, input.now))
      .run();
}

/**
 * Before the authority is asked for it, because its answer may be lost, the order be dropped, or it turn out to be none that can
 * be served: it counts all the same.
 */
export function noteIssued(db: Db, order: Order, input: { now: number }): void {
  const unnoted = and(eq(acmeOrders.id, order.id), isNull(acmeOrders.issuedAt));
  db.update(acmeOrders).set({ issuedAt: input.now }).where(unnoted).run();
}

/**
 * It counts for as long as its like lives, also where it can't be served. One that begins later than now was issued while the clock
 * was slow: it counts from an hour after it begins, by which Let's Encrypt dates back.
 */
export function noteLife(db: Db, order: Order, life: Life | undefined, input: { now: number }): void {
  if (!life) return;
  const { notBefore, notAfter } = life;
  const isSlow = notBefore > input.now && notBefore < input.now + 2 * day;
  change(db, order, { lifeMs: notAfter - notBefore, ...(isSlow ? { issuedAt: notBefore + hour } : {}) });
}

/** The authority has ended the order without one after all. */
export function noteNotIssued(db: Db, order: Order): void {
  db.update(acmeOrders).set({ issuedAt: null }).where(eq(acmeOrders.id, order.id)).run();
}

/** Before the authority is asked to open it, because a crash may hide what it answered. */
export function noteAsked(db: Db, order: Order, input: { now: number }): void {
  const note = (tx: Tx) => {
    change(tx, order, { asked: order.asked + 1 });
    tx.insert(acmeAsks).values({ directory: order.directory, at: input.now }).run();
  };
  db.transaction(note, { behavior: "immediate" });
}

export function noteOpened(db: Db, order: Order, input: { url: string; now: number }): void {
  change(db, order, { url: input.url, openedAt: input.now, stumbles: 0, problem: null, detail: null });
}

/** The authority has forgotten the order, or doesn't take what it replaces: it is asked anew. */
export function askAnew(db: Db, order: Order, input: { replaces: string | null; now: number }): void {
  change(db, order, { url: null, token: null, keyAuthorization: null, replaces: input.replaces, goOnAt: input.now });
}

export function noteChallenge(
  db: Db,
  order: Order,
  input: { challenge: ChallengeType; token: string; keyAuthorization: string },
): void {
  change(db, order, input);
}

export function waitUntil(db: Db, order: Order, at: number, problem?: Problem): void {
  // Without one the authority has answered, and what failed before is over.
  const why = problem
    ? { problem: problem.type, detail: problem.detail }
    : { problem: null, detail: null, stumbles: 0 };
  change(db, order, { goOnAt: Math.ceil(at), ...why });
}

/** A person knows more: what went wrong before is of no account, but for an authority that wants to be left alone. */
export function goOnNow(db: Db, order: Order, input: { now: number }): Order {
  if (order.problem === "rateLimited" && goesOnAt(order, input.now) > input.now) return order;
  change(db, order, { goOnAt: input.now, stumbles: 0, problem: null, detail: null });
  return findOrder(db, order.id);
}

/** What may pass by itself: the order stays and is gone on with later. */
export function stumble(
  db: Db,
  order: Order,
  input: Problem & { saidMs?: number | undefined; now: number; chance: number },
): number {
  const stumbles = order.stumbles + 1;
  const goOnAt = Math.ceil(input.now + stumblePause(stumbles, input.saidMs, input.chance));
  change(db, order, { stumbles, goOnAt, problem: input.type, detail: input.detail });
  return goOnAt;
}

/**
 * Its key goes with it. The next may begin at `goOnAt`, of this authority when what it asked for (Retry-After) is over.
 *
 * @param input.mayAskOther the other authority is asked meanwhile
 */
export function failOrder(
  db: Db,
  order: Order,
  input: Problem & { saidMs?: number | undefined; mayAskOther: boolean; now: number; chance: number },
): number {
  const { now, saidMs, mayAskOther, type, detail } = input;
  const failures = failuresInARow(db, order).length + 1;
  const goOnAt = Math.ceil(now + pauseAfter(failures, mayAskOther ? undefined : saidMs, input.chance));
  const leaveUntil = saidMs === undefined ? null : now + Math.min(saidMs, longestPauseMs);
  end(db, order, { state: "failed", goOnAt, leaveUntil, problem: type, detail, endedAt: now });
  return goOnAt;
}

/** It is no failure, and the next may begin at once. */
export function dropOrder(db: Db, order: Order, input: { why: "unwanted" | "overtaken"; now: number }): void {
  const { why, now } = input;
  end(db, order, { state: "dropped", goOnAt: now, problem: why, detail: null, endedAt: now });
}

export function completeOrder(tx: Db | Tx, order: Order, input: { certificateId: string | null; now: number }): void {
  const { certificateId, now } = input;
  end(tx, order, { state: "done", certificateId, problem: null, detail: null, endedAt: now });
}

/** Of the same name and purpose since the last that was done, the newest first. */
export function failuresInARow(db: Db | Tx, input: { name: string; purpose: Purpose }): Order[] {
  const failed: Order[] = [];
  for (const order of listOrdersOf(db, input)) {
    if (order.state === "done") break;
    if (order.state === "failed") failed.push(order);
  }
  return failed;
}

export function forgetOldOrders(db: Db, input: { now: number }): void {
  const { now } = input;
  const ended = (daysAgo: number) => lt(acmeOrders.endedAt, now - daysAgo * day);
  const lastFound = sql`(SELECT id FROM (SELECT id, max(created_at) FROM acme_orders
    WHERE state = 'done' AND challenge IS NOT NULL GROUP BY name, purpose))`;
  const isOld = or(and(ended(15), notInArray(acmeOrders.id, lastFound)), ended(400));
  db.delete(acmeOrders)
    .where(and(ne(acmeOrders.state, "open"), isOld))
    .run();
  // Counted for three hours; longer, because the clock may be wrong.
  db.delete(acmeAsks)
    .where(lt(acmeAsks.at, now - 2 * day))
    .run();
}

/** One that was dropped while its authority was asked stays as it ended. */
function change(db: Db | Tx, order: Order, fields: Partial<Order>): void {
  db.update(acmeOrders)
    .set(fields)
    .where(and(eq(acmeOrders.id, order.id), eq(acmeOrders.state, "open")))
    .run();
}

function end(db: Db | Tx, order: Order, fields: Partial<Order>): void {
  const gone = { privateKey: null, token: null, keyAuthorization: null };
  db.update(acmeOrders)
    .set({ ...fields, ...gone })
    .where(and(eq(acmeOrders.id, order.id), eq(acmeOrders.state, "open")))
    .run();
}
