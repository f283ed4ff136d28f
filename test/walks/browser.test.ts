import assert from "node:assert/strict";
import { test } from "node:test";
import axe from "axe-core";
import { simpleParser } from "mailparser";
import type { Page } from "playwright-core";
import { openBrowser, openPage } from "../support/browser.ts";
import { findProgram, needs } from "../support/need.ts";
import { freePort } from "../support/ports.ts";
import { readyPlace } from "../support/program.ts";

/** Accessibility of the page as it stands; needs scripts, so walks without them are checked by their twin with them. */
async function check(page: Page): Promise<void> {
  // The policy forbids injected script elements, as it should; the debugger's own world isn't bound by it.
  await page.evaluate(axe.source);
  const result = await page.evaluate(() => (globalThis as any).axe.run());
  const violations = result.violations.map(
    (one: any) => `${one.id}: ${one.nodes.map((node: any) => node.html).join(" ")}`,
  );
  assert.deepEqual(violations, [], page.url());
}

/** The newest kept letter, read as a mail program would. */
async function newestLetter(place: Awaited<ReturnType<typeof readyPlace>>): Promise<string> {
  const list = JSON.parse((await place.run(["mail", "list", "--json"])).out);
  const shown = JSON.parse((await place.run(["mail", "show", String(list[0].id), "--json"])).out);
  const letter = await simpleParser(shown.letter);
  return `${letter.subject}\n${letter.text}`;
}

for (const scripts of [true, false]) {
  const how = scripts ? "with JavaScript" : "without JavaScript";
  test(`${how}: subscribe, confirm, sign in, publish, read the letter, resolve, leave`, {
    skip: needs("chromium"),
    timeout: 120_000,
  }, async (t) => {
    const port = await freePort();
    const place = await readyPlace(t, port);
    const server = await place.serve(port);
    const browser = await openBrowser();
    t.after(() => browser.close());
    const visitor = await openPage(browser, scripts);
    const member = await openPage(browser, scripts);
    const look = async (page: Page) => {
      if (scripts) await check(page);
    };
    try {
      const { page } = visitor;
      await page.goto(`${server.origin}/`);
      await look(page);
      assert.equal(await page.locator("h1").textContent(), "All systems are operational.");
      await page.getByRole("link", { name: "Subscribe" }).click();
      await look(page);
      await page.getByLabel("Your e-mail address").fill("visitor@example.com");
      await page.getByRole("button", { name: "Subscribe" }).click();
      assert.equal(await page.locator("h1").textContent(), "Check your inbox");
      await look(page);

      const confirm = /http:\/\/127\.0\.0\.1:\d+\/subscribe\/confirm\/[\w.-]+/.exec(
        await newestLetter(place),
      )?.[0] as string;
      await page.goto(confirm);
      await look(page);
      await page.getByRole("button", { name: "Confirm" }).click();
      await page.getByText("From now on we tell you.").waitFor();
      await look(page);

      const link = JSON.parse((await place.run(["member", "link", place.owner, "--json"])).out).url as string;
      const admin = member.page;
      await admin.goto(link);
      await look(admin);
      await admin.getByRole("button").first().click();
      await admin.waitForURL("**/admin");
      await look(admin);
      await admin.getByRole("link", { name: "Open an incident" }).first().click();
      await look(admin);
      await admin.getByLabel("Title").fill("Sign-in fails");
      await admin.locator("textarea").first().fill("Nobody can sign in. We look into it and write again at noon.");
      await admin.getByLabel("API").selectOption("major_outage");
      await admin.getByRole("button", { name: /review|preview/i }).click();
      await look(admin);
      assert.match((await admin.locator("main").textContent()) ?? "", /1 letter will be written, kept here/);
      assert.match((await admin.locator("main").textContent()) ?? "", /Investigating: Sign-in fails \(API\)/);
      await admin.getByRole("button", { name: /publish/i }).click();
      await look(admin);

      await page.goto(`${server.origin}/`);
      assert.equal(await page.locator("h1").textContent(), "API is down.");
      await look(page);
      await page.getByRole("link", { name: "Sign-in fails" }).first().click();
      await look(page);
      const letter = await newestLetter(place);
      assert.match(letter, /Investigating: Sign-in fails/);

      await admin.goto(`${server.origin}/admin`);
      await admin.getByRole("link", { name: "Post an update" }).first().click();
      await look(admin);
      await admin.locator("textarea").first().fill("It works again.");
      await admin.getByRole("radio", { name: /^Resolved/ }).check();
      const back = admin.getByLabel(/back to operational/i);
      if ((await back.count()) > 0) await back.first().check();
      await admin.getByRole("button", { name: /review|preview/i }).click();
      await look(admin);
      await admin.getByRole("button", { name: /publish/i }).click();
      await page.goto(`${server.origin}/`);
      assert.equal(await page.locator("h1").textContent(), "All systems are operational.");
      await page.goto(`${server.origin}/history`);
      await look(page);

      const manage = /http:\/\/127\.0\.0\.1:\d+\/subscription\/[\w.-]+/.exec(await newestLetter(place))?.[0] as string;
      await page.goto(manage);
      await page.getByRole("button", { name: "Leave" }).click();
      assert.equal(await page.locator("h1").textContent(), "You have left");
      await look(page);

      for (const path of [
        "/admin/incidents",
        "/admin/components",
        "/admin/subscribers",
        "/admin/mail",
        "/admin/settings",
        "/admin/account",
        "/admin/audit",
      ]) {
        const answer = await admin.goto(`${server.origin}${path}`);
        assert.equal(answer?.status(), 200, path);
        await look(admin);
      }
      assert.deepEqual([...visitor.complaints, ...member.complaints], []);
    } finally {
      await browser.close();
      await server.stop();
    }
  });
}

test("nothing is wider than the screen at 360 pixels, on any page", { skip: needs("chromium") }, async (t) => {
  assert.ok(findProgram("chromium"));
  const port = await freePort();
  const place = await readyPlace(t, port);
  await place.run([
    "incident",
    "open",
    "--title",
    "W".repeat(200),
    "--body",
    "x".repeat(500),
    "--component",
    "API=major_outage",
    "--yes",
  ]);
  const server = await place.serve(port);
  const browser = await openBrowser();
  t.after(() => browser.close());
  try {
    const { page } = await openPage(browser, true, 360);
    const link = JSON.parse((await place.run(["member", "link", place.owner, "--json"])).out).url as string;
    await page.goto(link);
    await page.getByRole("button").first().click();
    for (const path of [
      "/",
      "/history",
      "/subscribe",
      "/admin",
      "/admin/incidents",
      "/admin/incidents/new",
      "/admin/maintenance/new",
      "/admin/components",
      "/admin/subscribers",
      "/admin/mail",
      "/admin/settings",
    ]) {
      await page.goto(`${server.origin}${path}`);
      const wide = await page.evaluate("document.documentElement.scrollWidth");
      assert.ok(Number(wide) <= 360, `${path} is ${wide} pixels wide`);
    }
  } finally {
    await browser.close();
    await server.stop();
  }
});
