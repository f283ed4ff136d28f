import assert from "node:assert/strict";
import { test } from "node:test";
import { sessions } from "../../src/schema.ts";
import { createSignInLink, setPassword } from "../../src/team/members.ts";
import { hashPassword } from "../../src/team/passwords.ts";
import { type House, host, openTestHouse } from "../support/house.ts";

const by = { kind: "system" } as const;
const sentence = "a horse in the battery";
const hour = 3_600_000;
const form = { "content-type": "application/x-www-form-urlencoded", origin: `https://${host}` };

const count = (house: House) => house.deps.db.select().from(sessions).all().length;
const linkFor = (house: House) =>
  createSignInLink(house.deps.db, { memberId: house.owner.id, now: house.deps.clock.now(), by });

async function enter(house: House, cookie?: string): Promise<string> {
  const headers = { ...form, ...(cookie ? { cookie } : {}) };
  const answer = await house.visit(`/admin/enter/${linkFor(house)}`, { method: "POST", headers });
  assert.equal(answer.status, 303);
  return String(answer.headers["set-cookie"]).split(";")[0] as string;
}

async function givePassword(house: House): Promise<void> {
  const { db, keys, clock } = house.deps;
  const phc = await hashPassword(sentence);
  setPassword(db, { memberId: house.owner.id, phc, keepSessionHash: undefined, keys, now: clock.now(), by });
}

const attempt = (house: House, email: string, password: string, peer: string) =>
  house.visit("/admin/sign-in", {
    method: "POST",
    headers: { ...form, "x-test-peer": peer },
    body: new URLSearchParams({ email, password }).toString(),
  });

test("the session that a browser came with is dead once it signs in anew, and a made-up one never lives", async () => {
  const house = await openTestHouse();
  const first = await enter(house);
  const second = await enter(house, first);
  assert.notEqual(second, first);
  assert.equal((await house.visit("/admin", { headers: { cookie: first } })).status, 303);
  assert.equal((await house.visit("/admin", { headers: { cookie: second } })).status, 200);
  assert.equal(count(house), 1);

  const chosen = `__Host-candor=${"a".repeat(43)}`;
  const given = await enter(house, chosen);
  assert.notEqual(given, chosen);
  assert.equal((await house.visit("/admin", { headers: { cookie: chosen } })).status, 303);
  const named = given.replace("__Host-candor", "candor");
  assert.equal((await house.visit("/admin", { headers: { cookie: named } })).status, 303, "a plain cookie isn't read");
  await house.close();
});

test("a session ends after its idle hours, and after its absolute ones however busy it is", async () => {
  const house = await openTestHouse();
  const idle = await enter(house);
  house.pass(12 * hour + 1);
  assert.equal((await house.visit("/admin", { headers: { cookie: idle } })).status, 303);
  const busy = await enter(house);
  for (let passed = 0; passed < 168; passed += 5) {
    assert.equal((await house.visit("/admin", { headers: { cookie: busy } })).status, 200, `after ${passed} hours`);
    house.pass(5 * hour);
  }
  assert.equal((await house.visit("/admin", { headers: { cookie: busy } })).status, 303);
  await house.close();
});

test("a sign-in link that twenty browsers use at once lets one in", async () => {
  const house = await openTestHouse();
  const path = `/admin/enter/${linkFor(house)}`;
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => house.visit(path, { method: "POST", headers: form })),
  );
  assert.deepEqual(
    answers.map((answer) => answer.status).toSorted((a, b) => a - b),
    [303, ...Array.from({ length: 19 }, () => 404)],
  );
  assert.equal(count(house), 1);
  await house.close();
});

test("a thousand networks that guess at an account reach its password ten times, and its owner gets in by link", async () => {
  const house = await openTestHouse();
  await givePassword(house);
  let reached = 0;
  for (let guess = 0; guess < 1000; guess++) {
    const answer = await attempt(house, "olive@example.com", "wrong", `198.51.${guess >> 8}.${guess & 255}`);
    if (answer.status !== 429) reached += 1;
  }
  assert.equal(reached, 10);
  const cookie = await enter(house);
  const account = await house.visit("/admin/account", { headers: { cookie } });
  const csrf = /name="_csrf" value="([^"]+)"/.exec(account.text)?.[1] ?? "";
  const body = new URLSearchParams({ _csrf: csrf, current: sentence, password: "another long sentence" }).toString();
  const changed = await house.visit("/admin/account/password", { method: "POST", headers: { ...form, cookie }, body });
  assert.equal(changed.status, 303, "and may change the password while they guess");
  await house.close();
});

test("the present password can't be guessed from inside either", async () => {
  const house = await openTestHouse();
  await givePassword(house);
  const owner = await house.signIn(house.owner);
  house.pass(31 * 60_000);
  await owner.open("/admin/account");
  for (let guess = 0; guess < 10; guess++) {
    const answer = await owner.send("/admin/account/password", {
      current: `wrong ${guess}`,
      password: "long enough now",
    });
    assert.match(answer.text, /isn’t your present password/);
  }
  const right = await owner.send("/admin/account/password", { current: sentence, password: "long enough now" });
  assert.match(right.text, /Too many attempts/);
  await house.close();
});

test("a form with another session's token, or none of a form's types, does nothing", async () => {
  const house = await openTestHouse();
  const [mine, other] = [await enter(house), await enter(house)];
  const theirs = await house.visit("/admin/account", { headers: { cookie: other } });
  const csrf = /name="_csrf" value="([^"]+)"/.exec(theirs.text)?.[1] ?? "";
  const before = count(house);
  const send = (headers: Record<string, string>, body: string) =>
    house.visit("/admin/settings", { method: "POST", headers: { cookie: mine, ...headers }, body });
  assert.equal((await send(form, `_csrf=${csrf}&name=Mallory&time_zone=UTC`)).status, 403);
  for (const type of ["text/plain", "application/json", "multipart/form-data; boundary=x"]) {
    const answer = await send({ ...form, "content-type": type }, `_csrf=${csrf}&name=Mallory`);
    assert.equal(answer.status, 422, type);
  }
  for (const origin of [
    "null",
    "https://evil.example",
    `http://${host}`,
    `https://${host}.evil.example`,
    `https://${host}:444`,
  ]) {
    const answer = await send({ ...form, origin }, `_csrf=${csrf}&name=Mallory`);
    assert.equal(answer.status, 403, origin);
    assert.match(answer.text, /another site/);
  }
  for (const site of ["cross-site", "same-site", "none"]) {
    const { origin: _, ...bare } = form;
    assert.equal((await send({ ...bare, "sec-fetch-site": site }, `_csrf=${csrf}&name=Mallory`)).status, 403, site);
  }
  assert.equal(count(house), before);
  assert.match((await house.visit("/")).text, /Acme/);
  await house.close();
});

test("the log and the error pages tell no address, secret, text or stack", async () => {
  const house = await openTestHouse();
  const secret = linkFor(house);
  const canary = "canary-7f3a";
  const owner = await house.signIn(house.owner);
  const token = house.token("owner");
  house.deps.db.$client.exec(
    "CREATE TRIGGER broken BEFORE INSERT ON audit_entries BEGIN SELECT RAISE(ABORT, 'broken'); END",
  );
  const answers = [
    await house.visit(`/admin/enter/${secret}`, { method: "POST", headers: form }),
    await owner.send("/admin/incidents", { step: "publish", name: canary, body: canary, status: "investigating" }),
    await owner.send("/admin/subscribers", { email: `${canary}@example.com`, how: "letter", scope: "all" }),
    await house.api(token, "POST", `/v1/pages/${house.page.id}/incidents`, {
      incident: { name: canary, body: canary },
    }),
    await house.visit(`/v1/pages?api_key=${token}x`),
  ];
  assert.ok(answers.filter((answer) => answer.status === 500).length >= 4);
  const log = house.lines.join("");
  assert.match(log, /request\.failed/);
  for (const hidden of [canary, secret, token, "olive@example.com"]) assert.ok(!log.includes(hidden), hidden);
  for (const answer of answers) assert.doesNotMatch(answer.text, /SqliteError|node_modules|\.ts:\d|RAISE|at async/);
  await house.close();
});
