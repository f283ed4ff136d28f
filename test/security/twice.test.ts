import assert from "node:assert/strict";
import { test } from "node:test";
import { openTestHouse } from "../support/house.ts";

const draft = { step: "publish", status: "investigating", draft: "abcdefghijkl" };

test("the same form sent twice publishes once; sent back with other words it is never said to be published unread", async () => {
  const house = await openTestHouse();
  const paul = await house.signIn(house.publisher);
  await paul.open("/admin/incidents/new");
  const first = { ...draft, name: "Payments fail", body: "We look into it." };
  const [once, again] = [await paul.send("/admin/incidents", first), await paul.send("/admin/incidents", first)];
  for (const answer of [once, again]) assert.match(answer.text, /Published\./);
  const other = await paul.send("/admin/incidents", { ...first, name: "Refunds fail" });
  assert.match(other.text, /Published\./);
  assert.match(other.text, /Refunds fail/);
  const names = house.deps.db.$client.prepare("SELECT name FROM incidents ORDER BY rowid").pluck().all();
  assert.deepEqual(names, ["Payments fail", "Refunds fail"]);
  await house.close();
});

test("twenty updates that come at once are all on the incident, in one order for everybody", async () => {
  const house = await openTestHouse();
  const token = house.token("publisher");
  const incidents = `/v1/pages/${house.page.id}/incidents`;
  const opened = { name: "Payments fail", body: "x", components: { [house.parts.API]: "major_outage" } };
  const { id } = (await house.api(token, "POST", incidents, { incident: opened })).json();
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => {
      const incident = { body: `update ${index}`, status: index % 2 ? "resolved" : "monitoring" };
      return house.api(token, "PATCH", `${incidents}/${id}`, { incident });
    }),
  );
  assert.ok(answers.every((answer) => answer.status === 200));
  const story = (await house.api(token, "GET", `${incidents}/${id}`)).json();
  assert.equal(story.incident_updates.length, 21);
  assert.equal(story.status, story.incident_updates[0].status);
  assert.equal(story.resolved_at === null, story.status !== "resolved");
  await house.close();
});
