/** What the DNS says of a host, and which authorities it allows (RFC 8659), read from a real one. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLookup } from "../../src/tls/lookup.ts";
import { needs, needsMount } from "../support/need.ts";
import { startPebble } from "../support/pebble.ts";

const skip = needs("pebble", "pebble-challtestsrv");

test("a CAA record for wildcards speaks of them before the plain one, and of nothing else", { skip }, async (t) => {
  const pebble = await startPebble(t);
  const { allowedIssuers } = createLookup({ servers: [pebble.dns], isPublic: false });
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

test("a server's own name in its hosts file hides no address that others are told", {
  skip: skip || needs("unshare") || needsMount(),
}, async (t) => {
  const pebble = await startPebble(t);
  const folder = mkdtempSync(join(tmpdir(), "candor-hosts-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const lies = ["own.example.com", "elsewhere.example.com", "unknown.example.com"];
  writeFileSync(
    join(folder, "hosts"),
    `127.0.1.1 ${lies[0]} ${lies[2]}\n198.51.100.9 ${lies[1]}\n127.0.0.1 localhost\n`,
  );
  writeFileSync(join(folder, "resolv.conf"), `nameserver ${pebble.dns}\noptions timeout:2 attempts:1\n`);
  await pebble.tellDns("/set-default-ipv4", { ip: "" });
  await pebble.tellDns("/add-a", { host: `${lies[0]}.`, addresses: ["192.0.2.1"] });
  await pebble.tellDns("/add-aaaa", { host: `${lies[0]}.`, addresses: ["2001:db8::1"] });
  await pebble.tellDns("/add-a", { host: `${lies[1]}.`, addresses: ["192.0.2.2"] });
  const script = `
    import { createLookup } from ${JSON.stringify(join(import.meta.dirname, "../../src/tls/lookup.ts"))};
    const ask = ({ addresses }) => Promise.all(${JSON.stringify(lies)}.map(addresses));
    const both = [false, true].map((isPublic) => createLookup({ servers: [], isPublic }));
    console.log(JSON.stringify(await Promise.all(both.map(ask))));`;
  const commands = ["hosts", "resolv.conf"].map((file) => `mount --bind ${join(folder, file)} /etc/${file}`);
  const { stdout, stderr } = spawnSync(
    "unshare",
    [
      ...["--mount", "--propagation", "private", "sh", "-c"],
      ...[[...commands, 'exec "$0" --input-type=module -e "$1"'].join(" && "), process.execPath, script],
    ],
    { encoding: "utf8" },
  );
  // One that leads to another machine is meant. One that nobody else knows is known to an authority on this machine alone.
  const told = [["192.0.2.1", "2001:db8::1"], ["198.51.100.9"]];
  assert.deepEqual(
    JSON.parse(stdout || "null"),
    [
      [...told, ["127.0.1.1"]],
      [...told, []],
    ],
    stderr,
  );
});
