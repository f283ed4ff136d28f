/**
 * The team's view of who is told. Addresses are shown whole, because whoever answers a person's question must find them;
 * they never stand in a URL, where logs and browsers would keep them.
 */
import { listComponents, listGroups } from "../components/components.ts";
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import { type Ctx, type Form, type Route, seeOther } from "../http.ts";
import { type SubscriberState, subscriberStates } from "../schema.ts";
import { moment, nameList, subscribeView } from "../statuspage/words.ts";
import { createDesk, type Done, type Fault, faultOf, goOn } from "../team/desk.ts";
import {
  addressOf,
  addSubscriber,
  countSubscribers,
  findByAddress,
  findSubscriber,
  listSubscribers,
  reactivateSubscriber,
  resendConfirmation,
  type Subscriber,
  unsubscribe,
} from "./subscribers.ts";
import { type Wish, wishOf } from "./wishes.ts";

const pageSize = 100;
const stateWords: Record<SubscriberState, string> = {
  active: "Active",
  unconfirmed: "Unconfirmed",
  quarantined: "Quarantined",
  paused: "Paused",
  unsubscribed: "Left",
};

export function subscriberAdmin(deps: Deps): Route[] {
  const { db, keys, clock } = deps;
  const desk = createDesk(deps);

  const list = (c: Ctx, more: object = {}, status: 200 | 422 = 200) => {
    const pageId = c.get("page").id;
    const state = subscriberStates.find((known) => known === c.req.query("state")) ?? "active";
    const number = Math.max(1, Math.min(100_000, Number.parseInt(c.req.query("page") ?? "1", 10) || 1));
    const offset = (number - 1) * pageSize;
    const rows = listSubscribers(db, { pageId, states: [state], limit: pageSize + 1, offset });
    const counts = countSubscribers(db, pageId);
    const names = namesOf(c);
    return desk.page(
      c,
      "subscribers",
      {
        title: "Subscribers",
        state,
        stateWord: stateWords[state].toLowerCase(),
        tabs: (Object.keys(stateWords) as SubscriberState[]).map((value) => {
          return { value, words: stateWords[value], count: counts[value], current: value === state };
        }),
        rows: rows.slice(0, pageSize).map((row) => rowView(c, row, names)),
        nobody: Object.values(counts).every((count) => count === 0),
        newer: number > 1 ? number - 1 : undefined,
        older: rows.length > pageSize ? number + 1 : undefined,
        ...more,
      },
      status,
    );
  };

  const namesOf = (c: Ctx) => new Map(listComponents(db, c.get("page").id, "with").map(({ id, name }) => [id, name]));
  const rowView = (c: Ctx, row: Subscriber, names: Map<string, string>) => {
    const wish = wishOf(db, row);
    const chosen = [...names].filter(([id]) => wish.componentIds.includes(id)).map(([, name]) => name);
    return {
      id: row.id,
      address: addressOf(keys, row) ?? "erased",
      told: wish.wholePage ? "everything" : nameList(chosen, "components"),
      since: moment(row.createdAt, c.get("page").timeZone),
    };
  };

  const find = (c: Ctx) => {
    const address = c.get("form").one("find").trim();
    try {
      const found = findByAddress(db, { pageId: c.get("page").id, address, keys });
      if (found) return seeOther(c, `/admin/subscribers/${found.id}`);
      return list(c, { find: address, findFault: "Nobody with exactly this address is subscribed." }, 422);
    } catch (error) {
      return list(c, { find: address, findFault: faultOf(error).message }, 422);
    }
  };

  const showNew = (c: Ctx, fields: { email: string; how: string; agreed: boolean; wish: Wish }, fault?: Fault) => {
    const { id } = c.get("page");
    const origin = c.get("host").origin;
    const components = listComponents(db, id);
    const { choices } = subscribeView({ page: c.get("page"), origin, components, groups: listGroups(db, id) });
    const chosen = new Set(fields.wish.componentIds);
    const groups = choices.map((group) => ({
      ...group,
      components: group.components.map((component) => ({ ...component, chosen: chosen.has(component.id) })),
    }));
    const view = { title: "Add a subscriber", fields, vouched: fields.how === "vouched", groups, fault };
    return desk.page(c, "subscriber-new", view, fault ? 422 : 200);
  };

  const add = (c: Ctx) => {
    const form = c.get("form");
    const fields = { email: form.one("email"), how: form.one("how"), agreed: form.has("agreed"), wish: wishIn(form) };
    try {
      if (fields.how === "vouched" && !fields.agreed) {
        throw new UserError("invalid", "Without their consent they get a letter to confirm first.", {
          field: "agreed",
        });
      }
      const subscriber = addSubscriber(db, {
        pageId: c.get("page").id,
        address: fields.email,
        wish: fields.wish,
        confirm: fields.how === "vouched" ? "vouched" : "by letter",
        source: "admin",
        keys,
        now: clock.now(),
        by: c.get("actor"),
      });
      deps.mailer.wake();
      return goOn(c, `/admin/subscribers/${subscriber.id}`, fields.how === "vouched" ? "vouched" : "invited");
    } catch (error) {
      return showNew(c, fields, faultOf(error));
    }
  };

  const found = (c: Ctx) => findSubscriber(db, { pageId: c.get("page").id, id: c.req.param("id") ?? "" });
  const show = (c: Ctx, fault?: Fault) => {
    const subscriber = found(c);
    const zone = c.get("page").timeZone;
    const when = (at: number | null) => (at === null ? undefined : moment(at, zone));
    const view = {
      ...rowView(c, subscriber, namesOf(c)),
      title: addressOf(keys, subscriber) ?? "Somebody who left",
      stateWord: stateWords[subscriber.state],
      is: { [subscriber.state]: true },
      source: {
        form: "their own request",
        api: "the API",
        cli: "the command line",
        example: "the example",
        admin: "the admin",
      }[subscriber.source],
      consent: subscriber.consent,
      asked: when(subscriber.confirmationSentAt),
      confirmed: when(subscriber.confirmedAt),
      quarantined: when(subscriber.quarantinedAt),
      left: when(subscriber.unsubscribedAt),
      fault,
    };
    return desk.page(c, "subscriber", view, fault ? 422 : 200);
  };

  const change = (c: Ctx) => {
    const input = { subscriber: found(c), keys, now: clock.now(), by: c.get("actor") };
    const deeds: Record<string, { run: () => void; done: Done }> = {
      unsubscribe: { run: () => unsubscribe(db, input), done: "left" },
      resend: { run: () => resendConfirmation(db, input), done: "resent" },
      reactivate: { run: () => reactivateSubscriber(db, input), done: "reactivated" },
    };
    const deed = Object.hasOwn(deeds, c.get("form").one("deed")) ? deeds[c.get("form").one("deed")] : undefined;
    if (!deed) throw new UserError("invalid", "Choose what to do with this subscriber.");
    try {
      deed.run();
    } catch (error) {
      return show(c, faultOf(error));
    }
    deps.mailer.wake();
    return goOn(c, `/admin/subscribers/${input.subscriber.id}`, deed.done);
  };

  const fresh = { email: "", how: "letter", agreed: false, wish: { wholePage: true, componentIds: [] } };
  const enter = { who: "member", role: "publisher" } as const;
  return [
    { method: "GET", path: "/admin/subscribers", enter, run: (c) => list(c), givesWay: 1 },
    { method: "POST", path: "/admin/subscribers/find", enter, run: find, givesWay: 1 },
    {
      method: "GET",
      path: "/admin/subscribers/find",
      enter,
      run: (c) => seeOther(c, "/admin/subscribers"),
      givesWay: 1,
    },
    { method: "GET", path: "/admin/subscribers/new", enter, run: (c) => showNew(c, fresh), givesWay: 3 },
    { method: "POST", path: "/admin/subscribers", enter, run: add, givesWay: 3 },
    { method: "GET", path: "/admin/subscribers/:id", enter, run: (c) => show(c), givesWay: 1 },
    { method: "POST", path: "/admin/subscribers/:id", enter, run: change, givesWay: 3 },
  ];
}

function wishIn(form: Form): Wish {
  const wholePage = form.one("scope") !== "some";
  return { wholePage, componentIds: wholePage ? [] : form.all("components") };
}
