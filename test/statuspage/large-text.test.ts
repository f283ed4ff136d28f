import assert from "node:assert/strict";
import { test } from "node:test";
import { openIncident } from "../../src/incidents/incidents.ts";
import { addHost } from "../../src/pages/pages.ts";
import { openBrowser, openPage } from "../support/browser.ts";
import { openTestHouse } from "../support/house.ts";
import { needs } from "../support/need.ts";

const by = { kind: "system" as const };

test("text of twice the size and wide spacing never widens a phone's page (WCAG 1.4.4, 1.4.12)", {
  skip: needs("chromium"),
  timeout: 60_000,
}, async (t) => {
  const house = await openTestHouse();
  const { db, press, clock } = house.deps;
  const common = { pageId: house.page.id, notify: false, burstFactor: 5, now: clock.now(), by };
  const components = { [house.parts.Checkout]: "partial_outage" as const };
  const { incident } = openIncident(db, { ...common, name: "Payments fail", body: "We look.", components });
  const hours = { scheduledFor: clock.now() + 3_600_000, scheduledUntil: clock.now() + 7_200_000 };
  const planned = { kind: "maintenance" as const, name: "Upgrade", body: "Words.", components: {} };
  openIncident(db, { ...common, ...planned, ...hours });
  const origin = `http://127.0.0.1:${house.port}`;
  addHost(db, { pageId: house.page.id, host: origin, now: clock.now(), by });
  press.pressAll();
  const browser = await openBrowser();
  t.after(async () => {
    await browser.close();
    await house.close();
  });
  const { page } = await openPage(browser, true, 360);
  for (const path of ["/", `/incidents/${incident.id}`, "/history", "/subscribe", "/nothing"]) {
    await page.goto(`${origin}${path}`);
    await page.evaluate(`{
      const sheet = new CSSStyleSheet();
      sheet.replaceSync("html { font-size: 200% } * { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important }");
      document.adoptedStyleSheets = [sheet];
    }`);
    const widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]";
    const [wide, room] = (await page.evaluate(widths)) as [number, number];
    assert.ok(wide <= room, `${path}: ${wide} of ${room}`);
  }
});
