import assert from "node:assert/strict";
import { test } from "node:test";
import { groups, readers } from "../../cli/example-company.ts";
import { fillExample } from "../../cli/example-fill.ts";
import { openTales, pastTales } from "../../cli/example-stories.ts";
import { systemClock } from "../../src/clock.ts";
import { listComponents } from "../../src/components/components.ts";
import { listIncidents, listOpenIncidents, listUpcoming, tellStories } from "../../src/incidents/stories.ts";
import { listPages } from "../../src/pages/pages.ts";
import { countSubscribers } from "../../src/subscribers/subscribers.ts";
import { openTestHouse } from "../support/house.ts";
import { freePort } from "../support/ports.ts";
import { makePlace } from "./program.ts";

test("the example is a company with a past, three open incidents, work under way and planned, and readers", async (t) => {
  const house = await openTestHouse();
  t.after(() => house.close());
  const { db } = house.deps;
  const now = systemClock.now();
  fillExample(house.deps, { hosts: ["http://127.0.0.1:8080", "http://localhost:8080"], now, tell: true });
  const page = listPages(db).find((one) => one.name === "Northwind Cloud");
  assert.ok(page);
  assert.equal(groups.length, 4);
  const parts = listComponents(db, page.id);
  assert.equal(parts.length, 20);
  const unwell = Object.fromEntries(
    parts.filter((part) => part.status !== "operational").map((part) => [part.name, part.status]),
  );
  assert.deepEqual(unwell, {
    "Object storage": "partial_outage",
    Backups: "degraded_performance",
    "Custom domains": "degraded_performance",
    Webhooks: "degraded_performance",
    "Managed Redis": "under_maintenance",
  });
  const open = listOpenIncidents(db, page.id);
  assert.deepEqual(open.map((one) => one.impact).toSorted(), ["maintenance", "major", "minor", "minor"]);
  assert.equal(open.length, openTales.length);
  assert.equal(listUpcoming(db, page.id).length, 1);

  const past = tellStories(db, listIncidents(db, { pageId: page.id, limit: 100 })).filter(
    (one) => one.resolvedAt !== null,
  );
  assert.equal(past.length, pastTales.length);
  assert.ok(past.length >= 25);
  const span = now - Math.min(...past.map((one) => one.startedAt));
  assert.ok(span > 85 * 86_400_000 && span < 90 * 86_400_000);
  for (const story of past) {
    assert.ok(story.updates.length >= 2, story.name);
    assert.ok((story.resolvedAt as number) < now, story.name);
    for (const update of story.updates) assert.doesNotMatch(update.body, /\{|inconvenience|apolog/i);
  }
  const { active, unsubscribed, quarantined } = countSubscribers(db, page.id);
  assert.deepEqual([active + unsubscribed + quarantined, unsubscribed, quarantined], [readers.length, 2, 1]);
  assert.ok(readers.every((reader) => reader.address.endsWith("@example.com")));
});

test("the example serves itself with a link that lets its owner in, and follows another port", async (t) => {
  const place = makePlace(t);
  const first = `127.0.0.1:${await freePort()}`;
  const second = `127.0.0.1:${await freePort()}`;
  for (const listen of [first, second]) {
    const server = await place.start(["example"], { env: { CANDOR_LISTEN: listen } });
    while (!server.stdout().includes("Stop with")) await new Promise((resolve) => setTimeout(resolve, 10));
    const link = /http:\S+\/admin\/enter\/\S+/.exec(server.stdout())?.[0] as string;
    assert.ok(link.startsWith(`http://${listen}/`), link);
    assert.match(server.stdout(), /Letters are kept: http:\S+\/admin\/mail/);
    assert.equal((await fetch(link)).status, 200);
    const front = await fetch(`http://${listen.replace("127.0.0.1", "localhost")}/`);
    assert.match(await front.text(), /Object storage is partly down/);
    const entered = await fetch(link, { method: "POST", redirect: "manual", headers: { origin: `http://${listen}` } });
    assert.equal(entered.status, 303);
    assert.equal((await server.stop()).code, 0);
  }
  const incidents = await place.run(["incident", "list", "--limit", "100", "--json"]);
  assert.equal(JSON.parse(incidents.stdout).length, pastTales.length + openTales.length + 1, "it isn't filled twice");
});
