/**
 * Subscribers, for programs. Their addresses are personal, so reading them needs publisher as well as writing does.
 * Somebody added by a program gets a confirmation letter as anybody does, unless `skip_confirmation_notification` says
 * that they agreed elsewhere. `q` finds exactly one address: sealed addresses can't be searched by part.
 *
 * The visitors' door of Statuspage's public API (POST /api/v2/subscribers.json) answers the same whatever is known about
 * the address; its id names nobody, because an id that can be looked up would tell.
 */
import { type BodyRecord, readBody } from "../api-body.ts";
import { needText, takeClearable, takeFlag, takeList, takePart } from "../api-fields.ts";
import { choiceOf, doing, paging, patchOrPut } from "../api-routes.ts";
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import type { Ctx, Route } from "../http.ts";
import { newId } from "../ids.ts";
import { parseAddress } from "../mail/address.ts";
import { networkOf } from "../network.ts";
import type { SubscriberState } from "../schema.ts";
import { iso } from "../statuspage/shapes.ts";
import { bulkSubscriberRoutes } from "./api-bulk.ts";
import { channels, statesBy, subscriberShape } from "./shapes.ts";
import {
  addSubscriber,
  countSubscribers,
  findByAddress,
  findSubscriber,
  listSubscribers,
  requestSubscription,
  resendConfirmation,
  type Subscriber,
  unsubscribe,
} from "./subscribers.ts";
import { changeWish, type Wish } from "./wishes.ts";

const hour = 3_600_000;

export function subscriberApi(deps: Deps): Route[] {
  const { db, keys, clock, config, limits, mailer } = deps;
  const shape = (subscriber: Subscriber) => subscriberShape(db, keys, subscriber);
  const given = (c: Ctx) => findSubscriber(db, { pageId: c.get("page").id, id: c.req.param("id") ?? "" });

  const list = (c: Ctx) => {
    const { limit, offset } = paging(c, { size: "limit", first: 0 });
    const states = statesBy[choiceOf(c, "state", Object.keys(statesBy)) ?? "active"] as SubscriberState[];
    const by = choiceOf(c, "sort_field", ["primary", "created_at", "quarantined_at", "relevance"]);
    const newestFirst = choiceOf(c, "sort_direction", ["asc", "desc"]) === "desc";
    if ((choiceOf(c, "type", channels) ?? "email") !== "email") return c.json([]);
    const pageId = c.get("page").id;
    const q = c.req.query("q")?.trim();
    if (q) {
      const address = parseAddress(q);
      const found = address && offset === 0 ? findByAddress(db, { pageId, address, keys }) : undefined;
      return c.json(found && states.includes(found.state) ? [shape(found)] : []);
    }
    const order = { by: by === "quarantined_at" ? ("quarantine" as const) : ("arrival" as const), newestFirst };
    return c.json(listSubscribers(db, { pageId, states, ...order, limit, offset }).map(shape));
  };
  const listUnsubscribed = (c: Ctx) => {
    const input = { pageId: c.get("page").id, states: ["unsubscribed" as const], ...paging(c, { size: "per_page" }) };
    return c.json(listSubscribers(db, input).map(shape));
  };
  const count = (c: Ctx) => {
    const counts = countSubscribers(db, c.get("page").id);
    const states = statesBy[
      choiceOf(c, "state", ["active", "unconfirmed", "quarantined", "all"]) ?? "active"
    ] as SubscriberState[];
    const type = choiceOf(c, "type", channels) ?? "email";
    const email = type === "email" ? states.reduce((sum, state) => sum + counts[state], 0) : 0;
    return c.json({ email, sms: 0, webhook: 0, integration_partner: 0, slack: 0, teams: 0 });
  };
  const histogram = (c: Ctx) => {
    const { active, unconfirmed, quarantined } = countSubscribers(db, c.get("page").id);
    const none = { active: 0, unconfirmed: 0, quarantined: 0, total: 0 };
    const email = { active, unconfirmed, quarantined, total: active + unconfirmed + quarantined };
    return c.json({ email, sms: none, webhook: none, integration_partner: none, slack: none, teams: none });
  };

  const create = async (c: Ctx) => {
    const fields = takePart(await readBody(c), "subscriber");
    const componentIds = takeList(fields, "component_ids") ?? [];
    const subscriber = addSubscriber(db, {
      ...doing(deps, c),
      address: emailIn(fields),
      wish: { wholePage: componentIds.length === 0, componentIds },
      confirm: takeFlag(fields, "skip_confirmation_notification") ? "vouched" : "by letter",
      source: c.env.operator ? "cli" : "api",
      keys,
    });
    mailer.wake();
    return c.json(shape(subscriber), 201);
  };
  const change = async (c: Ctx) => {
    const subscriber = given(c);
    changeWish(db, { ...doing(deps, c), subscriber, wish: wishIn(await readBody(c)) });
    return c.json(shape(given(c)));
  };
  const remove = (c: Ctx) => {
    const subscriber = given(c);
    const gone = shape(subscriber);
    unsubscribe(db, { ...doing(deps, c), subscriber });
    return c.json(gone);
  };
  const resend = (c: Ctx) => {
    resendConfirmation(db, { ...doing(deps, c), subscriber: given(c), keys });
    mailer.wake();
    return c.json({}, 201);
  };

  const subscribe = async (c: Ctx) => {
    const most = config.number("subscribe.per_network_per_hour");
    const key = `subscribe|${networkOf(c.env.peer)}`;
    limits.take(key, { most, perMs: hour }, "Too many subscriptions came from your network. Try again later.");
    const fields = takePart(await readBody(c), "subscriber");
    if (takeClearable(fields, "incident_id")) {
      throw new UserError("invalid", "Subscribe to the page or to one of its components.", { field: "incident_id" });
    }
    const component = takeClearable(fields, "component_id");
    const wish = { wholePage: !component, componentIds: component ? [component] : [] };
    const email = emailIn(fields);
    requestSubscription(db, { pageId: c.get("page").id, address: email, wish, keys, now: clock.now() });
    // Once the answer has left, or its time would tell whether there is a letter to write.
    setTimeout(mailer.wake, 20).unref();
    const now = iso(clock.now());
    const rest = {
      skip_confirmation_notification: false,
      quarantined_at: null,
      id: newId(),
      mode: "email",
      purge_at: null,
    };
    c.header("cache-control", "no-store");
    return c.json({ subscriber: { created_at: now, ...rest, email: email.trim() } }, 201);
  };

  const enter = { who: "program", role: "publisher" } as const;
  const subscribers = "/v1/pages/:page/subscribers";
  return [
    {
      method: "POST",
      path: "/api/v2/subscribers.json",
      enter: { who: "anyone", fromAnySite: true },
      run: subscribe,
      givesWay: 2,
    },
    { method: "GET", path: subscribers, enter, run: list, givesWay: 1 },
    { method: "POST", path: subscribers, enter, run: create, givesWay: 3 },
    { method: "GET", path: `${subscribers}/count`, enter, run: count, givesWay: 1 },
    { method: "GET", path: `${subscribers}/histogram_by_state`, enter, run: histogram, givesWay: 1 },
    { method: "GET", path: `${subscribers}/unsubscribed`, enter, run: listUnsubscribed, givesWay: 1 },
    ...bulkSubscriberRoutes(deps),
    { method: "GET", path: `${subscribers}/:id`, enter, run: (c) => c.json(shape(given(c))), givesWay: 1 },
    ...patchOrPut(`${subscribers}/:id`, enter, change, 3),
    { method: "DELETE", path: `${subscribers}/:id`, enter, run: remove, givesWay: 3 },
    { method: "POST", path: `${subscribers}/:id/resend_confirmation`, enter, run: resend, givesWay: 3 },
  ];
}

function emailIn(fields: BodyRecord): string {
  for (const other of ["endpoint", "phone_number"]) {
    if (takeClearable(fields, other)) {
      throw new UserError("invalid", "Subscribers are told by e-mail here: send email.", { field: other });
    }
  }
  return needText(fields, "email");
}

/** Bare `component_ids`, as at Statuspage; `whole_page` is ours, because theirs has no way back to everything. */
function wishIn(body: BodyRecord): Wish {
  if (takeFlag(body, "whole_page")) return { wholePage: true, componentIds: [] };
  const componentIds = takeList(body, "component_ids");
  if (componentIds && componentIds.length > 0) return { wholePage: false, componentIds };
  throw new UserError("invalid", "Send component_ids with at least one component, or whole_page: true.", {
    field: "component_ids",
  });
}
