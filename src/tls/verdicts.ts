/** What a step that failed means for its order: gone on with later, asked anew, or at its end. */
import type { Clock } from "../clock.ts";
import type { Db } from "../db.ts";
import { isWildcard } from "../host-names.ts";
import type { Log } from "../log.ts";
import type { Authorities } from "./authorities.ts";
import {
  AuthorityProblem,
  AuthorityUnreachable,
  isAboutAccount,
  OrderRefused,
  type Problem,
  waitSaid,
} from "./authority.ts";
import { chooserOf } from "./certificates.ts";
import { mayAskAt } from "./limits.ts";
import { askAnew, failOrder, failuresInARow, findOrder, type Order, stumble } from "./orders.ts";
import { longestOrder, longestPollMs } from "./renewal.ts";
import { type CertificateShelf, listUsable } from "./shelf.ts";
import type { Showing } from "./showing.ts";
import type { Wishes } from "./wishes.ts";

/** Failures in a row after which another authority, or another way, is tried. */
export const patience = 3;
/** What keeps us from asking any authority at all. */
const ourOwn = new Set(["noAddress", "noAnswer", "hook"]);
/** What the next attempt may well not meet. */
const passing = new Set([
  ...["rateLimited", "limit", "accountLimit", "serverInternal", "badNonce", "orderNotReady"],
  ...ourOwn,
]);
/** Longer than this one authority isn't waited for when there is another. */
const longestLeaveMs = 3_600_000;
/** Before an authority that has forgotten something is asked anew. */
const breathMs = 500;

export type Verdicts = {
  /** Of a step that failed. What comes of it stands in the order's row. */
  judge(order: Order, error: unknown): void;
  /** Whether the authority has had the order for so long that it won't come to an end. */
  isTooOld(order: Order): boolean;
};

export function createVerdicts(input: {
  db: Db;
  clock: Clock;
  log: Log;
  authorities: Authorities;
  showing: Showing;
  wishes: () => Wishes;
  chance: () => number;
  shelf: CertificateShelf;
}): Verdicts {
  const { db, clock, log, authorities, showing, wishes, chance, shelf } = input;

  const hasOther = (order: Order) => wishes().authorities.length > 1 && order.purpose === "serve";

  const isTooOld = (order: Order): boolean => {
    const { url, openedAt, issuedAt, name } = findOrder(db, order.id);
    // From the last that it did. A clock that was set back tells nothing.
    const ageMs = Math.abs(clock.now() - (issuedAt ?? openedAt ?? clock.now()));
    // No longest time is shorter, and this is asked at every look.
    if (url === null || openedAt === null || ageMs <= longestOrder(0, true, 0)) return false;
    const best = chooserOf(listUsable(db, shelf));
    const certificate = best(name, openedAt);
    const leftMs = certificate ? certificate.notAfter - openedAt : 0;
    const kept = failuresInARow(db, order).filter(wasKept).length;
    if (ageMs <= longestOrder(leftMs > 0 ? leftMs : undefined, hasOther(order), kept)) return false;
    if (issuedAt === null || hasOther(order)) return true;
    // It counts also when it is given up. Where the limits then allow no other, it may still come to an end.
    const now = clock.now();
    return mayAskAt(db, { ...order, best, now }) - now <= longestPollMs;
  };

  const judge = (order: Order, error: unknown): void => {
    const now = clock.now();
    if (!(error instanceof AuthorityProblem)) {
      if (!(error instanceof AuthorityUnreachable)) log.error("certificate.step_failed", { name: order.name, error });
      stumbleOver(order, { type: "unreachable", detail: error instanceof Error ? error.message : String(error) });
      return;
    }
    const saidMs = waitSaid(error.retryAfter, now);
    // Of a host it is said in its challenge, and means something else.
    const problem = { type: isAboutAccount(error) ? "notAllowed" : error.type, detail: error.message };
    const isForgotten = error.type === "accountDoesNotExist";
    // What an account that was closed had ordered isn't ours any more, as if it had never been (RFC 8555, 7.3.6).
    const isGone = order.url !== null && (error.status === 404 || isAboutAccount(error));
    if (error instanceof OrderRefused) {
      fail(order, problem, saidMs);
    } else if ((isForgotten || isGone) && order.asked < 3) {
      authorities.forget(order.directory, { account: isForgotten });
      const known = findOrder(db, order.id);
      log.warn("certificate.authority_forgot", { name: order.name, detail: error.message });
      // A certificate may have been issued: the next one is counted by itself.
      if (known.issuedAt !== null) fail(order, { type: "forgotten", detail: error.message }, saidMs);
      else {
        showing.takeDown(known);
        askAnew(db, order, { replaces: order.replaces, now: now + breathMs });
      }
    } else if (passing.has(error.type) || error.status >= 500 || isDoubled(order, error)) {
      stumbleOver(order, problem, saidMs);
    } else {
      fail(order, problem, saidMs);
    }
  };

  /** After a crash it is told again what it was told before, and may complain; the next look shows what became of it. */
  const isDoubled = (order: Order, error: AuthorityProblem) =>
    error.type === "malformed" && showing.told.has(order.id) && order.stumbles < patience;

  const stumbleOver = (order: Order, problem: Problem, saidMs?: number): void => {
    const now = clock.now();
    const isOften = order.stumbles + 1 >= patience;
    // An authority that is down, or wants to be left alone for long, keeps nobody from asking the other.
    // But where a certificate may have been issued, the next look tells.
    const isAsked = findOrder(db, order.id).issuedAt !== null;
    const mayLeave =
      hasOther(order) && !isAsked && !ourOwn.has(problem.type) && (isOften || (saidMs ?? 0) > longestLeaveMs);
    // Nor does a program that can't change this host's DNS keep the authority from looking elsewhere.
    const hasOtherWay = problem.type === "hook" && isOften && !isWildcard(order.name);
    // Somebody waits for a test's outcome, and nothing hangs on it.
    const isTested = order.purpose === "test" && (isOften || ourOwn.has(problem.type));
    if (isTooOld(order) || mayLeave || hasOtherWay || isTested) {
      fail(order, problem, saidMs, mayLeave);
      return;
    }
    const goOnAt = stumble(db, order, { ...problem, saidMs, now, chance: chance() });
    log.warn("certificate.order_waits", {
      name: order.name,
      problem: problem.type,
      detail: problem.detail,
      goOnAt: iso(goOnAt),
    });
  };

  const fail = (order: Order, problem: Problem, saidMs: number | undefined, mayAskOther = false): void => {
    const ended = findOrder(db, order.id);
    const goOnAt = failOrder(db, order, { ...problem, saidMs, mayAskOther, now: clock.now(), chance: chance() });
    showing.takeDown(ended);
    log.warn("certificate.order_failed", {
      name: order.name,
      problem: problem.type,
      detail: problem.detail,
      goOnAt: iso(goOnAt),
    });
  };

  return { judge, isTooOld };
}

/** It came to nothing after the longest that an authority is surely given. */
function wasKept({ openedAt, endedAt }: Order): boolean {
  return openedAt !== null && endedAt !== null && Math.abs(endedAt - openedAt) >= longestOrder(0, true, 0);
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
