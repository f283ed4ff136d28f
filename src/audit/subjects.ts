/** What a deed was done to, by the name that it has now. The audit holds ids alone; what is gone has its id left. */
import { inArray } from "drizzle-orm";
import type { Db } from "../db.ts";
import { componentGroups, components, incidents } from "../schema.ts";

export function subjectNames(db: Db, ids: string[]): Map<string, string> {
  const found = [components, componentGroups, incidents].flatMap((table) =>
    db.select({ id: table.id, name: table.name }).from(table).where(inArray(table.id, ids)).all(),
  );
  return new Map(found.map(({ id, name }) => [id, name]));
}
