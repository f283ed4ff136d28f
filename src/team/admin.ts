/**
 * The team's front door: signing in by password or one-time link, signing out, one's own password and sessions. The
 * answer to a sign-in, and the time it takes, are the same whether or not the address is a member's.
 */
import { recordDeed } from "../audit/audit.ts";
import type { Deps } from "../deps.ts";
import { UserError } from "../errors.ts";
import { type Ctx, type Route, readForm, seeOther } from "../http.ts";
import { networkOf } from "../network.ts";
import { moment } from "../statuspage/words.ts";
import { createDesk, faultOf, goOn, pathAfterSignIn } from "./desk.ts";
import { csrfToken, isSecure } from "./guard.ts";
import { readKeptForm } from "./kept-form.ts";
import {
  accountKey,
  findMemberByAddress,
  isSignInLink,
  linkLifeMs,
  passwordOf,
  setPassword,
  spendSignInLink,
} from "./members.ts";
import { hashPassword, requirePassword, verifyPassword } from "./passwords.ts";
import { createSessions, endSessionsOf, listSessions } from "./sessions.ts";

const minute = 60_000;
const perAccount = { most: 10, perMs: 15 * minute };
const perNetwork = { most: 30, perMs: 60 * minute };
const tooMany = "Too many attempts. Wait some minutes, or sign in with a one-time link: candor member link ADDRESS";

export function memberAdmin(deps: Deps): Route[] {
  const { db, keys, clock, limits } = deps;
  const desk = createDesk(deps);
  const sessions = createSessions(deps);

  const enter = async (
    c: Ctx,
    memberId: string,
    method: "link" | "password",
    way: { to?: string; kept?: string } = {},
  ) => {
    // Whatever session this browser came with, perhaps slipped to it by somebody else, ends here.
    const earlier = await sessions.read({ cookies: c.req.header("cookie"), secure: isSecure(c) });
    sessions.end(earlier, isSecure(c));
    const cookie = await sessions.start({ memberId, method, secure: isSecure(c) });
    recordDeed(db, { kind: "member", id: memberId }, clock.now(), { action: "member.sign_in", detail: { method } });
    c.header("set-cookie", cookie);
    c.header("cache-control", "no-store");
    const kept = readKeptForm(way.kept ?? "");
    const session = kept && (await sessions.read({ cookies: cookie.split(";")[0], secure: isSecure(c) }));
    if (!kept || !session) return seeOther(c, pathAfterSignIn(way.to));
    c.set("session", session);
    return desk.bare(c, "kept", { ...kept, csrf: csrfToken(deps, c) });
  };

  const signIn = async (c: Ctx) => {
    const form = await readForm(c);
    const address = form.one("email").trim();
    const way = { to: form.one("to"), kept: form.one("kept") };
    const account = `sign-in|account|${accountKey(keys, address)}`;
    const network = `sign-in|network|${networkOf(c.env.peer)}`;
    try {
      limits.take(network, perNetwork, tooMany);
      limits.take(account, perAccount, tooMany);
    } catch (error) {
      const fault = faultOf(error);
      c.header("retry-after", String((error as UserError).retryAfterSeconds));
      return desk.bare(c, "sign-in", { email: address, ...way, fault }, 429);
    }
    const member = findMemberByAddress(db, { address, keys });
    const stored = member && !member.suspended ? passwordOf(db, { memberId: member.id, keys }) : undefined;
    const right = await verifyPassword(stored, form.one("password"));
    if (!member || !right) {
      recordDeed(db, { kind: "stranger" }, clock.now(), { action: "member.sign_in_failed" });
      const message = "That address and password don’t belong together.";
      return desk.bare(c, "sign-in", { email: address, ...way, fault: { message, field: "password", at: {} } }, 422);
    }
    limits.give(network);
    limits.give(account);
    return enter(c, member.id, "password", way);
  };

  const showEnter = (c: Ctx) => {
    const secret = c.req.param("secret") ?? "";
    if (!isSignInLink(db, { secret, now: clock.now() })) {
      const advice = "This sign-in link was used already or is too old. Ask for a new one: candor member link ADDRESS";
      throw new UserError("not_found", advice);
    }
    return desk.bare(c, "enter", { secret });
  };

  const signOut = (c: Ctx) => {
    recordDeed(db, c.get("actor"), clock.now(), { action: "member.sign_out" });
    c.header("set-cookie", sessions.end(c.get("session"), isSecure(c)));
    // Not "cookies": that would end the person's sessions at every other site under the same domain.
    c.header("clear-site-data", '"cache", "storage"');
    return seeOther(c, "/admin/sign-in");
  };

  /** Whoever just came in by a one-time link may have forgotten the password: that is what they asked the link for. */
  const mustProve = (c: Ctx) => {
    const { method, createdAt } = c.get("session");
    return c.get("member").hasPassword && !(method === "link" && clock.now() - createdAt < linkLifeMs);
  };

  const account = (c: Ctx, more: object = {}, status: 200 | 422 = 200) => {
    const { id, hasPassword, address } = c.get("member");
    const own = c.get("session").hash;
    const zone = c.get("page").timeZone;
    const rows = listSessions(db, { memberId: id, now: clock.now() }).map((row) => ({
      id: row.id,
      own: row.id === own,
      method: row.method === "link" ? "one-time link" : "password",
      began: moment(row.createdAt, zone),
      seen: moment(row.lastSeenAt, zone),
    }));
    const grants = c.get("grants").map((grant) => grant.role.replace("_", " "));
    return desk.page(
      c,
      "account",
      { hasPassword, mustProve: mustProve(c), address, grants, rows, others: rows.length > 1, ...more },
      status,
    );
  };

  const changePassword = async (c: Ctx) => {
    const { id } = c.get("member");
    const form = c.get("form");
    try {
      if (mustProve(c)) {
        // Not the limit of sign-in: whoever guesses outside must not keep the member from changing it inside.
        const key = `password|${id}`;
        limits.take(key, perAccount, "Too many attempts. Wait some minutes.");
        if (!(await verifyPassword(passwordOf(db, { memberId: id, keys }), form.one("current")))) {
          throw new UserError("invalid", "This isn’t your present password.", { field: "current" });
        }
        limits.give(key);
      }
      const phc = await hashPassword(requirePassword(form.one("password")));
      const keepSessionHash = c.get("session").hash;
      setPassword(db, { memberId: id, phc, keepSessionHash, keys, now: clock.now(), by: c.get("actor") });
    } catch (error) {
      return account(c, { fault: faultOf(error) }, 422);
    }
    return goOn(c, "/admin/account", "password");
  };

  const endSessions = (c: Ctx) => {
    const hash = c.get("form").one("session");
    const but = hash === "" ? c.get("session").hash : undefined;
    const only = hash === "" ? undefined : hash;
    endSessionsOf(db, { memberId: c.get("member").id, only, but, now: clock.now(), by: c.get("actor") });
    return goOn(c, "/admin/account", "ended");
  };

  const anyone = { who: "anyone" } as const;
  const member = { who: "member" } as const;
  return [
    {
      method: "GET",
      path: "/admin/sign-in",
      enter: anyone,
      run: (c) => desk.bare(c, "sign-in", { to: c.req.query("to") }),
    },
    { method: "POST", path: "/admin/sign-in", enter: anyone, run: signIn },
    { method: "GET", path: "/admin/enter/:secret", enter: anyone, run: showEnter },
    {
      method: "POST",
      path: "/admin/enter/:secret",
      enter: anyone,
      run: (c) => enter(c, spendSignInLink(db, { secret: c.req.param("secret") ?? "", now: clock.now() }), "link"),
    },
    { method: "POST", path: "/admin/sign-out", enter: member, run: signOut },
    { method: "GET", path: "/admin/account", enter: member, run: (c) => account(c) },
    { method: "POST", path: "/admin/account/password", enter: member, run: changePassword },
    { method: "POST", path: "/admin/account/sessions", enter: member, run: endSessions },
  ];
}
