import assert from "node:assert/strict";
import { test } from "node:test";
import { changeComponent, findComponent } from "../../src/components/components.ts";
import { openIncident } from "../../src/incidents/incidents.ts";
import { listOpenIncidents } from "../../src/incidents/stories.ts";
import type { ComponentStatus } from "../../src/schema.ts";
import { type House, openTestHouse } from "../support/house.ts";

function open(house: House, components: Record<string, ComponentStatus>, name = "Payments fail"): string {
  const { incident } = openIncident(house.deps.db, {
    pageId: house.page.id,
    name,
    body: "Two banks refuse cards.",
    components,
    notify: false,
    burstFactor: 3,
    now: house.deps.clock.now(),
    by: { kind: "system" },
  });
  return `/admin/incidents/${incident.id}`;
}
const statusOf = (house: House, id: string) => findComponent(house.deps.db, { pageId: house.page.id, id }).status;

test("deleting an open incident offers to set its parts back, and leaves what another incident holds", async () => {
  const house = await openTestHouse();
  const { Checkout, Search, API } = house.parts;
  const paul = await house.signIn(house.publisher);
  const path = open(house, { [Checkout]: "major_outage", [Search]: "partial_outage" });
  open(house, { [Search]: "partial_outage", [API]: "major_outage" }, "Search fails");
  const asked = await paul.open(`${path}/delete`);
  assert.match(asked.text, /name="recover" value="1" checked/);
  assert.match(asked.text, /Set Checkout back to Operational/);
  assert.match(asked.text, /Checkout: Major outage/);
  assert.match(asked.text, /keep their status:[\s\S]*Search: [\s\S]*Partial outage/);
  await paul.send(`${path}/delete`, { recover: "1" });
  assert.equal(statusOf(house, Checkout), "operational");
  assert.equal(statusOf(house, Search), "partial_outage");
  assert.equal(statusOf(house, API), "major_outage");
  await house.close();
});

test("whoever deletes an open incident may leave its parts as they are; then the first page lists them", async () => {
  const house = await openTestHouse();
  const paul = await house.signIn(house.publisher);
  const path = open(house, { [house.parts.Checkout]: "major_outage" });
  assert.doesNotMatch((await paul.open("/admin")).text, /no open incident says why/);
  await paul.open(path);
  await paul.send(`${path}/delete`, {});
  assert.equal(statusOf(house, house.parts.Checkout), "major_outage");
  assert.match((await paul.open("/admin")).text, /no open incident says why[\s\S]*Checkout[\s\S]*Major outage/);
  await house.close();
});

test("the review warns of parts that would stay in trouble when an incident is over", async () => {
  const house = await openTestHouse();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  const draft = { draft: "a", name: "Payments failed", body: "It was short.", status: "resolved", step: "preview" };
  const direct = await paul.send("/admin/incidents", { ...draft, [`part[${house.parts.Checkout}]`]: "major_outage" });
  assert.match(direct.text, /It says Resolved, but Checkout stays at Major outage/);
  const whole = await paul.send("/admin/incidents", { ...draft, [`part[${house.parts.Checkout}]`]: "operational" });
  assert.doesNotMatch(whole.text, /stays at/);

  const path = open(house, { [house.parts.Search]: "partial_outage" });
  const end = { draft: "b", status: "resolved", body: "It works.", step: "preview" };
  assert.match((await paul.send(`${path}/updates`, end)).text, /Search stays at Partial outage/);
  assert.doesNotMatch((await paul.send(`${path}/updates`, { ...end, recover: "1" })).text, /stays at/);
  await house.close();
});

test("the first page lists a part that no open incident concerns, even while another incident is open", async () => {
  const house = await openTestHouse();
  const { db, clock } = house.deps;
  open(house, { [house.parts.Search]: "partial_outage" });
  const by = { kind: "system" } as const;
  changeComponent(db, {
    pageId: house.page.id,
    id: house.parts.API,
    status: "degraded_performance",
    now: clock.now(),
    by,
  });
  const owner = await house.signIn(house.owner);
  const [, section = ""] =
    /no open incident says why([\s\S]*?)<\/section>/.exec((await owner.open("/admin")).text) ?? [];
  assert.match(section, /API<\/a>[\s\S]*Degraded/);
  assert.doesNotMatch(section, /Search/);
  await house.close();
});

test("a part goes back to what an incident that is still open says of it, not to what the one that ends said", async () => {
  const house = await openTestHouse();
  const { Checkout, Search, API } = house.parts;
  const paul = await house.signIn(house.publisher);
  const first = open(house, { [Checkout]: "partial_outage", [Search]: "degraded_performance" }, "Cards fail");
  await paul.open(first);
  const word = { draft: "a", status: "identified", body: "Search is well again.", [`part[${Search}]`]: "operational" };
  await paul.send(`${first}/updates`, { ...word, step: "publish" });
  const second = open(
    house,
    { [Checkout]: "major_outage", [Search]: "major_outage", [API]: "major_outage" },
    "All is down",
  );
  const end = { draft: "b", status: "resolved", body: "The lines are back.", recover: "1" };
  const review = await paul.send(`${second}/updates`, { ...end, step: "preview" });
  assert.match(review.text, /Checkout is partly down\./);
  assert.match(review.text, /because others are open on them: <a href="[^"]+">Cards fail<\/a>\./);
  assert.doesNotMatch(review.text, /Search: <span class="status">.*Major outage/);
  await paul.send(`${second}/updates`, { ...end, step: "publish" });
  assert.equal(statusOf(house, Checkout), "partial_outage");
  assert.equal(statusOf(house, Search), "operational");
  assert.equal(statusOf(house, API), "operational");
  await house.close();
});

test("what is better than another open incident last said of it doesn't get worse when one ends", async () => {
  const house = await openTestHouse();
  const { Checkout } = house.parts;
  const paul = await house.signIn(house.publisher);
  open(house, { [Checkout]: "major_outage" }, "Cards fail");
  const second = open(house, { [Checkout]: "degraded_performance" }, "Cards are slow");
  await paul.open(second);
  const end = { draft: "b", status: "resolved", body: "Fast again.", recover: "1", step: "publish" };
  await paul.send(`${second}/updates`, end);
  assert.equal(statusOf(house, Checkout), "degraded_performance");
  await house.close();
});

test("a whole group is marked with one choice, and a part's own choice outranks it", async () => {
  const house = await openTestHouse();
  const { Checkout, Search, API } = house.parts;
  const paul = await house.signIn(house.publisher);
  const form = await paul.open("/admin/incidents/new");
  const [, shop = ""] = /name="all\[([a-z0-9]{12})\]"/.exec(form.text) ?? [];
  assert.match(form.text, /<label for="all-[a-z0-9]+"[^>]*>Shop<span class="hidden">, all parts<\/span><\/label>/);
  assert.doesNotMatch(form.text, /name="all\[none\]"/, "API is alone");
  const draft = { draft: "a", name: "The shop is down", body: "We look.", status: "investigating" };
  const marked = { ...draft, [`all[${shop}]`]: "major_outage", [`part[${Search}]`]: "degraded_performance" };
  const review = await paul.send("/admin/incidents", { ...marked, step: "preview" });
  assert.match(review.text, /Checkout is down\./);
  const back = await paul.send("/admin/incidents", { ...marked, step: "edit" });
  const chosen = (id: string) => new RegExp(`id="part-${id}"[^\n]*value="([a-z_]+)" selected`).exec(back.text)?.[1];
  assert.deepEqual([Checkout, Search, API].map(chosen), ["major_outage", "degraded_performance", undefined]);
  await paul.send("/admin/incidents", { ...marked, step: "publish" });
  assert.deepEqual(
    [Checkout, Search, API].map((id) => statusOf(house, id)),
    ["major_outage", "degraded_performance", "operational"],
  );

  const path = `/admin/incidents/${listOpenIncidents(house.deps.db, house.page.id)[0]?.id}/updates`;
  assert.match((await paul.open(path)).text, /name="all\[mine\]"/);
  const word = {
    draft: "b",
    status: "identified",
    body: "Half of it.",
    "all[mine]": "partial_outage",
    step: "publish",
  };
  await paul.send(path, word);
  assert.deepEqual(
    [Checkout, Search, API].map((id) => statusOf(house, id)),
    ["partial_outage", "partial_outage", "operational"],
  );
  await house.close();
});
