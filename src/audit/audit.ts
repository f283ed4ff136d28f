/** Who did what, written in the same transaction as the deed. Details are ids and words of ours, never personal data. */
import { and, desc, eq, sql } from "drizzle-orm";
import type { Db, Tx } from "../db.ts";
import { auditEntries } from "../schema.ts";

/** Who acts: a member at the admin, a token at the API, the operator at the command line, a subscriber by a link. */
export type Actor =
  | { kind: "member"; id: string }
  | { kind: "token"; id: string }
  | { kind: "subscriber"; id: string }
  | { kind: "operator" | "system" | "stranger" };

export type Deed = {
  pageId?: string;
  action: string;
  subject?: string;
  detail?: Record<string, string | number | boolean>;
};

export function recordDeed(tx: Db | Tx, by: Actor, at: number, deed: Deed): void {
  tx.insert(auditEntries)
    .values({
      at,
      pageId: deed.pageId ?? null,
      actorKind: by.kind,
      actorId: "id" in by ? by.id : null,
      action: deed.action,
      subject: deed.subject ?? null,
      detail: deed.detail ? JSON.stringify(deed.detail) : null,
    })
    .run();
}

/** The latest deed of a kind on one thing; knowing when it was done spares the search through all of them. */
export function findDeed(
  db: Db,
  input: { action: string; subject: string; at?: number; detail?: Record<string, string> },
) {
  const { id, at, action, subject, detail } = auditEntries;
  return db
    .select()
    .from(auditEntries)
    .where(
      and(
        eq(action, input.action),
        eq(subject, input.subject),
        input.at === undefined ? undefined : eq(at, input.at),
        ...Object.entries(input.detail ?? {}).map(
          ([name, value]) => sql`json_extract(${detail}, ${`$.${name}`}) = ${value}`,
        ),
      ),
    )
    .orderBy(desc(id))
    .limit(1)
    .get();
}

export function listDeeds(db: Db, input: { limit: number }) {
  return db.select().from(auditEntries).orderBy(desc(auditEntries.id)).limit(input.limit).all();
}
