import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { ask, ended, handledBy, read, until } from "../jobs/support.ts";
import { freshStart, post } from "../support/worker.ts";
import { audit, makeOrganization, makeProject, readProject } from "../support/tenants/http.ts";
import { Browser, signedIn } from "./support.ts";
import type { Page } from "./support.ts";

let browser: Browser;

beforeEach(async () => {
  vi.restoreAllMocks();
  await freshStart();
  await makeOrganization("org");
  await makeProject("shelf");
  browser = await signedIn();
});

const suspend = async (reason: string): Promise<Page> =>
  browser.submit(await browser.open("/projects/shelf/suspend"), "/projects/shelf/suspend", { reason });

describe("suspending and reactivating a project", () => {
  test("shows a confirmation page, makes the change and records the actor", async () => {
    const dialog = await browser.open("/projects/shelf/suspend");
    expect(dialog.text).toContain("Suspend Project shelf?");
    expect((await readProject("shelf")).status).toBe("ACTIVE");
    const done = await suspend("Invoice 4711 is overdue");
    expect(done.path).toBe("/projects/shelf");
    expect(done.text).toContain("Suspended manually : Invoice 4711 is overdue , since 14:03 UTC , just now");
    expect(await readProject("shelf")).toMatchObject({
      status: "SUSPENDED",
      reasons: [{ reason: "admin", detail: "Invoice 4711 is overdue" }],
    });
    const again = await browser.submit(await browser.open("/projects/shelf/reactivate"), "/projects/shelf/reactivate", { reason: "Paid" });
    expect(again.text).toContain("active");
    expect((await readProject("shelf")).status).toBe("ACTIVE");
    const [reactivated, suspended] = await audit("project_id=shelf");
    expect([suspended, reactivated]).toMatchObject([
      { actor: "admin", action: "project.suspend", after: { detail: "Invoice 4711 is overdue" } },
      { actor: "admin", action: "project.reactivate", after: { detail: "Paid", reasons: [] } },
    ]);
  });

  test.each([
    ["", "must not be empty"],
    ["   ", "must not be empty"],
    ["x".repeat(501), "must have at most 500 characters"],
    ["two\nlines", "must be one line of visible text"],
  ])("wants a reason that can be shown, not %j", async (reason, expected) => {
    const page = await suspend(reason);
    expect(page.status).toBe(400);
    expect(page.text).toContain(`The reason ${expected}`);
    expect((await readProject("shelf")).status).toBe("ACTIVE");
  });

  test("keeps the submitted reason after a failure", async () => {
    await env.DB.prepare("UPDATE projects SET lifecycle = 'ARCHIVED' WHERE id = 'shelf'").run();
    const page = await suspend('Because "<b>');
    expect(page.status).toBe(400);
    expect(page.text).toContain("is archived and cannot be suspended.");
    expect(page.html).toContain('value="Because &quot;&lt;b&gt;"');
  });

  test("is offered depending on the status", async () => {
    expect((await browser.open("/projects/shelf")).html).not.toContain("/projects/shelf/reactivate");
    await suspend("Test");
    const page = await browser.open("/projects/shelf");
    expect(page.html).toContain("/projects/shelf/reactivate");
    expect(page.html).not.toContain("/projects/shelf/suspend");
  });
});

describe("a form sent by another site", () => {
  const send = async (form: Record<string, string>, headers: Record<string, string> = {}): Promise<Page> =>
    browser.send("/projects/shelf/suspend", { form: { reason: "Test", ...form }, headers });
  const tokenOf = async (who: Browser): Promise<string> =>
    /name="form_token" value="([0-9a-f]{64})"/u.exec((await who.open("/projects/shelf/suspend")).html)?.[1] ?? "";

  test("is refused without the token of the session", async () => {
    const other = await tokenOf(await signedIn());
    for (const form of [{}, { form_token: "" }, { form_token: "0".repeat(64) }, { form_token: other }]) {
      expect((await send(form)).status).toBe(403);
    }
    expect((await readProject("shelf")).status).toBe("ACTIVE");
    expect((await send({ form_token: await tokenOf(browser) })).status).toBe(303);
  });

  test("is refused from another origin, even with the token", async () => {
    const form_token = await tokenOf(browser);
    expect((await send({ form_token }, { origin: "https://evil.test" })).status).toBe(403);
    expect((await send({ form_token }, { "content-type": "text/plain" })).status).toBe(415);
    expect((await readProject("shelf")).status).toBe("ACTIVE");
  });

  test("changes nothing without a session, nor by following a link", async () => {
    const form_token = await tokenOf(browser);
    const anonymous = await new Browser().send("/projects/shelf/suspend", { form: { reason: "Test", form_token } });
    expect({ status: anonymous.status, location: anonymous.headers.get("location") }).toEqual({ status: 303, location: "/sign-in" });
    await browser.send(`/projects/shelf/suspend?reason=Test&form_token=${form_token}`);
    expect((await readProject("shelf")).status).toBe("ACTIVE");
  });

  test("cannot sign out", async () => {
    expect((await browser.send("/sign-out", { form: {} })).status).toBe(403);
    expect((await browser.send("/jobs")).status).toBe(200);
  });
});

describe("jobs", () => {
  test("are retried and cancelled, and show all attempts", async () => {
    handledBy(async (_payload, job) => job.step("work", async () => Promise.reject(new Error("<b>not</b> now"))));
    const { id } = (await ask({ max_attempts: 1 })).body;
    await ended(id);
    const failed = await browser.open(`/jobs/${id}`);
    expect(failed.text).toContain("work 1 failed");
    expect(failed.html).toContain("&lt;b&gt;not&lt;/b&gt; now");
    handledBy(async (_payload, job) => {
      await job.sleepUntil("wait", Date.now() + 3_600_000);
      return { success: true };
    });
    const retried = await browser.submit(failed, `/jobs/${id}/retry`);
    expect(retried.path).toBe(`/jobs/${id}-r2`);
    await until(`${id}-r2`, ({ status }) => status === "waiting");
    const cancelled = await browser.submit(await browser.open(`/jobs/${id}-r2/cancel`), `/jobs/${id}-r2/cancel`);
    expect(cancelled.text).toContain("cancelled");
    expect(await read(`${id}-r2`)).toMatchObject({ status: "cancelled", requested_by: "admin" });
    const list = await browser.open("/jobs?status=failed");
    expect(list.html).toContain(`/jobs/${id}"`);
    expect(list.html).not.toContain(`/jobs/${id}-r2"`);
  });

  test("show why they cannot be retried", async () => {
    handledBy(async () => ({ success: true }));
    const { id } = (await ask()).body;
    await ended(id);
    const token = /name="form_token" value="([0-9a-f]{64})"/u.exec((await browser.open("/jobs")).html)?.[1] ?? "";
    const page = await browser.open(`/jobs/${id}/retry`, { form: { form_token: token } });
    expect(page.status).toBe(409);
    expect(page.text).toContain("Only failed and cancelled jobs can be retried");
  });
});

test("the audit log shows the old and the new values of a change made over the API", async () => {
  await post("/api/projects/shelf/suspend", { reason: "Test" });
  const page = await browser.open("/audit?project=shelf");
  expect(page.text).toContain("admin project.suspend project:shelf reasons none → admin detail – → Test");
  expect((await browser.open("/audit?subject=project%3Anone")).text).toContain("No change matches.");
});
