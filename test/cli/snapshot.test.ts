import assert from "node:assert/strict";
import { chownSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { foundedPlace, isOneLine, makePlace } from "./program.ts";

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

const isRoot = process.getuid?.() === 0;

test("what root makes in the data folder belongs to the folder's owner", {
  skip: isRoot ? false : "needs root",
}, async (t) => {
  const place = makePlace(t);
  mkdirSync(place.data);
  chownSync(place.data, 10001, 10002);
  const made = await place.run(["init", "--host", "http://127.0.0.1:1", "--owner", "olive@example.com", "--yes"]);
  assert.equal(made.code, 0, made.stderr);
  const inside = await place.run(["snapshot"]);
  const named = await place.run(["snapshot", join(place.data, "a", "b", "copy.db")]);
  assert.deepEqual([inside.code, named.code], [0, 0], inside.stderr + named.stderr);
  const all = readdirSync(place.data, { recursive: true }) as string[];
  assert.ok(all.length >= 10, all.join(" "));
  for (const name of all) {
    const { uid, gid } = statSync(join(place.data, name));
    assert.deepEqual([uid, gid], [10001, 10002], name);
  }
  const outside = join(place.folder, "copy.db");
  assert.equal((await place.run(["snapshot", outside])).code, 0);
  assert.equal(statSync(outside).uid, 0);
});

test("a snapshot that the server wrote where only it can see it is said to be so", async (t) => {
  const place = await foundedPlace(t);
  const file = join(place.folder, "copy.db");
  // As a server with a /tmp of its own answers.
  const server = createServer((request, response) => {
    const answer = request.method === "POST" ? { file, keyring: `${file}.keyring.json`, bytes: 1 } : [];
    response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(join(place.data, "candor.sock"), () => resolve()));
  t.after(() => server.close());
  const outcome = await place.run(["snapshot", "copy.db"]);
  assert.equal(existsSync(file), false);
  assert.ok(isOneLine(outcome), outcome.stderr);
  assert.match(outcome.stderr, /can't be seen from here/);
  assert.ok(outcome.stderr.includes(file));
});
