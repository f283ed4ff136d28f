import assert from "node:assert/strict";
import { test } from "node:test";
import { listDeeds } from "../../src/audit/audit.ts";
import { sessions } from "../../src/schema.ts";
import { createSignInLink, setPassword } from "../../src/team/members.ts";
import { hashPassword } from "../../src/team/passwords.ts";
import { type House, host, openTestHouse } from "../support/house.ts";

const by = { kind: "system" } as const;
const sentence = "a horse in the battery";

async function givePassword(house: House): Promise<void> {
  const { db, keys, clock } = house.deps;
  const phc = await hashPassword(sentence);
  setPassword(db, { memberId: house.owner.id, phc, keepSessionHash: undefined, keys, now: clock.now(), by });
}

const deedsOf = (house: House) => listDeeds(house.deps.db, { limit: 50 }).map((deed) => deed.action);
const sessionCount = (house: House) => house.deps.db.select().from(sessions).all().length;

test("a sign-in link shows a button, signs in once, and is spent by the button alone", async () => {
  const house = await openTestHouse();
  const secret = createSignInLink(house.deps.db, { memberId: house.owner.id, now: house.deps.clock.now(), by });
  for (let scan = 0; scan < 3; scan++) assert.equal((await house.visit(`/admin/enter/${secret}`)).status, 200);
  assert.equal(sessionCount(house), 0, "a GET starts no session");

  const owner = house.stranger();
  const inside = await owner.send(`/admin/enter/${secret}`, {});
  assert.equal(inside.status, 200);
  assert.match(inside.text, /Nothing is open\./);
  assert.match(inside.text, /olive@example\.com/);

  const again = await house.stranger().send(`/admin/enter/${secret}`, {});
  assert.equal(again.status, 404);
  assert.match(again.text, /used already or is too old/);
  assert.ok(deedsOf(house).includes("member.sign_in"));
  await house.close();
});

test("a link is too old after half an hour", async () => {
  const house = await openTestHouse();
  const secret = createSignInLink(house.deps.db, { memberId: house.owner.id, now: house.deps.clock.now(), by });
  house.pass(30 * 60_000);
  assert.equal((await house.visit(`/admin/enter/${secret}`)).status, 404);
  await house.close();
});

test("an address and its password sign in; the cookie is the host's own and no script reads it", async () => {
  const house = await openTestHouse();
  await givePassword(house);
  const answer = await house.visit("/admin/sign-in", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", origin: `https://${host}` },
    body: new URLSearchParams({ email: "Olive@Example.com", password: sentence }).toString(),
  });
  assert.equal(answer.status, 303);
  assert.equal(answer.headers.location, "/admin");
  assert.match(String(answer.headers["set-cookie"]), /^__Host-candor=[^;]{43}; .*HttpOnly.*Secure/);
  await house.close();
});

test("a wrong password and an unknown address get the same answer, with the address kept", async () => {
  const house = await openTestHouse();
  await givePassword(house);
  const wrong = await house.stranger().send("/admin/sign-in", { email: "olive@example.com", password: "wrong" });
  const unknown = await house.stranger().send("/admin/sign-in", { email: "nobody@example.com", password: "wrong" });
  const unset = await house.stranger().send("/admin/sign-in", { email: "paul@example.com", password: "wrong" });
  assert.equal(wrong.status, 422);
  assert.match(wrong.text, /value="olive@example\.com"/);
  const same = (text: string) => text.replaceAll(/\w+@example\.com/g, "");
  assert.equal(same(unknown.text), same(wrong.text));
  assert.equal(same(unset.text), same(wrong.text));
  const failed = listDeeds(house.deps.db, { limit: 1 })[0];
  assert.equal(failed?.action, "member.sign_in_failed");
  assert.equal(failed?.subject ?? failed?.detail, null, "the entry names no address");
  await house.close();
});

test("guessing is stopped after ten tries at an account, and after thirty from a network", async () => {
  const house = await openTestHouse();
  await givePassword(house);
  const attempt = (email: string, peer: string) =>
    house.visit("/admin/sign-in", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", origin: `https://${host}`, "x-test-peer": peer },
      body: new URLSearchParams({ email, password: "wrong" }).toString(),
    });
  for (let count = 0; count < 10; count++) {
    assert.equal((await attempt("olive@example.com", `192.0.2.${count + 10}`)).status, 422);
  }
  const stopped = await attempt("olive@example.com", "192.0.2.99");
  assert.equal(stopped.status, 429);
  assert.ok(Number(stopped.headers["retry-after"]) > 0);
  assert.match(stopped.text, /one-time link/);

  for (let count = 0; count < 30; count++) await attempt(`nobody-${count}@example.com`, "198.51.100.7");
  assert.equal((await attempt("somebody@example.com", "198.51.100.7")).status, 429);
  house.pass(60 * 60_000);
  assert.equal((await attempt("somebody@example.com", "198.51.100.7")).status, 422);
  await house.close();
});

test("signing out ends the session on the server", async () => {
  const house = await openTestHouse();
  const owner = await house.signIn(house.owner);
  const out = await owner.send("/admin/sign-out", {});
  assert.match(out.text, /<h1>Sign in<\/h1>/);
  assert.equal(sessionCount(house), 0);
  assert.match((await owner.open("/admin")).text, /<h1>Sign in<\/h1>/);
  await house.close();
});

test("a new password needs the present one and ends the other sessions", async () => {
  const house = await openTestHouse();
  const owner = await house.signIn(house.owner);
  await house.signIn(house.owner);
  assert.equal(sessionCount(house), 2);
  await owner.open("/admin/account");
  const short = await owner.send("/admin/account/password", { password: "short" });
  assert.equal(short.status, 422);
  assert.match(short.text, /at least 10 characters/);
  assert.match((await owner.send("/admin/account/password", { password: sentence })).text, /Your password is set/);
  assert.equal(sessionCount(house), 1);
  house.pass(31 * 60_000);
  const blind = await owner.send("/admin/account/password", { current: "wrong", password: "another long sentence" });
  assert.equal(blind.status, 422);
  assert.match(blind.text, /isn’t your present password/);
  const changed = await owner.send("/admin/account/password", { current: sentence, password: "another long sentence" });
  assert.equal(changed.status, 200);
  await house.close();
});

test("who forgot the password comes in by a link and sets a new one", async () => {
  const house = await openTestHouse();
  const first = await house.signIn(house.owner);
  await first.open("/admin/account");
  await first.send("/admin/account/password", { password: sentence });
  const again = await house.signIn(house.owner);
  assert.doesNotMatch((await again.open("/admin/account")).text, /Present password/);
  assert.match(
    (await again.send("/admin/account/password", { password: "another long sentence" })).text,
    /Your password is set/,
  );
  await house.close();
});

test("a member ends another session of their own, and no one else's", async () => {
  const house = await openTestHouse();
  const owner = await house.signIn(house.owner);
  await house.signIn(house.publisher);
  const foreign = house.deps.db
    .select()
    .from(sessions)
    .all()
    .find((row) => row.memberId === house.publisher.id);
  await owner.open("/admin/account");
  await owner.send("/admin/account/sessions", { session: foreign?.id ?? "" });
  assert.equal(sessionCount(house), 2);
  await house.signIn(house.owner);
  await owner.send("/admin/account/sessions", {});
  assert.equal(sessionCount(house), 2, "its own and the publisher's stay");
  assert.equal((await owner.open("/admin")).status, 200);
  await house.close();
});
