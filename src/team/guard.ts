/**
 * Who may enter. Each route declares it (http.ts); here it is enforced: sessions and CSRF for members, tokens and the
 * operator's socket for programs, and the same origin for every form that a browser sends.
 */
import type { Handler } from "hono";
import { isLinkMac, linkMac } from "../crypto/fields.ts";
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import { type Ctx, type Enter, type Env, readForm, seeOther } from "../http.ts";
import { findPage, listPages } from "../pages/pages.ts";
import type { Role } from "../schema.ts";
import { findMember, grantsOf, mayAct } from "./members.ts";
import { createSessions } from "./sessions.ts";
import { findToken } from "./tokens.ts";

export const csrfField = "_csrf";

export function createGuard(deps: Deps): (enter: Enter) => Handler<Env> {
  const sessions = createSessions(deps);

  const admitMember = async (c: Ctx, role: Role | "any" | undefined): Promise<Response | undefined> => {
    // Read before anything is refused, so that the refusal can give back what was typed.
    if (!isReading(c)) c.set("form", await readForm(c));
    const session = await sessions.read({ cookies: c.req.header("cookie"), secure: isSecure(c) });
    const member = session && findMember(deps.db, { id: session.memberId, keys: deps.keys });
    if (!session || !member || member.suspended) {
      if (isReading(c)) return seeOther(c, "/admin/sign-in");
      throw new UserError("forbidden", "Your session has ended, so nothing was done. Sign in, then send it again.");
    }
    const grants = grantsOf(deps.db, member.id);
    c.set("session", session);
    c.set("member", member);
    c.set("grants", grants);
    c.set("actor", { kind: "member", id: member.id });
    if (!isReading(c)) {
      if (!isLinkMac(deps.keys, "csrf", session.hash, c.get("form").one(csrfField))) {
        throw new UserError("forbidden", "This form is no longer valid. Reload the page and send it again.");
      }
    }
    if (role && !mayAct(grants, role, c.get("page").id)) {
      const needed = role === "any" ? "a role on this page" : `the role ${role}`;
      throw new UserError("forbidden", `This needs ${needed}. Ask an owner of this page.`);
    }
    return undefined;
  };

  const admitProgram = (c: Ctx, role: Role | "any"): void => {
    const pageId = c.req.param("page");
    if (c.env.operator) {
      c.set("actor", { kind: "operator" });
    } else {
      const secret = tokenOf(c);
      const token = secret && findToken(deps.db, { secret, now: deps.clock.now() });
      if (!token) throw new UnknownToken();
      const most = deps.config.number("api.requests_per_minute");
      const advice = "Wait as long as Retry-After says, or raise api.requests_per_minute.";
      const words = `This token may make ${most} requests a minute. ${advice}`;
      deps.limits.take(`token|${token.id}`, { most, perMs: 60_000 }, words);
      c.set("actor", { kind: "token", id: token.id });
      const grants = [{ role: token.role, pageId: token.pageId }];
      c.set("grants", grants);
      const allowed =
        role === "any"
          ? !pageId || token.pageId === null || token.pageId === pageId
          : mayAct(grants, role, pageId ?? "");
      if (!allowed)
        throw new UserError(
          "forbidden",
          `This needs a token ${role === "any" ? "for this page" : `with the role ${role}, or owner, for this page`}.`,
        );
    }
    if (pageId) c.set("page", findPage(deps.db, pageId));
  };

  return (enter) => async (c, next) => {
    if (enter.who === "member") {
      checkOrigin(c);
      const answer = await admitMember(c, enter.role);
      if (answer) return answer;
      c.header("cache-control", "no-store");
    } else if (enter.who === "program") {
      admitProgram(c, enter.role);
      c.header("cache-control", "no-store");
    } else if (enter.who === "operator") {
      if (!c.env.operator) throw new UserError("not_found", "There is nothing here.");
      c.set("actor", { kind: "operator" });
      const pageId = c.req.param("page");
      if (pageId) c.set("page", findPage(deps.db, pageId));
    } else if (enter.who === "anyone") {
      if (!enter.fromAnySite) checkOrigin(c);
      c.set("actor", { kind: "stranger" });
    } else {
      c.header("cache-control", "no-store");
      c.set("actor", { kind: "stranger" });
    }
    await next();
    return undefined;
  };
}

/** A token that is missing, wrong or revoked: 401, where everything else that is forbidden is 403. */
export class UnknownToken extends UserError {
  constructor() {
    super("forbidden", "Send a valid API token: Authorization: OAuth TOKEN. Make one with: candor token create.");
  }
}

/** What a signed-in member's forms carry in the field `_csrf`. */
export function csrfToken(deps: Deps, c: Ctx): string {
  return linkMac(deps.keys, "csrf", c.get("session").hash);
}

export function isSecure(c: Ctx): boolean {
  return c.get("host").origin.startsWith("https:");
}

function isReading(c: Ctx): boolean {
  return c.req.method === "GET" || c.req.method === "HEAD";
}

/** Browsers say where a form comes from; mail programs and scripts say nothing and bring no cookie of ours. */
function checkOrigin(c: Ctx): void {
  if (isReading(c)) return;
  const origin = c.req.header("origin");
  const site = c.req.header("sec-fetch-site");
  // Privacy settings may blank the origin to "null"; then the browser's own verdict counts, and without one it is foreign.
  const named = origin !== undefined && (origin !== "null" || site === undefined);
  const foreign = named ? origin !== c.get("host").origin : site !== undefined && site !== "same-origin";
  if (foreign && !sameHostOtherPort(c, origin)) {
    throw new UserError(
      "forbidden",
      "This form was sent from another site. Open the page itself and send it from there.",
    );
  }
}

/** On one's own machine the server may listen on another port than the hosts table says. */
function sameHostOtherPort(c: Ctx, origin: string | undefined): boolean {
  const wanted = new URL(c.get("host").origin);
  const loopback = ["127.0.0.1", "localhost", "[::1]"].includes(wanted.hostname);
  return loopback && origin === `http://${c.req.header("host")}`;
}

function tokenOf(c: Ctx): string | undefined {
  const header = c.req.header("authorization");
  const match = header && /^(?:oauth|bearer)\s+(\S+)$/i.exec(header.trim());
  return match?.[1] ?? c.req.query("api_key");
}

/** Where a request names no page, the only or first one is meant. */
export function firstPageId(deps: Deps): string {
  const page = listPages(deps.db)[0];
  if (!page) throw new UserError("not_found", "There is no page yet. Run: candor init");
  return page.id;
}
