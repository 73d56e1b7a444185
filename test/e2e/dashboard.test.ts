/** The dashboard in a real browser: with its script, its style and its policy, as somebody uses it. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startBrowser } from "../support/node/browser.ts";
import { startProduct } from "../support/node/product.ts";
import type { Product } from "../support/node/product.ts";

const AXE = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

let product: Product;
let browser: Browser;
let context: BrowserContext;
let page: Page;
/** Whatever a page should not do. */
let complaints: string[];

beforeAll(async () => {
  [product, browser] = await Promise.all([startProduct(), startBrowser()]);
  await product.call("POST", "/api/organizations", { id: "org", name: "Organisation" });
});
afterAll(async () => {
  await browser.close();
  await product.stop();
});

beforeEach(async () => {
  complaints = [];
  context = await browser.newContext({ baseURL: product.url.origin, viewport: { width: 1280, height: 900 } });
  page = await context.newPage();
  page.on("console", (message) => {
    // That an answer is 4xx or 5xx the browser says by itself.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== product.url.origin) complaints.push(`asked ${request.url()}`);
  });
});
afterEach(async () => {
  await context.close();
  if (complaints.length > 0) throw new Error(complaints.join("\n"));
});

async function signIn(path = "/"): Promise<void> {
  await page.goto(`/sign-in?next=${encodeURIComponent(path)}`);
  await page.getByLabel("Admin token").fill(product.token);
  await page.getByRole("main").getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => `${url.pathname}${url.search}` === path);
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly target: readonly string[] }[];
}

/** What axe finds wrong; in the dark, only colours can be. The page's policy lets no other script in; the debugger's may. */
async function violations(): Promise<string[]> {
  await page.evaluate(AXE);
  const found: string[] = [];
  for (const [colorScheme, rules] of [
    ["light", ""],
    ["dark", '{ runOnly: ["color-contrast"] }'],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations: all } = await page.evaluate<{ violations: Violation[] }>(`axe.run(${rules})`);
    found.push(
      ...all.map(({ id, nodes }) => `${colorScheme} ${page.url()} ${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`),
    );
  }
  return found;
}

/** As if somebody came back to this page, who is not to wait for what is new. */
const comeBack = async (): Promise<unknown> => page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");

const set = async (used: number): Promise<void> => void (await product.call("PUT", "/api/quota/usage", { used }));
const heading = () => page.getByRole("heading", { level: 1 });

async function made(id: string, name: string): Promise<void> {
  const { status } = await product.call("POST", "/api/projects", { id, name, organization_id: "org" });
  expect(status).toBe(201);
}

async function ended(id: string): Promise<void> {
  await expect.poll(async () => (await product.call("GET", `/api/jobs/${id}`)).body["ended_at"], { timeout: 20_000 }).not.toBeNull();
}

describe("the quota", () => {
  test.each([
    [1, "1", "The day will last"],
    [10_270, "10,270", "The day will last"],
    [10_400, "10,400", "80 % of today's calls are used"],
    [13_000, "13,000", "Today's calls are used up"],
    [14_950, "14,950", "115 % of the limit"],
  ])("after %i calls", async (used, shown, said) => {
    await set(used);
    await page.goto("/");
    await expect.poll(async () => page.getByRole("main").textContent()).toContain(said);
    expect(await page.locator(".figure", { hasText: "Used" }).locator(".value").textContent()).toBe(shown);
    expect(await violations()).toEqual([]);
  });

  test("is kept up to date without losing one's place", async () => {
    await set(5_000);
    await page.goto("/");
    const table = page.locator("#days").locator("xpath=../..").locator("details");
    await table.locator("summary").click();
    await table.locator("summary").focus();
    await page.evaluate("window.scrollTo(0, 200); document.querySelector('#today').marked = true");
    await set(6_000);
    await expect
      .poll(async () => page.locator(".figure", { hasText: "Used" }).locator(".value").textContent(), { timeout: 15_000 })
      .toBe("6,000");
    expect(await page.title()).toBe("7,000 left · Quota Coordinator");
    const state = await page.evaluate(
      "({ scroll: scrollY, focus: document.activeElement.tagName, open: document.activeElement.parentElement.open, kept: document.querySelector('#today').marked })",
    );
    expect(state).toEqual({ scroll: 200, focus: "SUMMARY", open: true, kept: true });
  });

  test("is shown from the snapshot while the ledger is unavailable, and comes back by itself", async () => {
    await set(8_456);
    await expect
      .poll(async () => (await product.call("GET", "/api/quota/status?fresh=false")).body["used"], { timeout: 10_000 })
      .toBe(8_456);
    await page.goto("/");
    await product.ledgerSql("ALTER TABLE days RENAME TO days_away");
    try {
      await comeBack();
      await expect.poll(async () => heading().textContent(), { timeout: 15_000 }).toBe("Nothing is sent at this moment");
      expect(await page.getByRole("main").textContent()).toMatch(/Status comes from a snapshot .* old: the ledger does not answer/u);
      expect(await violations()).toEqual([]);
    } finally {
      await product.ledgerSql("ALTER TABLE days_away RENAME TO days");
    }
    await comeBack();
    await expect.poll(async () => heading().textContent(), { timeout: 15_000 }).toBe("The day will last");
  });
});

describe("operators", () => {
  test("see what there is where there is nothing", async () => {
    const found: string[] = [];
    await page.goto("/projects");
    expect(page.url()).toContain("/sign-in?next=%2Fprojects");
    found.push(...(await violations()));
    await signIn("/projects");
    expect(await page.getByRole("main").textContent()).toContain("There are no projects yet");
    for (const path of ["/projects", "/jobs", "/harvest", "/signals", "/audit", "/nothing"]) {
      await page.goto(path);
      found.push(...(await violations()));
    }
    expect(found).toEqual([]);
  });

  test("search a project, suspend it, and start it again, by keyboard", async () => {
    await made("reading_list", "Reading list");
    await made("long", "A very long name ".repeat(11).trim());
    await signIn("/projects");
    await page.getByLabel("Name or id").fill("READING");
    await made("later", "Made while somebody writes");
    await comeBack();
    await page.getByRole("link", { name: "Made while somebody writes", exact: true }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(/q=READING/u);
    expect(await page.getByRole("list", { name: "Projects" }).getByRole("heading").allTextContents()).toEqual(["Reading list"]);
    await page.getByRole("link", { name: "Suspend Reading list" }).press("Enter");
    await page.getByLabel("Reason").fill("Invoice 4711 is overdue");
    expect(await violations()).toEqual([]);
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/projects\/reading_list$/u);
    expect(await page.getByRole("main").textContent()).toContain("Invoice 4711 is overdue");
    expect(await violations()).toEqual([]);
    expect((await product.call("GET", "/api/projects/reading_list")).body["status"]).toBe("SUSPENDED");
    await page.getByRole("link", { name: "Reactivate" }).click();
    await page.getByLabel("Reason").fill("Paid");
    await page.getByRole("button", { name: "Reactivate" }).click();
    await page.waitForURL(/\/projects\/reading_list$/u);
    expect((await product.call("GET", "/api/projects/reading_list")).body["status"]).toBe("ACTIVE");
  });

  test("see what became of a project's webhooks, backups and abuse", async () => {
    const [webhook, job] = [`wh_${"0".repeat(20)}`, `auto_suspend-${"0".repeat(40)}`];
    await product.d1(
      [
        `INSERT INTO webhooks (id, project_id, url, description, event_types, status, status_reason, status_at, failures, created_at, updated_at)
        VALUES ('${webhook}', 'long', 'https://receiver.example/hook', 'chat', '["project.suspended"]', 'disabled', 'failures', 1, 5, 1, 1)`,
      ],
      [
        `INSERT INTO webhook_deliveries (id, webhook_id, project_id, message_id, event_type, payload, status, reason, attempts, due_at, changed_by, created_at)
        VALUES ('dlv_1', '${webhook}', 'long', 'msg_1', 'project.suspended', '{}', 'failed', 'tries_used_up', 1, 1, 'test', 1)`,
      ],
      [
        `INSERT INTO webhook_attempts (delivery_id, run, attempt, at, duration_ms, status_code, error, response)
        VALUES ('dlv_1', 1, 1, 1, 31, 503, 'It answered 503.', '${"busy".repeat(99)}')`,
      ],
      [
        `INSERT INTO backups (id, project_id, export_type, status, job_id, requested_by, table_count, row_count, schema_version, stored_bytes, copies, error, changed_by, created_at, updated_at)
        VALUES ('bak_1', 'long', 'full', 'verified', 'j', 'admin', 1, 2, 1, 18400000, 'sent', NULL, 'test', 1, 1),
          ('bak_2', 'long', 'full', 'failed', 'j', 'admin', NULL, NULL, NULL, NULL, NULL, 'Part 3 is damaged', 'test', 2, 2)`,
      ],
      [
        `INSERT INTO abuse_detections (run, project_id, pattern, at, as_of, decision, why, evidence, enforce, inputs)
        VALUES ('${job}', 'long', 'ERROR_SPIKE', 1, 1, 'reported', '250 and 260 errors', 'measured', 1, '{"error_rate":0.8}')`,
      ],
      ["UPDATE projects SET provisioning = 'running' WHERE id = 'long'"],
    );
    await signIn("/projects/long");
    expect(await page.getByRole("main").textContent()).toContain("It is being made");
    await page.getByText("All numbers").click();
    const found = await violations();
    await page.getByRole("link", { name: "project.suspended" }).click();
    await page.getByRole("heading", { level: 1, name: "project.suspended" }).waitFor();
    expect([...found, ...(await violations())]).toEqual([]);
  });

  test("retry a job", async () => {
    const asked = await product.call<{ id: string }>("POST", "/api/jobs", { type: "housekeeping", payload: {}, delay_seconds: 3_600 });
    const { id } = asked.body;
    await product.call("POST", `/api/jobs/${id}/cancel`);
    await signIn(`/jobs/${id}`);
    expect(await violations()).toEqual([]);
    await page.getByRole("button", { name: "Retry" }).click();
    await page.waitForURL(new RegExp(`/jobs/${id}-r2$`, "u"));
    await ended(`${id}-r2`);
    await comeBack();
    await expect.poll(async () => page.locator(".heading .state").textContent(), { timeout: 15_000 }).toBe("completed");
    await page.goto("/jobs");
    expect(await violations()).toEqual([]);
  });

  test("find their way among 5,000 projects", async () => {
    const ids = "FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n)";
    await product.d1(
      [
        `INSERT INTO projects (id, organization_id, name, changed_by, created_at, updated_at) SELECT 'p' || i, 'org', 'Project ' || i, 'test', i, i ${ids}`,
      ],
      [`INSERT INTO caps (project_id, cap_type, value, updated_at) SELECT 'p' || i, 'db_queries_per_day', 10000, i ${ids}`],
    );
    await signIn("/projects?status=ACTIVE");
    const began = Date.now();
    await page.getByRole("link", { name: "Older" }).click();
    await page.waitForURL(/cursor=/u);
    expect(await page.getByRole("list", { name: "Projects" }).getByRole("heading").count()).toBe(25);
    await page.getByLabel("Name or id").fill("Project 4999");
    await page.keyboard.press("Enter");
    await page.waitForURL(/q=Project/u);
    expect(await page.getByRole("list", { name: "Projects" }).getByRole("heading").allTextContents()).toEqual(["Project 4999"]);
    expect(Date.now() - began).toBeLessThan(5_000);
  });

  test("see no more after signing out, and a page left open says so", async () => {
    await signIn("/jobs");
    const other = await context.newPage();
    await other.goto("/");
    await other.getByRole("button", { name: "Sign out" }).click();
    // A tab closed on its way to another page may never be heard of again.
    await other.getByRole("link", { name: "Sign in" }).first().waitFor();
    await other.close();
    await comeBack();
    await expect.poll(async () => page.locator("#connection").textContent(), { timeout: 15_000 }).toContain("You are signed out");
    await page.goto("/jobs");
    expect(page.url()).toContain("/sign-in");
  });
});

describe("every width and both schemes", () => {
  test.each([390, 1_024, 1_600])("%i pixels", async (width) => {
    await page.setViewportSize({ width, height: 900 });
    await signIn("/");
    for (const path of ["/", "/projects", "/projects/long", "/jobs", "/harvest", "/signals", "/audit"]) {
      await page.goto(path);
      expect({ path, width: await page.evaluate("document.documentElement.scrollWidth") }).toEqual({ path, width });
      expect(await page.locator("svg.chart:visible").count()).toBe((await page.locator("svg.chart").count()) / 3);
    }
  });
});
