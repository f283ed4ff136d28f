/** Snapshots, for the operator. */
import { readBody } from "../api-body.ts";
import { takeClearable } from "../api-fields.ts";
import { recordDeed } from "../audit/audit.ts";
import type { Deps } from "../deps.ts";
import type { Ctx, Route } from "../http.ts";
import { takeSnapshot } from "./snapshots.ts";

export function backupApi(deps: Deps): Route[] {
  const take = async (c: Ctx) => {
    const file = takeClearable(await readBody(c), "file") ?? undefined;
    const snapshot = takeSnapshot({ store: deps.store, dataFolder: deps.dataFolder, file, now: deps.clock.now() });
    recordDeed(deps.db, c.get("actor"), deps.clock.now(), { action: "snapshot.take" });
    return c.json(snapshot, 201);
  };
  return [{ method: "POST", path: "/v1/snapshots", enter: { who: "operator" }, run: take }];
}
