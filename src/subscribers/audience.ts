/** How many an announcement reaches. Whom, row by row, says its expansion (announcements.ts). */
import { and, eq, inArray, sql } from "drizzle-orm";
import type { Db, Tx } from "../db.ts";
import { subscriberComponents, subscribers } from "../schema.ts";

/** Active subscribers of the whole page, and of parts of it; counted in an index, because there may be very many. */
export function countActive(db: Db | Tx, pageId: string): { wholePage: number; parts: number } {
  const rows = db
    .select({ wholePage: subscribers.wholePage, count: sql<number>`count(*)` })
    .from(subscribers)
    .where(and(eq(subscribers.pageId, pageId), eq(subscribers.state, "active")))
    .groupBy(subscribers.wholePage)
    .all();
  const of = (wholePage: boolean) => rows.find((row) => row.wholePage === wholePage)?.count ?? 0;
  return { wholePage: of(true), parts: of(false) };
}

/** For each of these components, how many active subscribers chose it; whoever chose several counts at each. */
export function countByChoice(db: Db | Tx, input: { pageId: string; componentIds: string[] }): Map<string, number> {
  return new Map(input.componentIds.map((id) => [id, countChoosers(db, { pageId: input.pageId, componentIds: [id] })]));
}

/** Active subscribers who chose one of these components. */
export function countChoosers(db: Db | Tx, input: { pageId: string; componentIds: string[] }): number {
  if (input.componentIds.length === 0) return 0;
  const row = db
    .select({ count: sql<number>`count(DISTINCT ${subscribers.seq})` })
    .from(subscriberComponents)
    .innerJoin(subscribers, eq(subscribers.seq, subscriberComponents.subscriberSeq))
    .where(
      and(
        inArray(subscriberComponents.componentId, input.componentIds),
        eq(subscribers.pageId, input.pageId),
        eq(subscribers.state, "active"),
        eq(subscribers.wholePage, false),
      ),
    )
    .get();
  return row?.count ?? 0;
}
