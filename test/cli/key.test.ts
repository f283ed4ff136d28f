import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { foundedPlace, isOneLine, makePlace } from "./program.ts";

test("the recovery kit writes the very key file again", async (t) => {
  const place = await foundedPlace(t);
  const key = readFileSync(place.keyFile, "utf8");
  const kit = (await place.run(["key", "kit"])).stdout;
  rmSync(place.keyFile);
  const restored = await place.run(["key", "restore"], { input: kit });
  assert.equal(restored.code, 0, restored.stderr);
  assert.equal(readFileSync(place.keyFile, "utf8"), key);
  assert.equal(statSync(place.keyFile).mode & 0o777, 0o600);
  assert.equal((await place.run(["page", "show"])).code, 0);
  const again = await place.run(["key", "restore"], { input: kit });
  assert.match(again.stdout, /there already/);
});

test("the kit is read as people write it: in capitals, with O for 0, between other lines", async (t) => {
  const place = await foundedPlace(t);
  const kit = (await place.run(["key", "kit"])).stdout;
  rmSync(place.keyFile);
  const written = `From the safe:\n\n${kit.toUpperCase().replaceAll("0", "O").replaceAll("1: ", "1) ")}\nthat was all`;
  const restored = await place.run(["key", "restore"], { input: written });
  assert.equal(restored.code, 0, restored.stderr);
  assert.equal((await place.run(["page", "show"])).code, 0);
});

test("a typo in the kit is found in its line, a missing line is named, and nothing is written", async (t) => {
  const place = await foundedPlace(t);
  const kit = (await place.run(["key", "kit"])).stdout;
  rmSync(place.keyFile);
  const slip = kit.replace(
    /^( {2}3: {2})(.)/m,
    (_, start: string, digit: string) => `${start}${digit === "a" ? "b" : "a"}`,
  );
  const typo = await place.run(["key", "restore"], { input: slip });
  assert.ok(isOneLine(typo), typo.stderr);
  assert.match(typo.stderr, /Line 3 of the recovery kit has a typo/);
  const short = await place.run(["key", "restore"], { input: kit.replace(/^ {2}2:.*$/m, "") });
  assert.match(short.stderr, /Line 2 of the recovery kit is missing/);
  assert.equal(existsSync(place.keyFile), false);
});

test("another house's kit is refused, and another key never written over", async (t) => {
  const place = await foundedPlace(t);
  const other = await foundedPlace(t);
  const kit = (await other.run(["key", "kit"])).stdout;
  const key = readFileSync(place.keyFile, "utf8");
  const over = await place.run(["key", "restore"], { input: kit });
  assert.ok(isOneLine(over), over.stderr);
  assert.match(over.stderr, /wrong key/);
  assert.equal(readFileSync(place.keyFile, "utf8"), key);

  const elsewhere = makePlace(t);
  writeFileSync(elsewhere.keyFile, `${"ab".repeat(32)}\n`, { mode: 0o600 });
  const taken = await elsewhere.run(["key", "restore"], { input: kit });
  assert.match(taken.stderr, /holds another key\. Nothing was written/);
  const inside = await elsewhere.run(["key", "restore", "--key-file", "data/key"], { input: kit });
  assert.match(inside.stderr, /outside the data folder/);
});
