/** A real browser: Chromium from an npm package. */
import chromium from "@sparticuz/chromium";
import { chromium as playwright } from "playwright-core";
import type { Browser } from "playwright-core";

/** Each page has its own context, so that sessions are separate. The first start takes about two seconds. */
export async function startBrowser(): Promise<Browser> {
  // The package's own arguments would switch off protections that the tests need.
  const args = ["--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none"];
  return playwright.launch({ executablePath: await chromium.executablePath(), args, headless: true });
}
