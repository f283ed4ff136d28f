/** API tokens: shown once, stored as SHA-256, tied to one role and, if wished, to one page. */
import { and, asc, eq, isNull } from "drizzle-orm";
import { type Actor, recordDeed } from "../audit/audit.ts";
import { hashSecret } from "../crypto/fields.ts";
import type { Db } from "../db.ts";
import { UserError } from "../errors.ts";
import { newId, newSecret } from "../ids.ts";
import { apiTokens, type Role, roles } from "../schema.ts";
import { requireText } from "../text.ts";

export type ApiToken = Omit<typeof apiTokens.$inferSelect, "tokenHash">;

/** @returns the token itself, which can't be shown again, and its row */
export function createToken(
  db: Db,
  input: { name: string; role: Role; pageId?: string | undefined; now: number; by: Actor },
): { secret: string; token: ApiToken } {
  const secret = `candor_${newSecret()}`;
  return db.transaction((tx) => {
    const row = {
      id: newId(),
      tokenHash: hashSecret(secret),
      name: requireText(input.name, { field: "name", what: "the token a name that says who uses it", most: 100 }),
      role: input.role,
      pageId: input.pageId ?? null,
      createdAt: input.now,
    };
    const { tokenHash: _, ...token } = tx.insert(apiTokens).values(row).returning().get();
    recordDeed(tx, input.by, input.now, { action: "token.create", subject: token.id, detail: { role: input.role } });
    return { secret, token };
  });
}

export function findToken(db: Db, input: { secret: string; now: number }): ApiToken | undefined {
  const row = db
    .select()
    .from(apiTokens)
    .where(and(eq(apiTokens.tokenHash, hashSecret(input.secret)), isNull(apiTokens.revokedAt)))
    .get();
  if (!row) return undefined;
  // Once a minute is enough to see whether a token is still in use.
  if (input.now - (row.lastUsedAt ?? 0) > 60_000) {
    db.update(apiTokens).set({ lastUsedAt: input.now }).where(eq(apiTokens.id, row.id)).run();
  }
  const { tokenHash: _, ...token } = row;
  return token;
}

export function listTokens(db: Db): ApiToken[] {
  const rows = db.select().from(apiTokens).orderBy(asc(apiTokens.createdAt), asc(apiTokens.id)).all();
  return rows.map(({ tokenHash: _, ...token }) => token);
}

export function revokeToken(db: Db, input: { id: string; now: number; by: Actor }): void {
  db.transaction((tx) => {
    const changed = tx
      .update(apiTokens)
      .set({ revokedAt: input.now })
      .where(and(eq(apiTokens.id, input.id), isNull(apiTokens.revokedAt)))
      .run().changes;
    if (changed === 0)
      throw new UserError(
        "not_found",
        `There is no token ${JSON.stringify(input.id)} in use. candor token list shows them by id.`,
      );
    recordDeed(tx, input.by, input.now, { action: "token.revoke", subject: input.id });
  });
}

export function requireRole(text: string): Role {
  const role = roles.find((known) => known === text);
  if (!role) throw new UserError("invalid", `Give one of these roles: ${roles.join(", ")}.`, { field: "role" });
  return role;
}
