import assert from "node:assert/strict";
import { request } from "node:http";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { archiveComponent } from "../../src/components/components.ts";
import { type OpenIncident, openIncident, postUpdate } from "../../src/incidents/incidents.ts";
import { addHost } from "../../src/pages/pages.ts";
import { type House, host, monday, openTestHouse } from "../support/house.ts";

const by = { kind: "system" as const };
const hour = 3_600_000;

function open(house: House, fields: Partial<OpenIncident> & Pick<OpenIncident, "name" | "components">) {
  const now = house.deps.clock.now();
  const { incident } = openIncident(house.deps.db, {
    pageId: house.page.id,
    body: "We look into it.",
    notify: false,
    burstFactor: 5,
    now,
    by,
    ...fields,
  });
  house.deps.press.press(house.page.id, incident.id);
  return incident;
}

test("the headline names what is broken, and the change is there at the next request", async () => {
  const house = await openTestHouse();
  assert.match((await house.visit("/")).text, /<h1>All systems are operational\.<\/h1>/);
  const incident = open(house, {
    name: "Payments fail",
    components: { [house.parts.Checkout]: "major_outage", [house.parts.Search]: "degraded_performance" },
  });
  const front = (await house.visit("/")).text;
  assert.match(front, /<h1>Checkout is down\.<\/h1>/);
  assert.match(front, /Search is degraded\./);
  assert.match(front, /<title>Checkout is down – Acme<\/title>/);
  assert.match((await house.visit(`/incidents/${incident.id}`)).text, /<h1><bdi>Payments fail<\/bdi><\/h1>/);
  const now = house.deps.clock.now();
  postUpdate(house.deps.db, {
    pageId: house.page.id,
    incidentId: incident.id,
    status: "resolved",
    body: "Fixed.",
    components: { [house.parts.Checkout]: "operational", [house.parts.Search]: "operational" },
    notify: false,
    burstFactor: 5,
    now,
    by,
  });
  house.deps.press.press(house.page.id, incident.id);
  assert.match((await house.visit("/")).text, /All systems are operational\./);
  assert.match((await house.visit("/history")).text, /Payments fail/);
  await house.close();
});

test("maintenance stands in the history once it began, on the day it was planned for, and lasts from its beginning", async () => {
  const house = await openTestHouse();
  const day = 24 * hour;
  const planned = { kind: "maintenance" as const, components: {} };
  const upgrade = open(house, {
    ...planned,
    name: "Upgrade",
    scheduledFor: monday + 3 * day,
    scheduledUntil: monday + 3 * day + hour,
  });
  const far = open(house, {
    ...planned,
    name: "Move",
    scheduledFor: monday + 40 * day,
    scheduledUntil: monday + 41 * day,
  });
  const dayIn = (text: string, name: string) =>
    [...text.matchAll(/<section class="day".*?<\/section>/gs)].find(([section]) => section.includes(`>${name}<`))?.[0];
  const before = (await house.visit("/history")).text;
  assert.match(before, /Nothing to report in this month\./);
  assert.doesNotMatch(before, /href="\/history\/2026-12"/);
  assert.equal((await house.visit("/history/2027-01")).status, 404);

  house.pass(3 * day);
  const post = (status: "in_progress" | "completed") => {
    const input = {
      pageId: house.page.id,
      incidentId: upgrade.id,
      body: status,
      components: {},
      notify: false,
      burstFactor: 5,
      by,
    };
    postUpdate(house.deps.db, { ...input, status, now: house.deps.clock.now() });
    house.deps.press.press(house.page.id, upgrade.id);
  };
  post("in_progress");
  house.pass(hour);
  post("completed");
  for (const path of ["/", "/history"]) {
    const said = dayIn((await house.visit(path)).text, "Upgrade") ?? "";
    assert.match(said, /datetime="2026-11-26".*>10:00 CET<\/time> · Completed after 1 h/s, path);
  }
  assert.match((await house.visit(`/incidents/${upgrade.id}`)).text, /Completed after 1 h/);
  assert.equal((await house.visit(`/incidents/${far.id}`)).status, 200);
  await house.close();
});

test("a shared link shows what is the matter now, in its title, its words and its icon", async () => {
  const house = await openTestHouse();
  const read = async (path: string) => {
    const { text } = await house.visit(path);
    const meta = (name: string) => new RegExp(`<meta property="og:${name}" content="([^"]*)">`).exec(text)?.[1];
    return {
      tab: /<title>(.*?)<\/title>/.exec(text)?.[1],
      title: meta("title"),
      description: meta("description"),
      url: meta("url"),
      icon: /<link rel="icon" href="([^"]*)">/.exec(text)?.[1],
      text,
    };
  };
  const well = await read("/");
  assert.equal(well.title, "All systems are operational");
  const outage = { name: "Payments fail", body: "One in **three** fails.", components: {} };
  const incident = open(house, { ...outage, components: { [house.parts.Checkout]: "partial_outage" } });
  const front = await read("/");
  assert.deepEqual([front.title, front.description], ["Checkout is partly down", "Payments fail."]);
  assert.equal(front.url, `https://${host}/`);
  const during = await read(`/incidents/${incident.id}`);
  assert.equal(during.title, "Payments fail");
  assert.equal(during.description, "Investigating, 23 Nov 2026, 10:00 CET: One in three fails.");
  assert.match(during.text, /<meta name="description" content="Investigating, /);
  assert.equal(during.url, `https://${host}/incidents/${incident.id}`);
  assert.equal(during.icon, front.icon);
  postUpdate(house.deps.db, {
    pageId: house.page.id,
    incidentId: incident.id,
    status: "resolved",
    body: "Mended.",
    components: { [house.parts.Checkout]: "operational" },
    notify: false,
    burstFactor: 5,
    now: house.deps.clock.now(),
    by,
  });
  house.deps.press.press(house.page.id, incident.id);
  const after = await read(`/incidents/${incident.id}`);
  assert.equal(after.tab, "Resolved: Payments fail – Acme");
  assert.equal(after.icon, well.icon);
  assert.match(after.text, /<article class="incident whole over">/);
  assert.equal((await read("/history")).tab, "History: November 2026 – Acme");
  await house.close();
});

test("parts of one status stand together, and a long list waits on the incident's own page", async () => {
  const house = await openTestHouse();
  const { createComponent } = await import("../../src/components/components.ts");
  const common = { pageId: house.page.id, now: monday, by };
  const ids = Array.from({ length: 9 }, (_, index) =>
    createComponent(house.deps.db, { ...common, name: `Node ${index}` }),
  ).map(({ id }) => id);
  const components = Object.fromEntries(ids.map((id) => [id, "major_outage" as const]));
  const incident = open(house, { name: "Fire", components: { ...components, [house.parts.API]: "partial_outage" } });
  const affected = async (path: string) => {
    const line = /<p class="affected">(.*)<\/p>/.exec((await house.visit(path)).text)?.[1] ?? "";
    return line.replaceAll(/<\/span><\/span>/g, "; ").replaceAll(/<[^>]+>/g, "");
  };
  assert.equal(
    await affected("/"),
    "API: Partial outage; Node 0, Node 1, Node 2, Node 3, Node 4, Node 5 and 3 more: Major outage; ",
  );
  assert.match(await affected(`/incidents/${incident.id}`), /Node 5, Node 6, Node 7, Node 8: Major outage; $/);
  await house.close();
});

test("words that run from right to left keep their own order in a page that doesn't", async () => {
  const house = await openTestHouse();
  const incident = open(house, { name: "تعطل الدفع", body: "نعمل على ذلك.", components: {} });
  for (const path of ["/", `/incidents/${incident.id}`])
    assert.match((await house.visit(path)).text, /<div class="prose" dir="auto"><p>نعمل على ذلك\.<\/p>/, path);
  assert.match((await house.visit("/")).text, /<a href="[^"]+" dir="auto">تعطل الدفع<\/a>/);
  assert.match((await house.visit(`/incidents/${incident.id}`)).text, /<h1><bdi>تعطل الدفع<\/bdi><\/h1>/);
  await house.close();
});

test("a slash too many leads to the page that was meant, and nowhere else", async () => {
  const house = await openTestHouse();
  const incident = open(house, { name: "Outage", components: {} });
  for (const path of ["/history", "/subscribe", `/incidents/${incident.id}`]) {
    const { status, headers } = await house.visit(`${path}/`);
    assert.deepEqual([status, headers.location], [301, path]);
  }
  for (const path of ["/nothing/", "//example.com/", "/history//"])
    assert.equal((await house.visit(path)).status, 404, path);
  await house.close();
});

test("a visitor is told of our failure in words that are meant for visitors", async () => {
  const house = await openTestHouse();
  house.deps.db.$client.exec("PRAGMA foreign_keys = OFF; DROP TABLE subscribers");
  const body = "email=ann%40example.com&parts=all";
  const headers = { "content-type": "application/x-www-form-urlencoded", origin: `https://${host}` };
  const { status, text } = await house.visit("/subscribe", { method: "POST", headers, body });
  assert.equal(status, 500);
  assert.match(text, /Something went wrong on our side, and nothing was changed\. Try again in a few minutes\./);
  assert.doesNotMatch(text, /Times are in \./);
  await house.close();
});

test("days before there was this page aren't said to have been quiet", async () => {
  const house = await openTestHouse();
  const days = async () => (await house.visit("/")).text.match(/<section class="day"/g)?.length;
  assert.equal(await days(), 1);
  open(house, { name: "Moved over", components: {}, startedAt: monday - 3 * 24 * hour });
  assert.equal(await days(), 2);
  house.pass(9 * 24 * hour);
  house.deps.press.pressAll();
  assert.equal(await days(), 7);
  await house.close();
});

test("what is planned and what is past are summed up in words without marks", async () => {
  const house = await openTestHouse();
  const body = "**One** of:\n\n- [this](https://example.com)\n- that";
  const planned = { kind: "maintenance" as const, scheduledFor: monday + hour, scheduledUntil: monday + 2 * hour };
  open(house, { ...planned, name: "Upgrade", body, components: {} });
  open(house, { name: "Trouble", status: "resolved", body, components: {} });
  assert.equal((await house.visit("/")).text.split('<p dir="auto">One of: this; that</p>').length, 3);
  assert.match((await house.visit("/history")).text, /<p dir="auto">One of: this; that<\/p>/);
  await house.close();
});

test("a page is served in both encodings with a strong tag, and not again when it is known", async () => {
  const house = await openTestHouse();
  const plain = await house.visit("/");
  const tag = plain.headers.etag as string;
  assert.match(tag, /^"[\w-]+"$/);
  for (const accepted of ["gzip", "br, gzip;q=0.5", "*"]) {
    const bytes = await raw(house.port, "/", { "accept-encoding": accepted });
    assert.equal(bytes.headers["content-encoding"], "gzip");
    assert.equal(gunzipSync(bytes.body).toString("utf8"), plain.text);
  }
  for (const accepted of ["br", "gzip;q=0", "gzip;q=0.0, br", ""]) {
    assert.equal((await raw(house.port, "/", { "accept-encoding": accepted })).headers["content-encoding"], undefined);
  }
  for (const known of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
    const again = await house.visit("/", { headers: { "if-none-match": known } });
    assert.equal(again.status, 304);
    assert.equal(again.text, "");
    assert.equal(again.headers.etag, tag);
  }
  assert.equal((await house.visit("/", { headers: { "if-none-match": '"other"' } })).status, 200);
  const head = await house.visit("/", { method: "HEAD" });
  assert.equal(head.text, "");
  assert.equal(head.headers["content-length"], plain.headers["content-length"]);
  await house.close();
});

test("public pages are served while the database can't be read", async () => {
  const house = await openTestHouse();
  const incident = open(house, { name: "Payments fail", components: { [house.parts.API]: "partial_outage" } });
  await new Promise((resolve) => setTimeout(resolve, 100));
  house.deps.db.$client.close();
  for (const path of [
    "/",
    "/history",
    "/subscribe",
    `/incidents/${incident.id}`,
    "/history/2026-11",
    "/api/v2/summary.json",
  ]) {
    assert.equal((await house.visit(path)).status, 200, path);
  }
});

test("a page that lists nothing yet claims nothing about it", async () => {
  const house = await openTestHouse();
  for (const id of Object.values(house.parts))
    archiveComponent(house.deps.db, { pageId: house.page.id, id, archived: true, now: monday + 1, by });
  house.deps.press.pressAll();
  assert.match((await house.visit("/")).text, /<h1>Nothing is reported\.<\/h1>/);
  assert.doesNotMatch((await house.visit("/subscribe")).text, /Only these parts/);
  await house.close();
});

test("a new day is drawn without any change, in the page's own zone", async () => {
  const house = await openTestHouse();
  const before = (await house.visit("/")).text;
  assert.match(before, /Monday 23 November/);
  house.pass(13 * hour + 59 * 60_000); // 23:59 in Berlin
  assert.equal(house.deps.press.pressNewDay(), false);
  house.pass(60_000);
  assert.equal(house.deps.press.pressNewDay(), true);
  assert.match((await house.visit("/")).text, /Tuesday 24 November/);
  assert.equal(house.deps.clock.now(), monday + 14 * hour);
  await house.close();
});

test("what is written shows as text: markup in titles and updates never becomes markup", async () => {
  const house = await openTestHouse();
  const evil = `<script>alert(1)</script><img src=x onerror=alert(1)>"'&`;
  const incident = open(house, {
    name: evil,
    body: `${evil}\n\n[a](javascript:alert(1)) [b](https://example.com) see https://example.com/log?a=1, www.example.com`,
    components: { [house.parts.API]: "major_outage" },
  });
  for (const path of ["/", "/history", `/incidents/${incident.id}`]) {
    const { text } = await house.visit(path);
    assert.doesNotMatch(text, /<script>alert|<img src=x|href="javascript:/i, path);
  }
  assert.match(
    (await house.visit(`/incidents/${incident.id}`)).text,
    /<a href="https:\/\/example\.com" rel="nofollow noopener noreferrer">b<\/a> see <a href="https:\/\/example\.com\/log\?a=1" [^>]*>https:\/\/example\.com\/log\?a=1<\/a>, www\.example\.com</,
  );
  await house.close();
});

test("the first view of a page with 20 components is at most 14 kB in three requests", async () => {
  const house = await openTestHouse();
  const { createComponent } = await import("../../src/components/components.ts");
  for (let index = 0; index < 17; index++) {
    createComponent(house.deps.db, {
      pageId: house.page.id,
      name: `Component number ${index}`,
      description: "Does what it should",
      now: monday - 100 * 24 * hour,
      by,
    });
  }
  for (let index = 0; index < 3; index++)
    open(house, {
      name: `Incident ${index}`,
      body: "Some of you can't sign in. ".repeat(10),
      components: { [house.parts.API]: "partial_outage" },
    });
  house.deps.press.pressAll();
  const front = await raw(house.port, "/", { "accept-encoding": "gzip" });
  const html = gunzipSync(front.body).toString("utf8");
  const linked = [...html.matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)].map(([, path]) => path as string);
  assert.equal(linked.length, 2, "one stylesheet and one script");
  let bytes = front.body.length;
  for (const path of linked.filter((one) => one.endsWith(".css")))
    bytes += (await raw(house.port, path, { "accept-encoding": "gzip" })).body.length;
  assert.ok(bytes <= 14_000, `${bytes} bytes`);
  await house.close();
});

test("every public answer forbids inline script and style, framing and sniffing", async () => {
  const house = await openTestHouse();
  for (const path of ["/", "/history", "/nothing", "/subscription/x.y", "/subscribe/sent"]) {
    const { headers, text } = await house.visit(path);
    const policy = String(headers["content-security-policy"]);
    assert.match(policy, /default-src 'none'/, path);
    assert.doesNotMatch(policy, /unsafe/, path);
    assert.equal(headers["x-content-type-options"], "nosniff", path);
    assert.equal(headers["referrer-policy"], "same-origin", path);
    assert.doesNotMatch(text, / style="| on[a-z]+="|<style|<script>/, path);
  }
  await house.close();
});

test("a page with a host of its own on plain http promises no TLS", async () => {
  const house = await openTestHouse();
  addHost(house.deps.db, { pageId: house.page.id, host: "http://127.0.0.1:8080", now: monday + 1, by });
  house.deps.press.pressAll();
  assert.equal((await house.visit("/", { host: "127.0.0.1:8080" })).status, 200);
  assert.ok((await house.visit("/", { host })).headers["strict-transport-security"]);
  await house.close();
});

function raw(port: number, path: string, headers: Record<string, string>): Promise<{ headers: any; body: Buffer }> {
  return new Promise((resolve, reject) => {
    request({ port, path, headers: { host, ...headers }, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
    })
      .on("error", reject)
      .end();
  });
}
