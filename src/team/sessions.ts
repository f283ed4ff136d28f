/**
 * Sessions: opaque, kept on the server, revocable. Lucia issues and renews them; the adapter here stores only the
 * SHA-256 of their ids, so that a stolen database opens no session. Idle and absolute lifetimes come from the settings.
 */
import { and, desc, eq, gt, lt, ne } from "drizzle-orm";
import { type Adapter, type DatabaseSession, Lucia } from "lucia";
import { TimeSpan } from "oslo";
import { parseCookies, serializeCookie } from "oslo/cookie";
import { type Actor, recordDeed } from "../audit/audit.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Config } from "../config.ts";
import { hashSecret } from "../crypto/fields.ts";
import type { Db } from "../db.ts";
import { newSecret } from "../ids.ts";
import { members, sessions } from "../schema.ts";

declare module "lucia" {
  interface Register {
    Lucia: Lucia<SessionFacts>;
    DatabaseSessionAttributes: SessionFacts;
  }
}

type SessionFacts = { method: "link" | "password"; createdAt: number };
export type Session = { memberId: string; hash: string; method: "link" | "password"; createdAt: number };

const hour = 3_600_000;

export type Sessions = {
  /** @returns the Set-Cookie header of a new session */
  start(input: { memberId: string; method: "link" | "password"; secure: boolean }): Promise<string>;
  /** The session that the Cookie header names, while it and its member hold. */
  read(input: { cookies: string | undefined; secure: boolean }): Promise<Session | undefined>;
  /** @returns the Set-Cookie header that removes the cookie */
  end(session: Session | undefined, secure: boolean): string;
};

export function createSessions(input: { db: Db; config: Config; clock: Clock }): Sessions {
  const { db, config, clock } = input;
  const lucia = () =>
    new Lucia(hashingAdapter(db, clock), {
      sessionExpiresIn: new TimeSpan(config.number("session.idle_hours"), "h"),
      getSessionAttributes: (facts) => facts,
    });
  return {
    start: async ({ memberId, method, secure }) => {
      const facts = { method, createdAt: clock.now() };
      const session = await lucia().createSession(memberId, facts, { sessionId: newSecret() });
      return cookie(session.id, secure, config.number("session.absolute_hours") * 3600);
    },
    read: async ({ cookies, secure }) => {
      const id = parseCookies(cookies ?? "").get(cookieName(secure));
      if (!id) return undefined;
      const { session } = await lucia().validateSession(id);
      if (!session) return undefined;
      const hash = hashSecret(id);
      const now = clock.now();
      if (now - session.createdAt > config.number("session.absolute_hours") * hour) {
        db.delete(sessions).where(eq(sessions.id, hash)).run();
        return undefined;
      }
      return { memberId: session.userId, hash, method: session.method, createdAt: session.createdAt };
    },
    end: (session, secure) => {
      if (session) db.delete(sessions).where(eq(sessions.id, session.hash)).run();
      return cookie("", secure, 0);
    },
  };
}

export function endExpiredSessions(db: Db, input: { now: number }): void {
  db.delete(sessions)
    .where(lt(sessions.expiresAt, new Date(input.now)))
    .run();
}

/** The newest first. The id is a hash, which opens nothing. */
export function listSessions(db: Db, input: { memberId: string; now: number }) {
  const mine = and(eq(sessions.memberId, input.memberId), gt(sessions.expiresAt, new Date(input.now)));
  return db.select().from(sessions).where(mine).orderBy(desc(sessions.createdAt), desc(sessions.id)).all();
}

/** One session of the member's, or all but one. */
export function endSessionsOf(
  db: Db,
  input: { memberId: string; only?: string | undefined; but?: string | undefined; now: number; by: Actor },
): void {
  const chosen = input.only ? eq(sessions.id, input.only) : ne(sessions.id, input.but ?? "");
  db.transaction((tx) => {
    const { changes } = tx
      .delete(sessions)
      .where(and(eq(sessions.memberId, input.memberId), chosen))
      .run();
    recordDeed(tx, input.by, input.now, { action: "member.end_sessions", detail: { sessions: changes } });
  });
}

/** RFC 6265bis: `__Host-` binds the cookie to this very host over TLS. Plain http is for a server on one's own machine. */
function cookieName(secure: boolean): string {
  return secure ? "__Host-candor" : "candor";
}

function cookie(value: string, secure: boolean, maxAge: number): string {
  return serializeCookie(cookieName(secure), value, { httpOnly: true, sameSite: "lax", path: "/", secure, maxAge });
}

/** Lucia reads the machine's clock; stored times are by the clock that was handed in. The adapter translates. */
function hashingAdapter(db: Db, clock: Clock): Adapter {
  const shift = () => systemClock.now() - clock.now();
  const stored = (at: Date) => new Date(at.getTime() - shift());
  const forLucia = (id: string, row: typeof sessions.$inferSelect): DatabaseSession => ({
    id,
    userId: row.memberId,
    expiresAt: new Date(row.expiresAt.getTime() + shift()),
    attributes: { method: row.method, createdAt: row.createdAt },
  });
  return {
    getSessionAndUser: async (id) => {
      const row = db
        .select()
        .from(sessions)
        .innerJoin(members, eq(members.id, sessions.memberId))
        .where(eq(sessions.id, hashSecret(id)))
        .get();
      if (!row || row.members.suspendedAt !== null) return [null, null];
      return [forLucia(id, row.sessions), { id: row.members.id, attributes: {} }];
    },
    getUserSessions: async (memberId) =>
      db
        .select()
        .from(sessions)
        .where(eq(sessions.memberId, memberId))
        .all()
        .map((row) => forLucia(row.id, row)),
    setSession: async (session) => {
      const { method, createdAt } = session.attributes;
      db.insert(sessions)
        .values({
          id: hashSecret(session.id),
          memberId: session.userId,
          expiresAt: stored(session.expiresAt),
          createdAt,
          lastSeenAt: createdAt,
          method,
        })
        .run();
    },
    updateSessionExpiration: async (id, expiresAt) => {
      db.update(sessions)
        .set({ expiresAt: stored(expiresAt), lastSeenAt: clock.now() })
        .where(eq(sessions.id, hashSecret(id)))
        .run();
    },
    deleteSession: async (id) => {
      db.delete(sessions)
        .where(eq(sessions.id, hashSecret(id)))
        .run();
    },
    deleteUserSessions: async (memberId) => {
      db.delete(sessions).where(eq(sessions.memberId, memberId)).run();
    },
    deleteExpiredSessions: async () => {
      db.delete(sessions)
        .where(lt(sessions.expiresAt, new Date(clock.now())))
        .run();
    },
  };
}
