/** Words that would be more than words elsewhere, put into every field: no page, letter or document makes anything of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { listDeliveries } from "../../src/mail/ledger.ts";
import { markdownToHtml } from "../../src/statuspage/markdown.ts";
import { addSubscriber } from "../../src/subscribers/subscribers.ts";
import { type House, openTestHouse } from "../support/house.ts";
import { readLetter } from "../support/letterbox.ts";

const evil = `"'><img src=x onerror=alert(1)><script>alert(1)</script>{{this}}&lt;b&gt;</title></body>`;
const evilMarkdown = [
  evil,
  "[a](javascript:alert(1)) [b](data:text/html,x) [c](vbscript:x) [d](JaVaScRiPt:alert(1)) [e](&#106;avascript:alert(1))",
  '<javascript:alert(1)> ![i](https://evil.example/p.png) [t](https://x.example "q\'\\" onmouseover=alert(1)")',
  '[f]: javascript:alert(1)\n[f] [g](https://x.example/"onclick=alert(1))',
  "[h](\tjavascript:alert(1)) [i](//evil.example) [j](\\javascript:alert(1))",
].join("\n\n");

/** Elements and attributes that are no part of our templates; text is escaped, so a tag is a tag. */
function injected(html: string): string[] {
  const tags = html.match(/<[a-z!/][^>]*>/gi) ?? [];
  return tags.filter(
    (tag) =>
      /^<(?:img|iframe|object|embed|style|base|meta http)/i.test(tag) ||
      (/^<script/i.test(tag) && !/^<script src="\/assets\/live-[0-9a-f]{12}\.js" defer>$/.test(tag)) ||
      / on[a-z]+\s*=/i.test(tag.replaceAll(/="[^"]*"/g, "=")) ||
      /(?:href|src|action)="\s*(?:javascript|data:text|vbscript)/i.test(tag),
  );
}

async function poisoned(): Promise<{ house: House; pages: string[] }> {
  const house = await openTestHouse();
  const { db, keys, clock } = house.deps;
  const token = house.token("owner");
  const base = `/v1/pages/${house.page.id}`;
  const made = async (method: string, path: string, body: object) => {
    const answer = await house.api(token, method, `${base}${path}`, body);
    assert.ok(answer.status < 300, `${path}: ${answer.text}`);
    return answer.json();
  };
  const name = evil.slice(0, 100);
  await made("PATCH", "", { page: { name, page_description: evil, support_url: `https://x.example/"'><img src=x>` } });
  const group = await made("POST", "/component-groups", { component_group: { name }, description: evil });
  const fields = { name, description: evil, group_id: group.id };
  const component = await made("POST", "/components", { component: fields });
  addSubscriber(db, {
    pageId: house.page.id,
    address: "o'{}|`~!#$%&*+-/=?^_x@example.com",
    wish: { wholePage: false, componentIds: [component.id] },
    confirm: "vouched",
    source: "api",
    keys,
    now: clock.now(),
    by: { kind: "system" },
  });
  const opened = await made("POST", "/incidents", {
    incident: {
      name: evil,
      body: evilMarkdown,
      components: { [component.id]: "major_outage" },
      metadata: { a: { b: evil } },
    },
  });
  const update = opened.incident_updates[0].id;
  const corrected = { incident_update: { body: `${evilMarkdown}\n\nagain` } };
  await made("PATCH", `/incidents/${opened.id}/incident_updates/${update}`, corrected);
  const planned = { scheduled_for: "2026-12-01T10:00:00Z", scheduled_until: "2026-12-01T11:00:00Z" };
  await made("POST", "/incidents", { incident: { name: evil, body: evilMarkdown, ...planned } });
  await house.settle();
  const letter = listDeliveries(db, { pageId: house.page.id, limit: 1 })[0]?.id;
  const admin = `/admin/incidents/${opened.id}`;
  const subscriber = db.$client.prepare("SELECT id FROM subscribers").pluck().get();
  return {
    house,
    pages: [
      "/",
      "/history",
      `/incidents/${opened.id}`,
      "/subscribe",
      "/subscribe/sent",
      "/nothing-here",
      "/admin",
      "/admin/incidents",
      "/admin/incidents/new",
      admin,
      `${admin}/updates/${update}/edit`,
      `${admin}/delete`,
      "/admin/components",
      `/admin/components/${component.id}`,
      `/admin/component-groups/${group.id}`,
      "/admin/subscribers",
      "/admin/subscribers/new",
      `/admin/subscribers/${subscriber}`,
      "/admin/mail",
      `/admin/mail/${letter}`,
      "/admin/settings",
      "/admin/audit",
      `/admin/mail/${encodeURIComponent(evil)}`,
      `/admin/incidents/${encodeURIComponent(evil)}`,
      `/admin/incidents?page=${encodeURIComponent(evil)}&done=${encodeURIComponent(evil)}`,
    ],
  };
}

test("the look-out sees what it looks for", () => {
  assert.equal(injected(evil).length, 2);
  assert.equal(injected(`<a href="javascript:x">`).length, 1);
  assert.equal(injected(`<p class="x" onclick="y">`).length, 1);
  assert.deepEqual(injected(`<p title="a onclick=b">&lt;script&gt;</p>`), []);
});

test("no field puts an element, handler or script link on any page", async () => {
  const { house, pages } = await poisoned();
  const owner = await house.signIn(house.owner);
  for (const path of pages) {
    const answer = await owner.open(path);
    assert.ok([200, 404].includes(answer.status), `${path}: ${answer.status}`);
    assert.deepEqual(injected(answer.text), [], path);
    assert.match(String(answer.headers["content-security-policy"]), /default-src 'none'/);
    if (!path.startsWith("/admin")) assert.equal((await house.visit(path)).headers["set-cookie"], undefined);
  }
  const preview = {
    step: "preview",
    name: evil,
    body: evilMarkdown,
    status: "investigating",
    draft: evil,
    notify: "1",
  };
  for (const [path, fields] of [
    ["/admin/incidents", preview],
    ["/admin/incidents", { ...preview, step: "edit" }],
    ["/admin/incidents", { ...preview, status: evil }],
    ["/admin/components", { name: "", description: evil, start_date: evil, status: "operational", group_id: evil }],
    ["/admin/subscribers", { email: evil, how: evil }],
    ["/admin/subscribers/find", { find: evil }],
    ["/admin/mail", { email: evil }],
    ["/admin/settings", { name: evil, description: evil, time_zone: evil, support_url: "javascript:alert(1)" }],
    ["/admin/sign-in", { email: evil, password: "x" }],
    ["/subscribe", { email: evil, scope: "some", components: evil }],
  ] as [string, Record<string, string>][]) {
    const answer = await owner.send(path, fields);
    assert.ok([200, 404, 422].includes(answer.status), `${path}: ${answer.status}`);
    assert.deepEqual(injected(answer.text), [], `${path} ${JSON.stringify(fields).slice(0, 60)}`);
  }
  const refused = await house.visit("/admin/incidents", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ body: `</textarea>${evil}` }).toString(),
  });
  assert.equal(refused.status, 403);
  assert.deepEqual(injected(refused.text), []);
  await house.close();
});

test("letters carry the words as words, with one recipient and no header that somebody else wrote", async () => {
  const { house } = await poisoned();
  for (const { id } of listDeliveries(house.deps.db, { pageId: house.page.id, limit: 100 })) {
    const letter = await readLetter(house, id);
    // Letters bring their own styles; the last thing in their head is ours.
    const plain = letter.html.replaceAll(/ style="[^"]*"/g, "").replace(/<style>[^<]*<\/style>\s*<\/head>/, "</head>");
    assert.deepEqual(injected(plain), []);
    const head = letter.raw.slice(0, letter.raw.indexOf("\r\n\r\n"));
    assert.equal(head.match(/^(?:To|Cc|Bcc|From|Subject):/gim)?.length, 3);
    assert.doesNotMatch(head, /^(?:onerror|alert|X-Evil)/im);
  }
  const token = house.token("owner");
  for (const name of ["a\r\nBcc: x@evil.example", "a\nX-Evil: 1", "a\0b", "a\u0085b"]) {
    const answer = await house.api(token, "POST", `/v1/pages/${house.page.id}/incidents`, {
      incident: { name, body: "x" },
    });
    assert.equal(answer.status, 422, JSON.stringify(name));
    const page = await house.api(token, "PATCH", `/v1/pages/${house.page.id}`, { page: { name } });
    assert.equal(page.status, 422, JSON.stringify(name));
  }
  for (const url of ["javascript:alert(1)", "data:text/html,x", "//evil.example", "ftp://x.example", "vbscript:x"]) {
    const answer = await house.api(token, "PATCH", `/v1/pages/${house.page.id}`, { page: { support_url: url } });
    assert.equal(answer.status, 422, url);
  }
  await house.close();
});

test("documents are JSON whose type a browser can't mistake", async () => {
  const { house } = await poisoned();
  const token = house.token("owner");
  for (const path of ["/api/v2/summary.json", "/api/v2/incidents.json", "/api/v2/components.json"]) {
    const answer = await house.visit(path);
    assert.match(String(answer.headers["content-type"]), /^application\/json/);
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
    assert.ok(JSON.stringify(answer.json()).includes("onerror"));
  }
  const managed = await house.api(token, "GET", `/v1/pages/${house.page.id}/incidents`);
  assert.match(String(managed.headers["content-type"]), /^application\/json/);
  await house.close();
});

test("an update's words become these elements and no others, and cost little however they are nested", () => {
  const html = markdownToHtml(evilMarkdown);
  const tags = new Set([...html.matchAll(/<\/?([a-z0-9]+)/gi)].map(([, name]) => name));
  assert.deepEqual([...tags].toSorted(), ["a", "br", "p"]);
  for (const [, link] of html.matchAll(/href="([^"]*)"/g)) assert.match(link as string, /^(?:https?:\/\/|mailto:)/i);
  assert.deepEqual(injected(html), []);
  const most = 25_000;
  const took = (text: string) => {
    const began = performance.now();
    markdownToHtml(text.slice(0, most));
    return performance.now() - began;
  };
  const plain = "some **words** in a [row](https://x.example) ".repeat(1000);
  took(plain);
  const usual = took(plain);
  for (const part of [
    "[",
    "![",
    "*a",
    "_",
    "`a",
    "[a](",
    "<",
    "> ",
    "- ",
    "~~a",
    "&",
    "\\",
    "[a]: ",
    "```\n",
    "<a ",
    "[a](<",
  ]) {
    assert.ok(took(part.repeat(most)) < 30 * usual + 50, part);
  }
});
