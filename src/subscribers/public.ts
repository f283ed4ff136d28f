/**
 * What visitors do about being told: ask, confirm, choose, leave. No cookie: the link in the letter is the authority. A
 * GET changes nothing anywhere, because mail scanners open links; each change is a button on the page that opens.
 */
import { listComponents, listGroups } from "../components/components.ts";
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import { type Ctx, type Form, type Route, readForm, readText, seeOther } from "../http.ts";
import { networkOf } from "../network.ts";
import { duration, frame, subscribeView } from "../statuspage/words.ts";
import { findByConfirmation, findByManageLink, manageToken } from "./links.ts";
import { addressOf, confirmSubscriber, requestSubscription, type Subscriber, unsubscribe } from "./subscribers.ts";
import { changeWish, type Wish, wishOf } from "./wishes.ts";

const hour = 3_600_000;

export function subscriberPublic(deps: Deps): Route[] {
  const { db, keys, clock, config } = deps;
  const page = (c: Ctx, template: string, view: object, status: 200 | 422 | 429 = 200) => {
    const assets = { candor: deps.press.assetPath("candor") };
    return c.html(deps.render(template, { ...frame(c.get("page"), c.get("host").origin), assets, ...view }), status);
  };
  /** A part that was chosen and then taken off the page stays a choice, or saving would lose it without a word. */
  const withChoices = (c: Ctx, wish: Wish) => {
    const all = listComponents(db, c.get("page").id, "with");
    const state = { page: c.get("page"), origin: c.get("host").origin, groups: listGroups(db, c.get("page").id) };
    const view = subscribeView({ ...state, components: all.filter((one) => one.archivedAt === null) });
    const gone = all.filter((one) => one.archivedAt !== null && wish.componentIds.includes(one.id));
    return { ...view, wholePage: wish.wholePage, choices: chosenIn(view.choices, gone, wish) };
  };
  const byToken = (c: Ctx) =>
    findByManageLink(db, { pageId: c.get("page").id, token: c.req.param("token") ?? "", keys });
  const leave = (subscriber: Subscriber) => {
    unsubscribe(db, { subscriber, now: clock.now(), by: { kind: "subscriber", id: subscriber.id } });
  };

  const subscribe = async (c: Ctx) => {
    const form = await readForm(c);
    const most = config.number("subscribe.per_network_per_hour");
    const allowance = `subscribe|${networkOf(c.env.peer)}`;
    const wish = wishFrom(form);
    try {
      deps.limits.take(allowance, { most, perMs: hour }, "Too many subscriptions came from your network.");
      // A field that people don't see: who fills it in is a program, and learns nothing.
      if (form.one("website") === "") {
        requestSubscription(db, { pageId: c.get("page").id, address: form.one("email"), wish, keys, now: clock.now() });
        // Once the answer has left, or its time would tell whether there is a letter to write.
        setTimeout(deps.mailer.wake, 20).unref();
      }
      return seeOther(c, "/subscribe/sent");
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const view = { ...withChoices(c, wish), email: form.one("email"), error: errorView(error) };
      const wait = error.retryAfterSeconds;
      if (wait === undefined) {
        // Nothing was asked for yet.
        deps.limits.give(allowance);
        return page(c, "public/subscribe", view, 422);
      }
      c.header("retry-after", String(wait));
      const refusal = `${error.message} Try again in ${duration(wait * 1000)}.`;
      return page(c, "public/subscribe", { ...view, error: { form: refusal } }, 429);
    }
  };

  const showConfirm = (c: Ctx) => {
    const token = c.req.param("token") ?? "";
    const subscriber = findByConfirmation(db, { pageId: c.get("page").id, token, keys, now: clock.now() });
    const { wholePage, componentIds } = wishOf(db, subscriber);
    const names = listComponents(db, c.get("page").id).filter((one) => componentIds.includes(one.id));
    return page(c, "public/confirm", {
      title: "Confirm your subscription",
      token,
      address: addressOf(keys, subscriber),
      parts: wholePage ? undefined : names.map((one) => one.name),
      // Whoever opens the link again is told that it's done, and where to change it.
      manage: subscriber.state === "active" ? `/subscription/${manageToken(keys, subscriber.id)}` : undefined,
    });
  };
  const confirm = (c: Ctx) => {
    const token = c.req.param("token") ?? "";
    const subscriber = confirmSubscriber(db, { pageId: c.get("page").id, token, keys, now: clock.now() });
    return seeOther(c, `/subscription/${manageToken(keys, subscriber.id)}?confirmed`);
  };

  const showSubscription = (c: Ctx) => {
    const subscriber = byToken(c);
    if (subscriber.state === "unsubscribed") return seeOther(c, "/unsubscribed");
    return page(c, "public/subscription", {
      ...withChoices(c, wishOf(db, subscriber)),
      title: "Your subscription",
      address: addressOf(keys, subscriber),
      token: c.req.param("token"),
      confirmed: c.req.query("confirmed") !== undefined,
      saved: c.req.query("saved") !== undefined,
    });
  };
  const changeSubscription = async (c: Ctx) => {
    const subscriber = byToken(c);
    const wish = wishFrom(await readForm(c));
    try {
      changeWish(db, { subscriber, wish, now: clock.now(), by: { kind: "subscriber", id: subscriber.id } });
      return seeOther(c, `/subscription/${c.req.param("token")}?saved`);
    } catch (error) {
      if (!(error instanceof UserError) || error.fault !== "invalid") throw error;
      const address = addressOf(keys, subscriber);
      const view = {
        ...withChoices(c, wish),
        title: "Your subscription",
        address,
        token: c.req.param("token"),
        error: errorView(error),
      };
      return page(c, "public/subscription", view, 422);
    }
  };

  return [
    { method: "POST", path: "/subscribe", enter: { who: "anyone" }, run: subscribe, givesWay: 2 },
    { method: "GET", path: "/subscribe/confirm/:token", enter: { who: "link" }, run: showConfirm },
    { method: "POST", path: "/subscribe/confirm/:token", enter: { who: "link" }, run: confirm },
    { method: "GET", path: "/subscription/:token", enter: { who: "link" }, run: showSubscription },
    { method: "POST", path: "/subscription/:token", enter: { who: "link" }, run: changeSubscription },
    {
      method: "GET",
      path: "/unsubscribe/:token",
      enter: { who: "link" },
      run: (c) => {
        const subscriber = byToken(c);
        if (subscriber.state === "unsubscribed") return seeOther(c, "/unsubscribed");
        return page(c, "public/leave", {
          title: "Leave",
          token: c.req.param("token"),
          address: addressOf(keys, subscriber),
        });
      },
    },
    {
      method: "POST",
      path: "/unsubscribe/:token",
      enter: { who: "link" },
      run: async (c) => {
        leave(byToken(c));
        // RFC 8058: the mail program's POST wants a plain success and follows nothing. Its body may be of either form type.
        const oneClick = (await readText(c)).includes("One-Click");
        return oneClick ? c.text("You have left.\n") : seeOther(c, "/unsubscribed");
      },
    },
  ];
}

function wishFrom(form: Form): Wish {
  const componentIds = form.all("components");
  const wholePage = form.one("scope") !== "some";
  return { wholePage, componentIds: wholePage ? [] : componentIds };
}

type Choices = ReturnType<typeof subscribeView>["choices"];

function chosenIn(choices: Choices, gone: { id: string; name: string }[], wish: Wish): Choices {
  const groups = gone.length === 0 ? choices : [...choices, { name: "No longer on this page", components: gone }];
  return groups.map((group) => ({
    ...group,
    components: group.components.map(({ id, name }) => ({ id, name, chosen: wish.componentIds.includes(id) })),
  }));
}

function errorView(error: UserError) {
  return {
    email: error.field === "email" ? error.message : "",
    components: error.field === "components" ? error.message : "",
    any: error.message,
  };
}
