import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type House, openTestHouse } from "../support/house.ts";

let house: House;
let base: string;
before(async () => {
  house = await openTestHouse();
  base = `/v1/pages/${house.page.id}`;
});
after(() => house.close());

const ask = (method: string, path: string, body?: unknown) => house.operate(method, base + path, body);
const names = async (path = "/components") => (await ask("GET", path)).json().map((one: any) => one.name);
const shown = async () => (await house.visit("/api/v2/components.json")).json().components.map((one: any) => one.name);

test("a component is made, changed, and seen by visitors at once", async () => {
  const made = await ask("POST", "/components", {
    component: { name: "Mail", description: "Out and in", status: "degraded_performance", only_show_if_degraded: true },
  });
  assert.equal(made.status, 201, made.text);
  const { id, position, status, showcase } = made.json();
  assert.deepEqual([position, status, showcase], [4, "degraded_performance", true]);
  assert.ok((await shown()).includes("Mail"));
  const changed = await ask("PATCH", `/components/${id}.json`, {
    component: { status: "operational", description: null },
  });
  assert.deepEqual([changed.json().status, changed.json().description], ["operational", null]);
  const same = await ask("PUT", `/components/${id}`, { component: { status: "" } });
  assert.equal(same.json().status, "operational");
  assert.equal((await ask("PATCH", `/components/${id}`, { component: { status: "broken" } })).status, 422);
  assert.equal((await ask("PATCH", `/components/${id}`, { component: { group_id: "aaaaaaaaaaaa" } })).status, 422);
});

test("a deleted component is gone to clients, keeps its past, and comes back", async () => {
  const { Search } = house.parts;
  const gone = await ask("DELETE", `/components/${Search}`);
  assert.equal(gone.status, 204);
  assert.equal(gone.text, "");
  assert.ok(!(await names()).includes("Search"));
  assert.ok(!(await shown()).includes("Search"));
  for (const [method, path] of [
    ["GET", ""],
    ["PATCH", ""],
    ["DELETE", ""],
    ["POST", "/move"],
  ] as const) {
    assert.equal(
      (await ask(method, `/components/${Search}${path}`, method === "GET" ? undefined : { component: {}, step: "up" }))
        .status,
      404,
    );
  }
  const archived = (await ask("GET", "/components?archived=true")).json();
  assert.deepEqual(
    archived.map((one: any) => [one.name, one.archived_at]),
    [["Search", "2026-11-23T09:00:00.000Z"]],
  );
  assert.equal((await ask("POST", `/components/${Search}/restore`)).json().name, "Search");
  assert.ok((await shown()).includes("Search"));
  assert.equal((await ask("POST", `/components/${Search}/archive`)).status, 200);
  assert.ok(!(await shown()).includes("Search"));
  await ask("POST", `/components/${Search}/restore`);
});

test("a component and a group move among their neighbours", async () => {
  assert.deepEqual(await names(), ["API", "Mail", "Shop", "Checkout", "Search"]);
  assert.equal((await ask("POST", `/components/${house.parts.Search}/move`, { step: "up" })).status, 200);
  assert.deepEqual(await names(), ["API", "Mail", "Shop", "Search", "Checkout"]);
  assert.equal((await ask("POST", `/components/${house.parts.Search}/move`, { step: "sideways" })).status, 422);
  const core = (
    await ask("POST", "/component-groups", { component_group: { name: "Core", components: [house.parts.API] } })
  ).json();
  assert.deepEqual(await names("/component-groups"), ["Shop", "Core"]);
  await ask("POST", `/component-groups/${core.id}/move`, { step: "up" });
  assert.deepEqual(await names(), ["Mail", "Core", "API", "Shop", "Search", "Checkout"]);
});

test("a group is changed, and leaves its components behind", async () => {
  const { API, Checkout } = house.parts;
  const [core] = (await ask("GET", "/component-groups")).json();
  const changed = await ask("PATCH", `/component-groups/${core.id}`, {
    description: "What all depends on",
    component_group: { name: "Base", components: [API, Checkout] },
  });
  assert.deepEqual(
    [changed.json().name, changed.json().description, changed.json().components],
    ["Base", "What all depends on", [API, Checkout]],
  );
  const kept = await ask("PUT", `/component-groups/${core.id}`, { component_group: { name: "Base" } });
  assert.equal(kept.json().components.length, 2);
  assert.equal(kept.json().description, "What all depends on");
  const gone = await ask("DELETE", `/component-groups/${core.id}`);
  assert.equal(gone.status, 200);
  assert.deepEqual(gone.json().components, [API, Checkout]);
  assert.equal((await ask("GET", `/component-groups/${core.id}`)).status, 404);
  assert.equal((await ask("GET", `/components/${API}`)).json().group_id, null);
});

test("who sends back what stands there already has changed nothing, and the audit log says so", async () => {
  const deeds = async () => (await house.operate("GET", "/v1/audit")).json().length;
  const [component] = (await ask("GET", "/components?per_page=1")).json();
  const [group] = (await ask("GET", "/component-groups?per_page=1")).json();
  const opened = await ask("POST", "/incidents", {
    incident: { name: "Planned", component_ids: [component.id], metadata: { jira: { issue: "OPS-7" } } },
  });
  const incident = opened.json();
  const before = await deeds();
  house.pass(60_000);
  const { name, description, status, group_id, showcase, only_show_if_degraded, start_date } = component;
  const fields = { name, description, status, group_id, showcase, only_show_if_degraded, start_date };
  const cases: [string, object, object][] = [
    [`/components/${component.id}`, { component: fields }, component],
    [`/components/${component.id}`, { component: { colour: "red" } }, component],
    [`/component-groups/${group.id}`, { component_group: { name: group.name, components: group.components } }, group],
    [
      `/incidents/${incident.id}`,
      {
        incident: {
          name: incident.name,
          status: incident.status,
          impact_override: null,
          metadata: incident.metadata,
          component_ids: [component.id],
          components: { [component.id]: status },
          scheduled_auto_completed: false,
        },
      },
      incident,
    ],
  ];
  for (const [path, body, same] of cases) {
    const answer = await ask("PATCH", path, body);
    assert.deepEqual(answer.json(), same, path);
  }
  assert.equal(await deeds(), before);
  const changed = (await ask("PATCH", `/component-groups/${group.id}`, { component_group: { components: [] } })).json();
  assert.notEqual(changed.updated_at, group.updated_at);
});
