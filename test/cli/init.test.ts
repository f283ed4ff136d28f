import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { foundedPlace, isOneLine, makePlace } from "./program.ts";

const owner = ["--owner", "olive@example.com"];
const host = ["--host", "status.example.com"];

test("init makes key, keyring and database for their owner alone, prints the kit and ends with a link", async (t) => {
  const place = makePlace(t);
  const { code, stdout, stderr } = await place.run(["init", ...host, ...owner]);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "");
  assert.match(stdout, /^ {2}1: {2}[0-9a-f]{4} [0-9a-f]{4} [0-9a-f]{4} [0-9a-f]{4} {3}[0-9a-f]{4}$/m);
  assert.match(stdout, /off this machine/);
  assert.match(
    stdout.trimEnd().split("\n").at(-1) as string,
    /^https:\/\/status\.example\.com\/admin\/enter\/[\w-]{43}$/,
  );
  const key = readFileSync(place.keyFile, "utf8").trim();
  assert.ok(!stdout.includes(key), "the kit is in groups");
  for (const file of [place.keyFile, ...["keyring.json", "candor.db", "lock"].map((name) => join(place.data, name))]) {
    assert.equal(statSync(file).mode & 0o077, 0, file);
  }
  assert.equal(statSync(place.data).mode & 0o077, 0);
});

test("init with an address for the authority agrees to its terms, and without one agrees to nothing", async (t) => {
  for (const [words, contact] of [
    [["--acme-contact", "tls@example.com"], "tls@example.com"],
    [[], ""],
  ] as const) {
    const place = makePlace(t);
    const { code, stderr } = await place.run(["init", ...host, ...owner, ...words]);
    assert.equal(code, 0, stderr);
    const { stdout } = await place.run(["config", "get", "acme.contact", "--json"]);
    assert.equal(JSON.parse(stdout).value, contact);
  }
});

test("init run again changes nothing, says what is there and ends well", async (t) => {
  const place = await foundedPlace(t);
  const key = readFileSync(place.keyFile, "utf8");
  const again = await place.run(["init", ...host, "--owner", "mallory@example.com", "--yes"]);
  assert.equal(again.code, 0);
  assert.match(again.stdout, /already\. Nothing was changed\./);
  assert.match(again.stdout, /Acme/);
  assert.doesNotMatch(again.stdout, /recovery kit/i);
  assert.equal(readFileSync(place.keyFile, "utf8"), key);
  const members = await place.run(["member", "list", "--json"]);
  assert.deepEqual(
    JSON.parse(members.stdout).map((member: any) => member.email),
    ["olive@example.com"],
  );
});

test("init that was cut short after any step is finished by the next", async (t) => {
  const place = makePlace(t);
  // After the key.
  writeFileSync(place.keyFile, `${"ab".repeat(32)}\n`, { mode: 0o600 });
  const first = await place.run(["init", ...host, ...owner]);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /1: {2}abab abab abab abab/);
  assert.equal(readFileSync(place.keyFile, "utf8"), `${"ab".repeat(32)}\n`);
  // After the keyring: a database without a page, as a crash before the transaction leaves it.
  for (const name of ["candor.db", "candor.db-wal", "candor.db-shm"]) rmSync(join(place.data, name), { force: true });
  const second = await place.run(["init", ...host, ...owner]);
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stdout, /1: {2}abab abab abab abab/);
  assert.match(second.stdout, /\/admin\/enter\//);
});

test("init says which flag is missing, and leaves nothing behind when it refuses", async (t) => {
  const place = makePlace(t);
  const run = place.shell();
  for (const [words, sentence] of [
    [owner, /--host status\.example\.com/],
    [host, /--owner you@example\.com/],
    [[...host, "--owner", "nobody"], /e-mail address like/],
    [["--host", "no host", ...owner], /host name like/],
    [[...host, ...owner, "--smtp", "mail.example.com"], /mail server like/],
    [[...host, ...owner, "--time-zone", "Berlin"], /Europe\/Berlin/],
    [[...host, ...owner, "--key-file", join("data", "candor.key")], /outside the data folder/],
    [[...host, ...owner, "--key-file", join("data", "..", "data", "key")], /outside the data folder/],
  ] as [string[], RegExp][]) {
    const outcome = await run(["init", "--yes", ...words]);
    assert.ok(isOneLine(outcome), outcome.stderr);
    assert.match(outcome.stderr, sentence);
  }
  assert.equal(existsSync(place.data), false);
  assert.equal(existsSync(place.keyFile), false);
});

test("init never makes a new key for a keyring whose key is missing", async (t) => {
  const place = await foundedPlace(t);
  rmSync(place.keyFile);
  const outcome = await place.run(["init", ...host, ...owner]);
  assert.ok(isOneLine(outcome), outcome.stderr);
  assert.match(outcome.stderr, /no key file/);
  assert.equal(existsSync(place.keyFile), false);
});

test("init keeps the mail server secret and encrypted", async (t) => {
  const place = makePlace(t);
  const smtp = "smtp://user:hunter2hunter2@mail.example.com:587";
  const { code, stdout } = await place.run(["init", ...host, ...owner, "--smtp", smtp]);
  assert.equal(code, 0);
  assert.ok(!stdout.includes("hunter2"));
  const config = await place.run(["config", "list"]);
  assert.match(config.stdout, /mail\.smtp_url\n {2}value +set\n {2}from +database/);
  assert.ok(!config.stdout.includes("hunter2"));
  assert.ok(!readFileSync(join(place.data, "candor.db")).includes("hunter2"));
});

test("init says every way to https, and which one was chosen", async (t) => {
  const place = makePlace(t);
  const unchosen = await place.run(["init", ...host, ...owner, "--yes"]);
  assert.match(unchosen.stdout, /^Start the server behind a proxy .*: {2}candor serve$/m);
  const itself = `candor config set acme.contact olive@example.com && candor serve --http '[::]:80' --https '[::]:443'`;
  assert.ok(
    unchosen.stdout.includes(`Or let Candor get it from Let's Encrypt, whose terms that agrees to:  ${itself}\n`),
  );
  assert.match(unchosen.stdout, /^Or with a certificate of your own \(candor cert import\): {2}candor serve --http /m);
  const chosen = await makePlace(t).run(["init", ...host, ...owner, "--acme-contact", "olive@example.com"]);
  assert.match(chosen.stdout, /^Start the server: {2}candor serve --http '\[::\]:80' --https '\[::\]:443'$/m);
  assert.doesNotMatch(chosen.stdout, /acme\.contact/);
});

test("init in a folder of one's own says where in each command", async (t) => {
  for (const [given, said] of [
    [["--data", "there", "--key-file", "there.key"], "--data there"],
    [["--data", "there", "--key-file", "other.key"], "--data there --key-file other.key"],
    [["--key-file", "other.key"], "--key-file other.key"],
    [["--data", "Olive's data"], "--data 'Olive'\\''s data'"],
  ] as const) {
    const { stdout } = await makePlace(t).run(["init", ...host, ...owner, ...given]);
    const commands = stdout.match(/candor (config|serve|mail|member) .*?(?= && |\)?:$|\)|$)/gm) ?? [];
    assert.ok(commands.length >= 6);
    for (const command of commands) assert.ok(`${command} `.includes(` ${said} `), command);
    assert.ok(stdout.includes(`candor config set acme.contact olive@example.com ${said} && candor serve ${said} `));
  }
});
