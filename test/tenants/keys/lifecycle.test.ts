/** The life of keys: which ones work, until when, and the messages to their holders. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { call, concurrently, freshStart, get, isbns, post, setClock } from "../../support/worker.ts";
import type { Answer } from "../../support/worker.ts";
import { addKey, by, enrich, organization, statusText, countStatuses, tenant, watchedDb, byWith } from "../../support/tenants/keys.ts";
import type { Tenant } from "../../support/tenants/keys.ts";

const ISBNS = isbns(0, 1);

let shop: Tenant;

beforeEach(async () => {
  await freshStart();
  await post("/api/enrich/batch-direct", { isbns: ISBNS });
  await organization("acme");
  shop = await tenant("shop", "acme", { key: { scopes: ["read", "enrich", "admin"] } });
});

interface Rotated extends Record<string, unknown> {
  readonly key: string;
  readonly versions: { version: number; expires_at: string | null; last_used_at: string | null }[];
}

const rotate = async (keyId = shop.keyId, body?: object): Promise<Answer<Rotated>> =>
  post<Rotated>(`/api/projects/shop/keys/${keyId}/rotate`, body);
const works = async (key: string): Promise<string> => statusText(await enrich(key, ISBNS));
const refusal = async (key: string): Promise<unknown> => {
  const { status, headers, body } = await enrich(key, ISBNS);
  return [status, body["code"], body["detail"], headers.get("www-authenticate")];
};
const unauthorized = (detail: string) => [401, "unauthorized", detail, 'Bearer error="invalid_token"'];
const forbidden = (detail: string) => [403, "forbidden", detail, null];

describe("each kind of end has its own message", () => {
  test("revoked: from the next request on, idempotent", async () => {
    expect(await works(shop.key)).toBe("200");
    const first = await call("DELETE", `/api/projects/shop/keys/${shop.keyId}`);
    expect(await refusal(shop.key)).toEqual(unauthorized("This key was revoked at 2031-05-14T14:03:11Z. Use another key."));
    await setClock("2031-05-14T15:00:00Z");
    const second = await call("DELETE", `/api/projects/shop/keys/${shop.keyId}`);
    expect(second.body).toMatchObject({ revoked_at: first.body["revoked_at"] });
  });

  test("expired: exactly at its millisecond", async () => {
    const { key } = await addKey("shop", { expires_at: "2031-05-20T00:00:00Z" });
    await setClock("2031-05-19T23:59:59.999Z");
    expect(await works(key)).toBe("200");
    await setClock("2031-05-20T00:00:00Z");
    expect(await refusal(key)).toEqual(unauthorized("This key expired at 2031-05-20T00:00:00Z. Use another key."));
    expect(await works(shop.key)).toBe("200");
  });

  test.each(["2031-05-14T14:03:11Z", "2031-05-14T14:03:10Z", "2020-01-01T00:00:00Z"])(
    "a key that expires at %s is refused",
    async (end) => {
      expect(await post("/api/projects/shop/keys", { expires_at: end })).toMatchObject({ status: 422, body: { code: "unprocessable" } });
      const project = { id: "late", organization_id: "acme", name: "late", key: { expires_at: end } };
      expect((await post("/api/projects", project)).status).toBe(422);
      expect((await get("/api/projects/late")).status).toBe(404);
    },
  );

  test("replaced: a day after its rotation, to the millisecond", async () => {
    const { body } = await rotate();
    await setClock("2031-05-15T14:03:10.999Z");
    expect([await works(shop.key), await works(body.key)]).toEqual(["200", "200"]);
    await setClock("2031-05-15T14:03:11.500Z");
    expect(await refusal(shop.key)).toEqual(
      unauthorized("This key was replaced by a newer version and expired at 2031-05-15T14:03:11Z. Use the newer version."),
    );
    expect(await works(body.key)).toBe("200");
  });

  test("its project archived or deleted, or its organization archived", async () => {
    await call("DELETE", "/api/projects/shop");
    expect(await refusal(shop.key)).toEqual(forbidden("The project shop is archived."));
    // The key may still read its own state.
    expect((await by(shop.key, "GET", "/api/projects/shop")).body).toMatchObject({ status: "ARCHIVED" });
    await call("PATCH", "/api/projects/shop", { status: "ACTIVE" });
    expect(await works(shop.key)).toBe("200");
    await env.DB.prepare("UPDATE organizations SET status = 'ARCHIVED'").run();
    expect(await refusal(shop.key)).toEqual(forbidden("The organization of the project shop is archived."));
    await env.DB.prepare("UPDATE organizations SET status = 'ACTIVE'").run();
    await call("DELETE", "/api/projects/shop?permanent=true");
    expect(await refusal(shop.key)).toEqual(unauthorized("The project shop of this key was deleted."));
    expect((await by(shop.key, "GET", "/api/projects/shop")).status).toBe(401);
  });

  test("without the scope: the key's scopes and the required one", async () => {
    const reader = await addKey("shop", { scopes: ["read"] });
    expect(await refusal(reader.key)).toEqual(forbidden("This endpoint needs the scope enrich. This key has: read."));
    expect(statusText(await by(reader.key, "GET", "/api/authors/top"))).toBe("200");
    const enricher = await addKey("shop", { scopes: ["enrich"] });
    expect(statusText(await by(enricher.key, "GET", "/api/authors/top"))).toBe("403 forbidden");
    expect(statusText(await by(enricher.key, "POST", "/api/quota/reservations", { calls: 1 }))).toBe("201");
    expect(statusText(await by(reader.key, "POST", "/api/quota/reservations", { calls: 1 }))).toBe("403 forbidden");
    expect((await by(enricher.key, "GET", "/api/organizations")).body["detail"]).toBe(
      "This request needs the admin token. A project's key is not enough.",
    );
  });
});

describe("rotation", () => {
  test("keeps the id, expires the old version in a day, and only the old version's responses say so", async () => {
    const { status, body } = await rotate();
    expect(status).toBe(200);
    expect(body).toMatchObject({
      id: shop.keyId,
      versions: [
        { version: 2, expires_at: null },
        { version: 1, expires_at: "2031-05-15T14:03:11Z" },
      ],
    });
    expect(body.key.slice(0, 19)).toBe(shop.key.slice(0, 19));
    const header = async (key: string) => (await enrich(key, ISBNS)).headers.get("x-api-key-expires");
    const ending = await addKey("shop", { expires_at: "2031-05-20T00:00:00Z" });
    expect([await header(shop.key), await header(body.key), await header(ending.key)]).toEqual(["2031-05-15T14:03:11Z", null, null]);
  });

  test("never extends the old version beyond the key", async () => {
    const { key, keyId } = await addKey("shop", { expires_at: "2031-05-14T20:00:00Z" });
    const { body } = await rotate(keyId);
    expect(body.versions[1]).toMatchObject({ version: 1, expires_at: "2031-05-14T20:00:00Z" });
    await setClock("2031-05-14T19:59:59Z");
    expect([await works(key), await works(body.key)]).toEqual(["200", "200"]);
    await setClock("2031-05-14T20:00:00Z");
    const expired = unauthorized("This key expired at 2031-05-14T20:00:00Z. Use another key.");
    expect([await refusal(key), await refusal(body.key)]).toEqual([expired, expired]);
    expect((await rotate(keyId)).status).toBe(409);
  });

  test("allows no third version while two are active: a retry creates nothing", async () => {
    const { body } = await rotate();
    const again = await rotate();
    expect(again).toMatchObject({ status: 409, body: { code: "conflict", key: { versions: [{ version: 2 }, { version: 1 }] } } });
    expect(JSON.stringify(again.body)).not.toContain(body.key.slice(19));
    await setClock("2031-05-15T14:03:11Z");
    expect(await rotate()).toMatchObject({ status: 200, body: { versions: [{ version: 3 }, { version: 2 }, { version: 1 }] } });
    expect([await works(shop.key), await works(body.key)]).toEqual(["401 unauthorized", "200"]);
  });

  test("ten concurrent requests create one version", async () => {
    const answers = await concurrently(10, 10, async () => rotate());
    expect(countStatuses(answers)).toEqual({ "200": 1, "409 conflict": 9 });
    const rows = await env.DB.prepare("SELECT version FROM api_key_versions WHERE key_id = ? ORDER BY version").bind(shop.keyId).all();
    expect(rows.results).toEqual([{ version: 1 }, { version: 2 }]);
    const minted = answers.find(({ status }) => status === 200)?.body.key ?? "";
    expect([await works(shop.key), await works(minted)]).toEqual(["200", "200"]);
  });

  test("immediately, for a leaked secret: all earlier versions expire now", async () => {
    const second = (await rotate()).body.key;
    const third = (await rotate(shop.keyId, { immediate: true })).body;
    expect(third.versions).toMatchObject([{ version: 3 }, { version: 2, expires_at: "2031-05-14T14:03:11Z" }, { version: 1 }]);
    expect([await works(shop.key), await works(second), await works(third.key)]).toEqual(["401 unauthorized", "401 unauthorized", "200"]);
  });

  test("can end its grace period early, idempotently", async () => {
    const { body } = await rotate();
    const end = async () => post(`/api/projects/shop/keys/${shop.keyId}/end-grace`);
    const first = await end();
    expect(first.body["versions"]).toMatchObject([
      { version: 2, expires_at: null },
      { version: 1, expires_at: "2031-05-14T14:03:11Z" },
    ]);
    expect([await works(shop.key), await works(body.key)]).toEqual(["401 unauthorized", "200"]);
    await setClock("2031-05-14T15:00:00Z");
    expect((await end()).body["versions"]).toMatchObject([{ expires_at: null }, { expires_at: "2031-05-14T14:03:11Z" }]);
  });

  test("does not reactivate an expired version or a revoked key", async () => {
    await rotate(shop.keyId, { immediate: true });
    await setClock("2031-05-14T15:00:00Z");
    const { body } = await rotate();
    expect(body.versions.map(({ expires_at }) => expires_at)).toEqual([null, "2031-05-15T15:00:00Z", "2031-05-14T14:03:11Z"]);
    expect(await works(shop.key)).toBe("401 unauthorized");
    await call("DELETE", `/api/projects/shop/keys/${shop.keyId}`);
    for (const immediate of [true, false]) expect((await rotate(shop.keyId, { immediate })).status).toBe(409);
  });

  test("is in the audit log with its actor, and without the key", async () => {
    const { body } = await by(shop.key, "POST", `/api/projects/shop/keys/${shop.keyId}/rotate`);
    const { entries } = (await get<{ entries: unknown[] }>("/api/audit?project_id=shop")).body;
    expect(entries[0]).toMatchObject({
      actor: `key:${shop.keyId}`,
      action: "key.rotate",
      subject: `key:${shop.keyId}`,
      before: { version: 1 },
      after: { version: 2, earlier_end_at: "2031-05-15T14:03:11Z" },
    });
    expect(JSON.stringify(entries)).not.toContain(String(body["key"]).slice(19));
  });
});

describe("a key with the scope admin", () => {
  test("creates, lists, reads, rotates and revokes keys of its project, even while the project is suspended", async () => {
    await post("/api/projects/shop/suspend", { reason: "x" });
    const made = await by(shop.key, "POST", "/api/projects/shop/keys", { name: "second", mode: "test", scopes: ["read"] });
    expect(made).toMatchObject({ status: 201, body: { name: "second", mode: "test", scopes: ["read"], versions: [{ version: 1 }] } });
    const path = `/api/projects/shop/keys/${String(made.body["id"])}`;
    expect((await by(shop.key, "GET", "/api/projects/shop/keys")).body["keys"]).toHaveLength(2);
    for (const [method, at] of [
      ["GET", path],
      ["POST", `${path}/rotate`],
      ["POST", `${path}/end-grace`],
      ["DELETE", path],
    ] as const) {
      expect({ at, statusText: statusText(await by(shop.key, method, at)) }).toEqual({ at, statusText: "200" });
    }
  });

  test("gives no access to another project, which is reported as not found", async () => {
    const other = await tenant("other", "acme");
    const there = `/api/projects/other/keys/${other.keyId}`;
    const paths = [
      ["GET", "/api/projects/other/keys"],
      ["POST", "/api/projects/other/keys"],
      ["GET", there],
      ["DELETE", there],
      ["POST", `${there}/rotate`],
      ["POST", `${there}/end-grace`],
      ["GET", "/api/projects/other"],
      ["GET", "/api/projects/other/usage"],
      ["GET", `/api/projects/shop/keys/${other.keyId}`],
      ["POST", `/api/projects/shop/keys/${other.keyId}/rotate`],
      ["DELETE", `/api/projects/shop/keys/${other.keyId}`],
    ] as const;
    for (const [method, path] of paths) {
      const body = method === "POST" ? {} : undefined;
      expect({ path, statusText: statusText(await by(shop.key, method, path, body)) }).toEqual({ path, statusText: "404 not_found" });
      const nowhere = await by(shop.key, method, path.replace("/other", "/nobody"), body);
      expect(statusText(nowhere)).toBe("404 not_found");
    }
    const detail = async (id: string) => (await by(shop.key, "GET", `/api/projects/${id}/keys`)).body["detail"];
    expect(String(await detail("other")).replace("other", "nobody")).toBe(await detail("nobody"));
    expect(await works(other.key)).toBe("200");
  });

  test.each([["read", "enrich"], ["read"], ["enrich"]])("and one without it (%s, %s) cannot manage keys", async (...scopes) => {
    const { key } = await addKey("shop", { scopes: scopes.filter((scope) => scope !== undefined) });
    for (const [method, path] of [
      ["GET", "/api/projects/shop/keys"],
      ["POST", "/api/projects/shop/keys"],
      ["POST", `/api/projects/shop/keys/${shop.keyId}/rotate`],
      ["DELETE", `/api/projects/shop/keys/${shop.keyId}`],
    ] as const) {
      expect(statusText(await by(key, method, path, method === "POST" ? {} : undefined))).toBe("403 forbidden");
    }
  });
});

describe("the last use", () => {
  const used = async () => {
    const { body } = await get<Rotated & { last_used_at: string | null }>(`/api/projects/shop/keys/${shop.keyId}`);
    return [body.last_used_at, ...body.versions.map(({ last_used_at }) => last_used_at)];
  };

  test("is recorded at most once a minute, for the key and for its version", async () => {
    expect(await used()).toEqual([null, null]);
    for (const time of ["14:10:00", "14:10:59.999"]) {
      await setClock(`2031-05-14T${time}Z`);
      await byWith({}, shop.key, "GET", "/api/authors/top");
      expect(await used()).toEqual(["2031-05-14T14:10:00Z", "2031-05-14T14:10:00Z"]);
    }
    await setClock("2031-05-14T14:11:00Z");
    await byWith({}, shop.key, "GET", "/api/authors/top");
    expect(await used()).toEqual(["2031-05-14T14:11:00Z", "2031-05-14T14:11:00Z"]);
  });

  test("shows continued use of the old version, even right after a use of the new one", async () => {
    const { body } = await rotate();
    await byWith({}, body.key, "GET", "/api/authors/top");
    await setClock("2031-05-14T14:03:41Z");
    await byWith({}, shop.key, "GET", "/api/authors/top");
    expect(await used()).toEqual(["2031-05-14T14:03:11Z", "2031-05-14T14:03:11Z", "2031-05-14T14:03:41Z"]);
  });

  test("is not recorded for a refused key", async () => {
    await call("DELETE", `/api/projects/shop/keys/${shop.keyId}`);
    const { db, trips } = watchedDb();
    await byWith({ DB: db }, shop.key, "GET", "/api/authors/top");
    expect(trips).toHaveLength(1);
    expect(await used()).toEqual([null, null]);
  });
});
