/** A real browser: the Chromium that an npm package brings along. */
import chromium from "@sparticuz/chromium";
import { chromium as playwright } from "playwright-core";
import type { Browser } from "playwright-core";

/** Each page in a context of its own, so that nobody is signed in where nobody signed in. Takes about two seconds the first time. */
export async function startBrowser(): Promise<Browser> {
  // Its own list of arguments would switch off the protections that a page is tried with.
  const args = ["--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none"];
  return playwright.launch({ executablePath: await chromium.executablePath(), args, headless: true });
}
