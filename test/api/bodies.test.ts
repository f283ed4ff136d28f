/** JSON and Rails' bracket forms say the same; what is neither is refused before it reaches a rule. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { incidents } from "../../src/schema.ts";
import { type House, openTestHouse } from "../support/house.ts";

let house: House;
let base: string;
let secret: string;
before(async () => {
  house = await openTestHouse({ "api.requests_per_minute": "10000" });
  base = `/v1/pages/${house.page.id}`;
  secret = house.token("owner");
});
after(() => house.close());

const form = (method: string, path: string, body: string, headers: Record<string, string> = {}) =>
  house.visit(path, {
    method,
    body,
    headers: { authorization: `OAuth ${secret}`, "content-type": "application/x-www-form-urlencoded", ...headers },
  });
const encode = (pairs: [string, string][]) => new URLSearchParams(pairs).toString();

/** What differs between two answers of the same: ids. */
const alike = (value: unknown) =>
  JSON.stringify(value)
    .replaceAll(/"[a-z0-9]{12}"/g, '"id"')
    .replaceAll(/incidents\/[a-z0-9]{12}/g, "");

test("an incident by JSON and by form is the same incident, with and without .json", async () => {
  const { API, Search } = house.parts;
  const json = await house.api(secret, "POST", `${base}/incidents`, {
    incident: {
      name: "Búsqueda & more",
      body: "Line one\n\nLine two",
      status: "identified",
      impact_override: "critical",
      deliver_notifications: false,
      component_ids: [API, Search],
      components: { [Search]: "degraded_performance", [API]: "" },
      metadata: { jira: { issue: "OPS-7" } },
      backfilled: false,
    },
  });
  assert.equal(json.status, 201, json.text);
  await house.operate("PATCH", `${base}/components/${Search}`, { component: { status: "operational" } });
  const body = encode([
    ["incident[name]", "Búsqueda & more"],
    ["incident[body]", "Line one\r\n\r\nLine two"],
    ["incident[status]", "identified"],
    ["incident[impact_override]", "critical"],
    ["incident[deliver_notifications]", "false"],
    ["incident[component_ids][]", API],
    ["incident[component_ids][]", Search],
    [`incident[components][${Search}]`, "degraded_performance"],
    [`incident[components][${API}]`, ""],
    ["incident[metadata][jira][issue]", "OPS-7"],
    ["incident[backfilled]", "0"],
  ]);
  const formed = await form("POST", `${base}/incidents.json`, body);
  assert.equal(formed.status, 201, formed.text);
  assert.equal(alike(formed.json()), alike(json.json()));
  assert.deepEqual(formed.json().metadata, { jira: { issue: "OPS-7" } });
  assert.equal(formed.json().components.length, 2);
});

test("a list of components in a form is membership", async () => {
  const body = encode([
    ["incident[name]", "Listed"],
    ["incident[components][]", house.parts.API],
  ]);
  const { components, incident_updates } = (await form("POST", `${base}/incidents`, body)).json();
  assert.deepEqual(
    components.map((one: any) => one.id),
    [house.parts.API],
  );
  assert.equal(incident_updates[0].affected_components, null);
});

test("components, groups, pages and subscribers take both forms alike", async () => {
  const cases: [string, string, object, [string, string][]][] = [
    [
      "PATCH",
      `/components/${house.parts.API}`,
      { component: { description: null, showcase: false } },
      [
        ["component[description]", ""],
        ["component[showcase]", "f"],
      ],
    ],
    [
      "PUT",
      `/components/${house.parts.API}`,
      { component: { name: "API", group_id: "", start_date: "2026-01-31" } },
      [
        ["component[name]", "API"],
        ["component[group_id]", ""],
        ["component[start_date]", "2026-01-31"],
      ],
    ],
    [
      "POST",
      "/component-groups",
      { description: "All", component_group: { name: "Core", components: [house.parts.API] } },
      [
        ["description", "All"],
        ["component_group[name]", "Core"],
        ["component_group[components][]", house.parts.API],
      ],
    ],
    [
      "PATCH",
      "",
      { page: { time_zone: "america/los_angeles", page_description: "Hi" } },
      [
        ["page[time_zone]", "america/los_angeles"],
        ["page[page_description]", "Hi"],
      ],
    ],
  ];
  for (const [method, path, json, pairs] of cases) {
    const first = await house.api(secret, method, base + path, json);
    const second = await form(method, base + path, encode(pairs));
    assert.ok(first.status < 300, first.text);
    assert.equal(second.status, first.status, second.text);
    if (method !== "POST") assert.equal(second.text, first.text);
  }
});

test("a name that reaches a prototype is refused, in either form, and pollutes nothing", async () => {
  const bodies: [string, string][] = [
    ["application/json", '{"incident": {"name": "x"}, "__proto__": {"operator": true}}'],
    ["application/json", '{"incident": {"name": "x", "metadata": {"__proto__": {"a": 1}}}}'],
    ["application/x-www-form-urlencoded", "incident[name]=x&__proto__[operator]=true"],
    ["application/x-www-form-urlencoded", "incident[name]=x&incident[__proto__][name]=y"],
  ];
  for (const [type, body] of bodies) {
    const answer = await form("POST", `${base}/incidents`, body, { "content-type": type });
    assert.equal(answer.status, 400, body);
    assert.match(answer.json().message, /__proto__/);
  }
  assert.equal(({} as any).operator, undefined);
  const named = { incident: { name: "x", constructor: "y", metadata: { constructor: { prototype: { a: 1 } } } } };
  const answer = await house.api(secret, "POST", `${base}/incidents`, named);
  assert.equal(answer.status, 201, answer.text);
  assert.deepEqual(answer.json().metadata, { constructor: { prototype: { a: 1 } } });
});

test("a body that can't be read is a 400 with a sentence", async () => {
  const count = house.deps.db.select().from(incidents).all().length;
  const json = ['{"incident":', "[]", '"x"', "null", `{"a":${"[".repeat(50_000)}${"]".repeat(50_000)}}`];
  for (const body of json) {
    const answer = await form("POST", `${base}/incidents`, body, { "content-type": "application/json" });
    assert.equal(answer.status, 400, body.slice(0, 40));
    assert.match(answer.json().message, /\.$/);
  }
  const forms = [
    "incident[name=x",
    "incident[a][][b]=1",
    "incident=x&incident[name]=y",
    "incident[name]=y&incident=x",
    "a[]=1&a[b]=2",
  ];
  for (const body of forms) assert.equal((await form("POST", `${base}/incidents`, body)).status, 400, body);
  const parts = await form("POST", `${base}/incidents`, "--x\r\n", {
    "content-type": "multipart/form-data; boundary=x",
  });
  assert.equal(parts.status, 400);
  assert.equal(house.deps.db.select().from(incidents).all().length, count);
});

test("a field of another kind is a 422 that names it", async () => {
  const cases: [object, string][] = [
    [{}, "incident"],
    [{ incident: "x" }, "incident"],
    [{ incident: {} }, "name"],
    [{ incident: { name: ["x"] } }, "name"],
    [{ incident: { name: "x", components: "API" } }, "components"],
    [{ incident: { name: "x", components: { [house.parts.API]: "broken" } } }, "components"],
    [{ incident: { name: "x", component_ids: { a: 1 } } }, "component_ids"],
    [{ incident: { name: "x", deliver_notifications: "maybe" } }, "deliver_notifications"],
    [{ incident: { name: "x", metadata: { flat: "text" } } }, "metadata"],
    [{ incident: { name: "x", metadata: { big: { text: "x".repeat(20_000) } } } }, "metadata"],
    [{ incident: { name: "x", impact_override: "huge" } }, "impact_override"],
    [{ incident: { name: "x", status: "postmortem" } }, "status"],
    [{ incident: { name: "x", scheduled_for: "tomorrow", scheduled_until: "later" } }, "scheduled_for"],
    [{ incident: { name: "x", scheduled_for: "2026-12-01T08:00:00" } }, "scheduled_for"],
    [{ incident: { name: "x", scheduled_for: "2026-12-01T08:00:00Z" } }, "scheduled_for"],
    [{ incident: { name: "x", backfilled: true, backfill_date: "2026-02-31" } }, "backfill_date"],
    [{ incident: { name: "x".repeat(10_000) } }, "name"],
    [{ incident: { name: "x\ny" } }, "name"],
    [{ incident: { name: "x", body: "y".repeat(25_001) } }, "body"],
  ];
  for (const [body, field] of cases) {
    const answer = await house.api(secret, "POST", `${base}/incidents`, body);
    assert.equal(answer.status, 422, JSON.stringify(body).slice(0, 80));
    assert.equal(answer.json().field, field, answer.text);
    assert.match(answer.json().message, /\.$/);
  }
});

test("a time zone that doesn't exist, a link that isn't one and an address with line breaks are refused", async () => {
  const zone = await house.api(secret, "PATCH", base, { page: { time_zone: "Mars/Olympus" } });
  assert.equal(zone.status, 422);
  assert.equal(zone.json().field, "time_zone");
  const link = await house.api(secret, "PATCH", base, { page: { support_url: "javascript:alert(1)" } });
  assert.equal(link.status, 422);
  for (const email of [
    "a@example.com\r\nBcc: b@example.com",
    "a@example.com\nb",
    "a@b",
    "<a@example.com>",
    "a@example.com,b@example.com",
  ]) {
    const answer = await house.api(secret, "POST", `${base}/subscribers`, { subscriber: { email } });
    assert.equal(answer.status, 422, email);
    assert.equal(answer.json().field, "email");
  }
});

test("whatever kind of value stands in a field, the answer is never that it was our fault", async () => {
  const [group] = (await house.api(secret, "GET", `${base}/component-groups`)).json();
  const made = await house.api(secret, "POST", `${base}/incidents`, { incident: { name: "x" } });
  const { id, incident_updates } = made.json();
  const clock = ["in_progress", "completed", "transition"].map((end) => `scheduled_auto_${end}`);
  const doors: [string, string, string, string[]][] = [
    [
      "PATCH",
      `/incidents/${id}`,
      "incident",
      [
        ...clock,
        ...["name", "status", "body", "components", "component_ids", "impact_override", "metadata", "backfilled"],
        ...["deliver_notifications", "backfill_date", "scheduled_for", "auto_transition_to_operational_state"],
      ],
    ],
    ["PATCH", `/incidents/${id}/incident_updates/${incident_updates[0].id}`, "incident_update", ["body", "display_at"]],
    [
      "PATCH",
      `/components/${house.parts.API}`,
      "component",
      ["name", "description", "status", "group_id", "showcase", "only_show_if_degraded", "start_date"],
    ],
    ["PATCH", `/component-groups/${group.id}`, "component_group", ["name", "description", "components"]],
    ["POST", "/subscribers", "subscriber", ["email", "component_ids", "skip_confirmation_notification"]],
    ["PATCH", "", "page", ["name", "time_zone", "support_url", "page_description", "hidden_from_search"]],
  ];
  const values = [{}, { a: 1 }, [], [{}], [null], [[]], 0, -1, 1e308, true, " ", "\u0000", "9999-99-99", { "": "" }];
  for (const [method, path, root, fields] of doors) {
    for (const field of fields) {
      for (const value of values) {
        const answer = await house.api(secret, method, base + path, { [root]: { [field]: value } });
        const told = `${method} ${path} ${field}=${JSON.stringify(value)}: ${answer.text}`;
        assert.ok(answer.status < 500, told);
        if (typeof value === "object" && field.startsWith("scheduled_auto")) assert.equal(answer.status, 422, told);
      }
    }
  }
  await house.operate("PATCH", base, { page: { name: "Acme" } });
});

test("JSON that calls itself a form, as curl -d sends it, is told which header it lacks", async () => {
  const answer = await form("POST", `${base}/components`, '{"component": {"name": "From curl"}}');
  assert.equal(answer.status, 400);
  assert.match(answer.json().message, /Content-Type: application\/json/);
});

test("half a character is refused and not replaced", async () => {
  for (const body of [
    '{"incident": {"name": "\\ud800"}}',
    '{"incident": {"name": "x", "metadata": {"a": {"\\udc00": 1}}}}',
  ]) {
    const answer = await form("POST", `${base}/incidents`, body, { "content-type": "application/json" });
    assert.equal(answer.status, 400, answer.text);
  }
});

test("a group's description alone may be changed, where Statuspage has it", async () => {
  const [group] = (await house.api(secret, "GET", `${base}/component-groups`)).json();
  const answer = await house.api(secret, "PATCH", `${base}/component-groups/${group.id}`, { description: "Of money" });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual([answer.json().description, answer.json().name], ["Of money", group.name]);
  const empty = await house.api(secret, "PATCH", `${base}/component-groups/${group.id}`, {});
  assert.equal(empty.status, 422);
});
