/**
 * The way of one order, from its row to its certificate: each step is one question to the authority and one commit, so
 * that it can be taken again after a crash. What a failed step means is judged in one place, below.
 */
import type { Clock } from "../clock.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db } from "../db.ts";
import { isWildcard, withoutWildcard } from "../host-names.ts";
import type { Log } from "../log.ts";
import type { ChallengeType } from "../schema.ts";
import type { Authorities, OpenAuthority } from "./authorities.ts";
import {
  type Authority,
  AuthorityProblem,
  AuthorityUnreachable,
  type ChallengeView,
  type Description,
  type OrderView,
  type Problem,
  waitSaid,
} from "./authority.ts";
import type { Challenges } from "./challenges.ts";
import { keepIssued, readIssued } from "./issued.ts";
import {
  askAnew,
  completeOrder,
  dropOrder,
  failOrder,
  findOrder,
  keyOf,
  listOrdersOf,
  mayAskAt,
  noteAsked,
  noteChallenge,
  noteOpened,
  type Order,
  stumble,
  waitUntil,
} from "./orders.ts";
import type { CertificateShelf } from "./shelf.ts";
import type { Wishes } from "./wishes.ts";

export type Steps = {
  /** Takes an open order as far as one question goes. Never throws: what went wrong stands in its row. */
  take(order: Order): Promise<void>;
  /** Ends an order that nobody wants any more, of this authority or at all. */
  drop(order: Order): void;
};

/** Between two looks at an order that the authority works on. */
const pollMs = 500;
const longestPollMs = 3_600_000;
/** An open order that an authority neither ends nor forgets. */
const oldestOrderMs = 20 * 3_600_000;
/** Failures in a row after which another authority, or another way, is tried. */
export const patience = 3;
/** What keeps us from asking any authority at all. */
const ourOwn = new Set(["noAddress", "noAnswer", "hook"]);
/** What the next attempt may well not meet. */
const passing = new Set([...["rateLimited", "limit", "serverInternal", "badNonce", "orderNotReady"], ...ourOwn]);
/** Longer than this one authority isn't waited for when there is another. */
const longestLeaveMs = 3_600_000;

export function createSteps(input: {
  db: Db;
  keys: Keys;
  clock: Clock;
  log: Log;
  shelf: CertificateShelf;
  challenges: Challenges;
  authorities: Authorities;
  wishes: () => Wishes;
  chance: () => number;
}): Steps {
  const { db, keys, clock, log, shelf, challenges, authorities, wishes, chance } = input;
  /** Orders whose challenge this process has told the authority to look at, and whether it is sure to have heard. */
  const told = new Map<string, "said" | "heard">();

  const takeStep = async (order: Order): Promise<void> => {
    const opened = await authorities.open(order.directory);
    const { authority } = opened;
    if (order.url === null) return ask(order, opened);
    const view = await authority.viewOrder(order.url);
    switch (view.status) {
      case "pending":
        return answerChallenge(order, authority, view);
      case "ready":
        await authority.finalize(view, { name: order.name, privateKey: keyOf(order, keys) });
        return pollLater(order, undefined);
      case "processing":
        return pollLater(order, view.retryAfter);
      case "valid":
        return takeCertificate(order, authority, view);
      case "invalid":
        throw refused(view.error ?? (await problemBelow(authority, view)));
    }
  };

  const ask = async (order: Order, opened: OpenAuthority): Promise<void> => {
    const { authority, description } = opened;
    await refuseHopeless(order, description);
    const now = clock.now();
    const free = mayAskAt(db, { ...order, now });
    if (free > now) return waitUntil(db, order, free, { type: "limit", detail: "" });
    noteAsked(db, order);
    const { profile } = wishes();
    const wish = {
      name: order.name,
      profile: description.profiles.includes(profile) ? profile : undefined,
      replaces: order.replaces ?? undefined,
    };
    try {
      const view = await authority.openOrder(wish);
      noteOpened(db, order, { url: view.url, now: clock.now() });
    } catch (error) {
      if (!(error instanceof AuthorityProblem)) throw error;
      // It was replaced already, isn't known any more, was another account's: that keeps nobody from having a new one.
      if (order.replaces !== null && error.status >= 400 && error.status < 500 && error.status !== 429)
        return askAnew(db, order, { replaces: null, now });
      if (!isAboutAccount(error) || (await authority.isAccountOpen())) throw error;
      authorities.replaceAccount(order.directory, opened);
      throw new AuthorityProblem({ type: "accountClosed", detail: error.message }, error.status, error.retryAfter);
    }
  };

  /** What the authority would find out as well, at the cost of one of the few failures that it allows. */
  const refuseHopeless = async (order: Order, description: Description): Promise<void> => {
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
    const allowed = await lookup.allowedIssuers(order.name);
    const ours = description.caaIdentities.map((identity) => identity.toLowerCase());
    if (!allowed || ours.length === 0 || ours.some((identity) => allowed.includes(identity))) return;
    const detail = `A CAA record of ${host} allows ${allowed.filter(Boolean).join(", ") || "nobody"}, not ${ours.join(" or ")}.`;
    throw new AuthorityProblem({ type: "caa", detail }, 0);
  };

  const answerChallenge = async (order: Order, authority: Authority, view: OrderView): Promise<void> => {
    const authorization = await authority.viewAuthorization(view.authorizations[0] ?? "");
    if (authorization.status === "invalid") throw refused(problemAmong(authorization.challenges));
    if (authorization.status !== "pending") return pollLater(order, undefined);
    const offered = authorization.challenges.map(({ type }) => type);
    const type = order.challenge ?? chooseChallenge(order, offered);
    const challenge = authorization.challenges.find((known) => known.type === type);
    if (!challenge) throw new AuthorityProblem({ type: "noChallenge", detail: `It offers ${offered.join(", ")}.` }, 0);
    const keyAuthorization = await authority.keyAuthorization(challenge);
    if (order.token !== challenge.token)
      noteChallenge(db, order, { challenge: type, token: challenge.token, keyAuthorization });
    const isTold = told.get(order.id) === "heard";
    await show({ ...order, challenge: type }, { token: challenge.token, keyAuthorization, isTold });
    // Told once; after a restart or a failure once more, because nobody knows whether it was heard.
    if (challenge.status === "pending" && !isTold) {
      told.set(order.id, "said");
      await authority.accept(challenge);
      told.set(order.id, "heard");
    }
    pollLater(order, undefined);
  };

  const show = async (order: Order, input: { token: string; keyAuthorization: string; isTold: boolean }) => {
    const name = withoutWildcard(order.name);
    const { token, keyAuthorization } = input;
    if (order.challenge === "http-01") challenges.show({ name, token, keyAuthorization });
    if (order.challenge === "tls-alpn-01") await challenges.showInHandshake({ name, keyAuthorization });
    if (order.challenge !== "dns-01" || input.isTold) return;
    await wishes()
      .dnsHook?.("present", recordOf(order), keyAuthorization)
      .catch((error: Error) => {
        throw new AuthorityProblem({ type: "hook", detail: error.message }, 0);
      });
  };

  /** Where one kind failed the last time, the next is tried; where it worked, the same. */
  const chooseChallenge = (order: Order, offered: ChallengeType[]): ChallengeType => {
    const kinds: ChallengeType[] = wishes().dnsHook ? ["dns-01", "http-01", "tls-alpn-01"] : ["http-01", "tls-alpn-01"];
    const known = kinds.filter((type) => offered.includes(type));
    const last = listOrdersOf(db, order).find((other) => other.id !== order.id && other.challenge !== null);
    const at = last?.challenge ? known.indexOf(last.challenge) : -1;
    const next = last?.state === "failed" ? (at + 1) % known.length : Math.max(at, 0);
    return known[next] ?? "http-01";
  };

  const takeCertificate = async (order: Order, authority: Authority, view: OrderView): Promise<void> => {
    if (view.certificate === undefined) return pollLater(order, view.retryAfter);
    const pem = await authority.download(view);
    const privateKey = keyOf(order, keys);
    const { directory, name } = order;
    const now = clock.now();
    const issued = await readIssued({ pem, privateKey, name, now }).catch((error: Error) => {
      throw new AuthorityProblem({ type: "badCertificate", detail: error.message }, 0);
    });
    const ended = findOrder(db, order.id);
    db.transaction(
      (tx) => {
        const kept = { ...issued, privateKey, directory, keys, now, chance: chance() };
        const certificateId = order.purpose === "test" ? null : keepIssued(tx, kept);
        completeOrder(tx, order, { certificateId, now });
      },
      { behavior: "immediate" },
    );
    takeDown(ended);
    shelf.reload();
    log.info("certificate.issued", { name, purpose: order.purpose, directory });
  };

  const pollLater = (order: Order, retryAfter: string | undefined): void => {
    const now = clock.now();
    const age = now - (order.openedAt ?? now);
    if (age > oldestOrderMs)
      throw new AuthorityProblem({ type: "stuck", detail: "It doesn't come to an end with the order." }, 0);
    // The longer it takes, the longer until the next look.
    const own = Math.min(Math.max(pollMs, age / 10), 60_000);
    waitUntil(db, order, now + Math.min(Math.max(own, waitSaid(retryAfter, now) ?? 0), longestPollMs));
  };

  const judge = (order: Order, error: unknown): void => {
    const now = clock.now();
    if (!(error instanceof AuthorityProblem)) {
      if (!(error instanceof AuthorityUnreachable)) log.error("certificate.step_failed", { name: order.name, error });
      stumbleOver(order, { type: "unreachable", detail: error instanceof Error ? error.message : String(error) });
      return;
    }
    const saidMs = waitSaid(error.retryAfter, now);
    const problem = { type: error.type, detail: error.message };
    const isForgotten = error.type === "accountDoesNotExist";
    // What an account that was closed had ordered isn't ours any more, as if it had never been (RFC 8555, 7.3.6).
    const isGone = order.url !== null && (error.status === 404 || isAboutAccount(error));
    if ((isForgotten || isGone) && order.asked < 3) {
      authorities.forget(order.directory, { account: isForgotten });
      takeDown(findOrder(db, order.id));
      log.warn("certificate.authority_forgot", { name: order.name, detail: error.message });
      askAnew(db, order, { replaces: order.replaces, now: now + pollMs });
    } else if (passing.has(error.type) || error.status >= 500 || isDoubled(order, error)) {
      stumbleOver(order, problem, saidMs);
    } else {
      fail(order, problem, saidMs);
    }
  };

  /** After a crash it is told again what it was told before, and may complain; the next look shows what became of it. */
  const isDoubled = (order: Order, error: AuthorityProblem) =>
    error.type === "malformed" && told.has(order.id) && order.stumbles < patience;

  const stumbleOver = (order: Order, problem: Problem, saidMs?: number): void => {
    const now = clock.now();
    const hasOther = wishes().authorities.length > 1 && order.purpose === "serve";
    const isTooOld = order.url !== null && now - (order.openedAt ?? now) > oldestOrderMs;
    const isOften = order.stumbles + 1 >= patience;
    // An authority that is down, or wants to be left alone for long, keeps nobody from asking the other.
    const mayLeave = hasOther && !ourOwn.has(problem.type) && (isOften || (saidMs ?? 0) > longestLeaveMs);
    // Nor does a program that can't change this host's DNS keep the authority from looking elsewhere.
    const hasOtherWay = problem.type === "hook" && isOften && !isWildcard(order.name);
    if (isTooOld || mayLeave || hasOtherWay) {
      fail(order, problem, undefined);
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

  const fail = (order: Order, problem: Problem, saidMs: number | undefined): void => {
    const ended = findOrder(db, order.id);
    const goOnAt = failOrder(db, order, { ...problem, saidMs, now: clock.now(), chance: chance() });
    takeDown(ended);
    log.warn("certificate.order_failed", {
      name: order.name,
      problem: problem.type,
      detail: problem.detail,
      goOnAt: iso(goOnAt),
    });
  };

  /** @param order as it was before it ended, when it still said what it shows */
  const takeDown = (order: Order): void => {
    told.delete(order.id);
    challenges.takeDown({ name: withoutWildcard(order.name), token: order.token });
    if (order.challenge !== "dns-01" || order.keyAuthorization === null) return;
    wishes()
      .dnsHook?.("cleanup", recordOf(order), order.keyAuthorization)
      .catch((error: Error) => log.warn("certificate.hook_failed", { name: order.name, detail: error.message }));
  };

  return {
    take: async (order) => {
      try {
        await takeStep(order);
      } catch (error) {
        judge(order, error);
      }
    },
    drop: (order) => {
      dropOrder(db, order, { now: clock.now() });
      takeDown(order);
      log.info("certificate.order_dropped", { name: order.name, directory: order.directory });
    },
  };
}

/** Said of a question; of a host it is said without one, in its challenge. */
function isAboutAccount(error: AuthorityProblem): boolean {
  return error.type === "unauthorized" && error.status > 0;
}

async function problemBelow(authority: Authority, view: OrderView): Promise<Problem | undefined> {
  return problemAmong((await authority.viewAuthorization(view.authorizations[0] ?? "")).challenges);
}

function problemAmong(challenges: ChallengeView[]): Problem | undefined {
  return challenges.find((challenge) => challenge.error)?.error;
}

function refused(problem: Problem | undefined): AuthorityProblem {
  return new AuthorityProblem(problem ?? { type: "unauthorized", detail: "It doesn't say why." }, 0);
}

function recordOf(order: Order): string {
  return `_acme-challenge.${withoutWildcard(order.name)}`;
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
