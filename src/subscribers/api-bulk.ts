/**
 * What a program does to many subscribers at once: `subscribers` is a list of ids or "all". Leaving can't be taken back,
 * so at most 100 leave at once, and "all" means everybody only while there are fewer than 100. An id of another page
 * stops everything before the first change. The answer says how many were changed.
 */
import { type BodyRecord, readBody } from "../api-body.ts";
import { takeChoice, takeList } from "../api-fields.ts";
import { doing } from "../api-routes.ts";
import type { Db, Tx } from "../db.ts";
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import type { Ctx, Route } from "../http.ts";
import type { SubscriberState } from "../schema.ts";
import { nextTurn } from "../turns.ts";
import { channels, statesBy } from "./shapes.ts";
import {
  findSubscriber,
  listSubscribers,
  reactivateSubscriber,
  resendConfirmation,
  type Subscriber,
  unsubscribe,
} from "./subscribers.ts";

const mostLeaving = 100;
/** Subscribers in one turn of the event loop. */
const sliceSize = 100;

export function bulkSubscriberRoutes(deps: Deps): Route[] {
  const { db, keys } = deps;

  const each = async (c: Ctx, chosen: Iterable<Subscriber[]>, change: (tx: Db | Tx, one: Subscriber) => boolean) => {
    let changed = 0;
    for (const slice of chosen) {
      db.transaction((tx) => {
        for (const subscriber of slice) if (change(tx, subscriber)) changed += 1;
      });
      await nextTurn();
    }
    deps.mailer.wake();
    return c.json({ changed }, 201);
  };

  function* everyone(pageId: string, states: SubscriberState[]): Generator<Subscriber[]> {
    for (let after = 0; ; ) {
      const slice = listSubscribers(db, { pageId, states, after, limit: sliceSize });
      const last = slice.at(-1);
      if (!last) return;
      yield slice;
      after = last.seq;
    }
  }
  const chosenIn = (c: Ctx, body: BodyRecord, states: SubscriberState[]): Iterable<Subscriber[]> => {
    const pageId = c.get("page").id;
    if (!isEmail(body)) return [];
    if (body.subscribers === "all") return everyone(pageId, states);
    const ids = takeList(body, "subscribers") ?? [];
    if (ids.length === 0)
      throw new UserError("invalid", 'Send subscribers as a list of ids, or as "all".', { field: "subscribers" });
    const found = [...new Set(ids)].map((id) => findSubscriber(db, { pageId, id }));
    return Array.from({ length: Math.ceil(found.length / sliceSize) }, (_, index) =>
      found.slice(index * sliceSize, (index + 1) * sliceSize),
    );
  };

  const resend = async (c: Ctx) => {
    const body = await readBody(c);
    return each(c, chosenIn(c, body, ["unconfirmed"]), (tx, subscriber) => {
      if (subscriber.state !== "unconfirmed") return false;
      try {
        resendConfirmation(tx, { ...doing(deps, c), subscriber, keys });
        return true;
      } catch (error) {
        // Whoever had their share of letters is passed over; the others get theirs.
        if (error instanceof UserError && error.fault === "too_many") return false;
        throw error;
      }
    });
  };
  const leave = async (c: Ctx) => {
    const body = await readBody(c);
    const state = takeChoice(body, "state", ["active", "unconfirmed", "quarantined", "all"]) ?? "active";
    const chosen = [...chosenIn(c, body, statesBy[state] as SubscriberState[])];
    const count = chosen.reduce((sum, slice) => sum + slice.length, 0);
    if (count > mostLeaving || (body.subscribers === "all" && count === mostLeaving)) {
      const message = `At most ${mostLeaving} subscribers can be unsubscribed at once. Send their ids in several requests.`;
      throw new UserError("invalid", message, { field: "subscribers" });
    }
    return each(c, chosen, (tx, subscriber) => {
      unsubscribe(tx, { ...doing(deps, c), subscriber });
      return subscriber.state !== "unsubscribed";
    });
  };
  const reactivate = async (c: Ctx) => {
    const body = await readBody(c);
    return each(c, chosenIn(c, body, ["quarantined"]), (tx, subscriber) => {
      if (subscriber.state !== "quarantined") return false;
      reactivateSubscriber(tx, { ...doing(deps, c), subscriber });
      return true;
    });
  };

  const enter = { who: "program", role: "publisher" } as const;
  const subscribers = "/v1/pages/:page/subscribers";
  return [
    { method: "POST", path: `${subscribers}/resend_confirmation`, enter, run: resend, givesWay: 3 },
    { method: "POST", path: `${subscribers}/unsubscribe`, enter, run: leave, givesWay: 3 },
    { method: "POST", path: `${subscribers}/reactivate`, enter, run: reactivate, givesWay: 3 },
  ];
}

/** Nobody is on another channel, so a request about one changes nobody. */
function isEmail(body: BodyRecord): boolean {
  return (takeChoice(body, "type", channels) ?? "email") === "email";
}
