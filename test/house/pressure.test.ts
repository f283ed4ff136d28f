/** What is refused when the server can't keep up, in which order, and what never is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { adminRoutes, programRoutes, publicRoutes } from "../../src/app.ts";
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

/** Each route of people and programs, and from which strain on it is refused: a new one makes somebody decide. */
const steps: Record<"1" | "2" | "3" | "never", string[]> = {
  1: [
    "GET /admin/subscribers",
    "POST /admin/subscribers/find",
    "GET /admin/subscribers/find",
    "GET /admin/subscribers/:id",
    "GET /admin/mail",
    "GET /admin/mail/:id",
    "GET /admin/audit",
    "GET /v1/pages/:page/incidents",
    "GET /v1/pages/:page/incidents/upcoming",
    "GET /v1/pages/:page/incidents/scheduled",
    "GET /v1/pages/:page/incidents/active_maintenance",
    "GET /v1/pages/:page/subscribers",
    "GET /v1/pages/:page/subscribers/count",
    "GET /v1/pages/:page/subscribers/histogram_by_state",
    "GET /v1/pages/:page/subscribers/unsubscribed",
    "GET /v1/pages/:page/subscribers/:id",
    "GET /v1/pages/:page/announcements",
    "GET /v1/pages/:page/mail",
    "GET /v1/pages/:page/mail/queue",
    "GET /v1/pages/:page/mail/:id{[0-9]{1,15}}",
  ],
  2: ["POST /subscribe", "POST /api/v2/subscribers.json"],
  3: [
    "GET /admin/components/new",
    "POST /admin/components",
    "POST /admin/components/:id/position",
    "POST /admin/components/:id/archive",
    "GET /admin/component-groups/new",
    "POST /admin/component-groups",
    "GET /admin/component-groups/:id",
    "POST /admin/component-groups/:id",
    "POST /admin/component-groups/:id/position",
    "POST /admin/component-groups/:id/archive",
    "GET /admin/subscribers/new",
    "POST /admin/subscribers",
    "POST /admin/subscribers/:id",
    "POST /admin/mail",
    "POST /admin/mail/:id",
    "GET /admin/settings",
    "POST /admin/settings",
    "PATCH /v1/pages/:page",
    "PUT /v1/pages/:page",
    "POST /v1/pages/:page/components",
    "DELETE /v1/pages/:page/components/:id",
    "POST /v1/pages/:page/components/:id/archive",
    "POST /v1/pages/:page/components/:id/restore",
    "POST /v1/pages/:page/components/:id/move",
    "POST /v1/pages/:page/component-groups",
    "PATCH /v1/pages/:page/component-groups/:id",
    "PUT /v1/pages/:page/component-groups/:id",
    "DELETE /v1/pages/:page/component-groups/:id",
    "POST /v1/pages/:page/component-groups/:id/move",
    "POST /v1/pages/:page/subscribers",
    "POST /v1/pages/:page/subscribers/resend_confirmation",
    "POST /v1/pages/:page/subscribers/unsubscribe",
    "POST /v1/pages/:page/subscribers/reactivate",
    "PATCH /v1/pages/:page/subscribers/:id",
    "PUT /v1/pages/:page/subscribers/:id",
    "DELETE /v1/pages/:page/subscribers/:id",
    "POST /v1/pages/:page/subscribers/:id/resend_confirmation",
    "POST /v1/pages/:page/mail/test",
    "POST /v1/pages/:page/mail/:id{[0-9]{1,15}}/retry",
    "DELETE /v1/pages/:page/mail/:id{[0-9]{1,15}}",
  ],
  never: [
    "GET /subscribe/confirm/:token",
    "POST /subscribe/confirm/:token",
    "GET /subscription/:token",
    "POST /subscription/:token",
    "GET /unsubscribe/:token",
    "POST /unsubscribe/:token",
    "GET /admin/sign-in",
    "POST /admin/sign-in",
    "GET /admin/enter/:secret",
    "POST /admin/enter/:secret",
    "POST /admin/sign-out",
    "GET /admin/account",
    "POST /admin/account/password",
    "POST /admin/account/sessions",
    "GET /admin/incidents",
    "GET /admin/incidents/new",
    "POST /admin/incidents",
    "GET /admin/incidents/:id",
    "POST /admin/incidents/:id/updates",
    "GET /admin/incidents/:id/updates",
    "GET /admin/maintenance/new",
    "GET /admin/maintenance",
    "POST /admin/maintenance",
    "POST /admin/incidents/:id",
    "GET /admin/incidents/:id/updates/:update/edit",
    "POST /admin/incidents/:id/updates/:update/edit",
    "GET /admin/incidents/:id/delete",
    "POST /admin/incidents/:id/delete",
    "POST /admin/announcements/:id",
    "GET /admin/components",
    "GET /admin/components/:id",
    "POST /admin/components/:id",
    "GET /admin",
    "GET /v1/pages",
    "GET /v1/pages/:page",
    "GET /v1/pages/:page/components",
    "GET /v1/pages/:page/components/:id",
    "PATCH /v1/pages/:page/components/:id",
    "PUT /v1/pages/:page/components/:id",
    "GET /v1/pages/:page/component-groups",
    "GET /v1/pages/:page/component-groups/:id",
    "POST /v1/pages/:page/incidents",
    "GET /v1/pages/:page/incidents/unresolved",
    "GET /v1/pages/:page/incidents/:id",
    "GET /v1/pages/:page/incidents/:id/recovery",
    "PATCH /v1/pages/:page/incidents/:id",
    "PUT /v1/pages/:page/incidents/:id",
    "DELETE /v1/pages/:page/incidents/:id",
    "PATCH /v1/pages/:page/incidents/:id/incident_updates/:update",
    "PUT /v1/pages/:page/incidents/:id/incident_updates/:update",
    "POST /v1/pages/:page/announcements/:id{[0-9]{1,15}}/send",
    "POST /v1/pages/:page/announcements/:id{[0-9]{1,15}}/drop",
  ],
};

test("every route has its step, and what publishing takes has none", async () => {
  const house = await openTestHouse();
  const routes = [...publicRoutes(house.deps), ...adminRoutes(house.deps), ...programRoutes(house.deps)];
  // The operator's commands may be what ends the strain: none of them gives way.
  const [own, others] = [true, false].map((isOwn) =>
    routes.filter(({ enter }) => (enter.who === "operator") === isOwn),
  );
  assert.ok(own?.every(({ givesWay }) => givesWay === undefined));
  const found = Map.groupBy(others ?? [], ({ givesWay }) => String(givesWay ?? "never"));
  for (const [step, expected] of Object.entries(steps)) {
    const names = found.get(step)?.map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual(names?.toSorted(), expected.toSorted(), `step ${step}`);
  }
  await house.close();
});
