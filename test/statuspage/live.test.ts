/** The small script in a real browser: what it takes up while a page is open, and what it leaves as the reader has it. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { BrowserContextOptions } from "playwright-core";
import { createComponent } from "../../src/components/components.ts";
import { openIncident, postUpdate } from "../../src/incidents/incidents.ts";
import { addHost } from "../../src/pages/pages.ts";
import { openBrowser, openPage } from "../support/browser.ts";
import { openTestHouse } from "../support/house.ts";
import { needs } from "../support/need.ts";

const by = { kind: "system" as const };

test("an open page takes up a change and leaves what the reader folded, focused and scrolled to", {
  skip: needs("chromium"),
  timeout: 60_000,
}, async (t) => {
  const house = await openTestHouse();
  const { db, press, clock } = house.deps;
  const pageId = house.page.id;
  const origin = `http://127.0.0.1:${house.port}`;
  addHost(db, { pageId, host: origin, now: clock.now(), by });
  press.pressAll();
  const common = { pageId, notify: false, burstFactor: 5, by };
  const open = (name: string, status: "degraded_performance" | "major_outage") => {
    const components = { [house.parts.API]: status };
    const { incident } = openIncident(db, { ...common, name, body: "We look.", components, now: clock.now() });
    press.press(pageId, incident.id);
    return incident;
  };
  const first = open("Slow answers", "degraded_performance");
  const browser = await openBrowser();
  t.after(() => browser.close());

  const front = await openPage(browser, true, 360);
  const page = front.page;
  await page.goto(`${origin}/`);
  await page.locator("summary").click();
  await page.getByRole("link", { name: "All of the past" }).focus();
  await page.evaluate("scrollTo(0, 100)");
  open("Payments fail", "major_outage");
  const again = () => page.evaluate('document.dispatchEvent(new Event("visibilitychange"))');
  const icon = () => page.locator("link[rel=icon]").getAttribute("href");
  const iconBefore = await icon();
  await again();
  await page.getByRole("heading", { name: "API is down." }).waitFor();
  assert.equal(await page.title(), "API is down – Acme");
  assert.notEqual(await icon(), iconBefore);
  assert.equal(await page.locator("details").getAttribute("open"), null);
  assert.equal(await page.evaluate('document.activeElement.getAttribute("href")'), "/history");
  assert.equal(await page.evaluate("scrollY"), 100);

  await page.goto(`${origin}/incidents/${first.id}`);
  const now = clock.now() + 60_000;
  const components = { [house.parts.API]: "operational" as const };
  postUpdate(db, { ...common, incidentId: first.id, status: "resolved", body: "Mended.", components, now });
  press.press(pageId, first.id);
  await again();
  await page.getByText("Mended.").waitFor();
  assert.match((await page.locator("article > .meta").textContent()) ?? "", /Resolved after/);
  assert.deepEqual(front.complaints, []);
  await house.close();
});

/** A front page that is open in a browser whose clock the test moves on. */
async function watchFront(t: TestContext, options: BrowserContextOptions = {}) {
  const house = await openTestHouse();
  const { db, press, clock } = house.deps;
  const origin = `http://127.0.0.1:${house.port}`;
  addHost(db, { pageId: house.page.id, host: origin, now: clock.now(), by });
  press.pressAll();
  const browser = await openBrowser();
  t.after(async () => {
    await browser.close();
    await house.close();
  });
  const { page, complaints } = await openPage(browser, true, 1280, options);
  await page.clock.install();
  await page.goto(`${origin}/`);
  return { house, page, complaints, origin };
}

test("a change below the sentence leaves the sentence alone, so that a screen reader doesn't say it again", {
  skip: needs("chromium"),
  timeout: 60_000,
}, async (t) => {
  const { house, page } = await watchFront(t);
  await page.evaluate(`{
    window.announced = 0;
    new MutationObserver(() => { window.announced += 1; })
      .observe(document.querySelector("[aria-live]"), { childList: true, subtree: true, characterData: true });
  }`);
  const { db, press, clock } = house.deps;
  const upgrade = { kind: "maintenance" as const, name: "Upgrade", body: "Words.", components: {} };
  const hours = { scheduledFor: clock.now() + 3_600_000, scheduledUntil: clock.now() + 7_200_000 };
  // At the very moment of the last change, so that nothing but the lower part differs.
  openIncident(db, {
    ...upgrade,
    ...hours,
    pageId: house.page.id,
    notify: false,
    burstFactor: 5,
    now: clock.now(),
    by,
  });
  press.press(house.page.id);
  await page.clock.runFor(61_000);
  await page.getByRole("heading", { name: "Upgrade" }).waitFor();
  assert.equal(await page.evaluate("window.announced"), 0);
});

test("a tab in the background takes up a change as well, only less often", {
  skip: needs("chromium"),
  timeout: 60_000,
}, async (t) => {
  const { house, page } = await watchFront(t);
  await page.evaluate('Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true })');
  let asked = 0;
  page.on("request", () => {
    asked += 1;
  });
  const { db, press, clock } = house.deps;
  const words = { name: "Outage", body: "Words.", components: { [house.parts.API]: "major_outage" as const } };
  openIncident(db, { ...words, pageId: house.page.id, notify: false, burstFactor: 5, now: clock.now(), by });
  press.press(house.page.id);
  await page.clock.runFor(5 * 60_000 + 1000);
  while ((await page.title()) !== "API is down – Acme") await setTimeout(20);
  assert.equal(asked, 1);
});

test("a page that can't be refreshed says so after a while, until it can again", {
  skip: needs("chromium"),
  timeout: 60_000,
}, async (t) => {
  const { page } = await watchFront(t);
  const note = page.getByRole("status");
  await page.context().setOffline(true);
  await page.clock.runFor(2 * 60_000);
  assert.equal(await note.textContent(), "");
  await page.clock.runFor(2 * 60_000);
  await page.getByText(/hasn’t been refreshed since \w+day/).waitFor();
  await page.context().setOffline(false);
  await page.clock.runFor(61_000);
  await page.getByText(/hasn’t been refreshed/).waitFor({ state: "detached" });
});

test("a tap beside a bar says what that day was and leads to its history; a quiet day is said to be quiet", {
  skip: needs("chromium"),
  timeout: 60_000,
}, async (t) => {
  const touch = { viewport: { width: 360, height: 780 }, hasTouch: true, isMobile: true };
  const { house, page, origin, complaints } = await watchFront(t, touch);
  const { db, press, clock } = house.deps;
  const now = clock.now() - 20 * 24 * 3_600_000;
  const { id } = createComponent(db, { pageId: house.page.id, name: "Archive", now: now - 1000, by });
  const common = { pageId: house.page.id, notify: false, burstFactor: 5, by };
  const words = { name: "Lost disk", body: "Words.", components: { [id]: "partial_outage" as const } };
  const { incident } = openIncident(db, { ...common, ...words, now });
  const over = { status: "resolved" as const, body: "Words.", components: { [id]: "operational" as const } };
  postUpdate(db, { ...common, ...over, incidentId: incident.id, now: now + 1_800_000 });
  press.pressAll();
  await page.goto(`${origin}/`);
  const strip = page.locator("li", { hasText: "Archive" }).locator(".strip");
  const { width } = (await strip.boundingBox()) as { width: number };
  const tap = (day: number, aside: number) =>
    strip.tap({ position: { x: ((day + 0.5) / 90) * width + aside, y: 12 }, force: true });
  const tip = page.locator(".tip");
  await tap(80, 0);
  assert.equal(await tip.textContent(), "14 Nov: no trouble");
  await tap(3, 0);
  assert.equal(await tip.textContent(), "29 Aug: before the history begins");
  await tap(69, 8);
  assert.equal(await tip.textContent(), "3 Nov: partial outage, 30 min What happened");
  await page.getByRole("link", { name: "What happened" }).tap();
  await page.waitForURL(/\/history\/2026-11#2026-11-03$/);
  await page.locator("[id='2026-11-03']").getByText("Lost disk").waitFor();
  assert.deepEqual(complaints, []);
});

test("who reads in another zone reads times of their own, and which day that is for what is planned", {
  skip: needs("chromium"),
  timeout: 60_000,
}, async (t) => {
  const { house, page, origin, complaints } = await watchFront(t, { timezoneId: "Asia/Tokyo", locale: "ja-JP" });
  const { db, press, clock } = house.deps;
  const upgrade = { kind: "maintenance" as const, name: "Upgrade", body: "Words.", components: {} };
  const from = Date.parse("2026-11-27T22:00:00Z");
  const hours = { scheduledFor: from, scheduledUntil: from + 3_600_000 };
  openIncident(db, {
    ...upgrade,
    ...hours,
    pageId: house.page.id,
    notify: false,
    burstFactor: 5,
    now: clock.now(),
    by,
  });
  press.pressAll();
  await page.goto(`${origin}/`);
  const changed = page.locator(".state time");
  assert.equal(await changed.textContent(), "23 Nov 2026, 18:00 JST");
  assert.equal(await changed.getAttribute("title"), "23/11/2026, 10:00, Europe/Berlin");
  assert.equal((await page.locator("[data-planned]").textContent())?.trim(), "Sat 28 Nov 2026, 07:00 to 08:00 JST");
  await page.getByText("Times are in your own zone; this page’s is Europe/Berlin.").waitFor();
  assert.deepEqual(complaints, []);
  const near = await watchFront(t, { timezoneId: "Europe/Paris" });
  assert.equal(await near.page.locator(".state time").textContent(), "23 Nov 2026, 10:00 CET");
  await near.page.getByText("Times are in Europe/Berlin.").waitFor();
});
