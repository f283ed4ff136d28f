/**
 * The way of one order, from its row to its certificate: each step is one question to the authority and one commit, so
 * that it can be taken again after a crash. What a failed step means is judged in verdicts.ts.
 */
import type { Clock } from "../clock.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db } from "../db.ts";
import { withoutWildcard } from "../host-names.ts";
import type { Log } from "../log.ts";
import type { ChallengeType } from "../schema.ts";
import type { Authorities, OpenAuthority } from "./authorities.ts";
import {
  type Authority,
  AuthorityProblem,
  type ChallengeView,
  isAboutAccount,
  OrderRefused,
  type OrderView,
  type Problem,
  waitSaid,
} from "./authority.ts";
import { type Permission, permissionIn } from "./caa.ts";
import { chooserOf } from "./certificates.ts";
import type { Challenges } from "./challenges.ts";
import type { DnsRecords } from "./dns-records.ts";
import { isOvertaken } from "./due.ts";
import { keepIssued, lifeIn, readIssued } from "./issued.ts";
import { mayAskAt } from "./limits.ts";
import {
  askAnew,
  completeOrder,
  dropOrder,
  findOrder,
  keyOf,
  noteAsked,
  noteChallenge,
  noteIssued,
  noteLife,
  noteNotIssued,
  noteOpened,
  type Order,
  waitUntil,
} from "./orders.ts";
import { longestPollMs } from "./renewal.ts";
import { type CertificateShelf, listUsable } from "./shelf.ts";
import { createShowing } from "./showing.ts";
import { createVerdicts, patience } from "./verdicts.ts";
import type { Wishes } from "./wishes.ts";

export type Steps = {
  /** Takes an open order as far as one question goes. What went wrong stands in its row. @throws where that can't be written */
  take(order: Order): Promise<void>;
  /** Ends an order that nobody wants any more, of this authority or at all, or that another certificate has made needless. */
  drop(order: Order, why: "unwanted" | "overtaken"): void;
};

/** What an authorization is in that never becomes valid (RFC 8555, 7.1.6). */
const dead = new Set(["invalid", "deactivated", "expired", "revoked"]);
/** How it refuses a request for a certificate when it has one already. */
const atWork = new Set(["orderNotReady", "malformed"]);
/** Between two looks at an order that the authority works on. */
const pollMs = 500;

export function createSteps(input: {
  db: Db;
  keys: Keys;
  clock: Clock;
  log: Log;
  shelf: CertificateShelf;
  challenges: Challenges;
  records: DnsRecords;
  authorities: Authorities;
  wishes: () => Wishes;
  chance: () => number;
}): Steps {
  const { db, keys, clock, log, shelf, authorities, wishes, chance } = input;
  const showing = createShowing(input);
  const { judge, isTooOld } = createVerdicts({ ...input, showing });

  /** Its host may be removed, or another certificate come, whenever somebody is waited for. */
  const isOpen = (order: Order) => findOrder(db, order.id).state === "open";

  const takeStep = async (order: Order): Promise<void> => {
    const opened = await authorities.open(order.directory);
    const { authority } = opened;
    if (order.url === null) return ask(order, opened);
    const view = await authority.viewOrder(order.url);
    switch (view.status) {
      case "pending":
        leaveTooOld(order);
        return answerChallenge(order, opened, view);
      case "ready":
        if (!isOpen(order)) return;
        if (order.issuedAt !== null) {
          // It has taken no request.
          noteNotIssued(db, order);
          leaveTooOld(order);
        }
        await finalize(order, authority, view);
        return pollLater(order, undefined);
      case "processing":
        return pollLater(order, view.retryAfter);
      case "valid":
        return takeCertificate(order, authority, view);
      case "invalid":
        noteNotIssued(db, order);
        throw new OrderRefused(view.error ?? (await problemBelow(authority, view)));
    }
  };

  const finalize = async (order: Order, authority: Authority, view: OrderView): Promise<void> => {
    noteIssued(db, order, { now: clock.now() });
    const wish = { name: order.name, privateKey: keyOf(order, keys) };
    await authority.finalize(view, wish).catch((error: unknown) => {
      // Asked before without an answer, it may be at work by now, and say so.
      const isAtWork = order.issuedAt !== null && error instanceof AuthorityProblem && atWork.has(error.type);
      if (error instanceof AuthorityProblem && error.status < 500 && !isAtWork) noteNotIssued(db, order);
      throw error;
    });
  };

  const ask = async (order: Order, opened: OpenAuthority): Promise<void> => {
    const { authority, description } = opened;
    await refuseHopeless(order, opened);
    if (!isOpen(order)) return;
    const now = clock.now();
    const free = mayAskAt(db, { ...order, best: chooserOf(listUsable(db, shelf)), now });
    if (free > now) {
      // It was reached after the order was begun, or what it replaces wasn't taken, so that it counts now: another may be free.
      if (wishes().authorities.length > 1 && order.purpose === "serve")
        throw new AuthorityProblem({ type: "limit", detail: "" }, 0, String(Math.ceil((free - now) / 1000)));
      // What counts may come to nothing before.
      return waitUntil(db, order, Math.min(free, now + longestPollMs), { type: "limit", detail: "" });
    }
    noteAsked(db, order, { now });
    const { profile } = wishes();
    const wish = {
      name: order.name,
      profile: description.profiles.includes(profile) ? profile : undefined,
      replaces: order.replaces ?? undefined,
    };
    const view = await authority.openOrder(wish).catch((error: unknown) => judgeRefusal(order, opened, error));
    if (view) noteOpened(db, order, { url: view.url, now: clock.now() });
  };

  /** No order was opened. @throws unless it can be asked anew at once */
  const judgeRefusal = async (order: Order, opened: OpenAuthority, error: unknown): Promise<undefined> => {
    if (!(error instanceof AuthorityProblem)) throw error;
    // It was replaced already, isn't known any more, was another account's: that keeps nobody from having a new one.
    const isOfOrder = error.type !== "accountDoesNotExist";
    if (isOfOrder && order.replaces !== null && error.status >= 400 && error.status < 500 && error.status !== 429)
      return void askAnew(db, order, { replaces: null, now: clock.now() });
    if (!isAboutAccount(error) || (await opened.authority.isAccountOpen())) throw error;
    authorities.replaceAccount(order.directory, opened);
    throw new AuthorityProblem({ type: "accountClosed", detail: error.message }, error.status, error.retryAfter);
  };

  /** What the authority would find out as well, at the cost of one of the few failures that it allows. */
  const refuseHopeless = async (order: Order, opened: OpenAuthority): Promise<void> => {
    const { lookup, dnsHook } = wishes();
    const host = withoutWildcard(order.name);
    const addresses = dnsHook
      ? undefined
      : await lookup.addresses(host).catch((error: NodeJS.ErrnoException) => {
          // The authority asks other name servers, which may know it.
          if (order.stumbles >= patience) return undefined;
          throw new AuthorityProblem(
            { type: "noAnswer", detail: `The DNS doesn't answer for ${host} (${error.code}).` },
            0,
          );
        });
    if (addresses?.length === 0)
      throw new AuthorityProblem({ type: "noAddress", detail: `The DNS knows no address of ${host}.` }, 0);
    const { refusal, isOfAccount } = await permissionFor(order, opened);
    if (refusal === undefined) return;
    const isElsewhere = !wishes().authorities.some(({ directory }) => directory === order.directory);
    throw new AuthorityProblem({ type: isOfAccount && isElsewhere ? "caaElsewhere" : "caa", detail: refusal }, 0);
  };

  const permissionFor = async (order: Order, { description, account }: OpenAuthority): Promise<Permission> => {
    const ways = showing.waysFor(order);
    const ours = description.caaIdentities;
    const issuers = ours.length === 0 ? undefined : await wishes().lookup.allowedIssuers(order.name);
    return issuers ? permissionIn(issuers, { name: order.name, ours, account, ways }) : { ways };
  };

  /** Those of the ways offered in which the owner lets the authority look; where that is none, it says so itself. */
  const allowedOf = async (order: Order, opened: OpenAuthority, offered: ChallengeType[]): Promise<ChallengeType[]> => {
    const { ways } = await permissionFor(order, opened);
    const allowed = offered.filter((way) => ways.includes(way));
    return allowed.length > 0 ? allowed : offered;
  };

  const answerChallenge = async (order: Order, opened: OpenAuthority, view: OrderView): Promise<void> => {
    const { authority } = opened;
    const authorization = await authority.viewAuthorization(view.authorizations[0] ?? "");
    if (dead.has(authorization.status))
      throw new OrderRefused(
        problemAmong(authorization.challenges) ?? {
          type: "ended",
          detail: `Its authorization is ${authorization.status}.`,
        },
      );
    if (authorization.status !== "pending") return pollLater(order, undefined);
    const offered = authorization.challenges.map(({ type }) => type);
    const way = showing.wayFor(order, order.token === null ? await allowedOf(order, opened, offered) : offered);
    const challenge = authorization.challenges.find((known) => known.type === way);
    if (!challenge) throw new AuthorityProblem({ type: "noChallenge", detail: `It offers ${offered.join(", ")}.` }, 0);
    const keyAuthorization = await authority.keyAuthorization(challenge);
    if (!isOpen(order)) return; // It was dropped meanwhile, and what it showed taken down.
    // Nothing is waited for between this and the note that another order goes by.
    if (showing.mustWait(order, { way, now: clock.now() })) return pollLater(order, undefined);
    if (order.token !== challenge.token || order.challenge !== way)
      noteChallenge(db, order, { challenge: way, token: challenge.token, keyAuthorization });
    // It looked, and may look again when it is told to (RFC 8555, 8.2): a new order tries another way as well.
    if (challenge.error && showing.told.get(order.id) === "heard") throw new OrderRefused(challenge.error);
    const { token } = challenge;
    await showing.show(order, { way, token, keyAuthorization });
    if (!isOpen(order)) return showing.takeDown({ ...order, challenge: way, token, keyAuthorization });
    // Told once; after a restart or a failure once more, because nobody knows whether it was heard.
    if (challenge.status === "pending" && showing.told.get(order.id) !== "heard") {
      showing.told.set(order.id, "said");
      await authority.accept(challenge);
      showing.told.set(order.id, "heard");
    }
    pollLater(order, undefined);
  };

  const takeCertificate = async (order: Order, authority: Authority, view: OrderView): Promise<void> => {
    if (view.certificate === undefined) return pollLater(order, view.retryAfter);
    noteIssued(db, order, { now: clock.now() });
    const pem = await authority.download(view);
    const now = clock.now();
    noteLife(db, order, lifeIn(pem), { now });
    const privateKey = keyOf(order, keys);
    const { directory, name } = order;
    const issued = await readIssued({ pem, privateKey, name, now }).catch((error: Error) => {
      throw new AuthorityProblem({ type: "badCertificate", detail: error.message }, 0);
    });
    const ended = findOrder(db, order.id);
    if (ended.state !== "open") return; // It was dropped while it was downloaded.
    // What a person brought meanwhile isn't to be replaced by it.
    if (isOvertaken(ended, chooserOf(listUsable(db, shelf)), now)) return drop(ended, "overtaken");
    db.transaction(
      (tx) => {
        const kept = { ...issued, privateKey, directory, keys, now, chance: chance() };
        const certificateId = order.purpose === "test" ? null : keepIssued(tx, kept);
        completeOrder(tx, order, { certificateId, now });
      },
      { behavior: "immediate" },
    );
    showing.takeDown(ended);
    shelf.reload();
    log.info("certificate.issued", { name, purpose: order.purpose, directory });
  };

  const leaveTooOld = (order: Order): void => {
    if (isTooOld(order))
      throw new AuthorityProblem({ type: "stuck", detail: "It doesn't come to an end with the order." }, 0);
  };

  const pollLater = (order: Order, retryAfter: string | undefined): void => {
    const now = clock.now();
    const age = now - (order.openedAt ?? now);
    leaveTooOld(order);
    // The longer it takes, the longer until the next look.
    const own = Math.min(Math.max(pollMs, age / 10), 60_000);
    waitUntil(db, order, now + Math.min(Math.max(own, waitSaid(retryAfter, now) ?? 0), longestPollMs));
  };

  const drop: Steps["drop"] = (order, why) => {
    dropOrder(db, order, { why, now: clock.now() });
    showing.takeDown(order);
    log.info("certificate.order_dropped", { name: order.name, directory: order.directory, why });
  };

  return {
    take: async (order) => {
      try {
        await takeStep(order);
      } catch (error) {
        judge(order, error);
      }
    },
    drop,
  };
}

async function problemBelow(authority: Authority, view: OrderView): Promise<Problem | undefined> {
  return problemAmong((await authority.viewAuthorization(view.authorizations[0] ?? "")).challenges);
}

function problemAmong(challenges: ChallengeView[]): Problem | undefined {
  return challenges.find((challenge) => challenge.error)?.error;
}
