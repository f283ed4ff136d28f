/**
 * Members and their roles. `owner` may everything; a role without a page holds on every page. Roles are read from the
 * database at every request, so taking one away works at once.
 */
import { and, eq, gt, isNotNull, isNull, lt } from "drizzle-orm";
import { type Actor, recordDeed } from "../audit/audit.ts";
import { blindIndex, hashSecret, seal, unseal } from "../crypto/fields.ts";
import type { Keys } from "../crypto/keyring.ts";
import type { Db, Tx } from "../db.ts";
import { UserError } from "../errors.ts";
import { newId, newSecret } from "../ids.ts";
import { canonicalAddress, requireAddress } from "../mail/address.ts";
import { memberRoles, members, type Role, sessions, signInLinks } from "../schema.ts";

export type Member = {
  id: string;
  address: string;
  name: string | undefined;
  suspended: boolean;
  hasPassword: boolean;
};
export type Grant = { role: Role; pageId: string | null };

export const linkLifeMs = 30 * 60_000;

export function createMember(
  db: Db | Tx,
  input: { address: string; roles: Role[]; keys: Keys; now: number; by: Actor },
): Member {
  const address = requireAddress(input.address);
  return db.transaction((tx) => {
    const addressIndex = indexAddress(input.keys, address);
    if (tx.select({ id: members.id }).from(members).where(eq(members.addressIndex, addressIndex)).get()) {
      throw new UserError("conflict", "This address belongs to a member already. Other roles: candor member change.", {
        field: "email",
      });
    }
    const id = newId();
    const sealed = seal(input.keys, { column: "members.address", row: id }, address);
    tx.insert(members).values({ id, address: sealed, addressIndex, createdAt: input.now }).run();
    for (const role of input.roles) tx.insert(memberRoles).values({ memberId: id, role, pageId: null }).run();
    recordDeed(tx, input.by, input.now, { action: "member.create", subject: id });
    return findMember(tx, { id, keys: input.keys }) as Member;
  });
}

export function findMember(db: Db | Tx, input: { id: string; keys: Keys }): Member | undefined {
  const row = db.select().from(members).where(eq(members.id, input.id)).get();
  return row && openMember(input.keys, row);
}

export function findMemberByAddress(db: Db | Tx, input: { address: string; keys: Keys }): Member | undefined {
  const row = db
    .select()
    .from(members)
    .where(eq(members.addressIndex, indexAddress(input.keys, input.address)))
    .get();
  return row && openMember(input.keys, row);
}

export function listMembers(db: Db, keys: Keys): (Member & { grants: Grant[] })[] {
  const rows = db.select().from(members).orderBy(members.createdAt, members.id).all();
  return rows.map((row) => ({ ...openMember(keys, row), grants: grantsOf(db, row.id) }));
}

/**
 * Locks a member out at once: every session ends, and links that weren't used are void. What they wrote stays.
 *
 * @throws UserError conflict for who is suspended already, and for the last owner who isn't
 */
export function suspendMember(db: Db, input: { memberId: string; now: number; by: Actor }): void {
  const { memberId, now, by } = input;
  db.transaction((tx) => {
    keepLastOwner(tx, memberId);
    const { changes } = tx
      .update(members)
      .set({ suspendedAt: now })
      .where(and(eq(members.id, memberId), isNull(members.suspendedAt)))
      .run();
    if (changes === 0) throw new UserError("conflict", "This member is suspended already.");
    tx.delete(sessions).where(eq(sessions.memberId, memberId)).run();
    tx.delete(signInLinks).where(eq(signInLinks.memberId, memberId)).run();
    recordDeed(tx, by, now, { action: "member.suspend", subject: memberId });
  });
}

/**
 * Gives the member these roles on every page in place of those they had there; what they may on single pages stays.
 *
 * @throws UserError conflict for the last owner, who would be one no more
 */
export function changeRoles(db: Db, input: { memberId: string; roles: Role[]; now: number; by: Actor }): void {
  const { memberId, roles } = input;
  db.transaction((tx) => {
    if (!roles.includes("owner")) keepLastOwner(tx, memberId);
    tx.delete(memberRoles)
      .where(and(eq(memberRoles.memberId, memberId), isNull(memberRoles.pageId)))
      .run();
    for (const role of roles) tx.insert(memberRoles).values({ memberId, role, pageId: null }).run();
    recordDeed(tx, input.by, input.now, { action: "member.roles", subject: memberId });
  });
}

/** Somebody must be left who may let others in. */
function keepLastOwner(tx: Tx, memberId: string): void {
  const owners = tx
    .selectDistinct({ id: members.id })
    .from(members)
    .innerJoin(memberRoles, eq(memberRoles.memberId, members.id))
    .where(and(eq(memberRoles.role, "owner"), isNull(memberRoles.pageId), isNull(members.suspendedAt)))
    .all();
  if (owners.length === 1 && owners[0]?.id === memberId) {
    throw new UserError("conflict", "This is the last owner who can sign in. Add or restore another owner first.");
  }
}

/** @throws UserError conflict for who isn't suspended */
export function restoreMember(db: Db, input: { memberId: string; now: number; by: Actor }): void {
  db.transaction((tx) => {
    const { changes } = tx
      .update(members)
      .set({ suspendedAt: null })
      .where(and(eq(members.id, input.memberId), isNotNull(members.suspendedAt)))
      .run();
    if (changes === 0) throw new UserError("conflict", "This member isn't suspended.");
    recordDeed(tx, input.by, input.now, { action: "member.restore", subject: input.memberId });
  });
}

export function grantsOf(db: Db | Tx, memberId: string): Grant[] {
  return db
    .select({ role: memberRoles.role, pageId: memberRoles.pageId })
    .from(memberRoles)
    .where(eq(memberRoles.memberId, memberId))
    .all();
}

/** Whether the grants cover a role, or any role, on a page. The owner's covers all. */
export function mayAct(grants: Grant[], role: Role | "any", pageId: string): boolean {
  return grants.some(
    (grant) =>
      (role === "any" || grant.role === role || grant.role === "owner") &&
      (grant.pageId === null || grant.pageId === pageId),
  );
}

/** A link for one sign-in within half an hour. Only its hash is stored. @returns the secret that the link ends in */
export function createSignInLink(db: Db, input: { memberId: string; now: number; by: Actor }): string {
  const secret = newSecret();
  db.transaction((tx) => {
    tx.insert(signInLinks)
      .values({
        tokenHash: hashSecret(secret),
        memberId: input.memberId,
        createdAt: input.now,
        expiresAt: input.now + linkLifeMs,
      })
      .run();
    recordDeed(tx, input.by, input.now, { action: "member.link", subject: input.memberId });
  });
  return secret;
}

/** Looks, without spending the link: for the page that asks for the click. */
export function isSignInLink(db: Db | Tx, input: { secret: string; now: number }): boolean {
  return findLink(db, input) !== undefined;
}

/** @returns the member's id @throws UserError not_found for a link that is spent, too old or never was */
export function spendSignInLink(db: Db, input: { secret: string; now: number }): string {
  return db.transaction((tx) => {
    const link = findLink(tx, input);
    if (!link) {
      throw new UserError(
        "not_found",
        "This sign-in link was used already or is too old. Ask for a new one: candor member link ADDRESS",
      );
    }
    tx.update(signInLinks).set({ usedAt: input.now }).where(eq(signInLinks.tokenHash, link.tokenHash)).run();
    return link.memberId;
  });
}

function findLink(db: Db | Tx, input: { secret: string; now: number }) {
  return db
    .select({ tokenHash: signInLinks.tokenHash, memberId: signInLinks.memberId })
    .from(signInLinks)
    .innerJoin(members, eq(members.id, signInLinks.memberId))
    .where(
      and(
        eq(signInLinks.tokenHash, hashSecret(input.secret)),
        isNull(signInLinks.usedAt),
        gt(signInLinks.expiresAt, input.now),
        isNull(members.suspendedAt),
      ),
    )
    .get();
}

/** The PHC string; hashing is slow and asynchronous, so the door does it. Ends every other session of the member. */
export function setPassword(
  db: Db,
  input: { memberId: string; phc: string; keepSessionHash: string | undefined; keys: Keys; now: number; by: Actor },
): void {
  db.transaction((tx) => {
    const sealed = seal(input.keys, { column: "members.password", row: input.memberId }, input.phc);
    tx.update(members).set({ password: sealed }).where(eq(members.id, input.memberId)).run();
    for (const session of tx
      .select({ id: sessions.id })
      .from(sessions)
      .where(eq(sessions.memberId, input.memberId))
      .all()) {
      if (session.id !== input.keepSessionHash) tx.delete(sessions).where(eq(sessions.id, session.id)).run();
    }
    recordDeed(tx, input.by, input.now, { action: "member.password", subject: input.memberId });
  });
}

export function passwordOf(db: Db, input: { memberId: string; keys: Keys }): string | undefined {
  const row = db.select({ password: members.password }).from(members).where(eq(members.id, input.memberId)).get();
  return row?.password
    ? unseal(input.keys, { column: "members.password", row: input.memberId }, row.password)
    : undefined;
}

export function forgetOldLinks(db: Db, input: { now: number }): void {
  db.delete(signInLinks)
    .where(lt(signInLinks.expiresAt, input.now - 86_400_000))
    .run();
}

/** The same key for the sign-in limits whether or not the address is a member's. */
export function accountKey(keys: Keys, address: string): string {
  return indexAddress(keys, address).toString("base64url");
}

function indexAddress(keys: Keys, address: string): Buffer {
  return blindIndex(keys, "member.email", canonicalAddress(address));
}

function openMember(keys: Keys, row: typeof members.$inferSelect): Member {
  return {
    id: row.id,
    address: unseal(keys, { column: "members.address", row: row.id }, row.address),
    name: row.name ? unseal(keys, { column: "members.name", row: row.id }, row.name) : undefined,
    suspended: row.suspendedAt !== null,
    hasPassword: row.password !== null,
  };
}
