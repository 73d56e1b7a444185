import { beforeEach, describe, expect, test } from "vitest";
import { PAGES } from "../routes/all-routes.ts";
import { ADMIN_TOKEN, call, freshStart, setClock } from "../support/worker.ts";
import { Browser, signedIn } from "./support.ts";

beforeEach(async () => freshStart());

/** Pages except sign-in and sign-out. */
const pagesOf = (method: string): string[] =>
  PAGES.filter((page) => page.startsWith(`${method} `) && !/ \/sign-/u.test(page)).map(
    (page) => page.split(" ")[1]?.replaceAll("{}", "any") ?? "",
  );

describe("signing in", () => {
  test("is required by every page of operators, which is its return address", async () => {
    for (const path of pagesOf("GET")) {
      const { status, headers } = await new Browser().send(path);
      const location = `/sign-in?next=${encodeURIComponent(path)}`;
      expect({ path, status, location: headers.get("location") }).toEqual({ path, status: 303, location });
    }
  });

  test("is required by every form", async () => {
    for (const path of pagesOf("POST")) {
      const { status, headers } = await new Browser().send(path, { form: { reason: "Because" } });
      expect({ path, status, location: headers.get("location") }).toEqual({ path, status: 303, location: "/sign-in" });
    }
  });

  test("cannot be replaced by other credentials on any page or form", async () => {
    const signed = (await signedIn()).cookie;
    const { origin } = new Browser();
    const others: Record<string, string>[] = [
      { authorization: `Bearer ${ADMIN_TOKEN}` },
      { cookie: signed.replace(/.$/u, (last) => (last === "0" ? "1" : "0")) },
      { cookie: `${signed.split("=")[0]}=${ADMIN_TOKEN}` },
      // An expiry in the past and one in the far future.
      { cookie: signed.replace(/=\d+/u, "=1000000000") },
      { cookie: signed.replace(/=\d+/u, "=999999999999") },
      // A page without https could set this name.
      { cookie: signed.replace("__Host-", "") },
      { cookie: "", "x-forwarded-proto": "http", "x-forwarded-host": "localhost", "x-real-ip": "127.0.0.1" },
    ];
    for (const headers of others) {
      for (const path of pagesOf("GET")) expect([path, (await new Browser().send(path, { headers })).status]).toEqual([path, 303]);
      for (const path of pagesOf("POST")) {
        const sent = { form: { form_token: "0".repeat(64), reason: "Because" }, headers: { origin, ...headers } };
        expect([path, (await new Browser().send(path, sent)).status]).toEqual([path, 303]);
      }
    }
  });

  test("returns to the requested page, with its query", async () => {
    const browser = new Browser();
    const page = await browser.open("/projects?status=SUSPENDED");
    const next = await browser.submit(page, "/sign-in", { token: ADMIN_TOKEN });
    expect({ path: next.path, status: next.status }).toEqual({ path: "/projects?status=SUSPENDED", status: 200 });
  });

  test("never redirects to another host", async () => {
    for (const next of [
      "https://evil.test/",
      "//evil.test/",
      "/\\evil.test",
      "javascript:alert(1)",
      "/sign-in/..//evil.test",
      "/\t/evil.test",
    ]) {
      const { headers } = await new Browser().send("/sign-in", { form: { token: ADMIN_TOKEN, next } });
      const location = new URL(headers.get("location") ?? "", "https://coordinator.test");
      expect({ next, host: location.host }).toEqual({ next, host: "coordinator.test" });
    }
  });

  test("sets a cookie for 12 hours that scripts and other hosts cannot read or set", async () => {
    const page = await new Browser().send("/sign-in", { form: { token: ADMIN_TOKEN } });
    const [value = "", ...attributes] = (page.headers.get("set-cookie") ?? "").split("; ");
    expect(value).toMatch(/^__Host-qc_session=\d+\.[0-9A-Za-z]{32}\.[0-9a-f]{64}$/u);
    expect(attributes.toSorted()).toEqual(["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Lax", "Secure"]);
    expect(value).not.toContain(ADMIN_TOKEN);
  });

  test("works without https only on this machine", async () => {
    const local = await new Browser("http://localhost:8787").send("/sign-in", { form: { token: ADMIN_TOKEN } });
    expect(local.headers.get("set-cookie")).toMatch(/^qc_session=(?!.*Secure)/u);
    const open = new Browser("http://coordinator.test");
    const form = await open.open("/sign-in");
    expect(form.text).toContain("This connection is not encrypted");
    expect(form.html).not.toContain('name="token"');
    const sent = await open.send("/sign-in", { form: { token: ADMIN_TOKEN } });
    expect({ status: sent.status, cookie: sent.headers.get("set-cookie") }).toEqual({ status: 200, cookie: null });
  });

  test.each([
    ["", 400, "Enter the admin token."],
    ["wrong-token-0123456789", 401, "Invalid token."],
    [ADMIN_TOKEN.slice(0, -1), 401, "Invalid token."],
  ])("refuses %j", async (token, status, message) => {
    const page = await new Browser().send("/sign-in", { form: { token } });
    expect({ status: page.status, cookie: page.headers.get("set-cookie") }).toEqual({ status, cookie: null });
    expect(page.text).toContain(message);
    expect(page.html).not.toContain(`"${token || "none"}"`);
  });

  test("limits the rate of wrong tokens from one address, but accepts the right token", async () => {
    const headers = { "cf-connecting-ip": "198.51.100.77" };
    const statuses = new Set<number>();
    for (let attempt = 0; attempt < 40; attempt += 1) {
      statuses.add((await new Browser().send("/sign-in", { form: { token: "wrong-token-0123456789" }, headers })).status);
    }
    expect([...statuses]).toEqual([401, 429]);
    const last = await new Browser().send("/sign-in", { form: { token: "wrong-token-0123456789" }, headers });
    expect(last.text).toContain("too often");
    expect(last.headers.get("retry-after")).toBe("60");
    expect((await new Browser().send("/sign-in", { form: { token: ADMIN_TOKEN }, headers })).status).toBe(303);
  });

  test.each([
    ["of another site", { origin: "https://evil.test" }],
    ["of a page that hides its origin", { origin: "null" }],
    ["of the same host without https", { origin: "http://coordinator.test" }],
  ])("refuses a form %s", async (_, headers) => {
    const page = await new Browser().send("/sign-in", { form: { token: ADMIN_TOKEN }, headers });
    expect({ status: page.status, cookie: page.headers.get("set-cookie") }).toEqual({ status: 403, cookie: null });
  });

  test("is skipped with a session", async () => {
    const page = await (await signedIn()).send("/sign-in?next=%2Fjobs");
    expect(page.headers.get("location")).toBe("/jobs");
  });
});

describe("a session", () => {
  test("ends after 12 hours", async () => {
    const browser = await signedIn();
    await setClock("2031-05-15T02:03:10Z");
    expect((await browser.send("/jobs")).status).toBe(200);
    await setClock("2031-05-15T02:03:11Z");
    expect((await browser.send("/jobs")).status).toBe(303);
  });

  test("cannot be forged or extended", async () => {
    const browser = await signedIn();
    const [name = "", value = ""] = browser.cookie.split("=");
    const [endsAt = "", id = "", mac = ""] = value.split(".");
    const forged = [
      `${Number(endsAt) + 1}.${id}.${mac}`,
      `${endsAt}.${id.slice(1)}0.${mac}`,
      `${endsAt}.${id}.${"0".repeat(64)}`,
      `${endsAt}.${id}.`,
      `${endsAt}.${id}.${mac}0`,
      "",
    ];
    for (const each of forged) {
      browser.cookie = `${name}=${each}`;
      expect((await browser.send("/jobs")).status).toBe(303);
    }
    browser.cookie = `qc_session=${value}`;
    expect((await browser.send("/jobs")).status).toBe(303);
    browser.cookie = `${name}=${value}`;
    expect((await browser.send("/jobs")).status).toBe(200);
  });

  test("ends by signing out", async () => {
    const browser = await signedIn();
    const page = await browser.submit(await browser.open("/jobs"), "/sign-out");
    expect(page.path).toBe("/");
    expect(page.text).toContain("Sign in");
    expect((await browser.send("/jobs")).status).toBe(303);
  });

  test("does not work for the API, so that other sites cannot call it through a browser", async () => {
    const { cookie } = await signedIn();
    const answer = await call("GET", "/api/projects", undefined, { token: null, headers: { cookie } });
    expect(answer.status).toBe(401);
  });

  test("cannot be replaced by the admin token in a header", async () => {
    const page = await new Browser().send("/jobs", { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
    expect(page.status).toBe(303);
  });
});
