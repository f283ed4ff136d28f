/** No header says how many rows there are: clients go on until a page is short, from 0 for subscribers, else from 1. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createComponent } from "../../src/components/components.ts";
import { openIncident } from "../../src/incidents/incidents.ts";
import { addSubscriber, quarantineSubscriber } from "../../src/subscribers/subscribers.ts";
import { type House, monday, openTestHouse } from "../support/house.ts";

const by = { kind: "system" as const };
let house: House;
let base: string;
const read = async (path: string) => (await house.operate("GET", base + path)).json();
const names = (list: any[]) => list.map((one) => one.name);

before(async () => {
  house = await openTestHouse();
  base = `/v1/pages/${house.page.id}`;
  const { db, keys } = house.deps;
  const pageId = house.page.id;
  for (let count = 1; count <= 105; count++) {
    const now = monday + count;
    createComponent(db, { pageId, name: `Part ${count}`, now, by });
    openIncident(db, {
      pageId,
      name: `Incident ${count}`,
      body: "",
      components: {},
      notify: false,
      burstFactor: 5,
      now,
      by,
    });
    const wish = { wholePage: true, componentIds: [] };
    addSubscriber(db, {
      pageId,
      address: `s${count}@example.com`,
      wish,
      confirm: "vouched",
      source: "api",
      keys,
      now,
      by,
    });
  }
});
after(() => house.close());

test("subscribers are paged from 0, a hundred at a time", async () => {
  const first = await read("/subscribers");
  assert.equal(first.length, 100);
  assert.equal(first[0].email, "s1@example.com");
  assert.deepEqual(await read("/subscribers?page=0"), first);
  const second = await read("/subscribers?page=1");
  assert.deepEqual(
    second.map((one: any) => one.email),
    [101, 102, 103, 104, 105].map((count) => `s${count}@example.com`),
  );
  assert.deepEqual(await read("/subscribers?page=2"), []);
  const small = await read("/subscribers?limit=2&page=2");
  assert.deepEqual(
    small.map((one: any) => one.email),
    ["s5@example.com", "s6@example.com"],
  );
});

test("subscribers are sorted and chosen as asked, and found by their exact address", async () => {
  assert.equal((await read("/subscribers?sort_direction=desc&limit=1"))[0].email, "s105@example.com");
  const found = await read("/subscribers?q=S7@Example.com");
  assert.deepEqual(
    found.map((one: any) => one.email),
    ["s7@example.com"],
  );
  assert.deepEqual(await read("/subscribers?q=s7"), []);
  assert.deepEqual(await read("/subscribers?q=nobody@example.com"), []);
  assert.deepEqual(await read("/subscribers?q=s7@example.com&state=quarantined"), []);
  assert.deepEqual(await read("/subscribers?type=webhook"), []);
  assert.equal((await read("/subscribers/count")).email, 105);
  assert.equal((await read("/subscribers/count?type=sms")).email, 0);
  quarantineSubscriber(house.deps.db, { seq: 9, now: monday + 2000 });
  quarantineSubscriber(house.deps.db, { seq: 3, now: monday + 3000 });
  const quarantined = await read("/subscribers?state=quarantined&sort_field=quarantined_at&sort_direction=desc");
  assert.deepEqual(
    quarantined.map((one: any) => one.email),
    ["s3@example.com", "s9@example.com"],
  );
  assert.equal((await read("/subscribers/count")).email, 103);
  assert.equal((await read("/subscribers/count?state=all")).email, 105);
});

test("incidents are paged from 1 by limit, newest first, and searched by what they say", async () => {
  const first = await read("/incidents");
  assert.equal(first.length, 100);
  assert.equal(first[0].name, "Incident 105");
  assert.deepEqual(await read("/incidents?page=1"), first);
  assert.deepEqual(
    names(await read("/incidents?page=2")),
    [5, 4, 3, 2, 1].map((count) => `Incident ${count}`),
  );
  assert.deepEqual(names(await read("/incidents?limit=2&page=2")), ["Incident 103", "Incident 102"]);
  assert.deepEqual(names(await read("/incidents?q=INCIDENT%2010&limit=3")), [
    "Incident 105",
    "Incident 104",
    "Incident 103",
  ]);
  assert.deepEqual(await read("/incidents?q=%25"), []);
  const found = {
    name: "Checkout refuses cards",
    body: "The acquirer's gateway times out.",
    deliver_notifications: false,
    metadata: { alertmanager: { fingerprint: "8f14e45fceea167a" } },
  };
  const { id } = (await house.operate("POST", `${base}/incidents`, { incident: found })).json();
  await house.operate("PATCH", `${base}/incidents/${id}`, { incident: { status: "monitoring", body: "It is back." } });
  for (const words of ["ACQUIRER", "is back", "monitoring", "8f14e45fceea167a", "refuses"]) {
    assert.deepEqual(names(await read(`/incidents?q=${encodeURIComponent(words)}`)), [found.name], words);
  }
  await house.operate("DELETE", `${base}/incidents/${id}`);
  assert.equal((await read("/incidents/unresolved?per_page=7&page=15")).length, 7);
  assert.equal((await read("/incidents/unresolved?per_page=7&page=16")).length, 0);
});

test("components and groups are paged from 1 by per_page, groups among the components", async () => {
  const first = await read("/components");
  assert.equal(first.length, 100);
  assert.equal((await read("/components?page=2")).length, 9);
  assert.deepEqual(names(await read("/components?per_page=2&page=1")), ["API", "Part 1"]);
  assert.deepEqual(names(await read("/component-groups?per_page=1")), ["Shop"]);
  assert.deepEqual(await read("/component-groups?per_page=1&page=2"), []);
});

test("a page or size that can't be is a 400 that names it", async () => {
  const cases: [string, string][] = [
    ["/components?per_page=101", "per_page"],
    ["/components?per_page=0", "per_page"],
    ["/components?per_page=-1", "per_page"],
    ["/components?per_page=1e2", "per_page"],
    ["/components?page=0", "page"],
    ["/components?page=1.5", "page"],
    ["/incidents?page=0", "page"],
    ["/incidents?limit=1000", "limit"],
    ["/incidents/unresolved?page=x", "page"],
    ["/subscribers?limit=101", "limit"],
    ["/subscribers?page=-1", "page"],
    ["/subscribers?state=gone", "state"],
    ["/subscribers?state=__proto__", "state"],
    ["/subscribers?type=fax", "type"],
    ["/subscribers?sort_field=email", "sort_field"],
    ["/subscribers?sort_direction=up", "sort_direction"],
    ["/subscribers/count?state=paused", "state"],
    ["/mail?state=lost", "state"],
    ["/mail?limit=0", "limit"],
  ];
  for (const [path, field] of cases) {
    const answer = await house.operate("GET", base + path);
    assert.equal(answer.status, 400, path);
    assert.equal(answer.json().field, field, path);
  }
});
