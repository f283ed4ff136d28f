/** Every command twice: through a running server's socket, and in its own process. The words must be the same. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createAuthority } from "../support/authority.ts";
import { foundedPlace, isOneLine, type Place } from "./program.ts";

/** What differs from run to run by nature. */
function settled(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+Z| UTC)?/g, "TIME")
    .replaceAll(/\b[a-z0-9]{12}\b/g, "ID")
    .replaceAll(/127\.0\.0\.1:\d+/g, "HOST")
    .replaceAll(/candor_[\w-]+/g, "TOKEN")
    .replaceAll(/enter\/[\w-]+/g, "enter/SECRET")
    .replaceAll(/\d+ (queued|kept|leased)|"(queued|kept|leased)": \d+/g, "LETTERS")
    .replaceAll(/ {2,}/g, "  ");
}

async function tour(place: Place & { port: number }): Promise<{ words: string; said: string }[]> {
  const seen: { words: string; said: string }[] = [];
  const shell = place.shell();
  const run = async (words: string[], input?: string) => {
    const { code, stdout, stderr } = input === undefined ? await shell(words) : await place.run(words, { input });
    assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
    seen.push({ words: words.join(" "), said: settled(stdout) });
    return stdout;
  };
  const json = async (words: string[], input?: string) => JSON.parse(await run([...words, "--json"], input));

  await run(["component", "create", "API", "--description", "For programs"]);
  await run(["component", "create", "Web hooks", "--status", "degraded_performance", "--no-days"]);
  await run(["component", "create", "Login"]);
  await run(["group", "create", "Core", "--component", "api", "--component", "LOGIN"]);
  await run(["group", "create", "Edge"]);
  await run(["group", "change", "core", "--name", "Platform", "--description", "The middle"]);
  await run(["group", "move", "Edge", "up"]);
  await run(["group", "list"]);
  await run(["component", "change", "Platform - API", "--name", "Public API", "--only-if-degraded"]);
  await run(["component", "move", "login", "up"]);
  await run(["component", "archive", "web hooks"]);
  await run(["component", "list", "--archived"]);
  await run(["component", "restore", "Web Hooks"]);
  await run(["component", "list"]);
  await run(["group", "archive", "edge"]);

  await run(["subscriber", "add", "ada@example.com", "--confirmed"]);
  await run(["subscriber", "add", "bob@example.com", "--confirmed", "--component", "login"]);
  await run(["subscriber", "add", "eve@example.com"]);
  await run(["subscriber", "list"]);
  await run(["subscriber", "show", "bob@example.com"]);

  const open = [
    "incident",
    "open",
    "--title",
    "Sign-in fails",
    "--component",
    "login=major_outage",
    "--component",
    "Public API",
  ];
  const rehearsed = await run([...open, "--body", "Nobody can sign in.", "--dry-run"]);
  assert.match(rehearsed, /^2 people would be told\./);
  assert.match(rehearsed, /Subject: Investigating: Sign-in fails/);
  assert.deepEqual(await json(["incident", "list"]), []);
  const opened = await json([...open, "--body", "-"], "Nobody can sign in.\n\nNext word by 14:00.\n");
  assert.equal(opened.incident_updates[0].body, "Nobody can sign in.\n\nNext word by 14:00.");
  assert.equal(opened.announcement.audience, 2);
  const updated = await run([
    "incident",
    "update",
    opened.id,
    "--status",
    "identified",
    "--body",
    "We know why.",
    "--no-notify",
  ]);
  assert.match(updated, /Nobody is told by mail\./);
  await run(["incident", "list", "--open"]);
  const resolved = await run(["incident", "resolve", opened.id, "--body", "It works again."]);
  assert.match(resolved, /2 people are told by mail\./);
  await run(["incident", "show", opened.id]);
  const planned = ["--from", "2030-01-01T02:00Z", "--until", "2030-01-01T04:00Z", "--component", "login"];
  const upgrade = ["incident", "open", "--title", "Upgrade", "--body", "Sign-in pauses.", "--no-notify", ...planned];
  const early = await shell([...upgrade.slice(0, -1), "login=under_maintenance", "--auto"]);
  assert.equal(early.code, 1);
  assert.match(early.stderr, /would hold from now on, but the maintenance is yet to begin/);
  await run(upgrade);
  assert.match(await run(["incident", "list"]), /2030-01-01 02:00:00 UTC {2}scheduled/);
  const parts = await json(["component", "list"]);
  assert.equal(parts.find((part: any) => part.name === "Login").status, "operational");
  assert.equal(
    parts.find((part: any) => part.name === "Web hooks").status,
    "degraded_performance",
    "only its own recover",
  );

  await run(["announcement", "list"]);
  await run([
    "page",
    "change",
    "--description",
    "Ours",
    "--time-zone",
    "Europe/Berlin",
    "--support-url",
    "mailto:help@example.com",
  ]);
  await run(["page", "show"]);
  await run(["host", "add", "status.example.com"]);
  await run(["host", "first", "status.example.com"]);
  await run(["host", "list"]);
  await run(["host", "remove", "https://status.example.com"]);
  await run(["member", "add", "paul@example.com", "--role", "publisher"]);
  const changed = await run(["member", "change", "paul@example.com", "--role", "publisher,team"]);
  assert.equal(changed, "paul@example.com is publisher, team now.\n");
  await run(["member", "list"]);
  await run(["member", "suspend", "paul@example.com"]);
  await run(["member", "restore", "paul@example.com"]);
  await run(["member", "link", "paul@example.com"]);
  const token = await run(["token", "create", "--name", "ci", "--role", "publisher"]);
  assert.match(token, /^candor_[\w-]{43}\n$/);
  const [listed] = await json(["token", "list"]);
  await run(["token", "list"]);
  await run(["token", "revoke", listed.id]);
  await run(["config", "set", "mail.smtp_url", "-"], "smtp://user:secret@127.0.0.1:1\n");
  assert.doesNotMatch(await run(["config", "list"]), /secret@/);
  await run(["config", "get", "mail.smtp_url"]);
  await run(["config", "unset", "mail.smtp_url"]);
  await run(["config", "set", "session.idle_hours", "8"]);
  assert.equal(await run(["config", "get", "session.idle_hours"]), "8\n");
  await run(["subscriber", "remove", "ada@example.com"]);
  await run(["subscriber", "list", "--state", "unsubscribed"]);
  const file = join(place.folder, "copy.db");
  assert.equal(await run(["snapshot", "copy.db"]), `${file}\n`);
  assert.ok(existsSync(file));
  const deeds = await json(["audit", "--limit", "5"]);
  assert.equal(deeds.length, 5);
  return seen.map(({ words, said }) => ({ words: settled(words), said: said.replaceAll(place.folder, "FOLDER") }));
}

test("commands say the same with a running server and without one", async (t) => {
  const served = await foundedPlace(t);
  const alone = await foundedPlace(t);
  for (const { run, port } of [served, alone]) await run(["config", "set", "listen", `127.0.0.1:${port}`]);
  await served.start(["serve"]);
  const [throughSocket, inProcess] = await Promise.all([tour(served), tour(alone)]);
  const adding = "host add status.example.com";
  const saidOf = (steps: typeof inProcess) => steps.find(({ words }) => words === adding)?.said;
  assert.deepEqual(
    [saidOf(throughSocket), saidOf(inProcess)],
    ["The page is served at https://status.example.com now.\n", "https://status.example.com is listed.\n"],
    "what differs is whether anybody serves it",
  );
  for (const [index, step] of throughSocket.entries())
    if (step.words !== adding) assert.deepEqual(step, inProcess[index]);
});

test("mistakes are the same sentence with a running server and without one", async (t) => {
  const served = await foundedPlace(t);
  const alone = await foundedPlace(t);
  await served.start(["serve", "--listen", `127.0.0.1:${served.port}`]);
  const [throughSocket, inProcess] = [served.shell(), alone.shell()];
  for (const words of [
    ["incident", "show", "nowhere"],
    ["incident", "open", "--title", "x"],
    ["incident", "open", "--title", "x", "--body", " "],
    ["incident", "open", "--body", "x"],
    ["incident", "open", "--title", "x", "--body", "x", "--from", "tomorrow"],
    ["incident", "open", "--title", "x", "--body", "x", "--component", "API=down"],
    ["subscriber", "add", "nobody"],
    ["subscriber", "show", "nobody@example.com"],
    ["token", "create", "--name", "x"],
    ["token", "create", "--name", "x", "--role", "king"],
    ["token", "create", "--name", "x", "--role", "publisher", "--role", "page_config"],
    ["token", "revoke", "nothing"],
    ["member", "link", "nobody@example.com"],
    ["member", "suspend", "olive@example.com"],
    ["host", "remove", "127.0.0.1"],
    ["host", "first", "nowhere.example.com"],
    ["config", "set", "session.idle_hours", "many"],
    ["announcement", "send", "7"],
    ["mail", "show", "7"],
    ["audit", "--limit", "no"],
  ]) {
    const there = await throughSocket(words);
    const here = await inProcess(words);
    assert.ok(isOneLine(there), `${words.join(" ")}: ${there.code} ${there.stderr}`);
    assert.equal(there.stderr, here.stderr);
    assert.equal(there.stdout + here.stdout, "");
  }
});

test("what is queued without a server waits for one, which then keeps or sends it", async (t) => {
  const place = await foundedPlace(t);
  await place.run(["subscriber", "add", "ada@example.com", "--confirmed"]);
  const words = ["incident", "open", "--title", "It fails", "--body", "We look into it."];
  const silent = await place.run([...words, "--no-notify"]);
  assert.equal(silent.stderr, "");
  const opened = await place.run(words);
  assert.match(opened.stderr, /No server runs: the letters wait/);
  const waiting = await place.run(["mail", "queue", "--json"]);
  assert.equal(JSON.parse(waiting.stdout).queued, 1);
  await place.start(["serve", "--listen", `127.0.0.1:${place.port}`]);
  const letters = async () => JSON.parse((await place.run(["mail", "list", "--json"])).stdout);
  while ((await letters())[0].state !== "kept");
  const [{ id }] = await letters();
  const shown = await place.run(["mail", "show", String(id)]);
  assert.match(shown.stdout, /^Subject +Investigating: It fails$/m);
  assert.match(shown.stdout, /^We look into it\.$/m);
  const dropped = await place.run(["mail", "drop", String(id)]);
  assert.ok(isOneLine(dropped), dropped.stderr);
});

test("a setting says whether it waits for the next start", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  const set = async (name: string, value: string) => (await run(["config", "set", name, value])).stdout;
  for (const [name, value] of [
    ["listen", "127.0.0.1:8081"],
    ["https.listen", "127.0.0.1:8443"],
    ["connections.in_all", "9000"],
    ["connections.per_network", "50"],
  ] as const)
    assert.equal(await set(name, value), `${name} is now ${value}. It is taken up at the next start.\n`);
  assert.equal(await set("trusted_proxies", "127.0.0.1"), "trusted_proxies is now 127.0.0.1.\n");
  assert.match((await run(["config", "list"])).stdout, /for https.* Taken up at the next start\.$/m);
});

test("an imported certificate that isn't served is said not to be, and why", async (t) => {
  const place = await foundedPlace(t);
  const run = place.shell();
  const authority = await createAuthority();
  const bring = async (days: [number, number], name = "status.example.com") => {
    const { certificate, key } = await authority.issue([name], { days });
    writeFileSync(join(place.folder, "chain.pem"), certificate + authority.intermediate);
    writeFileSync(join(place.folder, "key.pem"), key);
    writeFileSync(join(place.folder, "root.pem"), authority.root);
    const words = ["cert", "import", "--chain", "chain.pem", "--key", "key.pem", "--authority", "root.pem", "--json"];
    const { code, stdout, stderr } = await run(words);
    assert.equal(code, 0, stderr);
    return { id: JSON.parse(stdout).id, said: stderr };
  };
  await run(["host", "add", "status.example.com"]);
  const long = await bring([-1, 90]);
  assert.equal(
    long.said,
    "Candor doesn't listen for https yet: candor serve --https '[::]:443', or candor config set https.listen.\n",
  );
  await run(["config", "set", "https.listen", "127.0.0.1:8443"]);
  const short = await bring([-1, 30]);
  assert.equal(short.said, "");
  assert.match((await run(["cert", "list"])).stdout, new RegExp(`${long.id} .* no host$`, "m"));
  const wild = await bring([-1, 90], "*.example.com");
  assert.equal(
    wild.said,
    `status.example.com stays with ${short.id}, which goes before it. To end that: candor cert remove ${short.id}\n`,
  );
});

test("a test letter says whether the mail server takes it", async (t) => {
  const place = await foundedPlace(t);
  const kept = await place.run(["mail", "test", "olive@example.com"]);
  assert.equal(kept.code, 0, kept.stderr);
  assert.match(kept.stdout, /No mail server is set/);
  await place.run(["config", "set", "mail.smtp_url", "smtp://127.0.0.1:1"]);
  const refused = await place.run(["mail", "test", "olive@example.com"]);
  assert.equal(refused.code, 1);
  assert.match(refused.stdout, /can't be had/);
  assert.match(refused.stdout, /^From +status@localhost\.localdomain$/m);
  assert.match(refused.stderr, /It waits and is tried again\. To take it out: candor mail drop 2$/m);
});
