/** Chromium as visitors have it; every console error and every refusal of the content security policy is kept. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { findProgram } from "./need.ts";

export async function openBrowser(more: { args?: string[]; env?: Record<string, string> } = {}): Promise<Browser> {
  const executablePath = findProgram("chromium");
  if (!executablePath) throw new Error("There is no chromium.");
  return chromium.launch({
    executablePath,
    ...(more.env ? { env: more.env } : {}),
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...(more.args ?? []),
    ],
  });
}

export type Watched = { page: Page; complaints: string[] };

export async function openPage(
  browser: Browser,
  javaScriptEnabled: boolean,
  width = 1280,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const context = await browser.newContext({ javaScriptEnabled, viewport: { width, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(`${message.text()} at ${page.url()}`);
  });
  page.on("pageerror", (error) => complaints.push(`${error.message} at ${page.url()}`));
  return { page, complaints };
}
