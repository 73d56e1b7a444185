/** Strangers learn nothing, keys are never stored, and repeated wrong credentials are slowed down. */
import { sha256Hex } from "../../../worker/src/lib/bytes.ts";
import { createExecutionContext, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import worker from "../../../worker/src/index.ts";
import { networkOf } from "../../../worker/src/lib/address.ts";
import { mintKey, mintVersion, readKey } from "../../../worker/src/tenants/keys/api-key.ts";
import { callWith } from "../../routes/support.ts";
import { answersRepeatWhatWasSent } from "../../support/secret-watch.ts";
import { ADMIN_TOKEN, call, freshStart, get, isbns, ledger, post, put, setClock } from "../../support/worker.ts";
import { addKey, by, byWith, enrich, organization, statusText, tenant, watchedDb } from "../../support/tenants/keys.ts";
import type { Tenant } from "../../support/tenants/keys.ts";

const ISBNS = isbns(0, 1);

let shop: Tenant;

beforeEach(async () => {
  vi.restoreAllMocks();
  await freshStart();
  await post("/api/enrich/batch-direct", { isbns: ISBNS });
  await organization("acme");
  shop = await tenant("shop", "acme", { key: { scopes: ["read", "enrich", "admin"] } });
  return () => vi.restoreAllMocks();
});

/** The same key with one character changed. */
const mistyped = (key: string): string => key.slice(0, -1) + (key.endsWith("0") ? "1" : "0");

describe("a stranger", () => {
  const answerTo = async (key: string, path: string, method = "POST") => {
    const { status, headers, text } = await byWith({}, key, method, path, method === "POST" ? { isbns: ISBNS } : undefined);
    const headerList = [...headers].filter(([name]) => name !== "x-request-id");
    return JSON.stringify({ status, headerList, text });
  };

  test.each([
    ["/api/enrich/batch-direct", "POST"],
    ["/api/authors/top", "GET"],
    ["/api/projects/shop", "GET"],
    ["/api/organizations", "GET"],
  ])("gets the same response for an id that exists, was revoked, is suspended or is unknown (%s)", async (path, method) => {
    const revoked = await addKey("shop");
    await call("DELETE", `/api/projects/shop/keys/${revoked.keyId}`);
    const gone = await tenant("gone", "acme");
    await call("DELETE", "/api/projects/gone?permanent=true");
    const stopped = await tenant("stopped", "acme");
    await post("/api/projects/stopped/suspend", { reason: "x" });
    const guesses = [shop, revoked, gone, stopped].map(({ keyId }) => mintVersion("live", keyId).plaintext);
    const unknown = await answerTo(mintKey("live").plaintext, path, method);
    expect(unknown).toContain('"detail\\":\\"Invalid API key.\\"');
    for (const guess of guesses) expect(await answerTo(guess, path, method)).toBe(unknown);
  });

  test("causes as many database queries with a known id as with an unknown one", async () => {
    const trips = async (key: string) => {
      const watched = watchedDb();
      await byWith({ DB: watched.db }, key, "POST", "/api/enrich/batch-direct", { isbns: ISBNS });
      return watched.trips;
    };
    expect(await trips(mintVersion("live", shop.keyId).plaintext)).toEqual(await trips(mintKey("live").plaintext));
  });

  test("a malformed key causes no look-up and gets a message about the typo", async () => {
    for (const wrong of [mistyped(shop.key), shop.key.slice(0, -1), "qc_live_", shop.key.replace("live", "test")]) {
      const { db, trips } = watchedDb();
      for (const [method, path] of [
        ["POST", "/api/enrich/batch-direct"],
        ["GET", "/api/authors/top"],
        ["GET", "/api/projects/shop"],
        ["GET", "/api/organizations"],
      ] as const) {
        const { status, headers, body } = await byWith({ DB: db }, wrong, method, path, method === "POST" ? { isbns: ISBNS } : undefined);
        expect({ status, detail: body["detail"], challenge: headers.get("www-authenticate") }).toEqual({
          status: 401,
          detail: "Malformed API key (checksum mismatch). Check for typos or missing characters.",
          challenge: 'Bearer error="invalid_token"',
        });
      }
      expect(trips).toEqual([]);
    }
  });

  test.each([
    ["no credentials", {}, "Send an API key or the admin token as `Authorization: Bearer <key or token>`.", "Bearer"],
    ["another scheme", { authorization: "Basic YTpi" }, "The token is wrong.", 'Bearer error="invalid_token"'],
    ["another token", { authorization: "Bearer guess" }, "The token is wrong.", 'Bearer error="invalid_token"'],
  ])("with %s gets 401 with the required credentials", async (_, headers, detail, challenge) => {
    const answer = await callWith({}, "/api/authors/top", { headers: headers as Record<string, string> });
    expect(answer).toMatchObject({ status: 401, body: { code: "unauthorized", detail } });
    expect(answer.headers.get("www-authenticate")).toBe(challenge);
  });
});

test("an admin token may begin like a key", async () => {
  const token = "qc_administrator_0123456789";
  const headers = { authorization: `Bearer ${token}` };
  expect((await callWith({ ADMIN_TOKEN: token }, "/api/organizations", { headers })).status).toBe(200);
  expect((await callWith({}, "/api/organizations", { headers })).status).toBe(401);
});

describe("keys are never stored", () => {
  async function everythingStored(): Promise<string> {
    const tables = await env.DB.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'").all<{
      name: string;
    }>();
    expect(tables.results.length).toBeGreaterThan(15);
    const rows = await Promise.all(tables.results.map(async ({ name }) => env.DB.prepare(`SELECT * FROM "${name}"`).all()));
    const { keys } = await env.QUOTA_KV.list();
    const values = await Promise.all(keys.map(async ({ name }) => [name, await env.QUOTA_KV.get(name)]));
    const objects = await runInDurableObject(ledger(), async (_, state) => {
      const names = state.storage.sql.exec<{ name: string }>(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '%\\_cf%' ESCAPE '\\'",
      );
      return names.toArray().map(({ name }) => [name, state.storage.sql.exec(`SELECT * FROM "${name}"`).toArray()]);
    });
    return JSON.stringify([rows.map(({ results }) => results), values, objects]);
  }

  test("after valid and invalid use: not in a table, KV, the ledger, a log line or a refusal", async () => {
    const lines: string[] = [];
    for (const method of ["log", "info", "warn", "error", "debug"] as const) {
      vi.spyOn(console, method).mockImplementation((...given: unknown[]) => void lines.push(given.map(String).join(" ")));
    }
    const rotated = (await post<{ key: string }>(`/api/projects/shop/keys/${shop.keyId}/rotate`)).body.key;
    const revoked = await addKey("shop", { name: "old", mode: "test" });
    await call("DELETE", `/api/projects/shop/keys/${revoked.keyId}`);
    const expired = await addKey("shop", { expires_at: "2031-05-14T15:00:00Z" });
    const reader = await addKey("shop", { scopes: ["read"] });
    const stopped = await tenant("stopped", "acme");
    await post("/api/projects/stopped/suspend", { reason: "x" });
    await setClock("2031-05-14T15:00:00Z");
    const keys = [shop.key, rotated, revoked.key, expired.key, reader.key, stopped.key, mintKey("live").plaintext];
    keys.push(mintVersion("live", shop.keyId).plaintext);

    const answers: string[] = [];
    const ask = async (...given: Parameters<typeof byWith>): Promise<void> => {
      const { status, headers, text } = await byWith(...given);
      if (status >= 400) answers.push(JSON.stringify([...headers]) + text);
    };
    const failing = watchedDb(() => "before");
    for (const key of [...keys, ...keys.map(mistyped)]) {
      for (const changed of [{}, { DB: failing.db }, { KEY_PEPPER: "another-pepper-0123456789" }]) {
        await ask(changed, key, "POST", "/api/enrich/batch-direct", { isbns: [...ISBNS, "1"] });
        await ask(changed, key, "POST", "/api/enrich/batch-direct", { isbns: "none" });
        await ask(changed, key, "POST", "/api/quota/reservations", { calls: 1 });
        for (const path of ["/api/authors/top", "/api/projects/shop/usage", "/api/projects/shop/keys", "/api/organizations", "/nowhere"]) {
          await ask(changed, key, "GET", path);
        }
      }
    }
    // Places where a key does not belong: a URL, a query, a request id. A refusal repeats only the caller's own text.
    for (const key of keys) {
      await callWith({}, `/api/projects/${key}`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
      await callWith({}, `/api/books/${key}?key=${key}`, { headers: { authorization: `Bearer ${key}`, "x-request-id": key } });
      await callWith({ DB: failing.db }, `/api/projects/${key}`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
    }
    answersRepeatWhatWasSent();
    await put("/api/quota/settings", { daily_limit: 14_000 });

    const stored = await everythingStored();
    const logged = lines.join("\n");
    expect(answers.length).toBeGreaterThan(100);
    expect(lines.length).toBeGreaterThan(300);
    expect(stored).toContain(shop.keyId);
    for (const key of keys) {
      const digest = (await readKey(key))?.digest ?? "";
      for (const secret of [key.slice(19), key.slice(19, 51), digest]) {
        expect(stored).not.toContain(secret);
        expect(logged).not.toContain(secret);
        expect(answers.filter((answer) => answer.includes(secret))).toEqual([]);
      }
    }
    expect(logged).toContain(`${shop.key.slice(0, 19)}…`);
  });

  test("the stored value is not a plain digest", async () => {
    const { results } = await env.DB.prepare("SELECT hash FROM api_key_versions").all<{ hash: string }>();
    expect(results.map(({ hash }) => hash)).not.toContain(await sha256Hex(shop.key));
    expect(results).toEqual([{ hash: expect.stringMatching(/^[0-9a-f]{64}$/u) as string }]);
  });

  test("another pepper invalidates all keys", async () => {
    const changed = { KEY_PEPPER: "another-pepper-0123456789" };
    expect(statusText(await byWith(changed, shop.key, "GET", "/api/authors/top"))).toBe("401 unauthorized");
    expect(statusText(await byWith({}, shop.key, "GET", "/api/authors/top"))).toBe("200");
  });
});

describe("repeated wrong credentials", () => {
  let next = 0;
  /** Each test uses its own addresses, because the limiter keeps its counts between tests. */
  const newAddress = (): string => `203.0.113.${(next += 1)}`;
  const from = async (address: string, token: string | null, path = "/api/authors/top") =>
    get(path, { token, headers: { "cf-connecting-ip": address } });
  const LIMIT = 30;

  const fail = async (address: string, times: number, token = "guess"): Promise<string[]> => {
    const seen = [];
    for (let index = 0; index < times; index += 1) seen.push(statusText(await from(address, token)));
    return [...new Set(seen)];
  };

  test("are slowed down per address, while valid ones still work", async () => {
    const [address, other] = [newAddress(), newAddress()];
    expect(await fail(address, LIMIT)).toEqual(["401 unauthorized"]);
    const refused = await from(address, "guess");
    expect(refused).toMatchObject({ status: 429, body: { code: "too_many_failures" } });
    expect(refused.headers.get("retry-after")).toBe("60");
    expect(statusText(await from(other, "guess"))).toBe("401 unauthorized");
    expect(statusText(await from(address, shop.key))).toBe("200");
    expect(statusText(await from(address, ADMIN_TOKEN))).toBe("200");
    expect(statusText(await from(address, null))).toBe("401 unauthorized");
  });

  test.each([
    ["unknown keys", () => mintKey("live").plaintext],
    ["known ids with wrong secrets", () => mintVersion("live", shop.keyId).plaintext],
    ["mistyped keys", () => mistyped(shop.key)],
  ])("count as %s too", async (_, wrong) => {
    const address = newAddress();
    // The limiter's minute may end during the loop and reset the count, so up to twice the limit is sent.
    let answered = "";
    for (let index = 0; index <= 2 * LIMIT && answered !== "429 too_many_failures"; index += 1)
      answered = statusText(await from(address, wrong()));
    expect(answered).toBe("429 too_many_failures");
    const enriching = await post(
      "/api/enrich/batch-direct",
      { isbns: ISBNS },
      { token: wrong(), headers: { "cf-connecting-ip": address } },
    );
    expect(statusText(enriching)).toBe("429 too_many_failures");
    expect(statusText(await from(address, wrong(), "/api/organizations"))).toBe("429 too_many_failures");
  });

  test("do not count on public routes, nor if they are missing, nor after the caller proved to own the key", async () => {
    const address = newAddress();
    await call("DELETE", `/api/projects/shop/keys/${shop.keyId}`);
    for (let index = 0; index < LIMIT + 5; index += 1) {
      expect((await from(address, "guess", "/api/quota/status")).status).toBe(200);
      expect((await from(address, mistyped(shop.key), "/openapi.json")).status).toBe(200);
      expect(statusText(await from(address, null))).toBe("401 unauthorized");
      expect((await from(address, shop.key)).body["detail"]).toContain("revoked");
    }
    expect(statusText(await from(address, "guess"))).toBe("401 unauthorized");
  });

  test("of one IPv6 network count together, because its owner has unlimited addresses", async () => {
    const network = "2001:db8:7:1";
    for (let index = 0; index < LIMIT; index += 1) await from(`${network}::${index.toString(16)}`, "guess");
    expect(statusText(await from(`${network}:ffff::1`, "guess"))).toBe("429 too_many_failures");
    expect(statusText(await from("2001:db8:7:2::1", "guess"))).toBe("401 unauthorized");
  });

  test("get 401 if the limiter fails or the address is unknown", async () => {
    const broken = { AUTH_FAILURES: { limit: async () => Promise.reject(new Error("limiter is unavailable")) } };
    const headers = { authorization: "Bearer guess", "cf-connecting-ip": newAddress() };
    expect(statusText(await callWith(broken, "/api/authors/top", { headers }))).toBe("401 unauthorized");
    for (let index = 0; index < LIMIT + 5; index += 1) expect(statusText(await enrich("guess", ISBNS))).toBe("401 unauthorized");
  });

  test.each([
    ["203.0.113.7", "203.0.113.7"],
    ["2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3:8d3"],
    ["2001:0DB8:85A3:08D3::1", "2001:db8:85a3:8d3"],
    ["2001:db8::1", "2001:db8:0:0"],
    ["2001:db8::1:2:3:4:5", "2001:db8:0:1"],
    ["::1", "0:0:0:0"],
    ["2001:db8:1:2::", "2001:db8:1:2"],
  ])("%s is in the network %s", (address, network) => expect(networkOf(address)).toBe(network));
});

test("a key in another header or in the URL is ignored", async () => {
  const request = new Request(`http://coordinator.test/api/authors/top?api_key=${shop.key}`, { headers: { "x-api-key": shop.key } });
  expect((await worker.fetch(request, env, createExecutionContext())).status).toBe(401);
  expect(statusText(await by(shop.key, "GET", "/api/authors/top"))).toBe("200");
});
