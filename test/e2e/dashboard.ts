/** The dashboard in a real browser, with its script, styles and security policy. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startBrowser } from "../support/node/browser.ts";
import { sharedProduct } from "../support/node/product.ts";
import type { Product } from "../support/node/product.ts";

const AXE = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

let product: Product;
let browser: Browser;
let context: BrowserContext;
let page: Page;
/** Errors and requests that a page should not make. */
let complaints: string[];

beforeAll(async () => {
  [product, browser] = await Promise.all([sharedProduct(), startBrowser()]);
  await product.call("POST", "/api/organizations", { id: "org", name: "Organization" });
});
afterAll(async () => browser.close());

beforeEach(async () => {
  complaints = [];
  context = await browser.newContext({ baseURL: product.url.origin, viewport: { width: 1280, height: 900 } });
  page = await context.newPage();
  page.on("console", (message) => {
    // The browser logs every 4xx and 5xx response.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== product.url.origin) complaints.push(`requested ${request.url()}`);
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

/** Accessibility violations found by axe. The dark scheme only needs the contrast rule. The debugger bypasses the page's script policy. */
async function violations(): Promise<string[]> {
  await page.evaluate(AXE);
  const found: string[] = [];
  for (const [colorScheme, rules] of [
    ["light", '{ resultTypes: ["violations"] }'],
    ["dark", '{ resultTypes: ["violations"], runOnly: ["color-contrast"] }'],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations: all } = await page.evaluate<{ violations: Violation[] }>(`axe.run(${rules})`);
    found.push(
      ...all.map(({ id, nodes }) => `${colorScheme} ${page.url()} ${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`),
    );
  }
  return found;
}

/** Refreshes the page as if its tab became visible again. */
const showTab = async (): Promise<unknown> => page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");

/** Sets today's count. Anonymous readers see it up to a second later. */
async function set(used: number): Promise<void> {
  await product.call("PUT", "/api/quota/usage", { used });
  await sleep(1_000);
}
const heading = () => page.getByRole("heading", { level: 1 });

async function createProject(id: string, name: string): Promise<void> {
  const { status } = await product.call("POST", "/api/projects", { id, name, organization_id: "org" });
  expect(status).toBe(201);
}

async function untilEnded(id: string): Promise<void> {
  await expect.poll(async () => (await product.call("GET", `/api/jobs/${id}`)).body["ended_at"], { timeout: 20_000 }).not.toBeNull();
}

describe("the quota", () => {
  test.each([
    [1, "1", "Today's quota will last"],
    [10_270, "10,270", "Today's quota will last"],
    [10_400, "10,400", "80% of today's calls are used"],
    [13_000, "13,000", "Today's calls are used up"],
    [14_950, "14,950", "115% of limit"],
  ])("after %i calls", async (used, figure, message) => {
    await set(used);
    await page.goto("/");
    await expect.poll(async () => page.getByRole("main").textContent()).toContain(message);
    expect(await page.locator(".figure", { hasText: "Used" }).locator(".value").textContent()).toBe(figure);
    expect(await violations()).toEqual([]);
  });

  test("refreshes without losing the reader's place", async () => {
    await set(5_000);
    await page.goto("/");
    const table = page.locator("#days").locator("xpath=../..").locator("details");
    await table.locator("summary").click();
    await table.locator("summary").focus();
    await page.evaluate("window.scrollTo(0, 200), (document.querySelector('#today').marked = true)");
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

  test("is shown from the snapshot while the ledger is unavailable, and recovers automatically", async () => {
    await set(8_456);
    await expect
      .poll(async () => (await product.call("GET", "/api/quota/status?fresh=false")).body["used"], { timeout: 45_000 })
      .toBe(8_456);
    await page.goto("/");
    await product.ledgerSql("ALTER TABLE days RENAME TO days_unavailable");
    try {
      await showTab();
      await expect.poll(async () => heading().textContent(), { timeout: 15_000 }).toBe("Calls are paused");
      expect(await page.getByRole("main").textContent()).toMatch(/The ledger does not respond, this snapshot is .* old/u);
      expect(await violations()).toEqual([]);
    } finally {
      await product.ledgerSql("ALTER TABLE days_unavailable RENAME TO days");
    }
    await showTab();
    await expect.poll(async () => heading().textContent(), { timeout: 15_000 }).toBe("Today's quota will last");
  });
});

describe("operators", () => {
  test("see empty states", async () => {
    const found: string[] = [];
    await page.goto("/projects");
    expect(page.url()).toContain("/sign-in?next=%2Fprojects");
    found.push(...(await violations()));
    await signIn("/projects");
    expect(await page.getByRole("main").textContent()).toContain("No projects yet");
    for (const path of ["/projects", "/jobs", "/harvest", "/signals", "/audit", "/nothing"]) {
      await page.goto(path);
      found.push(...(await violations()));
    }
    expect(found).toEqual([]);
  });

  test("find, suspend and reactivate a project by keyboard", async () => {
    await createProject("reading_list", "Reading list");
    await createProject("long", "A very long name ".repeat(11).trim());
    await signIn("/projects");
    await page.getByLabel("Name or id").fill("READING");
    await createProject("later", "Created while typing");
    await showTab();
    await page.getByRole("link", { name: "Created while typing", exact: true }).waitFor();
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

  test("see the webhooks, backups and abuse decisions of a project", async () => {
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
    expect(await page.getByRole("main").textContent()).toContain("Creation in progress");
    await page.getByText("All numbers").click();
    const found = await violations();
    await page.getByRole("link", { name: "project.suspended" }).click();
    await page.getByRole("heading", { level: 1, name: "project.suspended" }).waitFor();
    expect([...found, ...(await violations())]).toEqual([]);
  });

  test("retry a job", async () => {
    const requested = await product.call<{ id: string }>("POST", "/api/jobs", { type: "housekeeping", payload: {}, delay_seconds: 3_600 });
    const { id } = requested.body;
    await product.call("POST", `/api/jobs/${id}/cancel`);
    await signIn(`/jobs/${id}`);
    expect(await violations()).toEqual([]);
    await page.getByRole("button", { name: "Retry" }).click();
    await page.waitForURL(new RegExp(`/jobs/${id}-r2$`, "u"));
    await untilEnded(`${id}-r2`);
    await showTab();
    await expect.poll(async () => page.locator(".heading .state").textContent(), { timeout: 15_000 }).toBe("completed");
    await page.goto("/jobs");
    expect(await violations()).toEqual([]);
  });

  test("find one of 5,000 projects", async () => {
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

  test("see nothing after signing out, and an open page says so", async () => {
    await signIn("/jobs");
    const other = await context.newPage();
    await other.goto("/");
    await other.getByRole("button", { name: "Sign out" }).click();
    // Closing a tab during navigation can drop its request.
    await other.getByRole("link", { name: "Sign in" }).first().waitFor();
    await other.close();
    await showTab();
    await expect.poll(async () => page.locator("#connection").textContent(), { timeout: 15_000 }).toContain("You are signed out");
    await page.goto("/jobs");
    expect(page.url()).toContain("/sign-in");
  });
});

test("every page fits every width", async () => {
  await signIn("/");
  for (const path of ["/", "/projects", "/projects/long", "/jobs", "/harvest", "/signals", "/audit"]) {
    await page.goto(path);
    for (const width of [390, 1_024, 1_600]) {
      await page.setViewportSize({ width, height: 900 });
      expect({ path, width: await page.evaluate("document.documentElement.scrollWidth") }).toEqual({ path, width });
      expect(await page.locator("svg.chart:visible").count()).toBe((await page.locator("svg.chart").count()) / 3);
    }
  }
});
