import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { foundedPlace } from "./program.ts";

test("a snapshot without a name goes to snapshots/ of the data folder, with a running server and without one", async (t) => {
  const place = await foundedPlace(t);
  const alone = await place.run(["snapshot"]);
  await place.start(["serve", "--listen", `127.0.0.1:${place.port}`]);
  const served = await place.run(["snapshot"]);
  for (const { code, stdout, stderr } of [alone, served]) {
    assert.equal(code, 0, stderr);
    assert.ok(stdout.startsWith(join(place.data, "snapshots", "candor-")), stdout);
    assert.ok(statSync(stdout.trim()).size > 4096);
  }
});
