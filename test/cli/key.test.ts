import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

test("the four lines are enough, without their numbers too", async (t) => {
  const place = await foundedPlace(t);
  const lines = JSON.parse((await place.run(["key", "kit", "--json"])).stdout).lines as string[];
  rmSync(place.keyFile);
  const input = `${lines.map((line) => line.replace(/^\d:\s*/, "")).join("\n")}\n`;
  const restored = await place.run(["key", "restore"], { input });
  assert.equal(restored.code, 0, restored.stderr);
  assert.equal((await place.run(["page", "show"])).code, 0);
});

test("no kit is printed of a key that opens nothing here", async (t) => {
  const place = await foundedPlace(t);
  writeFileSync(place.keyFile, `${"ab".repeat(32)}\n`);
  const kit = await place.run(["key", "kit"]);
  assert.ok(isOneLine(kit), kit.stderr);
  assert.match(kit.stderr, /^This is the wrong key: .* Name the right file with --key-file\.$/m);
  assert.equal(kit.stdout, "");
});

test("another house's kit is refused, and another key never written over", async (t) => {
  const place = await foundedPlace(t);
  const other = await foundedPlace(t);
  const kit = (await other.run(["key", "kit"])).stdout;
  const key = readFileSync(place.keyFile, "utf8");
  const over = await place.run(["key", "restore"], { input: kit });
  assert.ok(isOneLine(over), over.stderr);
  assert.match(over.stderr, /wrong key: .* The kit belongs to another Candor: take the one with that fingerprint\.$/m);
  assert.equal(readFileSync(place.keyFile, "utf8"), key);

  const elsewhere = makePlace(t);
  writeFileSync(elsewhere.keyFile, `${"ab".repeat(32)}\n`, { mode: 0o600 });
  const taken = await elsewhere.run(["key", "restore"], { input: kit });
  assert.match(taken.stderr, /holds another key\. Nothing was written/);
  const inside = await elsewhere.run(["key", "restore", "--key-file", "data/key"], { input: kit });
  assert.match(inside.stderr, /outside the data folder/);
});

test("a key made beforehand in the folder of systemd's credentials is taken whatever its mode, elsewhere it isn't", async (t) => {
  const place = makePlace(t);
  const credentials = join(place.folder, "credentials");
  const key = join(credentials, "candor.key");
  mkdirSync(credentials);
  writeFileSync(key, `${"ab".repeat(32)}\n`);
  chmodSync(key, 0o444);
  const env = { CREDENTIALS_DIRECTORY: credentials };
  const init = ["init", "--host", "http://127.0.0.1:8080", "--owner", "olive@example.com", "--yes"];
  const refused = await place.run([...init, "--key-file", key]);
  assert.ok(isOneLine(refused), refused.stderr);
  assert.match(refused.stderr, /can be read by others/);
  assert.equal(existsSync(join(place.data, "candor.db")), false);
  for (const words of [init, ["page", "show"], ["key", "kit"], ["page", "show", "--key-file", key]]) {
    const { code, stderr } = await place.run(words, { env });
    assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
  }
  assert.equal(existsSync(place.keyFile), false);
});

test("init says how to make a key where it can't make one itself", async (t) => {
  const place = makePlace(t);
  writeFileSync(join(place.folder, "file"), "");
  const init = ["init", "--host", "http://127.0.0.1:8080", "--owner", "olive@example.com", "--yes"];
  const refused = await place.run([...init, "--key-file", join(place.folder, "file", "candor.key")]);
  assert.ok(isOneLine(refused), refused.stderr);
  assert.match(refused.stderr, /openssl rand -hex 32/);
});
