/** `candor cert`: what is refused says what to do next. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createAuthority } from "../support/authority.ts";
import { foundedPlace, isOneLine } from "./program.ts";

test("a certificate that isn't taken is refused with what to do next", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  const authority = await createAuthority();
  writeFileSync(join(place.folder, "root.pem"), authority.root);
  const bring = async (days: [number, number], ...chain: string[]) => {
    const { certificate, key } = await authority.issue(["status.example.com"], { days });
    writeFileSync(join(place.folder, "chain.pem"), [certificate, ...chain].join(""));
    writeFileSync(join(place.folder, "key.pem"), key);
  };
  const words = ["cert", "import", "--chain", "chain.pem", "--key", "key.pem"];
  const refuses = async (sentence: RegExp, more: string[] = ["--authority", "root.pem"]) => {
    const outcome = await run([...words, ...more]);
    assert.ok(isOneLine(outcome), outcome.stderr);
    assert.match(outcome.stderr, sentence);
  };
  await bring([-90, -1], authority.intermediate);
  await refuses(/ expired on .* UTC\. Ask for a new one; what is served now stays\.$/m);
  await bring([1, 90], authority.intermediate);
  await refuses(/ valid only from .* UTC on\. Import it then, or check this machine's clock\.$/m);
  await bring([-1, 90]);
  await refuses(/is missing\. Append it .* bundle\. If it is your own root, give it with --authority FILE\.$/m, []);
  await refuses(/^\/nowhere can't be read \(ENOENT\)\. Check the path\.$/m, ["--chain", "/nowhere"]);
  await refuses(/^\/etc can't be read \(EISDIR\)\. Check the path\.$/m, ["--key", "/etc"]);
});

test("the help of certificates says which one a host takes", async (t) => {
  const run = (await foundedPlace(t)).shell();
  for (const words of [
    ["cert", "--help"],
    ["cert", "list", "--help"],
  ]) {
    const { stdout } = await run(words);
    assert.doesNotMatch(stdout, /longest/);
    assert.match(stdout, /the one that came\s+last/);
  }
});
