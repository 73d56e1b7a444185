/**
 * `npm run screenshots`: the README's pictures, of a whole coordinator with a month of work behind it and a day under way. They show the
 * hour at which they are made: in the afternoon (UTC) the day's curve has something to tell.
 */
import "./start/offline.ts";
import { mkdirSync, writeFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import { startBrowser } from "../test/support/node/browser.ts";
import { startProduct } from "../test/support/node/product.ts";
import type { Product } from "../test/support/node/product.ts";
import { runCommand } from "./lib/options.ts";
import { terminalPage } from "./screenshots/terminal.ts";
import { makeLively } from "./screenshots/lively.ts";
import { ROOT } from "./start/places.ts";

const FOLDER = `${ROOT}docs/images`;
/** A README is read on the train, too. */
const MAX_BYTES = 200_000;
/** And the next one. */
const TERMINAL_PORT = 18_787;

interface Picture {
  readonly file: string;
  readonly path: string;
  readonly scheme: "light" | "dark";
  readonly width: number;
  readonly height: number;
  /** What stands at its top; without it, the page's own beginning. */
  readonly from?: string;
}

const PICTURES: readonly Picture[] = [
  { file: "dashboard.png", path: "/", scheme: "light", width: 1_240, height: 1_090 },
  { file: "dashboard-dark.png", path: "/", scheme: "dark", width: 1_240, height: 1_090 },
  { file: "projects.png", path: "/projects", scheme: "light", width: 1_240, height: 900 },
  { file: "project.png", path: "/projects/proj_citation_desk", scheme: "light", width: 1_240, height: 1_180 },
  {
    file: "webhooks.png",
    path: "/projects/proj_citation_desk",
    scheme: "light",
    width: 1_240,
    height: 1_000,
    from: "#webhooks",
  },
  { file: "jobs.png", path: "/jobs", scheme: "light", width: 1_240, height: 900 },
  { file: "phone.png", path: "/", scheme: "dark", width: 390, height: 844 },
];

async function take(browser: Browser, product: Product, { file, path, scheme, width, height, from }: Picture): Promise<void> {
  const context = await browser.newContext({ baseURL: product.url.origin, viewport: { width, height }, colorScheme: scheme });
  const page = await context.newPage();
  await page.goto(`/sign-in?next=${encodeURIComponent(path)}`);
  await page.getByLabel("Admin token").fill(product.token);
  await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname === path);
  if (from !== undefined) await page.evaluate(`document.querySelector(${JSON.stringify(from)}).closest("section").scrollIntoView()`);
  const image = await page.screenshot();
  await context.close();
  keep(file, image);
}

/** As high as what was printed. */
async function takeTerminal(browser: Browser): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 800, height: 100 } });
  await page.setContent(await terminalPage(TERMINAL_PORT));
  keep("terminal.png", await page.locator("pre").screenshot());
  await page.close();
}

function keep(file: string, image: Buffer): void {
  if (image.byteLength > MAX_BYTES) throw new Error(`${file} is ${image.byteLength} bytes; expected at most ${MAX_BYTES}`);
  writeFileSync(`${FOLDER}/${file}`, image);
  console.log(`docs/images/${file}  ${Math.ceil(image.byteLength / 1_000)} kB`);
}

const COMMAND_LINE = {
  command: "npm run screenshots",
  about: "Takes the pictures of the README anew, into docs/images. They show the hour: take them in the afternoon (UTC).",
  options: {},
} as const;

await runCommand(COMMAND_LINE, async () => {
  mkdirSync(FOLDER, { recursive: true });
  const product = await startProduct();
  const browser = await startBrowser();
  try {
    await makeLively(product, Date.now());
    for (const picture of PICTURES) await take(browser, product, picture);
    await takeTerminal(browser);
  } finally {
    await browser.close();
    await product.stop();
  }
});
