/**
 * Sees to it that every host has a certificate, with nobody watching. A pass looks at each wanted name, begins an order
 * when one is due, and takes open ones a step further; whatever waits, waits in a row, so that a crash costs a step and
 * never an order. Names are worked on side by side, none by two at once.
 */
import { randomInt } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../clock.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db } from "../db.ts";
import { certificateName } from "../host-names.ts";
import type { Log } from "../log.ts";
import { makeKey } from "./accounts.ts";
import { createAuthorities, type Reach } from "./authorities.ts";
import { AuthorityProblem, waitSaid } from "./authority.ts";
import { type Certificate, type Chooser, chooserOf, newestRow } from "./certificates.ts";
import { type Challenges, createChallenges } from "./challenges.ts";
import { createDnsRecords } from "./dns-records.ts";
import { asksWindow, chooseSource, isOvertaken, needsOne, sourceIfDue } from "./due.ts";
import { askWindowLater, noteWindow } from "./issued.ts";
import { wantedNames } from "./names.ts";
import {
  beginOrder,
  bringForward,
  findOpenOrder,
  goesOnAt,
  goOnNow,
  listOpenOrders,
  type Order,
  type Purpose,
} from "./orders.ts";
import { type Plan, planOf } from "./plans.ts";
import { findObstacles } from "./reach.ts";
import { believable } from "./renewal.ts";
import { type CertificateShelf, listUsable } from "./shelf.ts";
import { createSteps } from "./steps.ts";
import { areSuffixesLoaded, loadSuffixes } from "./suffixes.ts";
import type { Wishes } from "./wishes.ts";

export type Keeper = {
  challenges: Challenges;
  /** Looks at everything that is due. Returns at once; the timetable calls it. */
  wake(): void;
  /** Call after a host came: all names are looked at with the next pass. */
  scanSoon(): void;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
  stop(): Promise<void>;
  /** Begins an order now, or goes on with the open one, whatever the plan says; an authority's limits are kept. */
  orderNow(input: { host: string; purpose: Purpose }): Promise<Order>;
  planFor(hosts: string[]): Promise<Plan[]>;
  /** Whether the host leads here: a sentence about each thing that is wrong. */
  findObstacles(host: string): Promise<string[]>;
};

/** Orders that are worked on at once, and names without one that are looked at in a pass: a look costs two milliseconds. */
const atOnce = 8;
/** Open orders are looked at in every pass, all names not so often. */
const scanMs = 2_000;
/** Clocks are set right by seconds all the time. */
const clockSlackMs = 60_000;
const restMs = 60_000;
/** A stop waits for a step that is being taken, but not for an authority that hangs. */
const stopMs = 2_000;

export function createKeeper(input: {
  db: Db;
  keys: Keys;
  clock: Clock;
  log: Log;
  shelf: CertificateShelf;
  /** Read anew at each step, because settings change while the server runs. */
  wishes: () => Wishes;
  /** For simulations, where years pass and no network is. */
  reach?: Reach;
  chance?: () => number;
}): Keeper {
  const { db, keys, clock, log, shelf, wishes, reach, chance = () => randomInt(2 ** 32) / 2 ** 32 } = input;
  const challenges = createChallenges(db);
  const authorities = createAuthorities({ db, keys, clock, log, wishes, reach });
  const records = createDnsRecords({ db, clock, log, wishes });
  const steps = createSteps({ db, keys, clock, log, shelf, challenges, records, authorities, wishes, chance });
  const usable = () => listUsable(db, shelf);
  const underWay = new Map<string, Promise<void>>();
  /** What failed in a way that can't be noted, as on a disk that is full, and until when it rests. */
  const resting = new Map<string, number>();
  /** Names for which no order could begin, as where a limit is reached: the one that was looked at last at the end. */
  const inVain = new Set<string>();
  let stopped = false;
  let hasBegun = false;
  let scannedAt = Number.NEGATIVE_INFINITY;
  let seenAt = clock.now();

  const pass = (): void => {
    const wish = wishes();
    if (stopped || !isOn(wish)) return;
    if (!areSuffixesLoaded()) {
      start("suffixes", loadSuffixes);
      return;
    }
    if (!hasBegun) start("records", records.cleanUpLeft);
    hasBegun = true;
    const now = clock.now();
    if (now < seenAt - clockSlackMs) bringForward(db, { now, byMs: seenAt - now });
    seenAt = now;
    const open = listOpenOrders(db);
    const isScan = now - scannedAt >= scanMs || now < scannedAt;
    if (open.length === 0 && !isScan) return;
    const wanted = wantedNames(db, wish);
    const held = usable();
    const best = chooserOf(held);
    for (const order of open) {
      if (!isWanted(order, wanted, wish)) steps.drop(order, "unwanted");
      else if (isOvertaken(order, best, now)) steps.drop(order, "overtaken");
      else if (goesOnAt(order, now) <= now) work(order.name, order.purpose);
    }
    if (!isScan) return;
    for (const name of nextToLookAt(wanted, open, best, now)) {
      if (underWay.size >= atOnce) return;
      inVain.delete(name);
      inVain.add(name);
      if (sourceIfDue(db, { name, best, wish, now })) work(name, "serve");
    }
    scannedAt = now;
    for (const certificate of held) {
      if (underWay.size >= atOnce) return;
      if (asksWindow(certificate, { best, wish, now })) start(`window ${certificate.id}`, () => askWindow(certificate));
    }
  };

  /** Those that weren't looked at yet come first, then the others in turn: with a thousand, all in four minutes. */
  const nextToLookAt = (wanted: Set<string>, open: Order[], best: Chooser, now: number): string[] => {
    const without = new Set([...wanted].filter((name) => needsOne({ name, best, now })));
    for (const { name, purpose } of open) if (purpose === "serve") without.delete(name);
    for (const name of inVain.difference(without)) inVain.delete(name);
    return [...without.difference(inVain), ...inVain].slice(0, atOnce);
  };

  const work = (name: string, purpose: Purpose) => start(`${purpose} ${name}`, () => advance(name, purpose));

  const start = (what: string, run: () => Promise<void>): void => {
    if (underWay.has(what) || underWay.size >= atOnce) return;
    if (believable(resting.get(what) ?? 0, clock.now(), restMs) > clock.now()) return;
    resting.delete(what);
    const running = run()
      .catch((error: unknown) => {
        resting.set(what, clock.now() + restMs);
        log.error("certificate.keeper_failed", { what, error });
      })
      .finally(() => {
        underWay.delete(what);
        scanSoon();
      });
    underWay.set(what, running);
  };
  /** There is room for another name, or something changed. */
  const scanSoon = () => {
    scannedAt = Number.NEGATIVE_INFINITY;
  };

  /** Until it waits for something or has come to its end. */
  const advance = async (name: string, purpose: Purpose): Promise<void> => {
    while (!stopped) {
      const now = clock.now();
      let order = findOpenOrder(db, { name, purpose });
      if (!order) {
        const wish = wishes();
        if (purpose === "test" || !isOn(wish) || !wantedNames(db, wish).has(name)) return;
        const question = { name, best: chooserOf(usable()), wish, now };
        const source = sourceIfDue(db, question);
        if (!source) return;
        const newest = newestRow(db);
        const privateKey = await makeKey(wish.keyKind);
        // That took a while, in which a person may have brought a certificate.
        if (newestRow(db) !== newest && !needsOne({ ...question, best: chooserOf(usable()) })) return;
        order = begin({ name, purpose, privateKey, ...source });
      }
      if (goesOnAt(order, now) > now) return;
      await steps.take(order);
    }
  };

  const begin = (wanted: {
    name: string;
    purpose: Purpose;
    directory: string;
    replaces?: string;
    privateKey: string;
  }): Order => {
    const { name, purpose, directory } = wanted;
    // A person asked at the same moment as the timetable.
    const open = findOpenOrder(db, { name, purpose });
    if (open) return open;
    log.info("certificate.order_begun", { name, purpose, directory });
    return beginOrder(db, { ...wanted, keys, now: clock.now() });
  };

  const askWindow = async (certificate: Certificate): Promise<void> => {
    const { id, directory, renewalId } = certificate;
    const now = clock.now();
    try {
      const { authority, description } = await authorities.open(directory ?? "");
      if (!description.tellsWindows || renewalId === null) return askWindowLater(db, { id, saidMs: undefined, now });
      const { start, end, retryAfter } = await authority.renewalWindow(renewalId);
      const askAgainMs = waitSaid(retryAfter, now);
      const { moved } = noteWindow(db, { certificate, window: { start, end }, askAgainMs, now, chance: chance() });
      if (moved) log.info("certificate.window", { name: certificate.names[0], start, end });
    } catch (error) {
      const said = error instanceof AuthorityProblem ? error.retryAfter : undefined;
      askWindowLater(db, { id, saidMs: waitSaid(said, now), now });
      log.warn("certificate.window_unknown", { name: certificate.names[0], error });
    }
  };

  return {
    challenges,
    wake: pass,
    scanSoon,
    idle: async () => {
      while (underWay.size > 0) await Promise.all(underWay.values());
    },
    stop: async () => {
      stopped = true;
      const late = new Promise((resolve) => setTimeout(resolve, stopMs).unref());
      await Promise.race([Promise.all([...underWay.values(), records.idle()]), late]);
    },
    orderNow: async ({ host, purpose }) => {
      await loadSuffixes();
      const wish = wishes();
      const now = clock.now();
      const name = certificateName(host, wish.wildcards);
      const question = { name, best: chooserOf(usable()), wish, now };
      const source = purpose === "test" ? { directory: wish.testDirectory } : chooseSource(db, question).source;
      let open = findOpenOrder(db, { name, purpose });
      if (open && !isWanted(open, wantedNames(db, wish), wish)) {
        steps.drop(open, "unwanted");
        open = undefined;
      }
      const order = open
        ? goOnNow(db, open, { now })
        : begin({ name, purpose, ...source, privateKey: await makeKey(wish.keyKind) });
      pass();
      return order;
    },
    planFor: async (hosts) => {
      await loadSuffixes();
      const best = chooserOf(usable());
      const wish = wishes();
      const plans: Plan[] = [];
      for (const host of hosts) {
        plans.push(planOf(db, { host, best, wish, isWaiting: shelf.isWaiting(), now: clock.now() }));
        // Three milliseconds each: of a thousand hosts, visitors are served between them.
        if (plans.length % 4 === 0) await setImmediate();
      }
      return plans;
    },
    findObstacles: (host) => findObstacles({ host, lookup: wishes().lookup, challenges }),
  };
}

/** While it is open, its host may be removed, and another authority chosen. */
function isWanted(order: Order, names: Set<string>, wish: Wishes): boolean {
  const { name, directory } = order;
  if (!names.has(name)) return false;
  if (order.purpose === "test") return directory === wish.testDirectory;
  return wish.authorities.some((known) => known.directory === directory);
}

function isOn(wish: Wishes): boolean {
  return wish.runs && wish.listens && wish.contact !== "";
}
