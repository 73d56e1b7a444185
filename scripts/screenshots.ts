/**
 * `npm run screenshots`: takes the screenshots of the README from a coordinator with a month of demo data. They show the current hour.
 * Take them in the afternoon (UTC), when the day chart is full.
 */
import "./start/offline.ts";
import { mkdirSync, writeFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import { startBrowser } from "../test/support/node/browser.ts";
import { startProduct } from "../test/support/node/product.ts";
import type { Product } from "../test/support/node/product.ts";
import { runCommand } from "./lib/options.ts";
import { terminalPage } from "./screenshots/terminal.ts";
import { addDemoData } from "./screenshots/demo-data.ts";
import { ROOT } from "./start/places.ts";

const FOLDER = `${ROOT}docs/images`;
/** Limits the loading time of the README. */
const MAX_BYTES = 200_000;
/** The simulator uses the next port. */
const TERMINAL_PORT = 18_787;

interface Picture {
  readonly file: string;
  readonly path: string;
  readonly scheme: "light" | "dark";
  readonly width: number;
  readonly height: number;
  /** Selector of the section to scroll to. By default the top of the page. */
  readonly section?: string;
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
    section: "#webhooks",
  },
  { file: "jobs.png", path: "/jobs", scheme: "light", width: 1_240, height: 900 },
  { file: "phone.png", path: "/", scheme: "dark", width: 390, height: 844 },
];

async function take(browser: Browser, product: Product, { file, path, scheme, width, height, section }: Picture): Promise<void> {
  const context = await browser.newContext({ baseURL: product.url.origin, viewport: { width, height }, colorScheme: scheme });
  const page = await context.newPage();
  await page.goto(`/sign-in?next=${encodeURIComponent(path)}`);
  await page.getByLabel("Admin token").fill(product.token);
  await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname === path);
  if (section !== undefined) await page.evaluate(`document.querySelector(${JSON.stringify(section)}).closest("section").scrollIntoView()`);
  const image = await page.screenshot();
  await context.close();
  save(file, image);
}

/** Screenshot of the terminal, as high as its output. */
async function takeTerminal(browser: Browser): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 800, height: 100 } });
  await page.setContent(await terminalPage(TERMINAL_PORT));
  save("terminal.png", await page.locator("pre").screenshot());
  await page.close();
}

function save(file: string, image: Buffer): void {
  if (image.byteLength > MAX_BYTES) throw new Error(`${file} must have at most ${MAX_BYTES} bytes (got ${image.byteLength})`);
  writeFileSync(`${FOLDER}/${file}`, image);
  console.log(`docs/images/${file}  ${Math.ceil(image.byteLength / 1_000)} kB`);
}

const COMMAND_LINE = {
  command: "npm run screenshots",
  about: "Takes the screenshots of the README again (docs/images). They show the current hour, so take them in the afternoon (UTC).",
  options: {},
} as const;

await runCommand(COMMAND_LINE, async () => {
  mkdirSync(FOLDER, { recursive: true });
  const product = await startProduct();
  const browser = await startBrowser();
  try {
    await addDemoData(product, Date.now());
    for (const picture of PICTURES) await take(browser, product, picture);
    await takeTerminal(browser);
  } finally {
    await browser.close();
    await product.stop();
  }
});
