/** A page's hosts and what is ordered for them, for the operator. */
import { readBody } from "../api-body.ts";
import { needText, takePart, takeText } from "../api-fields.ts";
import { doing } from "../api-routes.ts";
import { recordDeed } from "../audit/audit.ts";
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import type { Ctx, Route } from "../http.ts";
import { iso } from "../statuspage/shapes.ts";
import { accountUrl } from "../tls/accounts.ts";
import { chooserOf } from "../tls/certificates.ts";
import { listOrdersOf, type Order } from "../tls/orders.ts";
import {
  adviceFor,
  isElsewhere,
  nextStepAt,
  type Plan,
  reasons,
  type Standing,
  standingOf,
  troubleOf,
} from "../tls/plans.ts";
import { listUsable } from "../tls/shelf.ts";
import { addHost, findHost, type Host, listHosts, putHostFirst, removeHost } from "./pages.ts";

export function hostRoutes(deps: Deps): Route[] {
  const { db, config, press, keeper, certificates } = deps;
  const planOf = async (host: Host) => (await keeper.planFor([host.name]))[0] as Plan;
  const shapeOf = async (host: Host) => hostShape(host, await planOf(host));
  const hostShape = (host: Host, plan: Plan) => {
    const { state, words, advice, nextAt } = standingOf(plan, deps.clock.now());
    const { certificate } = plan;
    return {
      name: host.name,
      page_id: host.pageId,
      origin: host.origin,
      purpose: host.purpose,
      served: isServed(plan, state),
      created_at: iso(host.createdAt),
      /** Null where this server holds none for it: it speaks no https, or the host none. */
      certificate: isElsewhere(plan)
        ? null
        : {
            state,
            issuer: certificate?.issuer ?? null,
            not_after: certificate ? iso(certificate.notAfter) : null,
            /** Whether an order is under way. */
            ordered: !plan.notWanted && plan.order?.state === "open",
            next_at: nextAt === undefined ? null : iso(nextAt),
            problem: plan.notWanted ? null : (plan.order?.problem ?? null),
            words: words || null,
            advice: advice || null,
          },
    };
  };

  const hostShapes = async (pageId: string) => {
    const mine = listHosts(db).filter((host) => host.pageId === pageId);
    const plans = await keeper.planFor(mine.map((host) => host.name));
    return mine.map((host, index) => hostShape(host, plans[index] as Plan));
  };

  const createHost = async (c: Ctx) => {
    const host = addHost(db, { ...doing(deps, c), host: needText(takePart(await readBody(c), "host"), "name") });
    // Links begin with the first host, so everything may read differently now.
    certificates.reload();
    press.pressAll();
    keeper.scanSoon();
    return c.json({ ...(await shapeOf(host)), obstacles: await obstaclesOf(host) }, 201);
  };
  const showHost = async (c: Ctx) => {
    const host = findHost(db, { pageId: c.get("page").id, host: c.req.param("host") ?? "" });
    return c.json({
      ...(await shapeOf(host)),
      /** Ours with the authority, by its URL, as CAA records name it (RFC 8657). Null before the first order. */
      account: accountUrl(db, config.text("acme.directory")) ?? null,
      obstacles: await obstaclesOf(host),
    });
  };
  /**
   * Tried where this server gets certificates, or would if a contact were set. Null elsewhere: a proxy is the one to be reached,
   * nobody is there to answer, or the authority looks into the DNS alone.
   */
  const obstaclesOf = async (host: Host): Promise<string[] | null> => {
    if (config.text("acme.dns_hook") !== "") return null;
    const { notWanted, runs } = await planOf(host);
    return !runs || (notWanted && notWanted !== "no contact") ? null : keeper.findObstacles(host.name);
  };
  const orderOf = (order: Order, plan: Plan) => {
    const now = deps.clock.now();
    const goesOnAt =
      order.state === "open"
        ? nextStepAt(db, { order, best: chooserOf(listUsable(db, certificates)), now })
        : undefined;
    return orderShape(order, plan, { now, goesOnAt });
  };
  const listOrders = async (c: Ctx) => {
    const host = findHost(db, { pageId: c.get("page").id, host: c.req.param("host") ?? "" });
    const plan = await planOf(host);
    const { name } = plan;
    const purposes = ["serve", "test"] as const;
    return c.json(purposes.flatMap((purpose) => listOrdersOf(db, { name, purpose }).map((one) => orderOf(one, plan))));
  };
  const order = async (c: Ctx) => {
    const host = findHost(db, { pageId: c.get("page").id, host: c.req.param("host") ?? "" });
    const fields = takePart(await readBody(c), "order");
    const purpose = takeText(fields, "purpose") ?? "serve";
    if (purpose !== "serve" && purpose !== "test")
      throw new UserError("invalid", "Give the purpose serve or test.", { field: "purpose" });
    const plan = await planOf(host);
    if (!plan.runs)
      throw new UserError(
        "conflict",
        "No server runs here, so nothing was ordered. Start candor serve, then ask again.",
      );
    if (plan.notWanted) {
      const { words, advice } = reasons[plan.notWanted];
      throw new UserError("conflict", `${words} ${advice}`.trim());
    }
    const made = await keeper.orderNow({ host: host.name, purpose });
    recordDeed(db, c.get("actor"), deps.clock.now(), {
      pageId: host.pageId,
      action: purpose === "test" ? "host.test" : "host.renew",
      subject: host.name,
    });
    return c.json(orderOf(made, await planOf(host)), 202);
  };

  const dropHost = async (c: Ctx) => {
    const host = removeHost(db, { ...doing(deps, c), host: c.req.param("host") ?? "" });
    certificates.reload();
    press.pressAll();
    return c.json(await shapeOf(host));
  };
  const chooseFirstHost = async (c: Ctx) => {
    const host = putHostFirst(db, { ...doing(deps, c), host: needText(takePart(await readBody(c), "host"), "name") });
    press.pressAll();
    return c.json(await shapeOf(host));
  };

  const operator = { who: "operator" } as const;
  return [
    {
      method: "GET",
      path: "/v1/pages/:page/hosts",
      enter: operator,
      run: async (c) => c.json(await hostShapes(c.get("page").id)),
    },
    { method: "POST", path: "/v1/pages/:page/hosts", enter: operator, run: createHost },
    { method: "GET", path: "/v1/pages/:page/hosts/:host", enter: operator, run: showHost },
    { method: "GET", path: "/v1/pages/:page/hosts/:host/orders", enter: operator, run: listOrders },
    { method: "POST", path: "/v1/pages/:page/hosts/:host/orders", enter: operator, run: order },
    { method: "PUT", path: "/v1/pages/:page/hosts/first", enter: operator, run: chooseFirstHost },
    { method: "DELETE", path: "/v1/pages/:page/hosts/:host", enter: operator, run: dropHost },
  ];
}

/** Whether visitors get the page at its address, as far as is known here: a proxy may stand before this server. */
function isServed({ runs, listens, notWanted, isWaiting }: Plan, state: Standing["state"]): boolean {
  if (!runs || !listens || notWanted === "no https") return runs;
  return !isWaiting && state !== "none" && state !== "expired";
}

/** Whether they get it over https from this server, with what the order brought. */
function isServedWith(order: Order, plan: Plan, now: number): boolean {
  const { listens, notWanted, certificate } = plan;
  if (!listens || notWanted === "no https" || order.certificateId === null) return false;
  return certificate?.id === order.certificateId && isServed(plan, standingOf(plan, now).state);
}

/** @param when.goesOnAt undefined: it has ended */
function orderShape(order: Order, plan: Plan, { now, goesOnAt }: { now: number; goesOnAt: number | undefined }) {
  // After one that failed another is begun, but for a test.
  const nextAt = goesOnAt ?? (plan.order?.id === order.id ? plan.nextAt : undefined);
  return {
    id: order.id,
    name: order.name,
    purpose: order.purpose,
    state: order.state,
    /** The host that is asked about: of a wildcard, others may be served with it. */
    served: isServedWith(order, plan, now),
    authority: order.directory,
    challenge: order.challenge,
    problem: order.problem,
    words: order.problem === null ? null : troubleOf(order),
    advice: order.problem === null || order.state === "dropped" ? null : adviceFor(order),
    goes_on_at: goesOnAt === undefined ? null : iso(goesOnAt),
    next_at: nextAt === undefined ? null : iso(nextAt),
    created_at: iso(order.createdAt),
    ended_at: order.endedAt === null ? null : iso(order.endedAt),
  };
}
