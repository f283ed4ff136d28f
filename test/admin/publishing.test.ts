import assert from "node:assert/strict";
import { test } from "node:test";
import { findComponent } from "../../src/components/components.ts";
import { listIncidents } from "../../src/incidents/stories.ts";
import { incidents, incidentUpdates, updateRevisions } from "../../src/schema.ts";
import { addSubscriber } from "../../src/subscribers/subscribers.ts";
import { startMailServer } from "../mail/mail-server.ts";
import { hiddenIn } from "../support/forms.ts";
import { type House, host, openTestHouse } from "../support/house.ts";
import { openLetter } from "../support/letterbox.ts";

async function withReaders(settings: Parameters<typeof openTestHouse>[0] = {}, most = 2): Promise<House> {
  const house = await openTestHouse(settings);
  const { db, keys, clock } = house.deps;
  const common = { pageId: house.page.id, keys, now: clock.now(), by: { kind: "system" } as const };
  for (let reader = 0; reader < most; reader++) {
    const wish = { wholePage: true, componentIds: [] };
    addSubscriber(db, { ...common, address: `all-${reader}@example.com`, wish, confirm: "vouched", source: "api" });
  }
  const wish = { wholePage: false, componentIds: [house.parts.Search] };
  addSubscriber(db, { ...common, address: "search@example.com", wish, confirm: "vouched", source: "api" });
  return house;
}

const first = (house: House) => listIncidents(house.deps.db, { pageId: house.page.id, limit: 1 })[0]?.id as string;
const rowsIn = (house: House, table: string) =>
  house.deps.db.$client.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
const statusOf = (house: House, id: string) => findComponent(house.deps.db, { pageId: house.page.id, id }).status;

const draft = (house: House) => ({
  draft: "draft0000001",
  name: "Payments fail for <some> cards",
  body: "Two banks **refuse** cards.\n\nNext word at 11:00.",
  status: "investigating",
  [`part[${house.parts.Checkout}]`]: "partial_outage",
  [`part[${house.parts.API}]`]: "",
  impact: "",
  notify: "1",
});

test("the whole walk: review, publish, update, resolve; the page shows each step", async () => {
  const house = await withReaders();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");

  const review = await paul.send("/admin/incidents", { ...draft(house), step: "preview" });
  assert.equal(review.status, 200);
  assert.match(review.text, /<strong>2 letters<\/strong> will be written, kept here, and sent to nobody/);
  assert.match(review.text, /Publish and keep 2 letters/);
  assert.doesNotMatch(review.text, /No part is marked/);
  const forgotten = { ...draft(house), [`part[${house.parts.Checkout}]`]: "", step: "preview" };
  assert.match((await paul.send("/admin/incidents", forgotten)).text, /No part is marked/);
  assert.match(review.text, /Investigating: Payments fail for &lt;some&gt; cards \(Checkout\)/);
  assert.match(review.text, /Two banks <strong>refuse<\/strong> cards\./);
  assert.match(review.text, /Two banks \*\*refuse\*\* cards\./, "the letter's plain text");
  assert.match(review.text, /Checkout is partly down/, "the page's headline");
  for (const table of ["incidents", "incident_updates", "announcements", "deliveries", "status_changes"]) {
    assert.equal(rowsIn(house, table), 0, `${table} after the review`);
  }
  assert.equal(statusOf(house, house.parts.Checkout), "operational");

  const published = await paul.send("/admin/incidents", { ...hiddenIn(review.text), step: "publish" });
  assert.equal(published.status, 200);
  assert.match(published.text, /Published\. The page shows it now\./);
  const front = await house.visit("/");
  assert.match(front.text, /Payments fail for &lt;some&gt; cards/);
  assert.match(front.text, /Checkout is partly down/);
  await house.settle();
  assert.equal((await openLetter(house)).subject, "Investigating: Payments fail for <some> cards (Checkout)");
  const id = first(house);
  assert.match((await paul.open(`/admin/incidents/${id}`)).text, /To 2 people: 2 kept/);

  house.pass(600_000);
  const update = { draft: "draft0000002", status: "identified", body: "The bank knows.", recover: "1", notify: "1" };
  const second = await paul.send(`/admin/incidents/${id}/updates`, { ...update, step: "preview" });
  assert.match(second.text, /Publish and keep 2 letters/);
  assert.equal(rowsIn(house, "incident_updates"), 1);
  await paul.send(`/admin/incidents/${id}/updates`, { ...hiddenIn(second.text), step: "publish" });
  assert.match((await house.visit(`/incidents/${id}`)).text, /The bank knows\./);
  assert.equal(
    statusOf(house, house.parts.Checkout),
    "partial_outage",
    "it recovers when the incident ends, not before",
  );

  house.pass(600_000);
  const end = { draft: "draft0000003", status: "resolved", body: "All cards work.", recover: "1", notify: "1" };
  const third = await paul.send(`/admin/incidents/${id}/updates`, { ...end, step: "preview" });
  assert.match(third.text, /Checkout: <span class="status">.*Operational/);
  await paul.send(`/admin/incidents/${id}/updates`, { ...hiddenIn(third.text), step: "publish" });
  assert.equal(statusOf(house, house.parts.Checkout), "operational");
  const after = await house.visit("/");
  assert.match(after.text, /All cards work\./);
  assert.doesNotMatch(after.text, /Checkout is partly down/);
  assert.match((await paul.open("/admin")).text, /Nothing is open\./);
  await house.settle();
  assert.equal(rowsIn(house, "deliveries"), 6);
  await house.close();
});

test("with a mail server the review says how many will be told, and who they are", async () => {
  const house = await withReaders({ "mail.smtp_url": "smtp://127.0.0.1:1" });
  const { db, keys, clock } = house.deps;
  addSubscriber(db, {
    address: "both@example.com",
    wish: { wholePage: false, componentIds: [house.parts.Search, house.parts.Checkout] },
    confirm: "vouched",
    source: "api",
    ...{ pageId: house.page.id, keys, now: clock.now(), by: { kind: "system" } },
  });
  const paul = await house.signIn(house.publisher);
  assert.match((await paul.open("/admin/incidents/new")).text, /You see who and what before anything is sent/);
  const one = await paul.send("/admin/incidents", { ...draft(house), step: "preview" });
  assert.match(one.text, /<strong>3 people<\/strong> will be told by mail/);
  assert.match(one.text, /Publish and tell 3 people/);
  assert.match(one.text, /2 for everything, 1 for Checkout\.</);
  const more = { ...draft(house), [`part[${house.parts.Search}]`]: "major_outage", step: "preview" };
  const two = await paul.send("/admin/incidents", more);
  assert.match(two.text, /<strong>4 people<\/strong> will be told by mail/);
  assert.match(two.text, /2 for everything, 1 for Checkout, 2 for Search\. Whoever chose several of these gets one/);
  await house.close();
});

test("without a mail server neither form nor review promises a letter to anybody", async () => {
  const house = await withReaders();
  const paul = await house.signIn(house.publisher);
  const form = await paul.open("/admin/incidents/new");
  assert.match(form.text, /Tell subscribers by mail[^\n]*No mail server is set up/);
  const review = await paul.send("/admin/incidents", { ...draft(house), step: "preview" });
  assert.match(review.text, /Nobody will be told by mail: no mail server is set up/);
  assert.doesNotMatch(review.text, /tell \d+ people/);
  await house.close();
});

test("a component chosen among the others stays in sight when the form comes back", async () => {
  const house = await withReaders();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  await paul.send("/admin/incidents", { ...draft(house), step: "publish" });
  const path = `/admin/incidents/${first(house)}`;
  const others = /<details open>\n<summary>Other components/;
  assert.doesNotMatch((await paul.open(path)).text, others);
  const fields = { status: "identified", body: "The bank knows.", [`part[${house.parts.API}]`]: "major_outage" };
  assert.match((await paul.send(`${path}/updates`, { ...fields, step: "edit" })).text, others);
  assert.match((await paul.send(`${path}/updates`, { ...fields, body: "", step: "preview" })).text, others);
  await house.close();
});

test("going back to editing keeps every field", async () => {
  const house = await withReaders();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  const fields = { ...draft(house), impact: "critical", status: "identified", notify: [] };
  const review = await paul.send("/admin/incidents", { ...fields, step: "preview" });
  assert.match(review.text, /Publish, tell nobody/);
  const back = await paul.send("/admin/incidents", { ...hiddenIn(review.text), step: "edit" });
  assert.match(back.text, /value="Payments fail for &lt;some&gt; cards"/);
  assert.match(back.text, /Two banks \*\*refuse\*\* cards\.\n\nNext word/);
  assert.match(back.text, /value="identified" checked/);
  assert.match(back.text, /<option value="critical" selected>/);
  assert.match(back.text, /<option value="partial_outage" selected>/);
  assert.doesNotMatch(back.text, /name="notify" value="1" checked/);
  assert.equal(rowsIn(house, "incidents"), 0);
  await house.close();
});

test("a form that can't be published comes back filled in, with the sentence beside its field", async () => {
  const house = await withReaders();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  for (const step of ["preview", "publish"]) {
    const nameless = await paul.send("/admin/incidents", { ...draft(house), name: " ", step });
    assert.equal(nameless.status, 422);
    assert.match(nameless.text, /id="name-error">Give the incident a title\./);
    assert.match(nameless.text, /aria-invalid="true"/);
    assert.match(nameless.text, /Two banks \*\*refuse\*\* cards\./);
    const silent = await paul.send("/admin/incidents", { ...draft(house), body: "  ", step });
    assert.match(silent.text, /id="body-error">Write what is happening/);
    assert.match(silent.text, /value="Payments fail for &lt;some&gt; cards"/);
    const both = await paul.send("/admin/incidents", { ...draft(house), name: "x".repeat(300), body: " ", step });
    assert.match(both.text, /id="name-error">Title: use at most 255 characters; these are 300\./);
    assert.match(both.text, /id="body-error">Write what is happening/);
    assert.match(both.text, /yet\.<\/strong> <a href="#name">Title: use[^<]*<\/a> <a href="#body">Write/);
    const odd = await paul.send("/admin/incidents", { ...draft(house), "part[nonsense]": "major_outage", step });
    assert.match(odd.text, /id="components-error">This page has no component/);
    const wrong = await paul.send("/admin/incidents", { ...draft(house), status: "completed", step });
    assert.match(wrong.text, /id="status-error">/);
  }
  assert.equal(rowsIn(house, "incidents"), 0);
  await house.close();
});

test("pressing Publish twice publishes once", async () => {
  const house = await withReaders();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  await paul.send("/admin/incidents", { ...draft(house), step: "publish" });
  const again = await paul.send("/admin/incidents", { ...draft(house), step: "publish" });
  assert.match(again.text, /Published\./);
  assert.equal(rowsIn(house, "incidents"), 1);
  const id = first(house);
  const update = { draft: "draft0000009", status: "monitoring", body: "Fixed.", step: "publish" };
  await paul.send(`/admin/incidents/${id}/updates`, update);
  await paul.send(`/admin/incidents/${id}/updates`, update);
  assert.equal(rowsIn(house, "incident_updates"), 2);
  await house.close();
});

test("a part that another open incident holds doesn't recover, and a status set by hand wins", async () => {
  const house = await withReaders();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  await paul.send("/admin/incidents", {
    ...draft(house),
    [`part[${house.parts.API}]`]: "major_outage",
    step: "publish",
  });
  const id = first(house);
  house.pass(1000);
  await paul.send("/admin/incidents", { ...draft(house), draft: "other", name: "Second", step: "publish" });
  const end = { status: "resolved", body: "Done.", recover: "1", [`part[${house.parts.API}]`]: "degraded_performance" };
  await paul.send(`/admin/incidents/${id}/updates`, { ...end, step: "publish" });
  assert.equal(statusOf(house, house.parts.Checkout), "partial_outage");
  assert.equal(statusOf(house, house.parts.API), "degraded_performance");
  await house.close();
});

test("a correction keeps the earlier words, changes the page, and tells nobody", async () => {
  const house = await withReaders();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  await paul.send("/admin/incidents", { ...draft(house), step: "publish" });
  await house.settle();
  const [id, update] = [first(house), house.deps.db.select().from(incidentUpdates).get()?.id];
  const path = `/admin/incidents/${id}/updates/${update}/edit`;
  assert.match((await paul.open(path)).text, /Two banks \*\*refuse\*\* cards\./);
  const empty = await paul.send(path, { body: " " });
  assert.equal(empty.status, 422);
  house.pass(60_000);
  const corrected = await paul.send(path, { body: "Three banks refuse cards." });
  assert.match(corrected.text, /nobody was told again/);
  await house.settle();
  assert.equal(rowsIn(house, "deliveries"), 2);
  assert.match(house.deps.db.select().from(updateRevisions).get()?.body ?? "", /Two banks/);
  const page = await house.visit(`/incidents/${id}`);
  assert.match(page.text, /Three banks refuse cards\./);
  assert.doesNotMatch(page.text, /Two banks/);
  assert.match((await paul.open(path)).text, /What it said before[\s\S]*Two banks/);
  await house.close();
});

test("an announcement beyond the burst factor is held; a person sends or drops it", async () => {
  const house = await withReaders({ "mail.burst_factor": "1" }, 120);
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  await paul.send("/admin/incidents", { ...draft(house), step: "publish" });
  const review = await paul.send("/admin/incidents", { ...draft(house), draft: "b", name: "Again", step: "preview" });
  assert.match(review.text, /letters will be held/);
  assert.match(review.text, /Publish and hold the letters/);
  const published = await paul.send("/admin/incidents", {
    ...draft(house),
    draft: "b",
    name: "Again",
    step: "publish",
  });
  assert.match(published.text, /Send it to 120 people<\/button>/);
  await paul.send("/admin/incidents", { ...draft(house), draft: "c", name: "And again", step: "publish" });
  await house.settle();
  assert.equal(rowsIn(house, "deliveries"), 120);

  const home = await paul.open("/admin");
  assert.match(home.text, /Held: nobody was told about “Again” yet/);
  assert.match(home.text, /This would make 240 letters within an hour for 121 subscribers/);
  assert.match((await paul.send("/admin/announcements/2", { decision: "send" })).text, /Released\./);
  assert.match((await paul.send("/admin/announcements/3", { decision: "drop" })).text, /Dropped\./);
  await house.settle();
  assert.equal(rowsIn(house, "deliveries"), 240);
  assert.equal((await paul.send("/admin/announcements/3", { decision: "send" })).status, 409);
  assert.doesNotMatch((await paul.open("/admin")).text, /Held:/);
  await house.close();
});

test("an incident is renamed, its impact set, and deleted behind a page of its own", async () => {
  const house = await withReaders();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  await paul.send("/admin/incidents", { ...draft(house), step: "publish" });
  const id = first(house);
  const nameless = await paul.send(`/admin/incidents/${id}`, { name: "", impact: "critical" });
  assert.equal(nameless.status, 422);
  assert.match(nameless.text, /id="name-error"/);
  await paul.send(`/admin/incidents/${id}`, { name: "Cards are refused", impact: "critical" });
  assert.equal(house.deps.db.select().from(incidents).get()?.impact, "critical");
  assert.match((await house.visit(`/incidents/${id}`)).text, /Cards are refused/);
  assert.match((await paul.open(`/admin/incidents/${id}/delete`)).text, /This can’t be taken back/);
  assert.equal(rowsIn(house, "incidents"), 1);
  assert.match((await paul.send(`/admin/incidents/${id}/delete`, {})).text, /off the page/);
  assert.equal((await house.visit(`/incidents/${id}`, { host })).status, 404);
  await house.close();
});

test("whoever published is told at once what becomes of the letters", async (t) => {
  const server = await startMailServer(t);
  const house = await withReaders({ "mail.smtp_url": `smtp://127.0.0.1:${server.port}` }, 60);
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  const publish = async (fields: object, name: string) =>
    (await paul.send("/admin/incidents", { ...draft(house), ...fields, draft: name, step: "publish" })).text;
  assert.match(await publish({}, "a"), /Published\. The page shows it now, and the letters are on their way\./);
  await house.settle();
  assert.match(await publish({ notify: [] }, "b"), /Published\. The page shows it now\. Nobody is told by mail\./);

  await server.stop();
  house.pass(3 * 3_600_000);
  await publish({}, "c");
  await house.settle();
  const waiting = await paul.send("/admin/incidents", { ...draft(house), draft: "d", name: "More", step: "preview" });
  assert.match(waiting.text, /The mail server can’t be reached just now\./);
  assert.match(await publish({ name: "More" }, "d"), /can’t be reached, so the letters wait until it is back\./);
  const now = await paul.open("/admin");
  assert.match(now.text, /<p class="alert" role="status">The mail server can’t be reached: \d+ letters wait[^<]*”\. /);
  for (const name of ["e", "f", "g"]) await publish({ name }, name);
  assert.match(await publish({ name: "h" }, "h"), /nobody is told yet: decide about the letters below\./);
  await house.close();
});

test("an incident whose parts nobody marked isn't said to have no impact", async () => {
  const house = await withReaders();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  const partless = { ...draft(house), [`part[${house.parts.Checkout}]`]: "" };
  assert.doesNotMatch(
    (await paul.send("/admin/incidents", { ...partless, step: "preview" })).text,
    /class="meta">No impact/,
  );
  await paul.send("/admin/incidents", { ...partless, step: "publish" });
  assert.doesNotMatch((await house.visit(`/incidents/${first(house)}`)).text, /No impact/);
  const said = await paul.send("/admin/incidents", {
    ...partless,
    name: "Said",
    draft: "b",
    impact: "none",
    step: "preview",
  });
  assert.match(said.text, /class="meta">No impact/, "who chose it is taken at their word");
  await house.close();
});

test("the review of opening an incident again warns when all its parts would be operational", async () => {
  const house = await withReaders();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  await paul.send("/admin/incidents", { ...draft(house), step: "publish" });
  const path = `/admin/incidents/${first(house)}/updates`;
  await paul.send(path, { status: "resolved", body: "Done.", recover: "1", step: "publish" });
  const again = { status: "investigating", body: "Not done.", step: "preview" };
  assert.match(
    (await paul.send(path, again)).text,
    /Its parts are all Operational\. Go back and mark what is affected/,
  );
  const marked = { ...again, [`part[${house.parts.Checkout}]`]: "degraded_performance" };
  assert.doesNotMatch((await paul.send(path, marked)).text, /all Operational/);
  await house.close();
});

test("the timeline says to the team, and to no visitor, who wrote an update", async () => {
  const house = await withReaders();
  const [paul, olive] = [await house.signIn(house.publisher), await house.signIn(house.owner)];
  await paul.open("/admin/incidents/new");
  await paul.send("/admin/incidents", { ...draft(house), step: "publish" });
  const path = `/admin/incidents/${first(house)}`;
  await olive.open(path);
  await olive.send(`${path}/updates`, { status: "identified", body: "The bank knows.", step: "publish" });
  const [, timeline = ""] = /<ol class="timeline">([\s\S]*?)<\/ol>/.exec((await paul.open(path)).text) ?? [];
  assert.match(timeline, /Identified[^\n]*olive@example\.com[\s\S]*Investigating[^\n]*paul@example\.com/);
  assert.doesNotMatch((await house.visit(`/incidents/${first(house)}`)).text, /example\.com<|olive/);
  await house.close();
});
