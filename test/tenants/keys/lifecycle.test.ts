/** Keys from their making to their end: what works, until when, and what their holder is told. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { call, concurrently, freshStart, get, isbns, post, setClock } from "../../support/worker.ts";
import type { Answer } from "../../support/worker.ts";
import { addKey, by, enrich, organization, said, tally, tenant, watchedDb, byWith } from "../../support/tenants/keys.ts";
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
const works = async (key: string): Promise<string> => said(await enrich(key, ISBNS));
const refusal = async (key: string): Promise<unknown> => {
  const { status, headers, body } = await enrich(key, ISBNS);
  return [status, body["code"], body["detail"], headers.get("www-authenticate")];
};
const unauthorized = (detail: string) => [401, "unauthorized", detail, 'Bearer error="invalid_token"'];
const forbidden = (detail: string) => [403, "forbidden", detail, null];

describe("each end has its own message to the holder", () => {
  test("revoked: from the next request on, twice the same", async () => {
    expect(await works(shop.key)).toBe("200");
    const first = await call("DELETE", `/api/projects/shop/keys/${shop.keyId}`);
    expect(await refusal(shop.key)).toEqual(unauthorized("This key was revoked at 2031-05-14T14:03:11Z. Use another one."));
    await setClock("2031-05-14T15:00:00Z");
    const second = await call("DELETE", `/api/projects/shop/keys/${shop.keyId}`);
    expect(second.body).toMatchObject({ revoked_at: first.body["revoked_at"] });
  });

  test("expired: at its very millisecond", async () => {
    const { key } = await addKey("shop", { expires_at: "2031-05-20T00:00:00Z" });
    await setClock("2031-05-19T23:59:59.999Z");
    expect(await works(key)).toBe("200");
    await setClock("2031-05-20T00:00:00Z");
    expect(await refusal(key)).toEqual(unauthorized("This key expired at 2031-05-20T00:00:00Z. Ask for a new one."));
    expect(await works(shop.key)).toBe("200");
  });

  test.each(["2031-05-14T14:03:11Z", "2031-05-14T14:03:10Z", "2020-01-01T00:00:00Z"])(
    "a key that ends at %s is not even made",
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
      unauthorized("This key was replaced by a newer version, and stopped working at 2031-05-15T14:03:11Z. Use the newer one."),
    );
    expect(await works(body.key)).toBe("200");
  });

  test("its project archived, deleted; its organisation archived", async () => {
    await call("DELETE", "/api/projects/shop");
    expect(await refusal(shop.key)).toEqual(forbidden("The project shop is archived."));
    // It may still look at itself.
    expect((await by(shop.key, "GET", "/api/projects/shop")).body).toMatchObject({ status: "ARCHIVED" });
    await call("PATCH", "/api/projects/shop", { status: "ACTIVE" });
    expect(await works(shop.key)).toBe("200");
    await env.DB.prepare("UPDATE organizations SET status = 'ARCHIVED'").run();
    expect(await refusal(shop.key)).toEqual(forbidden("The organisation of the project shop is archived."));
    await env.DB.prepare("UPDATE organizations SET status = 'ACTIVE'").run();
    await call("DELETE", "/api/projects/shop?permanent=true");
    expect(await refusal(shop.key)).toEqual(unauthorized("The project shop of this key was deleted."));
    expect((await by(shop.key, "GET", "/api/projects/shop")).status).toBe(401);
  });

  test("without the scope: what it has, and what is needed", async () => {
    const reader = await addKey("shop", { scopes: ["read"] });
    expect(await refusal(reader.key)).toEqual(forbidden("This key has the scopes read; this needs enrich."));
    expect(said(await by(reader.key, "GET", "/api/authors/top"))).toBe("200");
    const enricher = await addKey("shop", { scopes: ["enrich"] });
    expect(said(await by(enricher.key, "GET", "/api/authors/top"))).toBe("403 forbidden");
    expect(said(await by(enricher.key, "POST", "/api/quota/reservations", { calls: 1 }))).toBe("201");
    expect(said(await by(reader.key, "POST", "/api/quota/reservations", { calls: 1 }))).toBe("403 forbidden");
    expect((await by(enricher.key, "GET", "/api/organizations")).body["detail"]).toBe(
      "This needs the admin token. A project's key is not enough.",
    );
  });
});

describe("rotation", () => {
  test("keeps the id, ends the old version in a day, and only the old one's answers say so", async () => {
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

  test("never lets the old version outlive the key", async () => {
    const { key, keyId } = await addKey("shop", { expires_at: "2031-05-14T20:00:00Z" });
    const { body } = await rotate(keyId);
    expect(body.versions[1]).toMatchObject({ version: 1, expires_at: "2031-05-14T20:00:00Z" });
    await setClock("2031-05-14T19:59:59Z");
    expect([await works(key), await works(body.key)]).toEqual(["200", "200"]);
    await setClock("2031-05-14T20:00:00Z");
    const expired = unauthorized("This key expired at 2031-05-14T20:00:00Z. Ask for a new one.");
    expect([await refusal(key), await refusal(body.key)]).toEqual([expired, expired]);
    expect((await rotate(keyId)).status).toBe(409);
  });

  test("has no third version while two work: a retry mints nothing", async () => {
    const { body } = await rotate();
    const again = await rotate();
    expect(again).toMatchObject({ status: 409, body: { code: "conflict", key: { versions: [{ version: 2 }, { version: 1 }] } } });
    expect(JSON.stringify(again.body)).not.toContain(body.key.slice(19));
    await setClock("2031-05-15T14:03:11Z");
    expect(await rotate()).toMatchObject({ status: 200, body: { versions: [{ version: 3 }, { version: 2 }, { version: 1 }] } });
    expect([await works(shop.key), await works(body.key)]).toEqual(["401 unauthorized", "200"]);
  });

  test("ten at once make one version", async () => {
    const answers = await concurrently(10, 10, async () => rotate());
    expect(tally(answers)).toEqual({ "200": 1, "409 conflict": 9 });
    const rows = await env.DB.prepare("SELECT version FROM api_key_versions WHERE key_id = ? ORDER BY version").bind(shop.keyId).all();
    expect(rows.results).toEqual([{ version: 1 }, { version: 2 }]);
    const minted = answers.find(({ status }) => status === 200)?.body.key ?? "";
    expect([await works(shop.key), await works(minted)]).toEqual(["200", "200"]);
  });

  test("at once, where the secret leaked: all earlier versions end now", async () => {
    const second = (await rotate()).body.key;
    const third = (await rotate(shop.keyId, { immediate: true })).body;
    expect(third.versions).toMatchObject([{ version: 3 }, { version: 2, expires_at: "2031-05-14T14:03:11Z" }, { version: 1 }]);
    expect([await works(shop.key), await works(second), await works(third.key)]).toEqual(["401 unauthorized", "401 unauthorized", "200"]);
  });

  test("may end its grace early, twice the same", async () => {
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

  test("does not wake the dead: neither a version that ended, nor a key that was revoked", async () => {
    await rotate(shop.keyId, { immediate: true });
    await setClock("2031-05-14T15:00:00Z");
    const { body } = await rotate();
    expect(body.versions.map(({ expires_at }) => expires_at)).toEqual([null, "2031-05-15T15:00:00Z", "2031-05-14T14:03:11Z"]);
    expect(await works(shop.key)).toBe("401 unauthorized");
    await call("DELETE", `/api/projects/shop/keys/${shop.keyId}`);
    for (const immediate of [true, false]) expect((await rotate(shop.keyId, { immediate })).status).toBe(409);
  });

  test("stands in the audit log with who it was, and without the key", async () => {
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
  test("makes, lists, reads, rotates and revokes its own project's keys, even while the project is stopped", async () => {
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
      expect({ at, said: said(await by(shop.key, method, at)) }).toEqual({ at, said: "200" });
    }
  });

  test("opens nothing of another project, which might as well not be there", async () => {
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
      expect({ path, said: said(await by(shop.key, method, path, body)) }).toEqual({ path, said: "404 not_found" });
      const nowhere = await by(shop.key, method, path.replace("/other", "/nobody"), body);
      expect(said(nowhere)).toBe("404 not_found");
    }
    const detail = async (id: string) => (await by(shop.key, "GET", `/api/projects/${id}/keys`)).body["detail"];
    expect(String(await detail("other")).replace("other", "nobody")).toBe(await detail("nobody"));
    expect(await works(other.key)).toBe("200");
  });

  test.each([["read", "enrich"], ["read"], ["enrich"]])("and one without it (%s, %s) manages no keys", async (...scopes) => {
    const { key } = await addKey("shop", { scopes: scopes.filter((scope) => scope !== undefined) });
    for (const [method, path] of [
      ["GET", "/api/projects/shop/keys"],
      ["POST", "/api/projects/shop/keys"],
      ["POST", `/api/projects/shop/keys/${shop.keyId}/rotate`],
      ["DELETE", `/api/projects/shop/keys/${shop.keyId}`],
    ] as const) {
      expect(said(await by(key, method, path, method === "POST" ? {} : undefined))).toBe("403 forbidden");
    }
  });
});

describe("the last use", () => {
  const used = async () => {
    const { body } = await get<Rotated & { last_used_at: string | null }>(`/api/projects/shop/keys/${shop.keyId}`);
    return [body.last_used_at, ...body.versions.map(({ last_used_at }) => last_used_at)];
  };

  test("is noted at most once a minute, for the key and for its version", async () => {
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

  test("tells who still uses the old version, though the new one was used a moment ago", async () => {
    const { body } = await rotate();
    await byWith({}, body.key, "GET", "/api/authors/top");
    await setClock("2031-05-14T14:03:41Z");
    await byWith({}, shop.key, "GET", "/api/authors/top");
    expect(await used()).toEqual(["2031-05-14T14:03:11Z", "2031-05-14T14:03:11Z", "2031-05-14T14:03:41Z"]);
  });

  test("is not noted of a key that is refused", async () => {
    await call("DELETE", `/api/projects/shop/keys/${shop.keyId}`);
    const { db, trips } = watchedDb();
    await byWith({ DB: db }, shop.key, "GET", "/api/authors/top");
    expect(trips).toHaveLength(1);
    expect(await used()).toEqual([null, null]);
  });
});
