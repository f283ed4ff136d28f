/** The keeper of certificates in a world of its own: authorities that do as they are told, and a clock that is set. */
import assert from "node:assert/strict";
import { addHost, createPage } from "../../src/pages/pages.ts";
import type { ChallengeType } from "../../src/schema.ts";
import { openHouse } from "../../src/server.ts";
import { type Authority, AuthorityProblem, type OrderView } from "../../src/tls/authority.ts";
import { chooserOf, listCertificates } from "../../src/tls/certificates.ts";
import { createKeeper } from "../../src/tls/keeper.ts";
import { listOrdersOf, type Purpose } from "../../src/tls/orders.ts";
import { standingOf } from "../../src/tls/plans.ts";
import type { Wishes } from "../../src/tls/wishes.ts";
import { testKeys } from "./house.ts";
import { issue, keepNew } from "./issuing.ts";
import { makeWishes } from "./wishes.ts";

export const minute = 60_000;
export const hour = 60 * minute;
export const day = 24 * hour;
export const host = "status.example.com";
export const one = { directory: "https://one.test/", binding: undefined };
export const two = { directory: "https://two.test/", binding: undefined };
export const by = { kind: "system" } as const;

export type Deed =
  | "describe"
  | "accept"
  | "register"
  | "changeContact"
  | "isAccountOpen"
  | "openOrder"
  | "viewOrder"
  | "finalize"
  | "renewalWindow";
export type Asked = { deed: Deed; directory: string; at: number; name?: string; replaces?: string | undefined };

/** A house, its keeper, and authorities that answer at once unless `refuse` throws. */
export function makeWorld(wanted: Partial<Wishes> = {}) {
  let now = Date.parse("2027-01-01T00:00:00Z");
  const clock = { now: () => now };
  const house = openHouse({ data: undefined, keys: testKeys(), environment: {}, clock, write: () => {} });
  const page = createPage(house.db, { name: "Acme", timeZone: "UTC", now, by });
  addHost(house.db, { pageId: page.id, host, now, by });
  const asked: Asked[] = [];
  const orders = new Map<string, OrderView & { name: string; pem?: string }>();
  let serial = 4096;
  const world = {
    lifeMs: 45 * day,
    /** By how much our clock is ahead of the authority's. */
    aheadMs: 0,
    window: { start: Number.NaN, end: Number.NaN },
    /** The kind of challenge that is to be met; undefined: the authority knows the name already. */
    challenge: undefined as ChallengeType | undefined,
    refuse: (_asked: Asked, _key: string): unknown => undefined,
    /** All that may be met, where it is more than one. */
    offers: undefined as ChallengeType[] | undefined,
    /** By which names CAA records call the authorities. */
    caaIdentities: [] as string[],
    /** Of an order that is pending. */
    authorization: "pending",
    /** The authority may hand out one again. */
    token: (url: string): string => `token of ${url}`,
    /** What happens while what is to be shown is made ready. */
    thinks: async (_name: string): Promise<void> => {},
    /** What the authority tells of an order, and the certificate that it hands out. */
    tells: (view: OrderView & { name: string }): OrderView => view,
    hands: (pem: string): string => pem,
  };
  const reach = async ({ directory, privateKey: key }: { directory: string; privateKey: string }) => {
    const hear = async (deed: Deed, more: Partial<Asked> = {}) => {
      const one: Asked = { deed, directory, at: now, ...more };
      asked.push(one);
      await world.refuse(one, key);
    };
    const find = (url: string) => orders.get(url) as OrderView & { name: string; pem?: string };
    const authority: Authority = {
      describe: async () => {
        await hear("describe");
        return {
          termsUrl: undefined,
          caaIdentities: world.caaIdentities,
          profiles: [],
          needsBinding: false,
          tellsWindows: true,
        };
      },
      register: async () => {
        await hear("register");
        return `${directory}account`;
      },
      changeContact: () => hear("changeContact"),
      isAccountOpen: async () => {
        try {
          await hear("isAccountOpen");
          return true;
        } catch {
          return false;
        }
      },
      openOrder: async ({ name, replaces }) => {
        await hear("openOrder", { name, replaces });
        const url = `order ${orders.size}`;
        const blank = { certificate: undefined, error: undefined, retryAfter: undefined };
        const status = world.challenge ? "pending" : "ready";
        orders.set(url, { url, status, authorizations: [url], finalize: url, name, ...blank });
        return find(url);
      },
      viewOrder: async (url) => {
        await hear("viewOrder");
        return world.tells({ ...find(url), certificate: find(url).status === "valid" ? url : undefined });
      },
      viewAuthorization: async (url) => ({
        status: find(url).status === "pending" ? world.authorization : "valid",
        name: find(url).name,
        challenges: (world.offers ?? (world.challenge ? [world.challenge] : [])).map((type) => ({
          ...{ type, url, token: world.token(url), status: "pending", error: undefined },
        })),
      }),
      keyAuthorization: async ({ url, token }) => {
        await world.thinks(find(url).name);
        return `${token}.thumb`;
      },
      accept: async ({ url }) => {
        await hear("accept", { name: find(url).name });
        find(url).status = "ready";
      },
      finalize: async ({ url }, { name, privateKey }) => {
        const from = now - hour - world.aheadMs;
        serial += 1;
        find(url).pem = await issue({ privateKey, name, serial, from, to: from + world.lifeMs });
        find(url).status = "valid";
        // Its answer may be lost.
        await hear("finalize", { name });
      },
      download: async ({ url }) => world.hands(find(url).pem ?? ""),
      renewalWindow: async () => {
        await hear("renewalWindow");
        return { ...world.window, retryAfter: undefined };
      },
    };
    return authority;
  };
  const wishes = makeWishes(wanted);
  const begin = () =>
    createKeeper({
      ...{ db: house.db, keys: house.keys, clock, log: house.log, shelf: house.certificates, reach },
      wishes: () => wishes,
      chance: () => 0.5,
    });
  const keeper = begin();
  /** As the timetable does it, seldom enough to be quick. */
  const live = async (ms: number, stepMs = hour) => {
    for (const end = now + ms; now < end; now += stepMs) {
      keeper.wake();
      await keeper.idle();
      keeper.scanSoon();
    }
  };
  const served = () => chooserOf(listCertificates(house.db))(host, now);
  return {
    ...{ world, wishes, house, page, keeper, asked, served },
    /** The keeper of another process, after this one was killed. */
    begin,
    now: () => now,
    setClock: (to: number) => {
      now = to;
    },
    /** More hosts of the page, of one domain unless they are named otherwise. @returns their names */
    addHosts: (count: number, nameOf = (index: number) => `status${index}.example.com`) => {
      const names = Array.from({ length: count }, (_, index) => nameOf(index));
      for (const name of names) addHost(house.db, { pageId: page.id, host: name, now, by });
      return names;
    },
    /** How often the authorities were asked for it. */
    howOften: (deed: Deed) => asked.filter((known) => known.deed === deed).length,
    opened: (name = host) => asked.filter((known) => known.deed === "openOrder" && known.name === name),
    live,
    /** A person asks for another certificate, once a minute. */
    orderMore: async (times: number) => {
      for (let count = 0; count < times; count++) {
        await keeper.orderNow({ host, purpose: "serve" });
        await keeper.idle();
        await live(minute, 10_000);
      }
    },
    orders: (purpose: Purpose = "serve") => listOrdersOf(house.db, { name: host, purpose }),
    bring: (from: number, to: number) => keepNew(house, { name: host, from, to, now }),
    standing: async () => {
      const [plan] = await keeper.planFor([host]);
      assert.ok(plan);
      return standingOf(plan, now);
    },
  };
}

/** The authority looks for the host and finds nobody. */
export const findsNobody = (view: OrderView): OrderView =>
  view.status === "ready" ? { ...view, status: "invalid", error: { type: "connection", detail: "" } } : view;
/** For what a test says when it fails. */
export const iso = (at: number | undefined) => (at === undefined ? "never" : new Date(at).toISOString());
export const problem = (type: string, status: number, retryAfter?: string) =>
  new AuthorityProblem({ type, detail: "It said so." }, status, retryAfter);
export const always = (deed: Deed, error: () => Error, directory?: string) => (asked: Asked) => {
  if (asked.deed === deed && (directory === undefined || asked.directory === directory)) throw error();
};
