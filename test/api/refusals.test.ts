/** Who may not, and what isn't there: each refusal has its status and a sentence under `message`. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { addHost, createPage } from "../../src/pages/pages.ts";
import { createToken } from "../../src/team/tokens.ts";
import { type House, monday, openTestHouse } from "../support/house.ts";

const by = { kind: "system" as const };
let house: House;
let base: string;
before(async () => {
  house = await openTestHouse();
  base = `/v1/pages/${house.page.id}`;
});
after(() => house.close());

test("the scheme's case doesn't matter, and the key may stand in the query", async () => {
  const secret = house.token("publisher");
  for (const scheme of ["OAuth", "oauth", "OAUTH", "Bearer", "bearer"]) {
    const answer = await house.visit(`${base}/incidents`, { headers: { authorization: `${scheme} ${secret}` } });
    assert.equal(answer.status, 200, scheme);
  }
  assert.equal((await house.visit(`${base}/incidents.json?api_key=${secret}`)).status, 200);
  assert.equal((await house.visit(`/v1/pages.json?api_key=${secret}`)).json()[0].id, house.page.id);
  assert.ok(!house.lines.join("").includes(secret), "no log line holds the token");
});

test("no token, a wrong one and a revoked one are 401", async () => {
  const { secret, token } = createToken(house.deps.db, { name: "gone", role: "owner", now: monday, by });
  await house.operate("DELETE", `/v1/tokens/${token.id}`);
  for (const headers of [
    {},
    { authorization: "OAuth nonsense" },
    { authorization: `OAuth ${secret}` },
    { authorization: "Basic eDp5" },
  ]) {
    const answer = await house.visit(`${base}/incidents`, { headers: headers as Record<string, string> });
    assert.equal(answer.status, 401);
    assert.equal(answer.headers["www-authenticate"], "OAuth");
    assert.match(answer.json().message, /token/);
  }
});

test("a token does what its role says and no more", async () => {
  const publisher = house.token("publisher");
  const config = house.token("page_config");
  const incident = { incident: { name: "x" } };
  const cases: [string, string, string, object | undefined, number][] = [
    [config, "GET", "/incidents", undefined, 200],
    [config, "POST", "/incidents", incident, 403],
    [publisher, "POST", "/incidents", incident, 201],
    [publisher, "GET", "/components", undefined, 200],
    [publisher, "POST", "/components", { component: { name: "x" } }, 403],
    [config, "POST", "/components", { component: { name: "x" } }, 201],
    [publisher, "PATCH", "", { page: { name: "x" } }, 403],
    [config, "PATCH", "", { page: { name: "Acme" } }, 200],
    [publisher, "GET", "/subscribers", undefined, 200],
    [config, "GET", "/subscribers", undefined, 403],
    [config, "GET", "/mail", undefined, 403],
    [publisher, "POST", "/mail/test", { email: "x@example.com" }, 403],
  ];
  for (const [secret, method, path, body, status] of cases) {
    const answer = await house.api(secret, method, base + path, body);
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
    if (status === 403) assert.match(answer.json().message, /role/);
  }
});

test("a token for one page sees and touches only that page", async () => {
  const { db } = house.deps;
  const other = createPage(db, { name: "Other", timeZone: "UTC", now: monday + 1, by });
  addHost(db, { pageId: other.id, host: "other.example.com", now: monday, by });
  house.deps.press.pressAll();
  const { secret } = createToken(db, { name: "other", role: "owner", pageId: other.id, now: monday, by });
  const names = async (token: string) =>
    (await house.api(token, "GET", "/v1/pages")).json().map((page: any) => page.name);
  assert.deepEqual(await names(secret), ["Other"]);
  assert.deepEqual(await names(house.token("publisher")), ["Acme", "Other"]);
  assert.equal((await house.api(secret, "GET", `${base}/components`)).status, 403);
  assert.equal((await house.api(secret, "GET", `/v1/pages/${other.id}/components`)).status, 200);

  const all = house.token("owner");
  const theirs = `/v1/pages/${other.id}`;
  const incident = (await house.api(all, "POST", `${base}/incidents`, { incident: { name: "Ours" } })).json();
  const subscriber = (
    await house.api(all, "POST", `${base}/subscribers`, { subscriber: { email: "ours@example.com" } })
  ).json();
  const [group] = (await house.api(all, "GET", `${base}/component-groups`)).json();
  const update = incident.incident_updates[0].id;
  const strange: [string, string, object?][] = [
    ["GET", `/incidents/${incident.id}`],
    ["PATCH", `/incidents/${incident.id}`, { incident: { name: "Theirs" } }],
    ["DELETE", `/incidents/${incident.id}`],
    ["PATCH", `/incidents/${incident.id}/incident_updates/${update}`, { incident_update: { body: "Theirs" } }],
    ["GET", `/components/${house.parts.API}`],
    ["PATCH", `/components/${house.parts.API}`, { component: { name: "Theirs" } }],
    ["DELETE", `/components/${house.parts.API}`],
    ["POST", `/components/${house.parts.API}/archive`],
    ["GET", `/component-groups/${group.id}`],
    ["PATCH", `/component-groups/${group.id}`, { component_group: { name: "Theirs" } }],
    ["DELETE", `/component-groups/${group.id}`],
    ["GET", `/subscribers/${subscriber.id}`],
    ["PATCH", `/subscribers/${subscriber.id}`, { whole_page: true }],
    ["DELETE", `/subscribers/${subscriber.id}`],
    ["POST", "/subscribers/unsubscribe", { subscribers: [subscriber.id] }],
    ["POST", `/subscribers/${subscriber.id}/resend_confirmation`],
    ["GET", "/mail/1"],
    ["DELETE", "/mail/1"],
    ["POST", "/mail/1/retry"],
    ["POST", "/announcements/1/send"],
  ];
  for (const [method, path, body] of strange) {
    const answer = await house.api(all, method, theirs + path, body);
    assert.equal(answer.status, 404, `${method} ${path}: ${answer.text}`);
    assert.match(answer.json().message, /\.$/);
  }
  // What a body names is a field that is wrong; a 404 would tell a client that the address itself is gone.
  const named: [string, object, string][] = [
    ["/incidents", { incident: { name: "x", components: { [house.parts.API]: "major_outage" } } }, "components"],
    ["/incidents", { incident: { name: "x", component_ids: [house.parts.API] } }, "components"],
    ["/components", { component: { name: "x", group_id: group.id } }, "group_id"],
    ["/component-groups", { component_group: { name: "x", components: [house.parts.API] } }, "components"],
    ["/subscribers", { subscriber: { email: "x@example.com", component_ids: [house.parts.API] } }, "components"],
  ];
  for (const [path, body, field] of named) {
    const answer = await house.api(all, "POST", theirs + path, body);
    assert.equal(answer.status, 422, `${path}: ${answer.text}`);
    assert.equal(answer.json().field, field);
  }
  assert.equal((await house.api(all, "GET", `${base}/incidents/${incident.id}`)).json().name, "Ours");
  assert.equal((await house.visit("/api/v2/incidents.json", { host: "other.example.com" })).json().incidents.length, 0);
  await house.operate("DELETE", `${base}/incidents/${incident.id}`);
});

test("what isn't there is 404, and what belongs to the operator isn't there for anybody else", async () => {
  const owner = house.token("owner");
  for (const path of [
    "/v1/nothing",
    "/v1/pages/aaaaaaaaaaaa",
    `${base}/incidents/aaaaaaaaaaaa`,
    `${base}/postmortems`,
    `${base}/mail/99`,
  ]) {
    const answer = await house.api(owner, "GET", path);
    assert.equal(answer.status, 404, path);
    assert.match(answer.json().message, /\.$/);
  }
  for (const path of ["/v1/settings", "/v1/members", "/v1/tokens", "/v1/audit", `${base}/hosts`]) {
    assert.equal((await house.api(owner, "GET", path)).status, 404, path);
  }
  assert.equal((await house.api(owner, "POST", "/v1/snapshots", {})).status, 404);
  assert.equal(
    (await house.api(owner, "PUT", "/v1/settings/mail.smtp_url", { value: "smtp://evil.example.com" })).status,
    404,
  );
});

test("a closing slash means the same path, and bare roots answer programs in JSON", async () => {
  const owner = house.token("owner");
  for (const path of ["/v1/pages", `${base}/components`, `${base}/incidents/unresolved`]) {
    const plain = await house.api(owner, "GET", path);
    for (const end of ["/", ".json", ".json/"]) {
      const answer = await house.api(owner, "GET", path + end);
      assert.deepEqual([answer.status, answer.text], [200, plain.text], path + end);
    }
    assert.equal((await house.api(owner, "GET", `${path}//`)).status, 404);
  }
  for (const path of ["/v1", "/v1/", "/api", "/api/v2"]) {
    const answer = await house.visit(path);
    assert.equal(answer.status, 404, path);
    assert.match(answer.json().message, /\.$/);
  }
});

test("a method that a path doesn't take is a 405 that says which it takes, to programs", async () => {
  const owner = house.token("owner");
  const cases: [string, string, string | undefined][] = [
    ["DELETE", "/v1/pages", "GET, HEAD"],
    ["POST", `${base}/components/${house.parts.API}`, "GET, HEAD, PATCH, PUT, DELETE"],
    ["DELETE", `${base}/incidents`, "GET, HEAD, POST"],
    ["OPTIONS", `${base}/subscribers/count/`, "GET, HEAD, PATCH, PUT, DELETE"],
    ["POST", "/api/v2/summary.json", "GET, HEAD"],
    ["DELETE", "/api/v2/nothing.json", undefined],
    // What belongs to the operator isn't there for anybody else.
    ["DELETE", "/v1/tokens", undefined],
  ];
  for (const [method, path, allow] of cases) {
    const answer = await house.api(owner, method, path);
    assert.equal(answer.status, allow ? 405 : 404, `${method} ${path}`);
    assert.equal(answer.headers.allow, allow);
    assert.match(answer.json().message, /\.$/);
  }
});

test("who asks again for what is already so is told by a 409", async () => {
  const add = () =>
    house.operate("POST", `${base}/subscribers`, {
      subscriber: { email: "twice@example.com", skip_confirmation_notification: true },
    });
  const first = (await add()).json();
  assert.equal((await add()).status, 409);
  assert.equal((await house.operate("POST", `${base}/subscribers/${first.id}/resend_confirmation`)).status, 409);
  assert.equal(
    (await house.operate("POST", "/v1/members", { member: { email: "olive@example.com", roles: ["owner"] } })).status,
    409,
  );
  assert.equal((await house.operate("POST", `${base}/hosts`, { host: { name: "status.example.com" } })).status, 409);
});

test("a token that asks too often waits as long as it is told to, and others don't", async () => {
  const small = await openTestHouse({ "api.requests_per_minute": "3" });
  const path = `/v1/pages/${small.page.id}/components`;
  const secret = small.token("publisher");
  for (let count = 0; count < 3; count++) assert.equal((await small.api(secret, "GET", path)).status, 200);
  const answer = await small.api(secret, "GET", path);
  assert.equal(answer.status, 429);
  assert.equal(answer.headers["retry-after"], "20");
  assert.match(answer.json().message, /3 requests a minute/);
  assert.equal((await small.api(small.token("publisher"), "GET", path)).status, 200);
  assert.equal((await small.operate("GET", path)).status, 200);
  small.pass(20_000);
  assert.equal((await small.api(secret, "GET", path)).status, 200);
  await small.close();
});

test("a publisher's token sets how a component is, and not what it is", async () => {
  const house = await openTestHouse();
  const path = `/v1/pages/${house.page.id}/components/${house.parts.API}`;
  const change = (role: "publisher" | "page_config" | "team", component: object) =>
    house.api(house.token(role), "PATCH", path, { component });
  assert.equal((await change("publisher", { status: "partial_outage" })).json().status, "partial_outage");
  assert.equal((await change("page_config", { status: "operational" })).status, 200);
  for (const fields of [{ name: "Renamed" }, { status: "major_outage", showcase: false }, {}]) {
    const answer = await change("publisher", fields);
    assert.equal(answer.status, 403, answer.text);
    assert.match(answer.text, /role page_config/);
  }
  assert.equal((await change("team", { status: "major_outage" })).status, 403);
  assert.equal((await change("page_config", { name: "Renamed" })).json().name, "Renamed");
  await house.close();
});
