/** What goes wrong on real machines, and the one sentence that each ends in. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openKeyring, readKeyFile } from "../../src/crypto/keyring.ts";
import { openStore } from "../../src/db.ts";
import { needsMount } from "../support/need.ts";
import { foundedPlace, isOneLine, makePlace, type Outcome } from "./program.ts";

async function refuses(run: (words: string[]) => Promise<Outcome>, words: string[], sentence: RegExp): Promise<void> {
  const outcome = await run(words);
  assert.ok(isOneLine(outcome), `${words.join(" ")}: ${outcome.code} ${outcome.stderr}`);
  assert.match(outcome.stderr, sentence);
  assert.equal(outcome.stdout, "");
}

test("without a data folder every command says how to begin, and makes nothing", async (t) => {
  const place = makePlace(t);
  const run = place.shell();
  for (const words of [
    ["serve"],
    ["config", "list"],
    ["incident", "list"],
    ["token", "create", "--name", "x", "--role", "publisher"],
  ]) {
    await refuses(run, words, /Run: candor init/);
  }
  assert.equal(existsSync(place.data), false);
});

test("a wrong, missing, open or broken key is told apart", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  const key = readFileSync(place.keyFile, "utf8");
  writeFileSync(place.keyFile, `${"0".repeat(64)}\n`);
  for (const words of [["serve"], ["page", "show"]])
    await refuses(run, words, /This is the wrong key: .* fingerprint [0-9a-f]{16}/);
  writeFileSync(place.keyFile, "hunter2");
  await refuses(run, ["serve"], /doesn't hold a key/);
  writeFileSync(place.keyFile, key);
  chmodSync(place.keyFile, 0o644);
  await refuses(run, ["serve"], /can be read by others\. Run: chmod 600/);
  rmSync(place.keyFile);
  await refuses(run, ["serve"], /no key file at .*candor key restore/);
  await refuses(run, ["serve", "--key-file", "elsewhere.key"], /no key file at elsewhere\.key/);
});

test("a damaged or missing keyring is refused, and the database left alone", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  const path = join(place.data, "keyring.json");
  const keyring = JSON.parse(readFileSync(path, "utf8"));
  const before = readFileSync(join(place.data, "candor.db"));
  writeFileSync(path, "{");
  await refuses(run, ["serve"], /keyring\.json is damaged: it isn't JSON/);
  writeFileSync(
    path,
    JSON.stringify({ ...keyring, keys: keyring.keys.map((one: any) => ({ ...one, wrapped: "AAAA" })) }),
  );
  await refuses(run, ["page", "show"], /is damaged: its db-page key doesn't open/);
  rmSync(path);
  await refuses(run, ["serve"], /keyring\.json is missing/);
  await refuses(run, ["init", "--host", "a.example.com", "--owner", "a@example.com"], /keyring\.json is missing/);
  assert.deepEqual(readFileSync(join(place.data, "candor.db")), before);
});

test("a database that isn't encrypted, isn't ours or is newer is refused", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  const file = join(place.data, "candor.db");
  const keys = openKeyring(join(place.data, "keyring.json"), readKeyFile(place.keyFile));
  const store = openStore({ where: place.data, keys, clock: { now: () => 0 } });
  store.db.$client
    .prepare("INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('later', 99999999999999)")
    .run();
  store.close();
  await refuses(
    run,
    ["serve"],
    /written by a newer Candor\. Run that version, or go back to the copy .* nothing was changed/,
  );
  writeFileSync(file, "SQLite format 3\0".padEnd(4096, "\0"));
  for (const name of ["candor.db-wal", "candor.db-shm"]) rmSync(join(place.data, name), { force: true });
  await refuses(run, ["serve"], /isn't encrypted/);
  writeFileSync(file, "x".repeat(8192));
  await refuses(run, ["serve"], /doesn't open with this keyring/);
});

test("a damage that is found only later is said to be one, and isn't a bug", async (t) => {
  const place = await foundedPlace(t);
  const file = join(place.data, "candor.db");
  const keys = openKeyring(join(place.data, "keyring.json"), readKeyFile(place.keyFile));
  const store = openStore({ where: place.data, keys, clock: { now: () => 0 } });
  const root = store.db.$client.prepare("SELECT rootpage FROM sqlite_master WHERE name='pages'").pluck().get();
  store.close();
  const bytes = readFileSync(file);
  bytes.fill(1, (Number(root) - 1) * 4096 + 100, (Number(root) - 1) * 4096 + 104);
  writeFileSync(file, bytes);
  for (const words of [
    ["serve", "--listen", "127.0.0.1:0"],
    ["component", "list"],
  ])
    await refuses(
      place.run,
      words,
      /^The database is damaged\. .*put a snapshot in its place; the README says how\.$/im,
    );
});

test("a database that is missing is said to be, and none is made in its place", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  rmSync(join(place.data, "candor.db"));
  for (const words of [["serve"], ["component", "list"]])
    await refuses(run, words, /^data\/candor\.db is missing\. Put a snapshot in its place; the README says how\./);
  assert.equal(existsSync(join(place.data, "candor.db")), false);
});

test("a database without a page isn't served, and the log says nothing more", async (t) => {
  const place = await foundedPlace(t);
  rmSync(join(place.data, "candor.db"));
  const keys = openKeyring(join(place.data, "keyring.json"), readKeyFile(place.keyFile));
  openStore({ where: place.data, keys, clock: { now: () => 0 } }).close();
  await refuses(place.run, ["serve"], /^There is no page yet\. Run: candor init$/m);
});

test("from inside the data folder its key is still found beside it", async (t) => {
  const place = await foundedPlace(t);
  const run = (words: string[]) => place.run(words, { cwd: place.data });
  for (const data of [".", "./", "../data"]) {
    const { code, stderr } = await run(["page", "show", "--data", data]);
    assert.equal(code, 0, `${data}: ${stderr}`);
  }
});

test("a listen address that can't be, by flag or variable, names the setting", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  await refuses(run, ["serve", "--listen", "8080"], /listen: Give an address and a port/);
  await refuses(run, ["serve", "--listen", "127.0.0.1:99999"], /listen: Give an address and a port/);
  const byVariable = (words: string[]) => place.run(words, { env: { CANDOR_LISTEN: "nowhere" } });
  await refuses(byVariable, ["serve"], /^CANDOR_LISTEN: Give an address and a port/);
  await refuses(run, ["serve", "--listen", "192.0.2.1:8080"], /can't listen on 192\.0\.2\.1:8080.*--listen ADDR/);
  const https = ["serve", "--listen", "127.0.0.1:0", "--https", "192.0.2.1:8443"];
  await refuses(run, https, /can't listen on 192\.0\.2\.1:8443.*--https ADDR/);
});

test("a data folder that is a file, or may not be used, is said to be so", async (t) => {
  const place = makePlace(t);
  const run = place.shell();
  writeFileSync(place.data, "");
  await refuses(run, ["serve"], /isn't a folder/);
  await refuses(run, ["init", "--host", "a.example.com", "--owner", "a@example.com"], /can't be made|isn't a folder/);
  rmSync(place.data);
  mkdirSync(place.data);
  chmodSync(place.data, 0);
  const isRoot = process.getuid?.() === 0;
  if (!isRoot) await refuses(run, ["serve"], /can't be used by this user/);
  chmodSync(place.data, 0o700);
});

test("a disk that is full at any step of init is said to be full, and init is finished when there is room", {
  skip: needsMount(),
}, async (t) => {
  for (const size of ["4k", "36k", "100k", "400k"]) {
    const place = makePlace(t);
    mkdirSync(place.data);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size},mode=700`, "tmpfs", place.data]);
    try {
      const init = ["init", "--host", "http://127.0.0.1:8080", "--owner", "a@example.com", "--yes"];
      await refuses(place.run, init, /disk .*is full.* Make room/);
      execFileSync("mount", ["-o", "remount,size=9m", place.data]);
      assert.match((await place.run(init)).stdout, /recovery kit/);
      assert.equal((await place.run(["page", "show"])).code, 0);
    } finally {
      execFileSync("umount", ["-l", place.data]);
    }
  }
});

test("a typo in a command, an option, a setting or a component names the nearest", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  await run(["component", "create", "Public API"]);
  await refuses(run, ["incdent", "list"], /^Unknown command 'incdent'\. Did you mean incident\?$/m);
  await refuses(run, ["incident", "opne"], /^Unknown command 'opne'\. Did you mean open\?$/m);
  await refuses(run, ["incident", "open", "--titel", "x"], /^Unknown option '--titel'\. Did you mean --title\?$/m);
  await refuses(run, ["serve", "now"], /^Too many arguments.* See candor serve --help\.$/m);
  await refuses(run, ["incident", "frobnicate"], /^Unknown command 'frobnicate'\. See candor incident --help\.$/m);
  await refuses(run, ["frobnicate"], /^Unknown command 'frobnicate'\. See candor --help\.$/m);
  await refuses(run, ["config", "unset", "foo"], /^There is no setting "foo"\. See candor config list\.$/m);
  await refuses(
    run,
    ["config", "set", "mail.smtp", "x"],
    /There is no setting "mail\.smtp"\. Did you mean mail\.smtp_url\?/,
  );
  await refuses(run, ["config", "get", "lsten"], /Did you mean listen\?/);
  await refuses(run, ["component", "change", "Pubic API", "--status", "operational"], /Near it: "Public API"/);
  const planned = ["incident", "open", "--title", "x", "--body", "x", "--until", "2030-01-01T04:00Z", "--from"];
  await refuses(run, [...planned, "2030-01-01 02:00"], /^Give --from as a time with its offset/);
  await refuses(run, ["component", "change", "public api", "--status", "down"], /Give one of these statuses/);
  await refuses(run, ["page", "show", "--page", "nope"], /There is no such page/);
});

test("an authority's file that can't be read, or holds none, is refused when it is set and not when letters wait", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  const set = ["config", "set", "mail.ca_file"];
  await refuses(run, [...set, "/nonexistent"], /^mail\.ca_file: \/nonexistent can't be read by the server \(ENOENT\)/);
  await refuses(run, [...set, "authority.pem"], /whole path/);
  await refuses(run, [...set, place.keyFile], /holds no certificate/);
  const gone = await place.run(["page", "show"], { env: { CANDOR_MAIL_CA_FILE: "/nonexistent" } });
  assert.equal(gone.code, 0, "a file that has gone keeps nobody from the page");
});

test("a file system that is read-only is said to be so", { skip: needsMount() }, async (t) => {
  const place = await foundedPlace(t);
  const backups = join(place.folder, "backups");
  mkdirSync(backups);
  for (const folder of [backups, place.data]) {
    execFileSync("mount", ["--bind", folder, folder]);
    try {
      execFileSync("mount", ["-o", "remount,ro,bind", folder]);
      if (folder !== backups) await refuses(place.run, ["serve"], /file system is read-only/);
      else await refuses(place.run, ["snapshot", join(backups, "a.db")], /read-only file system/);
    } finally {
      execFileSync("umount", ["-l", folder]);
    }
  }
});

test("a slip in a command's words is answered in the operator's own, and changes nothing", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  await run(["component", "create", "API"]);
  await run(["group", "create", "Core"]);
  await refuses(run, ["page", "change"], /^Say what to change\. See candor page change --help\.$/m);
  await refuses(run, ["component", "change", "API"], /^Say what to change\. See candor component change --help\.$/m);
  await refuses(run, ["group", "change", "Core"], /^Say what to change\. See candor group change --help\.$/m);
  for (const verb of ["show", "retry", "drop"])
    await refuses(run, ["mail", verb, "x"], /^Give the letter's number, from candor mail list\.$/m);
  for (const verb of ["send", "drop"])
    await refuses(
      run,
      ["announcement", verb, "x"],
      /^Give the announcement's number, from candor announcement list\.$/m,
    );
  const planned = ["incident", "open", "--title", "x", "--body", "x", "--from", "2030-01-01T04:00Z"];
  await refuses(run, planned, /^Say when the maintenance begins and when it ends, with --from and --until\.$/m);
  await refuses(run, ["token", "revoke", "ci"], /There is no token "ci" in use\. candor token list shows them by id\./);
  await refuses(run, ["snapshot", place.data], /data is a folder\. Name a file in it, like .*data\/candor-.*\.db\.$/m);
  const added = await run(["member", "add", "paul@example.com", "--role", "publisher, team", "--json"]);
  assert.deepEqual(
    JSON.parse(added.stdout).roles.map((grant: any) => grant.role),
    ["publisher", "team"],
  );
  await run(["member", "suspend", "paul@example.com"]);
  await refuses(run, ["member", "link", "paul@example.com"], /To end that: candor member restore ADDRESS/);
});

test("a host that is added with another port changes to it, also when it is the only one", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  const moved = await run(["host", "add", "http://127.0.0.1:9999"]);
  assert.equal(moved.stdout, "http://127.0.0.1:9999 is listed.\n", moved.stderr);
  const list = JSON.parse((await run(["host", "list", "--json"])).stdout);
  assert.deepEqual(
    list.map((host: any) => host.origin),
    ["http://127.0.0.1:9999"],
  );
  await refuses(run, ["host", "add", "http://127.0.0.1:9999"], /leads to this page already\. .*candor host show/);
  await refuses(run, ["host", "add", "*.example.com"], /own name\. .*acme\.wildcards/);
  await refuses(run, ["host", "add", "my_page.example.com"], /letters, digits and hyphens/);
});

test("help explains a command at any depth, names the nearest of what isn't one, and runs nothing", async (t) => {
  const place = makePlace(t);
  const run = place.shell();
  const usage = async (words: string[]) => /^Usage: (.*)$/m.exec((await run(words)).stdout)?.[1];
  assert.equal(await usage(["help", "incident", "open"]), "candor incident open [options]");
  assert.equal(await usage(["help", "init", "--yes"]), "candor init [options]");
  assert.equal(await usage(["help"]), "candor [options] [command]");
  await refuses(run, ["help", "incdent"], /^Unknown command 'incdent'\. Did you mean incident\?$/m);
  await refuses(run, ["help", "incident", "opne"], /^Unknown command 'opne'\. Did you mean open\?$/m);
});

test("help is an answer, not a mistake", async (t) => {
  const place = makePlace(t);
  const run = place.shell();
  for (const words of [[], ["--help"], ["help", "incident"], ["incident", "open", "--help"]]) {
    const { code, stdout, stderr } = await run(words);
    assert.equal(code, 0, words.join(" "));
    assert.match(stdout, /Usage: candor/);
    assert.equal(stderr, "");
  }
  for (const flag of ["--version", "-V"]) assert.match((await run([flag])).stdout, /^\d+\.\d+\.\d+\n$/);
});
