import assert from "node:assert/strict";
import { test } from "node:test";
import { listDeeds } from "../../src/audit/audit.ts";
import { listComponents } from "../../src/components/components.ts";
import { listDeliveries } from "../../src/mail/ledger.ts";
import { readLetter } from "../../src/mail/letter-text.ts";
import { findPage } from "../../src/pages/pages.ts";
import { subscribers } from "../../src/schema.ts";
import { quarantineSubscriber } from "../../src/subscribers/subscribers.ts";
import { type House, openTestHouse } from "../support/house.ts";
import { openLetter } from "../support/letterbox.ts";

const namesOf = (house: House) => listComponents(house.deps.db, house.page.id).map((component) => component.name);
const reader = (house: House) => house.deps.db.select().from(subscribers).get();

test("components are created, moved, changed and archived, and the page follows", async () => {
  const house = await openTestHouse();
  const owner = await house.signIn(house.owner);
  await owner.open("/admin/components/new");
  const fields = {
    name: "Website",
    description: "What you see",
    group_id: "",
    status: "operational",
    start_date: "",
    showcase: "1",
  };
  const nameless = await owner.send("/admin/components", { ...fields, name: "" });
  assert.equal(nameless.status, 422);
  assert.match(nameless.text, /id="name-error"/);
  assert.match(nameless.text, /What you see/);
  const undated = await owner.send("/admin/components", { ...fields, start_date: "soon" });
  assert.match(undated.text, /id="start_date-error"/);

  assert.match((await owner.send("/admin/components", fields)).text, /Created\./);
  assert.match((await house.visit("/")).text, /Website/);
  const id = listComponents(house.deps.db, house.page.id).at(-1)?.id;
  await owner.send(`/admin/components/${id}/position`, { step: "up" });
  assert.deepEqual(namesOf(house), ["Website", "Checkout", "Search", "API"]);
  assert.equal((await owner.send(`/admin/components/${id}/position`, { step: "sideways" })).status, 422);
  await owner.send(`/admin/components/${id}`, { ...fields, name: "Site", status: "degraded_performance" });
  assert.match((await house.visit("/")).text, /Site is degraded/);
  await owner.send(`/admin/components/${id}/archive`, { archived: "1" });
  assert.doesNotMatch((await house.visit("/")).text, /Site/);
  assert.match((await owner.send(`/admin/components/${id}/archive`, { archived: "0" })).text, /Back on the page/);
  await house.close();
});

test("groups are created, moved, renamed, and removed without their components", async () => {
  const house = await openTestHouse();
  const owner = await house.signIn(house.owner);
  await owner.open("/admin/component-groups/new");
  assert.equal((await owner.send("/admin/component-groups", { name: " " })).status, 422);
  await owner.send("/admin/component-groups", { name: "Regions", description: "" });
  const groups = () =>
    house.deps.db.$client
      .prepare("SELECT id, name FROM component_groups WHERE archived_at IS NULL ORDER BY position")
      .all() as { id: string; name: string }[];
  const [shop, regions] = groups();
  await owner.send(`/admin/component-groups/${regions?.id}/position`, { step: "up" });
  await owner.send(`/admin/component-groups/${shop?.id}`, { name: "The shop", description: "Where you buy" });
  assert.deepEqual(
    groups().map((group) => group.name),
    ["Regions", "The shop"],
  );
  await owner.send(`/admin/component-groups/${shop?.id}/archive`, {});
  assert.equal(groups().length, 1);
  assert.deepEqual(namesOf(house), ["API", "Checkout", "Search"]);
  await house.close();
});

test("a subscriber is added with a letter to confirm, or vouched for with consent", async () => {
  const house = await openTestHouse();
  const paul = await house.signIn(house.publisher);
  assert.match((await paul.open("/admin/subscribers")).text, /Nobody has subscribed yet/);
  await paul.open("/admin/subscribers/new");
  const wrong = await paul.send("/admin/subscribers", { email: "no address", scope: "all", how: "letter" });
  assert.equal(wrong.status, 422);
  assert.match(wrong.text, /id="email-error"/);
  assert.match(wrong.text, /value="no address"/);
  const unasked = await paul.send("/admin/subscribers", { email: "ann@example.com", scope: "all", how: "vouched" });
  assert.equal(unasked.status, 422);
  assert.match(unasked.text, /id="agreed-error"/);
  assert.equal(reader(house), undefined);

  const chosen = { scope: "some", components: [house.parts.API, house.parts.Search] };
  const added = await paul.send("/admin/subscribers", { email: "ann@example.com", how: "letter", ...chosen });
  assert.match(added.text, /A confirmation letter is on its way/);
  assert.match(added.text, /told about API and Search/);
  assert.equal(reader(house)?.state, "unconfirmed");
  await house.settle();
  assert.match((await openLetter(house)).subject, /Confirm your subscription/);
  const twice = await paul.send("/admin/subscribers", { email: "Ann@example.com", how: "letter", scope: "all" });
  assert.match(twice.text, /subscribed to the page already/);
  const vouched = { email: "bob@example.com", how: "vouched", agreed: "1", scope: "all" };
  assert.match((await paul.send("/admin/subscribers", vouched)).text, /told from the next update on/);
  await house.close();
});

test("a subscriber is found by address, which never stands in a URL, and helped or let go", async () => {
  const house = await openTestHouse();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/subscribers/new");
  await paul.send("/admin/subscribers", { email: "ann@example.com", how: "letter", scope: "all" });
  const id = reader(house)?.id as string;
  assert.match((await paul.send("/admin/subscribers/find", { find: "ANN@example.com" })).text, /<h1 class="long">ann@/);
  assert.match((await paul.send("/admin/subscribers/find", { find: "bob@example.com" })).text, /Nobody with exactly/);

  const tooSoon = await paul.send(`/admin/subscribers/${id}`, { deed: "resend" });
  assert.equal(tooSoon.status, 422);
  assert.match(tooSoon.text, /Wait a day/);
  house.pass(25 * 3_600_000);
  // The member's session has run out by then, too.
  const later = await house.signIn(house.publisher);
  await later.open(`/admin/subscribers/${id}`);
  assert.match((await later.send(`/admin/subscribers/${id}`, { deed: "resend" })).text, /on its way/);
  quarantineSubscriber(house.deps.db, { seq: reader(house)?.seq as number, now: house.deps.clock.now() });
  assert.match((await later.open(`/admin/subscribers/${id}`)).text, /bounced/);
  assert.match((await later.send(`/admin/subscribers/${id}`, { deed: "reactivate" })).text, /Reactivated/);
  const gone = await later.send(`/admin/subscribers/${id}`, { deed: "unsubscribe" });
  assert.match(gone.text, /The address is erased/);
  assert.doesNotMatch(gone.text, /ann@example\.com/);
  assert.equal(reader(house)?.state, "unsubscribed");
  assert.equal((await later.send(`/admin/subscribers/${id}`, { deed: "constructor" })).status, 422);
  await house.close();
});

test("a kept letter is read in the admin, and its links lead on without a mail server", async () => {
  const house = await openTestHouse();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/subscribers/new");
  await paul.send("/admin/subscribers", { email: "ann@example.com", how: "letter", scope: "all" });
  await house.settle();
  const list = await paul.open("/admin/mail");
  assert.match(list.text, /a…@example\.com/);
  assert.doesNotMatch(list.text, /ann@example\.com/);
  const id = listDeliveries(house.deps.db, { pageId: house.page.id, limit: 1 })[0]?.id;
  const letter = await paul.open(`/admin/mail/${id}`);
  assert.match(letter.text, /<dd>ann@example\.com<\/dd>/);
  const link = /<a href="https:\/\/status\.example\.com(\/subscribe\/confirm\/[^"]+)"/.exec(letter.text)?.[1] as string;
  const visitor = house.stranger();
  assert.equal((await visitor.open(link)).status, 200);
  await visitor.send(link, {});
  assert.equal(reader(house)?.state, "active");

  const retried = await paul.send(`/admin/mail/${id}`, { deed: "retry" });
  assert.match(retried.text, /Back in the queue/);
  assert.equal((await paul.open("/admin/mail/999")).status, 404);
  assert.equal((await paul.open("/admin/mail?state=bounced")).text.includes("No letter is like that"), true);
  await house.close();
});

test("the list of letters says what each is about, and leads to its incident", async () => {
  const house = await openTestHouse();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/subscribers/new");
  await paul.send("/admin/subscribers", { email: "ann@example.com", how: "vouched", agreed: "1", scope: "all" });
  const update = { name: "Search <fails>", body: "We look.", status: "investigating", notify: "1", step: "publish" };
  await paul.send("/admin/incidents", update);
  await paul.send("/admin/mail", { email: "paul@example.com" });
  await house.settle();
  const [test, letter] = listDeliveries(house.deps.db, { pageId: house.page.id, limit: 2 });
  const incident = /href="(\/admin\/incidents\/[a-z0-9]+)"/;
  const list = await paul.open("/admin/mail");
  assert.match(list.text, new RegExp(`href="/admin/mail/${letter?.id}">Investigating: Search &lt;fails&gt;`));
  assert.match(list.text, new RegExp(`href="/admin/mail/${test?.id}">Test letter`));
  const path = incident.exec(list.text)?.[1] ?? "";
  assert.match((await paul.open(path)).text, /<h1>Search &lt;fails&gt;<\/h1>/);
  const about = await paul.open(`/admin/mail?announcement=${letter?.announcementId}`);
  assert.match(about.text, /<h2>Letters about “Investigating: Search &lt;fails&gt;”<\/h2>/);
  assert.match((await paul.open(`/admin/mail/${letter?.id}`)).text, /<dt>About<\/dt><dd><a href="\/admin\/incidents/);
  await house.close();
});

test("a test letter's sender sees at once what became of it", async () => {
  const house = await openTestHouse();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/mail");
  const wrong = await paul.send("/admin/mail", { email: "nowhere" });
  assert.equal(wrong.status, 422);
  assert.match(wrong.text, /id="email-error"/);
  const sent = await paul.send("/admin/mail", { email: "paul@example.com" });
  assert.match(sent.text, /Test letter: Kept/);
  assert.doesNotMatch(sent.text, /handed over/, "nothing was handed to anybody");
  assert.match(sent.text, /This is a test letter from Acme/);
  await house.close();
});

test("a letter's words are read back as they were written, whatever they hold", async () => {
  const house = await openTestHouse();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/subscribers/new");
  await paul.send("/admin/subscribers", { email: "ann@example.com", how: "vouched", agreed: "1", scope: "all" });
  const name = "Zahlungen ⚠ für einzelne Karten schlagen fehl, und das in einem recht langen Titel über Zeilen hinweg";
  const body = `Größe = 5 → "ganz" <b>\n\n${"lang ".repeat(60)}\nhttps://example.com/?a=b&c=d`;
  await paul.send("/admin/incidents", { name, body, status: "investigating", notify: "1", step: "publish" });
  await house.settle();
  const kept = await openLetter(house);
  const read = readLetter(kept.raw);
  assert.equal(read.headers.find((header) => header.name === "Subject")?.value, kept.subject);
  assert.equal(kept.subject, `Investigating: ${name}`);
  assert.equal(read.text, kept.text.trim());
  assert.ok(read.links.includes("https://example.com/?a=b&c=d"));
  assert.ok(read.links.some((link) => link.includes("/subscription/")));
  await house.close();
});

test("the page's settings are changed by who may, and the server's are shown without their secrets", async () => {
  const house = await openTestHouse({ "mail.smtp_url": "smtp://candor:hunter2@127.0.0.1:9" });
  const owner = await house.signIn(house.owner);
  const shown = await owner.open("/admin/settings");
  assert.doesNotMatch(shown.text, /hunter2/);
  assert.match(shown.text, /set, not shown/);
  const [chosen = "", standing = ""] = shown.text.split(/settings stand at their defaults/);
  const names = (text: string) => [...text.matchAll(/<h3><code>([\w.]+)</g)].map(([, name]) => name);
  assert.deepEqual(names(chosen), ["mail.smtp_url"]);
  assert.ok(names(standing).includes("acme.directory"));
  assert.match(shown.text, /A flag at the start says so, whatever the command line sets/);
  const fields = {
    name: "Acme Corp",
    description: "All of it",
    time_zone: "Europe/Zurich",
    support_url: "https://acme.example/help",
  };
  const nowhere = await owner.send("/admin/settings", { ...fields, time_zone: "Zurich" });
  assert.equal(nowhere.status, 422);
  assert.match(nowhere.text, /id="time_zone-error">There is no time zone .*Europe\/Zurich/);
  assert.match(nowhere.text, /value="Acme Corp"/);
  const script = await owner.send("/admin/settings", { ...fields, support_url: "javascript:alert(1)" });
  assert.match(script.text, /id="support_url-error"/);
  await owner.send("/admin/settings", fields);
  assert.equal(findPage(house.deps.db, house.page.id).timeZone, "Europe/Zurich");
  assert.match((await house.visit("/")).text, /Acme Corp/);

  const paul = await house.signIn(house.publisher);
  assert.doesNotMatch((await paul.open("/admin/settings")).text, /<form[^>]*action="\/admin\/settings"/);
  await house.close();
});

test("the audit log tells the owner who did what, in words", async () => {
  const house = await openTestHouse();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  await paul.send("/admin/incidents", { name: "Slow", body: "It is slow.", status: "investigating", step: "publish" });
  assert.equal((await paul.open("/admin/audit")).status, 403);
  const owner = await house.signIn(house.owner);
  const log = (await owner.open("/admin/audit")).text;
  assert.match(log, /paul@example\.com <strong>opened an incident<\/strong>/);
  assert.match(log, /<a href="\/admin\/incidents\/[a-z0-9]+">Slow<\/a>/, "by its name, not by a number");
  assert.ok(listDeeds(house.deps.db, { limit: 5 }).some((deed) => deed.action === "incident.open"));
  await house.close();
});

test("an empty page says what to do first", async () => {
  const house = await openTestHouse();
  house.deps.db.$client.exec("DELETE FROM components");
  const owner = await house.signIn(house.owner);
  const home = await owner.open("/admin");
  assert.match(home.text, /First, say what your page is about/);
  assert.match(home.text, /href="\/admin\/components\/new"/);
  assert.match((await owner.open("/admin/incidents")).text, /Nothing has happened yet/);
  assert.match((await owner.open("/admin/mail")).text, /No letter was written yet/);
  await house.close();
});
