import assert from "node:assert/strict";
import { test } from "node:test";
import { deleteIncident } from "../../src/incidents/amendments.ts";
import { openIncident } from "../../src/incidents/incidents.ts";
import { setPassword } from "../../src/team/members.ts";
import { hashPassword } from "../../src/team/passwords.ts";
import { hiddenIn } from "../support/forms.ts";
import { type House, host, openTestHouse } from "../support/house.ts";

const draft = (house: House) => ({
  name: "Payments fail for <some> cards",
  body: "Two banks **refuse** cards.\n\nNext word at 11:00.",
  status: "identified",
  [`part[${house.parts.Checkout}]`]: "partial_outage",
  [`part[${house.parts.API}]`]: "",
  notify: "1",
  step: "publish",
});
const password = "a long enough pass phrase";

async function openOne(house: House): Promise<string> {
  const { incident } = openIncident(house.deps.db, {
    pageId: house.page.id,
    name: "Payments fail",
    body: "We look into it.",
    components: {},
    notify: false,
    burstFactor: 3,
    now: house.deps.clock.now(),
    by: { kind: "system" },
  });
  return incident.id;
}

test("whoever's session ends while they write gets all of it back, and is led back to the form", async () => {
  const house = await openTestHouse();
  const { db, keys, clock } = house.deps;
  const phc = await hashPassword(password);
  setPassword(db, {
    memberId: house.publisher.id,
    phc,
    keepSessionHash: undefined,
    keys,
    now: clock.now(),
    by: { kind: "system" },
  });
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  house.pass(13 * 3_600_000);
  const refused = await paul.send("/admin/incidents", draft(house));
  assert.equal(refused.status, 403);
  assert.match(refused.text, /Your session has ended/);
  assert.match(refused.text, /Two banks \*\*refuse\*\* cards\.\n\nNext word/);
  assert.match(refused.text, /Payments fail for &lt;some&gt; cards/);
  assert.match(refused.text, /<dd>Identified<\/dd>/);
  assert.match(refused.text, /<dd>Checkout: Partial outage<\/dd>/);
  assert.equal(refused.headers["referrer-policy"], "same-origin", "so that browsers name the origin of our forms");
  assert.equal(db.$client.prepare("SELECT count(*) FROM incidents").pluck().get(), 0);

  const [, link = ""] = /href="(\/admin\/sign-in\?to=[^"]+)"/.exec(refused.text.replaceAll("&#x3D;", "=")) ?? [];
  const signIn = await paul.open(link);
  const wrong = await paul.send("/admin/sign-in", {
    ...hiddenIn(signIn.text),
    email: "paul@example.com",
    password: "x",
  });
  assert.equal(wrong.status, 422);
  const form = await paul.send("/admin/sign-in", { ...hiddenIn(wrong.text), email: "paul@example.com", password });
  assert.match(form.text, /<h1>Open an incident<\/h1>/);
  await house.close();
});

test("whoever signs in where their session had ended goes on with what they wrote, and looks at it before it is published", async () => {
  const house = await openTestHouse();
  const { db, keys, clock } = house.deps;
  const phc = await hashPassword(password);
  const how = { keepSessionHash: undefined, keys, now: clock.now(), by: { kind: "system" } as const };
  setPassword(db, { memberId: house.publisher.id, phc, ...how });
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  house.pass(13 * 3_600_000);
  const refused = await paul.send("/admin/incidents", draft(house));
  const own = { email: "paul@example.com", password };
  const wrong = await paul.send("/admin/sign-in", { ...hiddenIn(refused.text), ...own, password: "x" });
  assert.equal(wrong.status, 422);
  const signedIn = await paul.send("/admin/sign-in", { ...hiddenIn(wrong.text), ...own });
  assert.match(signedIn.text, /<form method="post" action="\/admin\/incidents"/);
  const review = await paul.send("/admin/incidents", hiddenIn(signedIn.text));
  assert.match(review.text, /<h1>Check before you publish<\/h1>/);
  assert.match(review.text, /Two banks <strong>refuse<\/strong> cards\./);
  assert.match(review.text, /Checkout is partly down/);
  assert.equal(db.$client.prepare("SELECT count(*) FROM incidents").pluck().get(), 0);
  await paul.send("/admin/incidents", { ...hiddenIn(review.text), step: "publish" });
  assert.equal(db.$client.prepare("SELECT count(*) FROM incidents").pluck().get(), 1);
  await house.close();
});

test("a kept form goes to the admin and nowhere else", async () => {
  const house = await openTestHouse();
  const { db, keys, clock } = house.deps;
  const phc = await hashPassword(password);
  const how = { keepSessionHash: undefined, keys, now: clock.now(), by: { kind: "system" } as const };
  setPassword(db, { memberId: house.publisher.id, phc, ...how });
  const entries = [["body", "x"]];
  for (const path of [
    "https://evil.example/admin/x",
    "//evil.example",
    "/admin/../x",
    "/v1/pages",
    "/admin/sign-in",
    7,
  ]) {
    for (const kept of [
      JSON.stringify({ path, entries }),
      "{",
      "null",
      JSON.stringify({ path: "/admin/x", entries: 1 }),
    ]) {
      const answer = await house.visit("/admin/sign-in", {
        method: "POST",
        headers: { origin: `https://${host}`, "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams({ email: "paul@example.com", password, kept }).toString(),
      });
      assert.equal(answer.status, 303, kept);
    }
  }
  await house.close();
});

test("an update's form is found again by where it was sent from", async () => {
  const house = await openTestHouse();
  const id = await openOne(house);
  const refused = await house.visit(`/admin/incidents/${id}/updates`, {
    method: "POST",
    headers: {
      origin: `https://${host}`,
      referer: `https://${host}/admin/incidents/${id}`,
      "content-type": "application/x-www-form-urlencoded",
    },
    body: "body=Words",
  });
  assert.ok(refused.text.replaceAll("&#x3D;", "=").includes(`/admin/sign-in?to=/admin/incidents/${id}"`));
  await house.close();
});

test("nobody is led off the admin by signing in", async () => {
  const house = await openTestHouse();
  const { db, keys, clock } = house.deps;
  const phc = await hashPassword(password);
  setPassword(db, {
    memberId: house.publisher.id,
    phc,
    keepSessionHash: undefined,
    keys,
    now: clock.now(),
    by: { kind: "system" },
  });
  for (const to of [
    "https://evil.example/admin",
    "//evil.example",
    "/admin/../x",
    "/admin//evil.example",
    "/admin?x",
  ]) {
    const answer = await house.visit("/admin/sign-in", {
      method: "POST",
      headers: { origin: `https://${host}`, "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ email: "paul@example.com", password, to }).toString(),
    });
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.location, "/admin", to);
  }
  await house.close();
});

test("an update to an incident that was deleted meanwhile says by whom, and gives back what was written", async () => {
  const house = await openTestHouse();
  const id = await openOne(house);
  const paul = await house.signIn(house.publisher);
  await paul.open(`/admin/incidents/${id}`);
  deleteIncident(house.deps.db, {
    pageId: house.page.id,
    incidentId: id,
    now: house.deps.clock.now(),
    by: { kind: "member", id: house.owner.id },
  });
  for (const step of ["preview", "publish", "edit"]) {
    const gone = await paul.send(`/admin/incidents/${id}/updates`, { ...draft(house), step });
    assert.equal(gone.status, 404);
    assert.match(gone.text, /This incident was deleted on 23 Nov 2026, 10:00 CET by olive@example\.com\./);
    assert.match(gone.text, /Two banks \*\*refuse\*\* cards\./);
    assert.match(gone.text, /Checkout: Partial outage/);
    assert.doesNotMatch(gone.text, /sign-in/);
  }
  assert.match((await paul.open(`/admin/incidents/${id}`)).text, /was deleted/);
  assert.match((await paul.open("/admin/incidents/nonsense")).text, /There is no such incident/);
  await house.close();
});
