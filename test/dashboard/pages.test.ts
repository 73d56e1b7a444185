import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { TITLES } from "../../worker/src/dashboard/failure.tsx";
import { RISK_UNKNOWN } from "../../worker/src/dashboard/limits/at-risk.tsx";
import { emptyLedger, freshStart, get, ledger, post, put, setClock, settings } from "../support/worker.ts";
import { count, makeOrganization, makeProject, stop } from "../support/tenants/http.ts";
import { Browser, signedIn } from "./support.ts";

beforeEach(async () => {
  vi.restoreAllMocks();
  await freshStart();
});

const HOSTILE = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;`;

const failLedger = () =>
  vi.spyOn(env.QUOTA_LEDGER, "getByName").mockImplementation(() => {
    throw new Error("the ledger is unavailable");
  });

const failDatabase = () => {
  const fail = async () => Promise.reject(new Error("D1 failed"));
  const statement = { bind: () => statement, all: fail, first: fail, run: fail };
  vi.spyOn(env.DB, "prepare").mockReturnValue(statement as unknown as D1PreparedStatement);
  vi.spyOn(env.DB, "batch").mockImplementation(fail);
};

describe("the page at /", () => {
  test("is public HTML that loads only from our own origin and is never cached", async () => {
    const { status, headers, html } = await new Browser().open("/");
    expect(status).toBe(200);
    expect(
      Object.fromEntries(
        [...headers].filter(([name]) => /^(content-(type|security-policy)|cache-control|referrer-policy|x-frame-options)$/u.test(name)),
      ),
    ).toEqual({
      "cache-control": "no-store",
      "content-security-policy": [
        "default-src 'none'",
        ...["script-src", "style-src", "img-src", "connect-src", "form-action"].map((directive) => `${directive} 'self'`),
        "base-uri 'none'",
        "frame-ancestors 'none'",
      ].join("; "),
      "content-type": "text/html; charset=UTF-8",
      "referrer-policy": "same-origin",
      "x-frame-options": "DENY",
    });
    expect(html).toMatch(/^<!doctype html><html lang="en">/iu);
    expect(html).not.toMatch(/ style=|<style| on[a-z]+=|(?:src|href)="(?:https?:)?\/\/|<script>/u);
    expect((await get("/")).status).toBe(200);
  });

  test("shows used and remaining calls, and usage by caller", async () => {
    await post("/api/quota/reservations", { calls: 3_000, caller: "enrich.batch", id: "r1" });
    await post("/api/quota/reservations/r1/commit", {});
    await post("/api/quota/reservations", { calls: 40, caller: "bulk.harvest" });
    const { text } = await (await signedIn()).open("/");
    expect(text).toContain("Left 9,960 of 13,000 Used 3,000 23% of limit Untracked 0 not reported Reserved 40");
    expect(text).toContain("Reset in 9 h 56 min at 00:00 UTC");
    expect(text).toContain("enrich.batch 3,000 100%");
    expect(text).toContain("Quota runs out at 17:23 UTC");
  });

  test("shows callers only after the sign-in", async () => {
    await makeOrganization("org");
    await makeProject("secret_startup");
    await post("/api/quota/reservations", { calls: 7, caller: "enrich.batch", id: "r1" });
    await post("/api/quota/reservations/r1/commit", {});
    const { api_key } = await makeProject("another", { key: { name: "all", scopes: ["enrich"] } });
    await post("/api/quota/reservations", { calls: 2, id: "r2" }, { token: api_key.key });
    await post("/api/quota/reservations/r2/commit", {}, { token: api_key.key });
    const open = await new Browser().open("/");
    expect(open.text).toContain("Sign in to see the callers.");
    expect(open.html).not.toMatch(/another|enrich\.batch/u);
    const mine = await (await signedIn()).open("/");
    expect(mine.html).toContain('<a href="/projects/another">project:another</a>');
  });

  test("shows daily totals, and refusals only after the sign-in", async () => {
    await put("/api/quota/usage", { used: 8_456 });
    await setClock("2031-05-15T09:00:00Z");
    await settings({ daily_limit: 2_002 });
    await post("/api/quota/reservations", { calls: 1 });
    await post("/api/quota/reservations", { calls: 2 });
    const open = await new Browser().open("/");
    expect(open.text).toContain("Day (UTC) Used 15 May 0 14 May 8,456");
    expect((await (await signedIn()).open("/")).text).toContain("Day (UTC) Used Untracked Refused 15 May 0 0 1 14 May 8,456 0 0");
  });

  test("lists projects near a cap and suspended projects", async () => {
    await makeOrganization("org");
    for (const id of ["fullest", "full", "fine", "stopped"]) await makeProject(id);
    await count("fullest", "db_queries_per_day", 9_900);
    await count("full", "storage_uploads_per_day", 810);
    await count("fine", "db_queries_per_day", 7_999);
    await count("stopped", "db_queries_per_day", 9_999);
    await stop("stopped", "abuse:ERROR_SPIKE");
    const notice =
      "INSERT INTO threshold_notices (project_id, cap_type, period, threshold, revision, at, sent) VALUES (?, ?, '2031-05-14', 80, 1, 0, 1)";
    await env.DB.batch(
      [
        ["fullest", "db_queries_per_day"],
        ["full", "storage_uploads_per_day"],
        ["fine", "db_queries_per_day"],
        ["stopped", "db_queries_per_day"],
      ].map((values) => env.DB.prepare(notice).bind(...values)),
    );
    const { text } = await (await signedIn()).open("/");
    const fullest = "Project fullest Database queries 99% 9,900 of 10,000";
    expect(text).toContain(`80% of a cap or more ${fullest} Project full Storage uploads 81% 810 of 1,000 Suspended`);
    expect(text).toContain("Suspended All 1 Project stopped Abuse: error spike, since 14:03 UTC , just now");
  });

  test("shows the last snapshot while the ledger is unavailable, and says how old it is", async () => {
    await put("/api/quota/usage", { used: 8_456 });
    const { runDurableObjectAlarm } = await import("cloudflare:test");
    await vi.waitFor(async () => {
      await runDurableObjectAlarm(ledger());
      expect((await get<{ used: number }>("/api/quota/status?fresh=false")).body.used).toBe(8_456);
    });
    await setClock("2031-05-14T14:03:51Z");
    failLedger();
    const { status, text } = await new Browser().open("/");
    expect(status).toBe(200);
    expect(text).toContain("Calls are paused");
    expect(text).toContain("The ledger does not respond, this snapshot is 40 s old.");
    expect(text).toContain("The ledger does not respond. This chart returns automatically.");
    expect(text).toContain("4,544");
  });

  test("says that the quota is unknown without ledger and snapshot", async () => {
    await emptyLedger();
    failLedger();
    vi.spyOn(env.QUOTA_KV, "get").mockRejectedValue(new Error("KV failed"));
    const { status, text, html } = await new Browser().open("/");
    expect(status).toBe(503);
    expect(text).toContain(TITLES.quota_unavailable);
    expect(html).toContain('data-refresh="5"');
  });

  test("works without the database and names the unknown parts", async () => {
    const browser = await signedIn();
    failDatabase();
    const { status, text } = await browser.open("/");
    expect(status).toBe(200);
    expect(text).toContain(RISK_UNKNOWN);
    const projects = await browser.open("/projects");
    expect({ status: projects.status, retry: projects.headers.get("retry-after") }).toEqual({ status: 503, retry: "5" });
    expect(projects.text).toContain(TITLES.storage_unavailable);
    expect(projects.html).toContain('data-refresh="5"');
    expect(projects.text).not.toContain("D1 failed");
  });

  test("sends only the main part of the page to its script", async () => {
    const { html, headers } = await new Browser().open("/", { headers: { "x-fragment": "main" } });
    expect(html).toMatch(/^<main id="main"/u);
    expect(html.endsWith("</main>")).toBe(true);
    expect(html).toContain('data-title="13,000 left · Quota Coordinator"');
    expect(headers.get("vary")).toContain("x-fragment");
  });
});

describe("pages of operators", () => {
  test("show hostile names as text everywhere", async () => {
    await makeOrganization("org", { name: HOSTILE });
    await makeProject("shelf", { name: HOSTILE, owner_id: HOSTILE, key: { name: HOSTILE } });
    await post("/api/projects/shelf/suspend", { reason: HOSTILE });
    await post("/api/harvest/targets", { authors: [HOSTILE] });
    await env.CATALOG.prepare("UPDATE harvest_targets SET state = 'failed', reason = ?").bind(HOSTILE).run();
    await post("/api/projects/shelf/webhooks", { url: "https://receiver.example/", description: HOSTILE.slice(0, 60) });
    await post("/api/monitoring/signal", { id: "waf-17", title: HOSTILE, link: HOSTILE });
    const browser = await signedIn();
    const pages = [
      "/",
      "/projects",
      `/projects?q=${encodeURIComponent(HOSTILE)}`,
      "/projects/shelf",
      "/projects/shelf/reactivate",
      "/harvest",
      "/signals",
      "/audit",
    ];
    for (const path of pages) {
      const { html, status, text } = await browser.open(path);
      expect({ path, status }).toEqual({ path, status: 200 });
      expect(html).not.toMatch(/<script>|<img/u);
      expect(text).toContain(HOSTILE);
    }
    const odd = await browser.open(`/projects?status=${encodeURIComponent(HOSTILE)}`);
    expect(odd.status).toBe(400);
    expect(odd.html).not.toMatch(/<script>|<img/u);
    expect((await browser.open(`/projects/${encodeURIComponent(HOSTILE)}`)).html).not.toMatch(/<script>|<img/u);
  });

  test("find projects by name, id and status, page by page", async () => {
    await makeOrganization("org");
    const sql = `INSERT INTO projects (id, organization_id, name, changed_by, created_at, updated_at)
      SELECT 'p' || value, 'org', 'Shelf ' || value, 'test', value, value FROM json_each(?)`;
    await env.DB.prepare(sql)
      .bind(JSON.stringify([...Array(60).keys()]))
      .run();
    await stop("p7", "admin");
    const browser = await signedIn();
    const names = (html: string): string[] => [...html.matchAll(/<a href="\/projects\/(p\d+)">/gu)].map(([, id = ""]) => id);
    expect(names((await browser.open("/projects?q=SHELF+4")).html)).toEqual(
      [9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((n) => `p4${n}`).concat("p4"),
    );
    expect(names((await browser.open("/projects?status=SUSPENDED")).html)).toEqual(["p7"]);
    const found: string[] = [];
    for (let path: string | undefined = "/projects"; path !== undefined;) {
      const { html } = await browser.open(path);
      found.push(...names(html));
      path = /<a class="button" href="([^"]*)" rel="next"/u.exec(html)?.[1]?.replaceAll("&amp;", "&");
    }
    expect(found).toEqual([...Array(60).keys()].map((n) => `p${59 - n}`));
    expect((await browser.open("/projects?q=nothing")).text).toContain("No project matches “nothing”");
  });

  test("show empty states", async () => {
    const browser = await signedIn();
    expect((await browser.open("/projects")).text).toContain("No projects yet.");
    expect((await browser.open("/jobs")).text).toContain("No job is running or waiting.");
    expect((await browser.open("/harvest")).text).toContain("The queue is empty.");
    expect((await browser.open("/audit?project=none")).text).toContain("No change matches.");
    expect((await browser.open("/projects/none")).status).toBe(404);
    expect((await browser.open("/jobs/none")).status).toBe(404);
    expect((await browser.open("/projects?cursor=none")).status).toBe(400);
  });

  test("unknown usage is not 0, and a project without a cap is unlimited", async () => {
    await makeOrganization("org");
    await makeProject("shelf", { caps: { storage_uploads_per_day: null } });
    const { text } = await (await signedIn()).open("/projects");
    expect(text).toContain(
      "Database queries 0 of 10,000 Connections unknown of 100 Storage uploads 0 of unlimited Function calls 0 of 5,000",
    );
  });
});

describe("an unknown address", () => {
  test("is a page for browsers and a problem document for other clients", async () => {
    const page = await new Browser().open("/nothing");
    expect({ status: page.status, type: page.headers.get("content-type") }).toEqual({ status: 404, type: "text/html; charset=UTF-8" });
    expect(page.text).toContain(TITLES.not_found);
    const problem = await get("/nothing", { token: null });
    expect(problem.body).toMatchObject({ status: 404, code: "not_found" });
    const api = await new Browser().open("/api/nothing");
    expect(api.headers.get("content-type")).toBe("application/problem+json");
  });
});
