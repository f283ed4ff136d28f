import assert from "node:assert/strict";
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { freePort } from "../support/ports.ts";
import { emptyPlace, fetchFrom, readyPlace } from "../support/program.ts";

test("copied alone into an empty folder, with an empty environment, it does everything and leaves nothing elsewhere", async (t) => {
  const port = await freePort();
  const place = emptyPlace(t);
  const before = readdirSync("/tmp");
  const flags = ["--page-name", "Acme", "--host", `http://127.0.0.1:${port}`, "--owner", "olive@example.com", "--yes"];
  const made = await place.run(["init", ...flags]);
  assert.equal(made.code, 0, made.err);
  const link = /http:\/\/127\.0\.0\.1:\d+\/admin\/enter\/\S+/.exec(made.out)?.[0] as string;
  assert.ok(link, made.out);
  assert.equal(statSync(place.keyFile).mode & 0o777, 0o600);
  const key = readFileSync(place.keyFile, "utf8");
  const twice = await place.run(["init", ...flags]);
  assert.equal(twice.code, 0, twice.err);
  assert.equal(readFileSync(place.keyFile, "utf8"), key, "init never overwrites a key");

  const server = await place.serve(port);
  assert.match((await fetchFrom(server.origin, "/")).text, /Nothing is reported/);
  assert.equal((await fetchFrom(server.origin, new URL(link).pathname)).status, 200);
  const token = await place.run(["token", "create", "--name", "ci", "--role", "publisher"]);
  assert.match(token.out, /^candor_[\w-]{43}\n$/, "the token alone is on standard output");
  assert.equal((await place.run(["component", "create", "API"])).code, 0);
  const opened = await place.run([
    "incident",
    "open",
    "--title",
    "Sign-in fails",
    "--body",
    "We look into it.",
    "--component",
    "API=major_outage",
    "--yes",
    "--json",
  ]);
  assert.equal(opened.code, 0, opened.err);
  assert.match((await fetchFrom(server.origin, "/")).text, /<h1>API is down\.<\/h1>/);
  const { id } = JSON.parse(opened.out);
  const resolved = await place.run(["incident", "resolve", id, "--body", "Fixed.", "--yes"]);
  assert.equal(resolved.code, 0, resolved.err);
  assert.match((await fetchFrom(server.origin, "/")).text, /All systems are operational/);
  const mode = statSync(join(place.data, "candor.sock")).mode & 0o777;
  assert.equal(mode, 0o600);
  const ended = await server.stop();
  assert.equal(ended.code, 0, ended.err);

  const listed = await place.run(["incident", "list", "--json"]);
  assert.equal(listed.code, 0, `without a server: ${listed.err}`);
  assert.equal(JSON.parse(listed.out).length, 1);
  assert.deepEqual(readdirSync(join(place.folder, "home")), []);
  assert.deepEqual(readdirSync(place.folder).toSorted(), ["candor", "candor.key", "data", "home"]);
  const added = readdirSync("/tmp").filter((name) => !before.includes(name) && !name.startsWith("candor-walk-"));
  assert.deepEqual(
    added.filter((name) => /candor|sqlite|etilqs/i.test(name)),
    [],
  );
});

test("each way to start it wrongly ends in one sentence that says what to do, and nothing is lost", async (t) => {
  const port = await freePort();
  const place = await readyPlace(t, port);
  const fails = async (args: string[], words: RegExp, environment = {}) => {
    const ran = await place.run(args, { environment });
    assert.equal(ran.code, 1, `${args.join(" ")}: ${ran.out}${ran.err}`);
    assert.match(ran.err, words);
    assert.equal(ran.err.trim().split("\n").length, 1, ran.err);
  };
  const key = readFileSync(place.keyFile);
  const keyring = readFileSync(join(place.data, "keyring.json"));
  const serve = ["serve", "--listen", `127.0.0.1:${port}`];

  writeFileSync(place.keyFile, `${"ab".repeat(32)}\n`);
  await fails(serve, /This is the wrong key/);
  writeFileSync(place.keyFile, "hello\n");
  await fails(serve, /must be 64 hex digits/);
  writeFileSync(place.keyFile, key);
  chmodSync(place.keyFile, 0o644);
  await fails(serve, /can be read by others/);
  chmodSync(place.keyFile, 0o600);

  writeFileSync(join(place.data, "keyring.json"), keyring.subarray(0, 100));
  await fails(serve, /keyring\.json is damaged/);
  writeFileSync(join(place.data, "keyring.json"), keyring);

  await fails(["config", "set", "mail.smpt_url", "x"], /no setting "mail\.smpt_url"\. Did you mean mail\.smtp_url\?/);
  await fails(["serve", "--listen", "nowhere"], /Give an address and a port/);
  await fails(["incdent", "list"], /incident/);
  await fails(serve, /CANDOR_SESSION_IDLE_HOURS: Give a whole number/, { CANDOR_SESSION_IDLE_HOURS: "soon" });

  const server = await place.serve(port);
  await fails(["serve", "--listen", `127.0.0.1:${await freePort()}`], /Another Candor is using the data folder/);
  const other = await readyPlace(t, await freePort());
  const taken = await other.run(serve);
  assert.equal(taken.code, 1);
  assert.match(taken.err, /is in use by another program/);
  assert.equal((await fetchFrom(server.origin, "/")).status, 200);
  await server.stop();

  const plain = emptyPlace(t);
  mkdirSync(plain.data);
  copyFileSync(join(place.data, "keyring.json"), join(plain.data, "keyring.json"));
  copyFileSync(place.keyFile, plain.keyFile);
  writeFileSync(join(plain.data, "candor.db"), Buffer.concat([Buffer.from("SQLite format 3\0"), Buffer.alloc(4096)]));
  const refused = await plain.run(serve);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /isn't encrypted/);

  const nowhere = emptyPlace(t);
  const missing = await nowhere.run(serve);
  assert.equal(missing.code, 1);
  assert.match(missing.err, /candor init/);
});

test("a stop cuts no request: what is under way is answered, what is queued is there at the next start", async (t) => {
  const port = await freePort();
  const place = await readyPlace(t, port);
  const server = await place.serve(port);
  const body = "email=slow%40example.com&scope=all";
  const answer = new Promise<string>((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      const head = `POST /subscribe HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/x-www-form-urlencoded\r\n`;
      socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`);
      setTimeout(() => socket.write(body.slice(10)), 800);
    });
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  const ended = await server.stop();
  assert.equal(ended.code, 0, ended.err);
  assert.match(await answer, /^HTTP\/1\.1 303 /);
  const listed = await place.run(["mail", "list", "--json"]);
  assert.equal(JSON.parse(listed.out).length, 1, "the confirmation letter of the last request is there");
});

test("the program can't be steered by NODE_OPTIONS and runs without eval", async (t) => {
  const place = emptyPlace(t);
  const ran = await place.run(["--version"], { environment: { NODE_OPTIONS: "--require=/nonexistent.js" } });
  assert.equal(ran.code, 0, ran.err);
  assert.match(ran.out, /^\d+\.\d+\.\d+\n$/);
});
