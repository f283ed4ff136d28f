/** The small script in a real browser: what it takes up while a page is open, and what it leaves as the reader has it. */
import assert from "node:assert/strict";
import { test } from "node:test";
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
  await page.evaluate("scrollTo(0, 300)");
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
  assert.equal(await page.evaluate("scrollY"), 300);
  assert.match((await page.locator("time").first().getAttribute("title")) ?? "", /your time/);

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
