import { beforeEach, describe, expect, test } from "vitest";
import { PAGES } from "../routes/all-routes.ts";
import { ADMIN_TOKEN, call, freshStart, setClock } from "../support/worker.ts";
import { Browser, signedIn } from "./support.ts";

beforeEach(async () => freshStart());

/** All but the way in and out. */
const pagesOf = (method: string): string[] =>
  PAGES.filter((page) => page.startsWith(`${method} `) && !/ \/sign-/u.test(page)).map(
    (page) => page.split(" ")[1]?.replaceAll("{}", "any") ?? "",
  );

describe("signing in", () => {
  test("is what every page of operators leads to, and back", async () => {
    for (const path of pagesOf("GET")) {
      const { status, headers } = await new Browser().send(path);
      const location = `/sign-in?next=${encodeURIComponent(path)}`;
      expect({ path, status, location: headers.get("location") }).toEqual({ path, status: 303, location });
    }
  });

  test("is what every form of theirs leads to, and nothing is done", async () => {
    for (const path of pagesOf("POST")) {
      const { status, headers } = await new Browser().send(path, { form: { reason: "Because" } });
      expect({ path, status, location: headers.get("location") }).toEqual({ path, status: 303, location: "/sign-in" });
    }
  });

  test("is what every page and form of theirs leads to, whatever else is sent in place of a session", async () => {
    const signed = (await signedIn()).cookie;
    const { origin } = new Browser();
    const others: Record<string, string>[] = [
      { authorization: `Bearer ${ADMIN_TOKEN}` },
      { cookie: signed.replace(/.$/u, (last) => (last === "0" ? "1" : "0")) },
      { cookie: `${signed.split("=")[0]}=${ADMIN_TOKEN}` },
      // Ended long ago, and to end never.
      { cookie: signed.replace(/=\d+/u, "=1000000000") },
      { cookie: signed.replace(/=\d+/u, "=999999999999") },
      // What a page without https could set.
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

  test("leads to where one wanted to go, with its query", async () => {
    const browser = new Browser();
    const page = await browser.open("/projects?status=SUSPENDED");
    const next = await browser.submit(page, "/sign-in", { token: ADMIN_TOKEN });
    expect({ path: next.path, status: next.status }).toEqual({ path: "/projects?status=SUSPENDED", status: 200 });
  });

  test("never leads away", async () => {
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

  test("keeps a cookie that no script and no other host can read or set, for 12 hours", async () => {
    const page = await new Browser().send("/sign-in", { form: { token: ADMIN_TOKEN } });
    const [value = "", ...attributes] = (page.headers.get("set-cookie") ?? "").split("; ");
    expect(value).toMatch(/^__Host-qc_session=\d+\.[0-9A-Za-z]{32}\.[0-9a-f]{64}$/u);
    expect(attributes.toSorted()).toEqual(["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Lax", "Secure"]);
    expect(value).not.toContain(ADMIN_TOKEN);
  });

  test("works without https on this machine only", async () => {
    const local = await new Browser("http://localhost:8787").send("/sign-in", { form: { token: ADMIN_TOKEN } });
    expect(local.headers.get("set-cookie")).toMatch(/^qc_session=(?!.*Secure)/u);
    const open = new Browser("http://coordinator.test");
    const asked = await open.open("/sign-in");
    expect(asked.text).toContain("This connection is not encrypted");
    expect(asked.html).not.toContain('name="token"');
    const sent = await open.send("/sign-in", { form: { token: ADMIN_TOKEN } });
    expect({ status: sent.status, cookie: sent.headers.get("set-cookie") }).toEqual({ status: 200, cookie: null });
  });

  test.each([
    ["", 400, "Give the admin token."],
    ["wrong-token-0123456789", 401, "This token is not accepted."],
    [ADMIN_TOKEN.slice(0, -1), 401, "This token is not accepted."],
  ])("refuses %j", async (token, status, said) => {
    const page = await new Browser().send("/sign-in", { form: { token } });
    expect({ status: page.status, cookie: page.headers.get("set-cookie") }).toEqual({ status, cookie: null });
    expect(page.text).toContain(said);
    expect(page.html).not.toContain(`"${token || "none"}"`);
  });

  test("slows down an address that keeps guessing, and lets the right token in all the same", async () => {
    const headers = { "cf-connecting-ip": "198.51.100.77" };
    const statuses = new Set<number>();
    for (let tries = 0; tries < 40; tries += 1) {
      statuses.add((await new Browser().send("/sign-in", { form: { token: "wrong-token-0123456789" }, headers })).status);
    }
    expect([...statuses]).toEqual([401, 429]);
    const last = await new Browser().send("/sign-in", { form: { token: "wrong-token-0123456789" }, headers });
    expect(last.text).toContain("too often");
    expect(last.headers.get("retry-after")).toBe("60");
    expect((await new Browser().send("/sign-in", { form: { token: ADMIN_TOKEN }, headers })).status).toBe(303);
  });

  test.each([
    ["another site's", { origin: "https://evil.test" }],
    ["a page's that hides where it is", { origin: "null" }],
    ["the same host's without https", { origin: "http://coordinator.test" }],
  ])("does not take %s form", async (_, headers) => {
    const page = await new Browser().send("/sign-in", { form: { token: ADMIN_TOKEN }, headers });
    expect({ status: page.status, cookie: page.headers.get("set-cookie") }).toEqual({ status: 403, cookie: null });
  });

  test("is not asked of who is signed in", async () => {
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

  test("is nobody else's to make, and not to be made longer", async () => {
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

  test("is left by signing out", async () => {
    const browser = await signedIn();
    const page = await browser.submit(await browser.open("/jobs"), "/sign-out");
    expect(page.path).toBe("/");
    expect(page.text).toContain("Sign in");
    expect((await browser.send("/jobs")).status).toBe(303);
  });

  test("opens pages, and nothing of the API: no other site can make a browser call it", async () => {
    const { cookie } = await signedIn();
    const answer = await call("GET", "/api/projects", undefined, { token: null, headers: { cookie } });
    expect(answer.status).toBe(401);
  });

  test("is not the admin token in a header: pages are for browsers", async () => {
    const page = await new Browser().send("/jobs", { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
    expect(page.status).toBe(303);
  });
});
