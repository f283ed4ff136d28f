/** How a name is shown to be ours: which way is tried, what is shown and told, and that nothing is left standing. */
import type { Db } from "../db.ts";
import { isWildcard, withoutWildcard } from "../host-names.ts";
import type { ChallengeType } from "../schema.ts";
import type { Challenges } from "./challenges.ts";
import type { DnsRecord, DnsRecords } from "./dns-records.ts";
import { findOpenOrder, listOrdersOf, type Order } from "./orders.ts";
import type { Wishes } from "./wishes.ts";

/** An authority that hasn't looked until then keeps no other order from being shown. */
const lookMs = 120_000;

export type Showing = {
  /** In the order in which they are tried. */
  waysFor(order: Order): ChallengeType[];
  /** The one that was begun with, unless it isn't open any more; else where one failed the last time, the next, and where it worked, the same. */
  wayFor(order: Order, offered: ChallengeType[]): ChallengeType;
  /** A handshake answers one order of a host: the other, a test perhaps, waits a while for the authority to look. */
  mustWait(order: Order, input: { way: ChallengeType; now: number }): boolean;
  /** @throws AuthorityProblem when the operator's program can't change the DNS */
  show(order: Order, input: { way: ChallengeType; token: string; keyAuthorization: string }): Promise<void>;
  /** @param order as it was before it ended, when it still said what it shows */
  takeDown(order: Order): void;
  /** Orders of which this process has told the authority that it may look, and whether it is sure to have heard. */
  told: Map<string, "said" | "heard">;
};

export function createShowing(input: {
  db: Db;
  challenges: Challenges;
  records: DnsRecords;
  wishes: () => Wishes;
}): Showing {
  const { db, challenges, records, wishes } = input;
  const told: Showing["told"] = new Map();
  const waysFor = ({ name }: Order): ChallengeType[] => {
    const byDns: ChallengeType[] = wishes().dnsHook ? ["dns-01"] : [];
    return isWildcard(name) ? byDns : [...byDns, "http-01", "tls-alpn-01"];
  };
  return {
    told,
    waysFor,
    wayFor: (order, offered) => {
      const known = waysFor(order).filter((way) => offered.includes(way));
      if (order.challenge && known.includes(order.challenge)) return order.challenge;
      const last = listOrdersOf(db, order).find((other) => other.id !== order.id && other.challenge !== null);
      const at = last?.challenge ? known.indexOf(last.challenge) : -1;
      const next = last?.state === "failed" ? (at + 1) % known.length : Math.max(at, 0);
      return known[next] ?? "http-01";
    },
    mustWait: ({ name, purpose, keyAuthorization }, { way, now }) => {
      if (way !== "tls-alpn-01" || keyAuthorization !== null) return false;
      const other = findOpenOrder(db, { name, purpose: purpose === "test" ? "serve" : "test" });
      const isShown = other?.challenge === "tls-alpn-01" && other.keyAuthorization !== null;
      return isShown && Math.abs(now - (other.openedAt ?? 0)) < lookMs;
    },
    show: async (order, { way, token, keyAuthorization }) => {
      const name = withoutWildcard(order.name);
      if (way === "http-01") challenges.show({ name, token, keyAuthorization });
      if (way === "tls-alpn-01") await challenges.showInHandshake({ name, keyAuthorization });
      if (way === "dns-01" && told.get(order.id) !== "heard") await records.present(recordOf(order, keyAuthorization));
    },
    takeDown: (order) => {
      const { challenge, token, keyAuthorization } = order;
      told.delete(order.id);
      challenges.takeDown({ name: withoutWildcard(order.name), token });
      if (challenge === "dns-01" && keyAuthorization !== null) void records.cleanUp(recordOf(order, keyAuthorization));
    },
  };
}

function recordOf(order: Order, value: string): DnsRecord {
  return { name: `_acme-challenge.${withoutWildcard(order.name)}`, value };
}
