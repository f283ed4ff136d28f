/** Which authorities the DNS allows for a name (RFC 8659), read from a real one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLookup } from "../../src/tls/lookup.ts";
import { needs } from "../support/need.ts";
import { startPebble } from "../support/pebble.ts";

const skip = needs("pebble", "pebble-challtestsrv");

test("a CAA record for wildcards speaks of them before the plain one, and of nothing else", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const { allowedIssuers } = createLookup([pebble.dns]);
  const say = (domain: string, policies: { tag: string; value: string }[]) =>
    pebble.tellDns("/add-caa", { host: `${domain}.`, policies });
  const plain = { tag: "issue", value: "plain.example; account=1" };
  const wild = { tag: "issuewild", value: "Wild.example" };
  await say("both.test", [plain, wild]);
  await say("wild.test", [wild]);
  await say("plain.test", [plain]);
  await say("closed.test", [plain, { tag: "issuewild", value: ";" }]);
  await say("loud.test", [
    { ...plain, tag: "ISSUE" },
    { ...wild, tag: "IssueWild" },
  ]);
  for (const [name, allowed] of [
    ["status.loud.test", ["plain.example"]],
    ["*.loud.test", ["wild.example"]],
    ["status.both.test", ["plain.example"]],
    ["*.both.test", ["wild.example"]],
    ["status.wild.test", undefined],
    ["*.wild.test", ["wild.example"]],
    ["status.plain.test", ["plain.example"]],
    ["*.plain.test", ["plain.example"]],
    ["status.closed.test", ["plain.example"]],
    ["*.closed.test", [""]],
    ["*.silent.test", undefined],
  ] as const)
    assert.deepEqual(
      (await allowedIssuers(name))?.map(({ domain }) => domain),
      allowed,
      name,
    );
});
