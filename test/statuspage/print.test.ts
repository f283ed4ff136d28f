import assert from "node:assert/strict";
import { test } from "node:test";
import { createComponent } from "../../src/components/components.ts";
import { addHost } from "../../src/pages/pages.ts";
import { openBrowser, openPage } from "../support/browser.ts";
import { openTestHouse } from "../support/house.ts";
import { needs } from "../support/need.ts";

const by = { kind: "system" as const };

test("on paper no group of components is folded", { skip: needs("chromium"), timeout: 60_000 }, async (t) => {
  const house = await openTestHouse();
  const { db, press, clock } = house.deps;
  const common = { pageId: house.page.id, now: clock.now(), by };
  for (let index = 0; index < 30; index++) createComponent(db, { ...common, name: `Part ${index}` });
  const origin = `http://127.0.0.1:${house.port}`;
  addHost(db, { ...common, host: origin });
  press.pressAll();
  const browser = await openBrowser();
  t.after(() => browser.close());
  const { page } = await openPage(browser, false);
  await page.goto(`${origin}/`);
  const isSeen = () => page.getByText("Checkout").evaluate((element: any) => element.checkVisibility());
  assert.equal(await isSeen(), false);
  await page.emulateMedia({ media: "print" });
  assert.equal(await isSeen(), true);
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  const ink = await page.evaluate("getComputedStyle(document.body).color");
  assert.equal(ink, "oklch(0.22 0.01 265)", "dark ink on white paper, whatever the screen's colours");
  await house.close();
});
