/** What is refused when the server can't keep up, in which order, and what never is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createPressure, nextStrain, type Strain } from "../../src/pressure.ts";
import { openTestHouse } from "../support/house.ts";

test("lists give way first, then new subscriptions, then what programs write; pages and publishing never", async () => {
  const house = await openTestHouse({ "api.requests_per_minute": "1000" });
  const { deps, page } = house;
  const [paul, configurer] = [await house.signIn(house.publisher), house.token("page_config")];
  const publisher = house.token("publisher");
  const statuses = async (strain: Strain) => {
    deps.pressure.strain = () => strain;
    const list = await paul.open("/admin/subscribers");
    const subscription = await house.stranger().send("/subscribe", { email: `a${strain}@example.com`, scope: "all" });
    const component = await house.api(configurer, "POST", `/v1/pages/${page.id}/components`, {
      component: { name: "New" },
    });
    const incident = await house.api(publisher, "POST", `/v1/pages/${page.id}/incidents`, {
      incident: { name: `Strain ${strain}`, body: "Words." },
    });
    const form = await paul.open("/admin/incidents/new");
    const visit = await house.visit("/");
    return [list, subscription, component, incident, form, visit].map((answer) => answer.status);
  };
  assert.deepEqual(await statuses(0), [200, 200, 201, 201, 200, 200]);
  assert.deepEqual(await statuses(1), [503, 200, 201, 201, 200, 200]);
  assert.deepEqual(await statuses(2), [503, 503, 201, 201, 200, 200]);
  assert.deepEqual(await statuses(3), [503, 503, 503, 201, 200, 200]);
  deps.pressure.strain = () => 3;
  const refused = await paul.open("/admin/subscribers");
  assert.equal(refused.headers["retry-after"], "10");
  assert.match(refused.text, /more to do than it can/);
  assert.equal((await house.operate("GET", `/v1/pages/${page.id}/subscribers`)).status, 200, "the operator is let in");
  await house.close();
});

test("strain rises at once and falls a step at a time", () => {
  assert.deepEqual(
    [0, 39, 40, 120, 300].map((late) => nextStrain(0, late)),
    [0, 0, 1, 2, 3],
  );
  assert.deepEqual([nextStrain(3, 0), nextStrain(2, 0), nextStrain(1, 0), nextStrain(1, 300)], [2, 1, 0, 3]);
});

test("a loop that is held again and again is strain, and rest ends it", { timeout: 20_000 }, async () => {
  const pressure = createPressure();
  const watch = pressure.watch();
  const hold = (ms: number) => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  };
  const rest = () => new Promise((resolve) => setImmediate(resolve));
  for (const until = performance.now() + 3_000; pressure.strain() === 0 && performance.now() < until; await rest())
    hold(120);
  assert.ok(pressure.strain() >= 1);
  for (const until = performance.now() + 10_000; pressure.strain() > 0 && performance.now() < until; )
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(pressure.strain(), 0);
  watch.stop();
});
