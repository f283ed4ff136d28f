/** How a name is shown to be ours: which way is tried, what is shown and told, and that nothing is left standing. */
import type { Db } from "../db.ts";
import { withoutWildcard } from "../host-names.ts";
import type { Log } from "../log.ts";
import type { ChallengeType } from "../schema.ts";
import { AuthorityProblem } from "./authority.ts";
import type { Challenges } from "./challenges.ts";
import { listOrdersOf, type Order } from "./orders.ts";
import type { Wishes } from "./wishes.ts";

export type Showing = {
  /** The one that was begun with, unless it isn't open any more; else where one failed the last time, the next, and where it worked, the same. */
  wayFor(order: Order, offered: ChallengeType[]): ChallengeType;
  /** @throws AuthorityProblem when the operator's program can't change the DNS */
  show(order: Order, input: { way: ChallengeType; token: string; keyAuthorization: string }): Promise<void>;
  /** @param order as it was before it ended, when it still said what it shows */
  takeDown(order: Order): void;
  /** Orders of which this process has told the authority that it may look, and whether it is sure to have heard. */
  told: Map<string, "said" | "heard">;
};

export function createShowing(input: { db: Db; log: Log; challenges: Challenges; wishes: () => Wishes }): Showing {
  const { db, log, challenges, wishes } = input;
  const told: Showing["told"] = new Map();
  return {
    told,
    wayFor: (order, offered) => {
      const ways: ChallengeType[] = wishes().dnsHook
        ? ["dns-01", "http-01", "tls-alpn-01"]
        : ["http-01", "tls-alpn-01"];
      const known = ways.filter((way) => offered.includes(way));
      if (order.challenge && known.includes(order.challenge)) return order.challenge;
      const last = listOrdersOf(db, order).find((other) => other.id !== order.id && other.challenge !== null);
      const at = last?.challenge ? known.indexOf(last.challenge) : -1;
      const next = last?.state === "failed" ? (at + 1) % known.length : Math.max(at, 0);
      return known[next] ?? "http-01";
    },
    show: async (order, { way, token, keyAuthorization }) => {
      const name = withoutWildcard(order.name);
      if (way === "http-01") challenges.show({ name, token, keyAuthorization });
      if (way === "tls-alpn-01") await challenges.showInHandshake({ name, keyAuthorization });
      if (way !== "dns-01" || told.get(order.id) === "heard") return;
      await wishes()
        .dnsHook?.("present", recordOf(order), keyAuthorization)
        .catch((error: Error) => {
          throw new AuthorityProblem({ type: "hook", detail: error.message }, 0);
        });
    },
    takeDown: (order) => {
      told.delete(order.id);
      challenges.takeDown({ name: withoutWildcard(order.name), token: order.token });
      if (order.challenge !== "dns-01" || order.keyAuthorization === null) return;
      wishes()
        .dnsHook?.("cleanup", recordOf(order), order.keyAuthorization)
        .catch((error: Error) => log.warn("certificate.hook_failed", { name: order.name, detail: error.message }));
    },
  };
}

function recordOf(order: Order): string {
  return `_acme-challenge.${withoutWildcard(order.name)}`;
}
