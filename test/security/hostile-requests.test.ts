/** What strangers and tokens send to hurt: headers, paths, bodies. No answer is a 500, and none costs much more than another. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type House, host, openTestHouse } from "../support/house.ts";

const form = { "content-type": "application/x-www-form-urlencoded", origin: `https://${host}` };

async function milliseconds(house: House, accept: string): Promise<number> {
  const began = performance.now();
  for (let index = 0; index < 3; index++) await house.visit("/", { headers: { "accept-encoding": accept } });
  return performance.now() - began;
}

test("no Accept-Encoding header makes the page slow", async () => {
  const house = await openTestHouse();
  const plain = "gzip;q=0, ".repeat(1400);
  await milliseconds(house, plain);
  const usual = await milliseconds(house, plain);
  for (const evil of [
    `gzip;q=0.${"1".repeat(14_000)}x`,
    `gzip${" ".repeat(14_000)}x`,
    `gzip;${" ".repeat(14_000)}x`,
    `${",".repeat(14_000)}`,
  ]) {
    const taken = await milliseconds(house, evil);
    assert.ok(taken < 10 * usual + 50, `${evil.slice(0, 12)}… took ${taken} ms where ${usual} ms is usual`);
  }
  await house.close();
});

test("paths that aren't, and ids that can't be, are not found and never our bug", async () => {
  const house = await openTestHouse();
  const owner = await house.signIn(house.owner);
  const token = house.token("owner");
  const odd = ["%", "%ff", "%00", "%0d%0aX-Evil:1", "%E2%82%AC", "..%2f..%2f", "%2f%2fevil.example", "a".repeat(4000)];
  const more = ["1e400", "-1", "NaN", "0x10", "9".repeat(400), "__proto__", "constructor", "'--", "%F0%9F%98%80"];
  for (const id of [...odd, ...more]) {
    for (const path of [
      `/${id}`,
      `/incidents/${id}`,
      `/history/${id}`,
      `/assets/${id}`,
      `/subscribe/confirm/${id}`,
      `/subscription/${id}`,
      `/unsubscribe/${id}`,
      `/admin/enter/${id}`,
      `/admin/incidents/${id}`,
      `/admin/incidents/${id}/updates`,
      `/admin/incidents/${id}/updates/${id}/edit`,
      `/admin/components/${id}`,
      `/admin/component-groups/${id}`,
      `/admin/subscribers/${id}`,
      `/admin/mail/${id}`,
      `/admin/${id}`,
    ]) {
      assert.equal((await owner.open(path)).status, 404, path);
      if (!path.startsWith("/admin/enter")) assert.ok((await owner.send(path, {})).status < 500, path);
    }
    for (const path of [`/v1/${id}`, `/v1/pages/${id}`, `/v1/pages/${house.page.id}/incidents/${id}`]) {
      assert.equal((await house.api(token, "GET", path)).status, 404, path);
    }
    const mail = await house.api(token, "GET", `/v1/pages/${house.page.id}/mail/${id}`);
    assert.equal(mail.status, 404);
  }
  assert.deepEqual(
    house.lines.filter((line) => line.includes("request.failed")),
    [],
  );
  await house.close();
});

test("a path of a thousand .json endings is not found", async () => {
  const house = await openTestHouse();
  const answer = await house.visit(`/v1/x${".json".repeat(1500)}`);
  assert.equal(answer.status, 404);
  assert.deepEqual(house.lines, []);
  await house.close();
});

test("bodies of every wrong kind are refused, none is our bug, and no prototype is touched", async () => {
  const house = await openTestHouse({ "api.requests_per_minute": "100000" });
  const token = house.token("owner");
  const pages = `/v1/pages/${house.page.id}`;
  const deep = `${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`;
  const roots = ["incident", "component", "component_group", "subscriber", "page", "incident_update"];
  const wrong: unknown[] = [null, 1, true, [], [[]], {}, "", "x", { a: {} }, -1e308];
  const bodies = [
    "",
    "{",
    "null",
    "[]",
    "1",
    '"x"',
    deep,
    `[${"[".repeat(100_000)}`,
    '{"__proto__":{"polluted":1}}',
    '{"incident":{"__proto__":{"polluted":1},"name":"x"}}',
    '{"incident":{"constructor":{"prototype":{"polluted":1}}}}',
    ...roots.flatMap((root) =>
      wrong.flatMap((value) => [
        JSON.stringify({ [root]: value }),
        JSON.stringify({ [root]: { name: value, body: value, email: value, status: value, components: value } }),
        JSON.stringify({ [root]: { name: "x", component_ids: value, impact_override: value, metadata: value } }),
        JSON.stringify({ [root]: { name: "x", scheduled_for: value, scheduled_until: value, backfill_date: value } }),
        JSON.stringify({ [root]: { time_zone: value, support_url: value, start_date: value, group_id: value } }),
      ]),
    ),
  ];
  const paths = [`${pages}/incidents`, `${pages}/components`, `${pages}/component-groups`, `${pages}/subscribers`];
  for (const path of paths) {
    for (const body of bodies) {
      const headers = { authorization: `OAuth ${token}`, "content-type": "application/json" };
      const answer = await house.visit(path, { method: "POST", headers, body });
      assert.ok(answer.status < 500, `${path} ${body.slice(0, 80)}: ${answer.status} ${answer.text}`);
    }
  }
  assert.equal(({} as any).polluted, undefined);
  const headers = { authorization: `OAuth ${token}`, "content-type": "application/json" };
  const post = (body: string | Buffer, type = "application/json") =>
    house.visit(`${pages}/incidents`, { method: "POST", headers: { ...headers, "content-type": type }, body });
  assert.equal((await post("x".repeat(1024 * 1024))).status, 413);
  assert.equal((await post(Buffer.from([0x7b, 0x22, 0xff, 0xfe]))).status, 422);
  assert.equal((await post("a[b]=1&a=2", "application/x-www-form-urlencoded")).status, 400);
  assert.equal((await post("a=1&".repeat(3000), "application/x-www-form-urlencoded")).status, 422);
  assert.equal((await post("__proto__[x]=1", "application/x-www-form-urlencoded")).status, 400);
  assert.equal((await house.visit("/")).status, 200);
  assert.deepEqual(house.lines, []);
  await house.close();
});

test("visitors' and members' forms take any field without falling over", async () => {
  const house = await openTestHouse({ "subscribe.per_network_per_hour": "100000" });
  const owner = await house.signIn(house.owner);
  const fields = ["part[__proto__]", "part[constructor]", "part[x", "status[a]", "__proto__", "step", "draft"];
  for (const name of fields) {
    for (const value of ["", "major_outage", "\ud800", "%00", "x".repeat(30_000)]) {
      for (const path of ["/admin/incidents", "/admin/components", "/admin/component-groups", "/admin/settings"]) {
        assert.ok(
          (await owner.send(path, { [name]: value, name: "x", body: "y", status: "investigating" })).status < 500,
        );
      }
    }
  }
  for (const email of [
    "",
    "a@b.example\r\nBcc: x@y.example",
    "a@b.example,c@d.example",
    "\0@b.example",
    "x".repeat(400_000),
  ]) {
    const body = new URLSearchParams({ email, scope: "all" }).toString();
    assert.equal(
      (await house.visit("/subscribe", { method: "POST", headers: form, body })).status,
      422,
      email.slice(0, 30),
    );
  }
  const cut = { ...form, "content-type": "text/plain" };
  assert.equal((await house.visit("/subscribe", { method: "POST", headers: cut, body: "email=x" })).status, 422);
  assert.equal(({} as any).polluted, undefined);
  assert.deepEqual(
    house.lines.filter((line) => line.includes("request.failed")),
    [],
  );
  await house.close();
});

test("an id repeated thirty thousand times counts once", async () => {
  const house = await openTestHouse();
  const token = house.token("owner");
  const many = Array.from({ length: 33_500 }, () => house.parts.API);
  const group = { component_group: { name: "All", components: many } };
  assert.equal((await house.api(token, "POST", `/v1/pages/${house.page.id}/component-groups`, group)).status, 201);
  const incident = { incident: { name: "x", body: "y", component_ids: many } };
  const opened = await house.api(token, "POST", `/v1/pages/${house.page.id}/incidents`, incident);
  assert.equal(opened.status, 201);
  assert.equal(opened.json().components.length, 1);
  await house.close();
});

test("a day that isn't in the calendar can't be a component's first, and never stops the page from being pressed", async () => {
  const house = await openTestHouse();
  const token = house.token("page_config");
  const path = `/v1/pages/${house.page.id}/components/${house.parts.API}`;
  for (const day of ["2026-02-31", "2026-02-29", "2025-04-31", "2026-13-01", "2026-00-10"]) {
    const answer = await house.api(token, "PATCH", path, { component: { start_date: day } });
    assert.equal(answer.status, 422, day);
  }
  const owner = await house.signIn(house.owner);
  const changed = await owner.send(`/admin/components/${house.parts.API}`, {
    name: "API",
    start_date: "2026-02-31",
    status: "operational",
  });
  assert.equal(changed.status, 422);
  assert.doesNotThrow(() => house.deps.press.pressAll());
  assert.equal((await house.api(token, "PATCH", path, { component: { start_date: "2024-02-29" } })).status, 200);
  await house.close();
});

test("an incident can't be told of a year that would give the history thousands of pages", async () => {
  const house = await openTestHouse();
  const token = house.token("publisher");
  for (const day of ["0001-01-01", "1969-12-30", "0026-01-31"]) {
    const incident = { name: "Long ago", body: "x", backfilled: true, backfill_date: day };
    const answer = await house.api(token, "POST", `/v1/pages/${house.page.id}/incidents`, { incident });
    assert.equal(answer.status, 422, day);
    assert.match(answer.text, /since 1970/);
  }
  await house.close();
});

test("answers that were made for one reader are kept by nobody, and none invites guessing at its type", async () => {
  const house = await openTestHouse();
  const token = house.token("owner");
  const answers = [
    await house.visit("/admin"),
    await house.visit("/admin/sign-in"),
    await house.visit("/admin/enter/x"),
    await house.visit("/admin/settings", { method: "POST", headers: form, body: "body=secret" }),
    await house.visit("/subscription/x.y"),
    await house.visit("/subscribe", { method: "POST", headers: form, body: "email=nobody" }),
    await house.visit("/v1/pages"),
    await house.api(token, "GET", "/v1/pages"),
    await house.api(token, "GET", "/v1/pages/none"),
  ];
  for (const answer of answers) {
    assert.equal(answer.headers["cache-control"], "no-store", answer.text.slice(0, 200));
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
    assert.equal(answer.headers["set-cookie"], undefined);
  }
  for (const answer of answers.slice(0, 6)) {
    assert.match(String(answer.headers["content-security-policy"]), /default-src 'none'.*frame-ancestors 'none'/);
  }
  await house.close();
});
