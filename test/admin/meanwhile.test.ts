import assert from "node:assert/strict";
import { test } from "node:test";
import { openIncident } from "../../src/incidents/incidents.ts";
import { findIncident } from "../../src/incidents/stories.ts";
import { hiddenIn } from "../support/forms.ts";
import { type Browser, type House, openTestHouse } from "../support/house.ts";

async function withIncident() {
  const house = await openTestHouse();
  const { incident, update } = openIncident(house.deps.db, {
    pageId: house.page.id,
    name: "Payments fail",
    body: "Two banks refuse cards.",
    components: { [house.parts.Checkout]: "partial_outage" },
    notify: false,
    burstFactor: 3,
    now: house.deps.clock.now(),
    by: { kind: "member", id: house.owner.id },
  });
  house.pass(60_000);
  const path = `/admin/incidents/${incident.id}`;
  return { house, paul: await house.signIn(house.publisher), olive: await house.signIn(house.owner), path, update };
}

const updates = (house: House) =>
  house.deps.db.$client.prepare("SELECT count(*) FROM incident_updates").pluck().get() as number;
const statusOf = (house: House, path: string) =>
  findIncident(house.deps.db, { pageId: house.page.id, id: path.split("/").at(-1) ?? "" }).status;
const formIn = async (who: Browser, path: string) => {
  const { draft = "", seen = "" } = hiddenIn((await who.open(path)).text);
  return { draft, seen };
};

async function resolve(who: Browser, path: string) {
  const form = { ...(await formIn(who, path)), status: "resolved", body: "All **cards** work.", recover: "1" };
  const review = await who.send(`${path}/updates`, { ...form, step: "preview" });
  return who.send(`${path}/updates`, { ...hiddenIn(review.text), step: "publish" });
}

test("whoever reviews an update from an old form is told what was said since, and that it opens the incident again", async () => {
  const { house, paul, olive, path } = await withIncident();
  const form = { ...(await formIn(paul, path)), status: "identified", body: "The bank knows.", notify: "1" };
  assert.match((await resolve(olive, path)).text, /Published\./);

  const review = await paul.send(`${path}/updates`, { ...form, step: "preview" });
  assert.equal(review.status, 200);
  assert.match(review.text, /Since you opened the form, 1 update was posted/);
  assert.match(review.text, /<strong>Resolved<\/strong>.*olive@example\.com/);
  assert.match(review.text, /All <strong>cards<\/strong> work\./);
  assert.match(review.text, /It is Resolved\. <strong>Publishing this opens it again\./);
  assert.doesNotMatch(review.text, /Nothing was published yet/);

  const published = await paul.send(`${path}/updates`, { ...hiddenIn(review.text), step: "publish" });
  assert.match(published.text, /Published\./, "the button on the review that said it all");
  assert.equal(statusOf(house, path), "identified");
  await house.close();
});

test("what is posted between the review and the button stops the button once, and nothing typed is lost", async () => {
  const { house, paul, olive, path } = await withIncident();
  const form = { ...(await formIn(paul, path)), status: "identified", body: "The bank knows.", notify: "1" };
  const review = await paul.send(`${path}/updates`, { ...form, step: "preview" });
  assert.doesNotMatch(review.text, /Since you opened|opens it again/);
  await resolve(olive, path);

  const stopped = await paul.send(`${path}/updates`, { ...hiddenIn(review.text), step: "publish" });
  assert.equal(stopped.status, 409);
  assert.match(stopped.text, /Nothing was published yet\./);
  assert.match(stopped.text, /olive@example\.com/);
  assert.match(stopped.text, /opens it again/);
  assert.equal(updates(house), 2);
  assert.equal(statusOf(house, path), "resolved");

  const back = await paul.send(`${path}/updates`, { ...hiddenIn(stopped.text), step: "edit" });
  assert.match(back.text, /The bank knows\./);
  assert.match(back.text, /value="identified" checked/);
  const published = await paul.send(`${path}/updates`, { ...hiddenIn(stopped.text), step: "publish" });
  assert.match(published.text, /Published\./);
  await paul.send(`${path}/updates`, { ...hiddenIn(review.text), step: "publish" });
  assert.equal(updates(house), 3, "the first review's button leads to what was published");
  await house.close();
});

test("a correction of words that somebody else has corrected meanwhile shows theirs before it replaces them", async () => {
  const { house, paul, olive, path, update } = await withIncident();
  const edit = `${path}/updates/${update.id}/edit`;
  const { seen = "" } = hiddenIn((await paul.open(edit)).text);
  const other = hiddenIn((await olive.open(edit)).text);
  await olive.send(edit, { ...other, body: "Three banks refuse *cards*." });

  const stopped = await paul.send(edit, { seen, body: "Some banks refuse cards." });
  assert.equal(stopped.status, 409);
  assert.match(stopped.text, /Since you opened it, this update was corrected/);
  assert.match(stopped.text, /olive@example\.com/);
  assert.match(stopped.text, /Three banks refuse <em>cards<\/em>\./);
  assert.match(stopped.text, />\nSome banks refuse cards\.<\/textarea>/);
  const saved = await paul.send(edit, { ...hiddenIn(stopped.text), body: "Some banks refuse cards." });
  assert.match(saved.text, /Corrected\./);
  assert.match((await house.visit(path.replace("/admin", ""))).text, /Some banks/);
  await house.close();
});

test("saving a correction without changing a word changes nothing", async () => {
  const { house, paul, path, update } = await withIncident();
  const deeds = () => house.deps.db.$client.prepare("SELECT count(*) FROM audit_entries").pluck().get();
  await paul.open(path);
  const before = deeds();
  const saved = await paul.send(`${path}/updates/${update.id}/edit`, { body: "Two banks refuse cards.\r\n" });
  assert.match(saved.text, /Nothing was changed/);
  assert.equal(deeds(), before);
  house.deps.press.pressAll();
  assert.doesNotMatch((await house.visit(path.replace("/admin", ""))).text, /class="edited"/);
  await house.close();
});

test("whoever opens an incident on a part that one is open on is shown that one first, and stopped once if it came after the review", async () => {
  const { house, paul, olive, path } = await withIncident();
  const opened = () => house.deps.db.$client.prepare("SELECT count(*) FROM incidents").pluck().get();
  const draft = (name: string, part: string) => ({
    draft: name,
    name,
    body: "We look.",
    [`part[${part}]`]: "major_outage",
  });
  const send = (who: Browser, fields: object, step: string) =>
    who.send("/admin/incidents", { status: "investigating", notify: "1", ...fields, step });
  assert.match((await paul.open("/admin/incidents/new")).text, /Open already: <a href="[^"]+">Payments fail<\/a>/);

  const same = await send(paul, draft("Cards fail", house.parts.Checkout), "preview");
  assert.match(same.text, /Open already on the same parts/);
  assert.match(same.text, new RegExp(`href="${path}">Payments fail</a>.*olive@example\\.com`));
  const other = await send(paul, draft("Search fails", house.parts.Search), "preview");
  assert.doesNotMatch(other.text, /Open already/);

  await olive.open("/admin/incidents/new");
  const hers = await send(olive, draft("Nothing is found", house.parts.Search), "preview");
  assert.match((await send(olive, hiddenIn(hers.text), "publish")).text, /Published/);
  const stopped = await send(paul, hiddenIn(other.text), "publish");
  assert.equal(stopped.status, 409);
  assert.match(stopped.text, /Nothing was published yet\.<\/strong> Meanwhile somebody opened/);
  assert.match(stopped.text, />Nothing is found<\/a>.*olive@example\.com/);
  assert.equal(opened(), 2);
  assert.match((await send(paul, hiddenIn(stopped.text), "publish")).text, /Published/, "who insists may");
  assert.match((await send(paul, hiddenIn(stopped.text), "publish")).text, /Published/);
  assert.equal(opened(), 3);
  await house.close();
});
